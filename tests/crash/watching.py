"""A reader of committed records over all deaths and pauses: what it saw stays, and was meant."""

from __future__ import annotations

import threading
from collections import Counter

from confluent_kafka import Consumer, KafkaError, TopicPartition
from tests.crash.bank import Bank, read_committed
from tests.crash.harness import PARTITIONS, PATIENT, TOPIC, Load, read_everything


class Watcher:
    """Reads two topics as they are written, and keeps everything it was shown."""

    def __init__(self, bootstrap_servers: str, bank_topic: str) -> None:
        self._bank_topic = bank_topic
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._work, daemon=True)
        #: (topic, partition, offset) to value.
        self.seen: dict[tuple[str, int, int], bytes] = {}
        self.wrong: list[str] = []
        self._last: dict[tuple[str, int], int] = {}
        self._consumer = Consumer(
            PATIENT
            | {
                "bootstrap.servers": bootstrap_servers,
                "group.id": "watcher",
                "enable.auto.commit": False,
                "isolation.level": "read_committed",
                # What was shown may not vanish: an offset behind the end is an error.
                "auto.offset.reset": "error",
            }
        )
        self._consumer.assign(
            [TopicPartition(t, i, 0) for t in (TOPIC, bank_topic) for i in range(PARTITIONS)]
        )

    def begin(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        self._thread.join()
        self._consumer.close()

    def _work(self) -> None:
        while not self._stopping.is_set():
            message = self._consumer.poll(0.2)
            if message is None:
                continue
            error = message.error()
            if error is not None:
                if error.code() == KafkaError._AUTO_OFFSET_RESET:
                    self.wrong.append(str(error))
                continue
            topic, partition, offset = message.topic(), message.partition(), message.offset()
            assert topic is not None
            assert partition is not None
            assert offset is not None
            if offset <= self._last.get((topic, partition), -1):
                self.wrong.append(f"{topic}-{partition}: {offset} again or out of order")
            self._last[topic, partition] = offset
            self.seen[topic, partition, offset] = message.value() or b""

    def check(self, load: Load, bank: Bank, bootstrap_servers: str) -> None:
        """Nothing seen has vanished or changed, came twice, out of order or of an abort."""
        assert not self.wrong, self.wrong[:5]
        found = read_everything(bootstrap_servers)
        for (topic, partition, offset), value in self.seen.items():
            if topic == TOPIC:
                assert found.get((partition, offset)) == value, f"{topic}-{partition} at {offset}"
        assert self.seen or not load.acknowledged, "nothing was seen"
        shown = Counter(
            int(value.split(b":")[0]) for (t, _, _), value in self.seen.items() if t != TOPIC
        )
        assert not bank.aborted & shown.keys(), "records of an aborted transaction were shown"
        transfers = read_committed(bootstrap_servers, self._bank_topic)
        assert shown.keys() <= transfers.keys(), "a transfer that was shown has vanished"
        assert all(count <= 2 for count in shown.values()), "half a transfer was shown twice"
