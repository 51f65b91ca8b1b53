import os

from confluent_kafka import Consumer

consumer = Consumer(
    {
        "bootstrap.servers": os.environ.get("KAFKA", "localhost:9092"),
        "group.id": "first-python",
        "auto.offset.reset": "earliest",
    }
)
consumer.subscribe(["first"])
try:
    while True:
        message = consumer.poll(1.0)
        if message is None:
            continue
        if message.error():
            raise SystemExit(message.error())
        print(message.key().decode(), message.value().decode(), flush=True)
except KeyboardInterrupt:
    pass
finally:
    consumer.close()
