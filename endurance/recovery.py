"""How long a start takes after an unclean stop, with much data and a cold cache."""

from __future__ import annotations

import random
import threading
import time
from pathlib import Path
from typing import Final

from confluent_kafka import Consumer, KafkaError, Message, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from endurance.process import BrokerProcess, drop_caches

TOPIC: Final = "much"
MESSAGE_BYTES: Final = 100_000
LIMIT_S: Final = 60
#: The interval of checkpoints is a minute; everything older must be covered.
CHECKPOINT_S: Final = 75


class Filler:
    """Produces evenly to all partitions, and counts what was acknowledged."""

    def __init__(self, servers: str, partitions: int) -> None:
        self.ends = [0] * partitions
        self.failures = 0
        self._value = random.Random(1).randbytes(MESSAGE_BYTES)
        self._producer = Producer(
            {
                "bootstrap.servers": servers,
                "log_level": 0,
                "linger.ms": 20,
                "batch.size": 1_000_000,
                "message.max.bytes": 1_000_000,
                "queue.buffering.max.kbytes": 400_000,
                "message.timeout.ms": 120_000,
            }
        )

    def _answered(self, error: KafkaError | None, message: Message) -> None:
        if error is not None:
            self.failures += 1
            return
        partition, offset = message.partition(), message.offset()
        assert partition is not None
        assert offset is not None
        self.ends[partition] = max(self.ends[partition], offset + 1)

    def fill(self, size: int) -> None:
        """So many bytes more, all of them acknowledged."""
        for number in range(size // MESSAGE_BYTES):
            self.one(number % len(self.ends))
        assert self._producer.flush(LIMIT_S * 5) == 0

    def one(self, partition: int) -> None:
        while True:
            try:
                self._producer.produce(
                    TOPIC, self._value, partition=partition, on_delivery=self._answered
                )
                break
            except BufferError:
                self._producer.poll(0.1)
        self._producer.poll(0)

    def drip_until(self, stop: threading.Event) -> None:
        """A little load, here and there."""
        rng = random.Random(2)
        while not stop.wait(0.002):
            self.one(rng.randrange(len(self.ends)))


def run(
    directory: Path, *, gigabytes: float, partitions: int, is_checkpointed: bool = False
) -> str:
    """One trial; returns what it showed, in a sentence."""
    broker = BrokerProcess(directory)
    broker.start()
    try:
        admin = AdminClient({"bootstrap.servers": broker.bootstrap_servers})
        began = time.perf_counter()
        for future in admin.create_topics([NewTopic(TOPIC, partitions, 1)]).values():
            future.result(LIMIT_S)
        creating_s = time.perf_counter() - began
        filler = Filler(broker.bootstrap_servers, partitions)
        began = time.perf_counter()
        filler.fill(int(gigabytes * 1e9))
        filling_s = time.perf_counter() - began
        stop = threading.Event()
        if is_checkpointed:
            drip = threading.Thread(target=filler.drip_until, args=(stop,))
            drip.start()
            time.sleep(CHECKPOINT_S)
            acknowledged = list(filler.ends)
            broker.kill()
            stop.set()
            drip.join()
        else:
            acknowledged = list(filler.ends)
            broker.kill()
        how = drop_caches(broker.data)
        ready_s = broker.start()
        cpu_s = broker.cpu_s()
        consumer = Consumer({"bootstrap.servers": broker.bootstrap_servers, "group.id": "check"})
        lost = 0
        for partition, end in enumerate(acknowledged):
            _, high = consumer.get_watermark_offsets(TopicPartition(TOPIC, partition), LIMIT_S)
            lost += high < end
        consumer.close()
        assert not lost, f"{lost} partitions lost acknowledged records"
        when = "a little later" if is_checkpointed else "at once"
        return (
            f"{gigabytes:g} GB in {partitions:,} partitions, killed {when}, {how}: ready in "
            f"{ready_s:.2f} s ({cpu_s:.2f} s of processor time); created in {creating_s:.1f} s, "
            f"filled in {filling_s:.0f} s; nothing acknowledged is missing"
        )
    finally:
        broker.close()
