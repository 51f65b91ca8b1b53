"""Write `tests/golden/frames.json`: what real clients and Apache Kafka say to one another.

A proxy stands between one node of Apache Kafka (advertised at the proxy's
address) and librdkafka, aiokafka, kafka-python and Kafka's own tools. Of each
client, API and version the first request and its response are kept.

Run it with `python tools/capture_frames.py`; needs Java and Maven.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from ottla.engine.apache import ApacheKafka
from ottla.engine.ports import free_ports
from ottla.wire import frames
from ottla.wire.messages import API_NAMES

TARGET = Path(__file__).parents[1] / "tests" / "golden" / "frames.json"
MAX_FRAME_BYTES = 4_000

Key = tuple[str, int, int]


class Recorder:
    """A proxy that keeps one exchange of each client, API and version."""

    def __init__(self, backend_port: int) -> None:
        self.backend_port = backend_port
        self.client = ""
        self.kept: dict[Key, dict[str, str]] = {}

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        back_reader, back_writer = await asyncio.open_connection("127.0.0.1", self.backend_port)
        waiting: dict[int, tuple[Key, bytes]] = {}

        async def pump(
            source: asyncio.StreamReader,
            target: asyncio.StreamWriter,
            look: Callable[[bytes], None],
        ) -> None:
            with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
                while True:
                    size = await source.readexactly(4)
                    frame = await source.readexactly(int.from_bytes(size, "big"))
                    look(frame)
                    target.write(size + frame)
                    await target.drain()
            target.close()

        def request(frame: bytes) -> None:
            header = frames.read_request_header(frame)
            key = (self.client, header.api_key, header.api_version)
            if header.api_key in API_NAMES and key not in self.kept:
                waiting[header.correlation_id] = (key, frame)

        def response(frame: bytes) -> None:
            found = waiting.pop(frames.read_correlation_id(frame), None)
            if found is None or max(len(found[1]), len(frame)) > MAX_FRAME_BYTES:
                return
            key, asked = found
            self.kept.setdefault(key, {"request": asked.hex(), "response": frame.hex()})

        await asyncio.gather(
            pump(reader, back_writer, request), pump(back_reader, writer, response)
        )


@contextlib.contextmanager
def serving(recorder: Recorder, port: int) -> Iterator[None]:
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    start = asyncio.start_server(recorder.serve, "127.0.0.1", port)
    asyncio.run_coroutine_threadsafe(start, loop).result()
    yield
    loop.call_soon_threadsafe(loop.stop)
    thread.join()


def use_librdkafka(address: str) -> None:
    from confluent_kafka import Consumer, Producer, TopicPartition
    from confluent_kafka.admin import AdminClient, ConfigResource, NewTopic

    servers = {"bootstrap.servers": address}
    admin = AdminClient(servers)
    admin.create_topics([NewTopic("rd", 2, 1)])["rd"].result()
    for extra in ({}, {"enable.idempotence": True}, {"transactional.id": "rd-tx"}):
        producer = Producer({**servers, **extra})
        if "transactional.id" in extra:
            producer.init_transactions(20)
            producer.begin_transaction()
        producer.produce("rd", b"value", b"key", headers={"h": b"1"})
        producer.flush(20)
        if "transactional.id" in extra:
            producer.commit_transaction(20)
    for protocol in ("classic", "consumer"):
        consumer = Consumer(
            {
                **servers,
                "group.id": f"rd-{protocol}",
                "group.protocol": protocol,
                "auto.offset.reset": "earliest",
            }
        )
        consumer.subscribe(["rd"])
        while consumer.poll(1) is None:
            pass
        consumer.commit(asynchronous=False)
        consumer.committed([TopicPartition("rd", 0)], 10)
        consumer.close()
    admin.describe_configs([ConfigResource(ConfigResource.Type.TOPIC, "rd")])
    admin.list_consumer_groups().result()
    admin.describe_consumer_groups(["rd-classic"])["rd-classic"].result()
    admin.delete_topics(["rd"])["rd"].result()


async def use_aiokafka(address: str) -> None:
    from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

    producer = AIOKafkaProducer(bootstrap_servers=address, enable_idempotence=True)
    await producer.start()
    await producer.send_and_wait("aio", b"value", b"key")
    await producer.stop()
    consumer = AIOKafkaConsumer(
        "aio", bootstrap_servers=address, group_id="aio", auto_offset_reset="earliest"
    )
    await consumer.start()
    await consumer.getone()
    await consumer.commit()
    await consumer.stop()


def use_kafka_python(address: str) -> None:
    from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer

    producer: Any = KafkaProducer(bootstrap_servers=address)
    producer.send("py", b"value", b"key").get(20)
    producer.close()
    consumer: Any = KafkaConsumer(
        "py", bootstrap_servers=address, group_id="py", auto_offset_reset="earliest"
    )
    next(iter(consumer))
    consumer.commit()
    consumer.close()
    admin: Any = KafkaAdminClient(bootstrap_servers=address)
    admin.list_topics()
    admin.close()


def use_kafka_tools(kafka: ApacheKafka, address: str) -> None:
    tools = "org.apache.kafka.tools"
    server = ("--bootstrap-server", address)
    run = kafka.distribution.run
    run(f"{tools}.TopicCommand", *server, "--create", "--topic", "java", "--partitions", "2")
    run(f"{tools}.TopicCommand", *server, "--describe", "--topic", "java")
    verifiable = ("--topic", "java", "--max-messages", "3")
    run(f"{tools}.VerifiableProducer", *server, *verifiable)
    consume = ("--topic", "java", "--from-beginning", "--max-messages", "3", "--group", "java")
    run(f"{tools}.consumer.ConsoleConsumer", *server, *consume)
    protocol = ("--command-property", "group.protocol=consumer", "--group", "java-new")
    run(f"{tools}.consumer.ConsoleConsumer", *server, *consume[:-2], *protocol)
    groups = f"{tools}.consumer.group.ConsumerGroupCommand"
    run(groups, *server, "--describe", "--group", "java")
    run(groups, *server, "--list")
    run(f"{tools}.GetOffsetShell", *server, "--topic", "java")
    run(f"{tools}.LogDirsCommand", *server, "--describe", "--topic-list", "java")
    run(f"{tools}.FeatureCommand", *server, "describe")
    run(f"{tools}.MetadataQuorumCommand", *server, "describe", "--status")
    run(f"{tools}.TransactionsCommand", *server, "list")
    configs = ("--entity-type", "topics", "--entity-name", "java")
    run("kafka.admin.ConfigCommand", *server, "--describe", *configs)
    run("kafka.admin.ConfigCommand", *server, "--alter", *configs, "--add-config", "flush.ms=9")
    run(f"{tools}.TopicCommand", *server, "--delete", "--topic", "java")


def main() -> int:
    proxy_port, port = free_ports(2)
    address = f"127.0.0.1:{proxy_port}"
    advertised = {"advertised.listeners": f"PLAINTEXT://{address}"}
    recorder = Recorder(port)
    with serving(recorder, proxy_port):
        with ApacheKafka(ports=[port], properties=advertised, progress=print) as kafka:
            recorder.client = "librdkafka"
            use_librdkafka(address)
            recorder.client = "aiokafka"
            asyncio.run(use_aiokafka(address))
            recorder.client = "kafka-python"
            use_kafka_python(address)
            recorder.client = "kafka-tools"
            use_kafka_tools(kafka, address)
    rows = [
        {"client": client, "api_key": api_key, "version": version, **exchange}
        for (client, api_key, version), exchange in sorted(recorder.kept.items())
        if client
    ]
    TARGET.write_text("[\n" + ",\n".join(json.dumps(row) for row in rows) + "\n]\n")
    print(f"kept {len(rows)} exchanges in {TARGET}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
