"""`ottla demo uuid [producer|consumer]`: messages with UUID keys, logged by a consumer group.

The value is what the write-up's producer sends, including its slip: the quotation mark
before `success` is missing, so it is not JSON. Readers who expect JSON must cope with it.
"""

from __future__ import annotations

import argparse
import threading
import time
import uuid
from collections.abc import Callable

from ottla.demos.kafka_clients import (
    DemoError,
    Settings,
    Stop,
    create_topic,
    no_broker,
    waiting_line,
)

TOPIC = "topicgo1"
GROUP = "logger-group1"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "half", nargs="?", choices=("both", "producer", "consumer"), default="both",
        help="one half, for a terminal of its own (default: %(default)s)",
    )  # fmt: skip
    parser.add_argument("--topic", "-topic", default=TOPIC, help="(default: %(default)s)")
    parser.add_argument("--group", "-group", default=GROUP, help="(default: %(default)s)")
    parser.add_argument("--partitions", type=int, default=1, help="of a topic not there yet")
    parser.add_argument(
        "--messages", type=int, metavar="N", help="end after N messages (default: on Ctrl-C)"
    )
    parser.add_argument(
        "--rate", type=float, default=1.0, metavar="N",
        help="messages a second; 0: as fast as possible (default: %(default)s)",
    )  # fmt: skip
    parser.add_argument(
        "--valid-json", action="store_true", help="send JSON without the write-up's slip"
    )


def run(args: argparse.Namespace, settings: Settings) -> int:
    """Errors: DemoError."""
    _say(f"Url:  {settings['bootstrap.servers']}")
    _say(f"Topic:  {args.topic}")
    with Stop() as stop:
        if args.half == "producer":
            return _run_producer(args, settings, stop)
        if args.half == "consumer":
            return _run_consumer(args, settings, stop)
        consumer = threading.Thread(target=_run_consumer, args=(args, settings, stop))
        consumer.start()
        try:
            return _run_producer(args, settings, stop)
        finally:
            if args.messages is None:
                stop.set()
            while consumer.is_alive():  # a join would let no signal through
                consumer.join(0.1)


def _run_producer(args: argparse.Namespace, settings: Settings, stop: Stop) -> int:
    try:
        create_topic(settings, args.topic, args.partitions)
        _say("Start producing ... !!")
        return produce(
            settings, args.topic, args.messages, args.rate, stop, _say,
            is_valid_json=args.valid_json,
        )  # fmt: skip
    except DemoError:
        stop.set()  # the other half would wait for ever
        raise


def _run_consumer(args: argparse.Namespace, settings: Settings, stop: Stop) -> int:
    _say(f"Group:  {args.group}")
    _say("start consuming ... !!")
    consume(settings, args.topic, args.group, args.messages, stop, _say)
    return 0


def _say(line: str) -> None:
    print(line, flush=True)


def value_of(key: str, number: int, *, is_valid_json: bool = False) -> str:
    quote = '"' if is_valid_json else ""
    return f'{{"uuid":"{key}", "key":{number},"msg":{quote}success", "event":"kafka test"}}'


def produce(
    settings: Settings,
    topic: str,
    count: int | None,
    rate: float,
    stop: Stop,
    report: Callable[[str], None],
    *,
    is_valid_json: bool = False,
) -> int:
    """Send `count` messages, or until told to stop; returns 0 if each was acknowledged."""
    from confluent_kafka import KafkaError, Message, Producer

    failures: list[str] = []

    def on_delivery(error: KafkaError | None, message: Message) -> None:
        if error is not None:
            failures.append(error.str())

    producer = Producer({"log_level": "0", **settings})
    number = 0
    while not stop.is_set() and (count is None or number < count):
        key = str(uuid.uuid4())
        value = value_of(key, number, is_valid_json=is_valid_json)
        try:
            producer.produce(topic, value, key=key, on_delivery=on_delivery)
        except BufferError:
            producer.poll(0.1)
            continue
        producer.poll(0)
        report(f"Key- {number}")
        number += 1
        if rate > 0 and number != count:
            stop.wait(1 / rate)
    waiting = producer.flush(30)
    lost = len(failures) + waiting
    report(f"{number} messages sent, {number - lost} acknowledged.")
    if lost:
        reason = failures[0] if failures else no_broker(settings)
        raise DemoError(f"{lost} messages were not delivered: {reason}")
    return 0


def consume(
    settings: Settings,
    topic: str,
    group: str,
    count: int | None,
    stop: Stop,
    report: Callable[[str], None],
) -> int:
    """Print each message of the topic; returns how many. The group's offsets are committed."""
    from confluent_kafka import Consumer

    consumer = Consumer(
        {
            "log_level": "0",
            "group.id": group,
            "auto.offset.reset": "earliest",
            "enable.auto.offset.store": "false",  # committed is what was logged
            # So long a successor waits for a member that was killed.
            "session.timeout.ms": "6000",
            "heartbeat.interval.ms": "1000",
            "topic.metadata.refresh.interval.ms": "1000",  # the topic may come after us
            **settings,
        }
    )
    consumer.subscribe([topic])
    read = 0
    try:
        while not stop.is_set() and (count is None or read < count):
            message = consumer.poll(0.1)
            if message is None:
                continue
            error = message.error()
            if error is not None:
                report(waiting_line(error, topic))
                stop.wait(1)
                continue
            read += 1
            report(f"consumer:  {time.strftime('%Y-%m-%d %H:%M:%S')}")
            report(log_line(message.topic(), message.partition(), message.offset(),
                            message.key(), message.value()))  # fmt: skip
            consumer.store_offsets(message)
    finally:
        consumer.close()
    report(f"{read} messages read.")
    return read


def log_line(
    topic: str | None,
    partition: int | None,
    offset: int | None,
    key: bytes | None,
    value: bytes | None,
) -> str:
    """The write-up's line; bytes that are not UTF-8 are shown as replacement characters."""
    return (
        f"message at topic:{topic} partition:{partition} offset:{offset}  "
        f"{(key or b'').decode(errors='replace')} = {(value or b'').decode(errors='replace')}"
    )
