//! Orders through Kafka, with rdkafka.

use std::time::Duration;

use rdkafka::config::ClientConfig;
use rdkafka::consumer::{CommitMode, Consumer, StreamConsumer};
use rdkafka::error::KafkaResult;
use rdkafka::message::Message;
use rdkafka::producer::{FutureProducer, FutureRecord};

/// Writes one record for each item, by customer; returns when Kafka has all of them.
pub async fn place(address: &str, topic: &str, customer: &str, items: &[&str]) -> KafkaResult<()> {
    let producer: FutureProducer = ClientConfig::new()
        .set("bootstrap.servers", address)
        .set("enable.idempotence", "true")
        .create()?;
    for item in items {
        let record = FutureRecord::to(topic).key(customer).payload(*item);
        producer
            .send(record, Duration::from_secs(30))
            .await
            .map_err(|(error, _)| error)?;
    }
    Ok(())
}

/// Handles the next `count` orders, each at least once: commits after the work.
pub async fn ship(
    address: &str,
    topic: &str,
    group: &str,
    count: usize,
) -> KafkaResult<Vec<String>> {
    let consumer: StreamConsumer = ClientConfig::new()
        .set("bootstrap.servers", address)
        .set("group.id", group)
        .set("auto.offset.reset", "earliest")
        .set("enable.auto.commit", "false")
        .create()?;
    consumer.subscribe(&[topic])?;
    let mut shipped = Vec::new();
    while shipped.len() < count {
        let message = consumer.recv().await?;
        let item = message.payload().unwrap_or_default();
        shipped.push(String::from_utf8_lossy(item).into_owned());
        consumer.commit_message(&message, CommitMode::Sync)?;
    }
    Ok(shipped)
}
