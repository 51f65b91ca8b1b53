import os

from confluent_kafka import Producer

producer = Producer({"bootstrap.servers": os.environ.get("KAFKA", "localhost:9092")})
for number in range(3):
    producer.produce("first", key="python", value=f"hello {number}")
producer.flush()
