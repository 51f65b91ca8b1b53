"""A real broker process that is killed, and clients that remember what they were told."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import IO

from confluent_kafka import (
    Consumer,
    KafkaError,
    KafkaException,
    Message,
    Producer,
    TopicPartition,
)
from confluent_kafka.admin import AdminClient, NewTopic
from simulation.reverting import revert

from ottla.engine.ports import free_ports

ROOT = Path(__file__).parents[2]
TOPIC = "crash"
PARTITIONS = 3
GROUP = "crash-group"
#: librdkafka starts again quickly when the broker comes back.
PATIENT = {
    "reconnect.backoff.ms": 20,
    "reconnect.backoff.max.ms": 200,
    "retry.backoff.ms": 20,
    "socket.timeout.ms": 10_000,
    "log_level": 0,
}


class BrokerProcess:
    """`ottla up` on one port and one data directory, again and again."""

    def __init__(
        self,
        directory: Path,
        *,
        without: str | None = None,
        settings: Sequence[str] = ("log.segment.bytes=1048576",),
    ) -> None:
        """`without` leaves out a step of `ottla.storage.safety`."""
        self._settings = settings
        self._mutation = [] if without is None else ["--without", without]
        self.data = directory / "data"
        self.side = directory / "side"
        self._evidence = directory / "evidence"
        self._state = directory / "state"
        self._log = (directory / "broker.log").open("ab")
        self._errors = (directory / "errors.log").open("ab")
        (self.port,) = free_ports(1)
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def bootstrap_servers(self) -> str:
        return f"127.0.0.1:{self.port}"

    def start(self, die_at: tuple[str, int] | None = None) -> bool:
        """The broker is ready when this returns True; False says that it died while starting,
        at a failpoint (`die_at`: its name, and how often it is passed)."""
        command = [sys.executable, "-m", "simulation.recorded_up", str(self.side)]
        command += self._mutation
        if die_at is not None:
            command += ["--die-at", die_at[0], str(die_at[1])]
        command += ["up"]
        command += ["--bare", "--data-dir", str(self.data), "--port", str(self.port)]
        command += ["--set", "ottla.metrics.port=-1", "--set", "num.partitions=1"]
        command += ["--set", "log.flush.offset.checkpoint.interval.ms=300"]
        for setting in self._settings:
            command += ["--set", setting]
        self._process = subprocess.Popen(
            command,
            cwd=ROOT,
            env={**os.environ, "OTTLA_STATE_DIR": str(self._state)},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=self._errors,
        )
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._log.write(line)
            if b"is ready" in line:
                break
        else:
            self._process.stdout.close()
            status = self._process.wait()
            self._process = None
            if die_at is not None and status == -signal.SIGKILL:
                return False
            raise AssertionError(f"no start, status {status}: {self.log_text()[-3000:]}")
        self._listener = threading.Thread(target=self._listen, args=(self._process.stdout,))
        self._listener.start()
        return True

    def wait_for_death(self, seconds: float) -> bool:
        """Whether the process died by itself, at its failpoint, within this time."""
        assert self._process is not None
        try:
            status = self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            return False
        self._is_gone()
        assert status == -signal.SIGKILL, f"status {status}: {self.log_text()[-3000:]}"
        return True

    def _listen(self, output: IO[bytes]) -> None:
        with output:
            for line in output:
                self._log.write(line)

    def _is_gone(self) -> None:
        self._listener.join()
        self._process = None

    def kill(self) -> None:
        """SIGKILL: the process is gone, the page cache is not."""
        assert self._process is not None
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()
        self._is_gone()

    def pause(self, seconds: float) -> None:
        """SIGSTOP for so long: clients time out, and the broker notices nothing."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)
        threading.Event().wait(seconds)
        self._process.send_signal(signal.SIGCONT)

    def note(self, line: str) -> None:
        """One more line between what the broker has said."""
        self._log.write(line.encode() + b"\n")
        self._log.flush()

    def keep_evidence(self, name: str) -> None:
        """Copies of the files as they are, and of what is recorded of them."""
        shutil.copytree(self.data, self._evidence / name / "data")
        shutil.copytree(self.side, self._evidence / name / "side")

    def lose_power(self, rng: random.Random | None) -> list[str]:
        """After `kill`: what was not durable is lost, or what `rng` makes of it."""
        return revert(str(self.data), str(self.side), rng)

    def stop(self) -> int:
        """Ctrl-C, and the exit status."""
        assert self._process is not None
        self._process.send_signal(signal.SIGINT)
        status = self._process.wait(timeout=60)
        self._is_gone()
        return status

    def close(self) -> None:
        if self._process is not None:
            self.kill()
        self._log.close()
        self._errors.close()

    def log_text(self) -> str:
        """What the broker has said, its errors last."""
        self._log.flush()
        names = (self._log.name, self._errors.name)
        return "".join(Path(name).read_text(errors="replace") for name in names)


