use std::env;
use std::time::{SystemTime, UNIX_EPOCH};

use orders::{place, ship};
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::config::ClientConfig;

#[tokio::test]
async fn orders_are_shipped_once_and_in_order() {
    let Ok(address) = env::var("KAFKA_BOOTSTRAP_SERVERS") else {
        eprintln!("start me with: ottla run -- cargo test");
        return;
    };
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let topic = format!("orders-{}", now.as_nanos());
    let admin: AdminClient<DefaultClientContext> = ClientConfig::new()
        .set("bootstrap.servers", &address)
        .create()
        .unwrap();
    let wanted = NewTopic::new(&topic, 1, TopicReplication::Fixed(1));
    admin
        .create_topics([&wanted], &AdminOptions::new())
        .await
        .unwrap();
    place(&address, &topic, "ada", &["a chair", "a lamp"])
        .await
        .unwrap();
    let group = format!("{topic}-ship");
    for wanted in ["a chair", "a lamp"] {
        assert_eq!(ship(&address, &topic, &group, 1).await.unwrap(), [wanted]);
    }
}
