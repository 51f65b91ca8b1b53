"""Orders through Kafka, with kafka-python."""

from __future__ import annotations

import json

from kafka import KafkaConsumer, KafkaProducer


def place(bootstrap_servers: str, topic: str, orders: list[dict[str, str]]) -> None:
    """Write the orders, by customer; returns when Kafka has all of them."""
    producer = KafkaProducer(bootstrap_servers=bootstrap_servers, acks="all")
    sent = [
        producer.send(topic, json.dumps(order).encode(), order["customer"].encode())
        for order in orders
    ]
    for future in sent:
        future.get(timeout=30)
    producer.close()


def ship(bootstrap_servers: str, topic: str, group: str, count: int) -> list[dict[str, str]]:
    """Handle the next `count` orders, each at least once: commit after the work."""
    consumer = KafkaConsumer(
        topic,
        bootstrap_servers=bootstrap_servers,
        group_id=group,
        auto_offset_reset="earliest",
        enable_auto_commit=False,
        max_poll_records=1,
    )
    shipped = []
    for message in consumer:
        shipped.append(json.loads(message.value))
        consumer.commit()
        if len(shipped) == count:
            break
    consumer.close()
    return shipped
