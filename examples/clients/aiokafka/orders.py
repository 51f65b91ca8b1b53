"""Orders through Kafka, with aiokafka."""

from __future__ import annotations

import json

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer


async def place(bootstrap_servers: str, topic: str, orders: list[dict[str, str]]) -> None:
    """Write the orders, by customer; returns when Kafka has all of them."""
    async with AIOKafkaProducer(
        bootstrap_servers=bootstrap_servers, enable_idempotence=True
    ) as producer:
        for order in orders:
            key = order["customer"].encode()
            await producer.send_and_wait(topic, json.dumps(order).encode(), key)


async def ship(bootstrap_servers: str, topic: str, group: str, count: int) -> list[dict[str, str]]:
    """Handle the next `count` orders, each at least once: commit after the work."""
    shipped = []
    async with AIOKafkaConsumer(
        topic,
        bootstrap_servers=bootstrap_servers,
        group_id=group,
        auto_offset_reset="earliest",
        enable_auto_commit=False,
    ) as consumer:
        while len(shipped) < count:
            message = await consumer.getone()
            shipped.append(json.loads(message.value))
            await consumer.commit()
    return shipped