class Load:
    """An idempotent producer and a committing consumer, over all deaths of the broker."""

    def __init__(self, bootstrap_servers: str, seed: int) -> None:
        self._rng = random.Random(seed)
        self._bootstrap_servers = bootstrap_servers
        self._number = 0
        #: Everything acknowledged: (partition, offset) to value.
        self.acknowledged: dict[tuple[int, int], bytes] = {}
        self.refused: list[str] = []
        #: Offsets whose commit was acknowledged, and the largest tried.
        self.committed: dict[int, int] = {}
        self.tried: dict[int, int] = {}
        self._stopping = threading.Event()
        self.has_new = threading.Event()
        self._producer = Producer(
            PATIENT
            | {
                "bootstrap.servers": bootstrap_servers,
                "enable.idempotence": True,
                "linger.ms": 1,
                "batch.num.messages": 20,
                "message.timeout.ms": 300_000,
                "queue.buffering.max.messages": 2_000,
            }
        )
        self._consumer = Consumer(
            PATIENT
            | {
                "bootstrap.servers": bootstrap_servers,
                "group.id": GROUP,
                "enable.auto.commit": False,
            }
        )
        self._threads = [
            threading.Thread(target=self._produce, daemon=True),
            threading.Thread(target=self._commit, daemon=True),
        ]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def go_on(self, seconds: float) -> None:
        """Work for so long."""
        self._stopping.wait(seconds)

    def stop(self) -> None:
        """Everything sent is answered, one way or the other."""
        self._stopping.set()
        for thread in self._threads:
            thread.join()
        assert self._producer.flush(240) == 0
        self._consumer.close()

    def give_up(self) -> None:
        """Stop without waiting for answers."""
        self._stopping.set()
        for thread in self._threads:
            thread.join()
        self._producer.purge()
        self._producer.flush(90)
        self._consumer.close()

    def _produce(self) -> None:
        while not self._stopping.is_set():
            self._number += 1
            size = self._rng.choice((0, 100, 5_000))
            value = b"%d:" % self._number + self._rng.randbytes(size)
            partition = self._rng.randrange(PARTITIONS)
            try:
                self._producer.produce(TOPIC, value, None, partition, on_delivery=self._answered)
            except BufferError:
                self._producer.poll(0.05)
            except KafkaException as error:  # a producer that has lost its sequence is at its end
                self.refused.append(str(error))
                return
            self._producer.poll(0.001)

    def _answered(self, error: KafkaError | None, message: Message) -> None:
        if error is not None:
            self.refused.append(str(error))
            return
        partition, offset, value = message.partition(), message.offset(), message.value()
        assert partition is not None
        assert offset is not None
        assert value is not None
        self.acknowledged[partition, offset] = value
        self.has_new.set()

    def _commit(self) -> None:
        """Ever larger offsets, whatever they mean."""
        offset = 0
        while not self._stopping.is_set():
            offset += 1
            partition = offset % PARTITIONS
            self.tried[partition] = offset
            wanted = [TopicPartition(TOPIC, partition, offset)]
            try:
                done = self._consumer.commit(offsets=wanted, asynchronous=False)
            except KafkaException:
                continue
            if done and done[0].error is None:
                self.committed[partition] = offset


def create_topic(bootstrap_servers: str, name: str = TOPIC, **config: str) -> None:
    """`config` names keys with underscores."""
    admin = AdminClient(PATIENT | {"bootstrap.servers": bootstrap_servers})
    keys = {key.replace("_", "."): value for key, value in config.items()}
    wanted = NewTopic(name, num_partitions=PARTITIONS, replication_factor=1, config=keys)
    for future in admin.create_topics([wanted]).values():
        future.result(90)


def read_everything(bootstrap_servers: str) -> dict[tuple[int, int], bytes]:
    """All records, read by kafka-python: another client than the one that wrote them."""
    from kafka import KafkaConsumer
    from kafka import TopicPartition as Partition

    consumer = KafkaConsumer(
        bootstrap_servers=bootstrap_servers, auto_offset_reset="earliest", check_crcs=True
    )
    try:
        partitions = [Partition(TOPIC, i) for i in range(PARTITIONS)]
        consumer.assign(partitions)
        ends = consumer.end_offsets(partitions)
        consumer.seek_to_beginning(*partitions)
        found: dict[tuple[int, int], bytes] = {}
        while any(consumer.position(p) < ends[p] for p in partitions):
            for batch in consumer.poll(timeout_ms=500).values():
                for record in batch:
                    found[record.partition, record.offset] = record.value
        return found
    finally:
        consumer.close()


def read_commits(bootstrap_servers: str) -> dict[int, int]:
    consumer = Consumer(PATIENT | {"bootstrap.servers": bootstrap_servers, "group.id": GROUP})
    try:
        wanted = [TopicPartition(TOPIC, i) for i in range(PARTITIONS)]
        return {one.partition: one.offset for one in consumer.committed(wanted, timeout=90)}
    finally:
        consumer.close()


def check_load(load: Load, bootstrap_servers: str) -> None:
    """Everything acknowledged stands where it was, once and in order."""
    found = read_everything(bootstrap_servers)
    lost = {place: value for place, value in load.acknowledged.items() if place not in found}
    assert not lost, f"{len(lost)} acknowledged records lost: {sorted(lost)[:5]}"
    wrong = [place for place, value in load.acknowledged.items() if found[place] != value]
    assert not wrong, f"other records stand where these were acknowledged: {wrong[:5]}"
    for partition in {p for p, _ in found}:
        values = [found[place] for place in sorted(found) if place[0] == partition]
        numbers = [int(value.split(b":")[0]) for value in values]
        assert numbers == sorted(set(numbers)), "records twice or out of order"
    for partition, offset in read_commits(bootstrap_servers).items():
        assert load.committed.get(partition, -1001) <= offset <= load.tried.get(partition, 0)
