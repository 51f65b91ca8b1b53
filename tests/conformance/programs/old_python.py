"""kafka-python 1.4.7 and pykafka 2.8: the formats before record batches, old group requests."""

import sys

from kafka import KafkaConsumer, KafkaProducer
from pykafka import KafkaClient

servers, topic = sys.argv[1:]
sent = 0
for codec in (None, "gzip"):
    for version in ((0, 8, 2), (0, 9), (0, 10, 1), (0, 11)):
        producer = KafkaProducer(
            bootstrap_servers=servers, api_version=version, compression_type=codec
        )
        for i in range(10):
            producer.send(topic, b"v%d" % i, key=b"k").get(10)
            sent += 1
        producer.close()
client = KafkaClient(hosts=servers, broker_version="0.8.2")
with client.topics[topic].get_sync_producer() as producer:
    for i in range(5):
        producer.produce(b"p%d" % i)
        sent += 1
consumer = KafkaConsumer(
    topic,
    bootstrap_servers=servers,
    api_version=(0, 9),
    group_id=topic,
    auto_offset_reset="earliest",
    consumer_timeout_ms=5000,
)
assert sum(1 for _ in consumer) == sent
consumer.close()
simple = client.topics[topic].get_simple_consumer(consumer_timeout_ms=5000, auto_offset_reset=-2)
assert sum(1 for _ in simple) == sent
balanced = client.topics[topic].get_balanced_consumer(
    topic + "-b", managed=True, consumer_timeout_ms=5000, reset_offset_on_start=True
)
assert sum(1 for _ in balanced) == sent
balanced.stop()
print(sent)
