"""Orders through Kafka, with confluent-kafka."""

from __future__ import annotations

import json

from confluent_kafka import Consumer, KafkaException, Producer


def place(bootstrap_servers: str, topic: str, orders: list[dict[str, str]]) -> None:
    """Write the orders, by customer; returns when Kafka has all of them."""
    refused = []

    def delivered(error, message):
        if error is not None:
            refused.append(error)

    producer = Producer({"bootstrap.servers": bootstrap_servers, "enable.idempotence": True})
    for order in orders:
        producer.produce(topic, json.dumps(order), order["customer"], on_delivery=delivered)
    producer.flush()
    if refused:
        raise KafkaException(refused[0])


def ship(bootstrap_servers: str, topic: str, group: str, count: int) -> list[dict[str, str]]:
    """Handle the next `count` orders, each at least once: commit after the work."""
    consumer = Consumer(
        {
            "bootstrap.servers": bootstrap_servers,
            "group.id": group,
            "auto.offset.reset": "earliest",
            "enable.auto.commit": False,
        }
    )
    consumer.subscribe([topic])
    shipped = []
    try:
        while len(shipped) < count:
            message = consumer.poll(1.0)
            if message is None:
                continue
            if message.error():
                raise KafkaException(message.error())
            shipped.append(json.loads(message.value()))
            consumer.commit(message, asynchronous=False)
    finally:
        consumer.close()
    return shipped
