"""A queue on a topic: more consumers than partitions, each record for one of them (KIP-932).

In a consumer group a partition has one reader; in a share group its members
take records one by one, accept them, give them back to be tried again, or
reject them for good. There is no order any more: that is the price.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from typing import Final

from ottla.labs.bench import ANSWER_TIMEOUT_S, Bench, LabError
from ottla.labs.screen import bar
from ottla.lag.feed import quiet_logger

WORKERS: Final = 4
POISON: Final = "poison"
FRAGILE: Final = "fragile"
#: Records a worker takes at a time.
HANDFUL: Final = 2


class Worker:
    """A member of the share group, in a thread: accepts, gives back, rejects."""

    def __init__(self, bench: Bench, group: str, topic: str, work_s: float) -> None:
        from confluent_kafka import ShareConsumer

        self.accepted: Counter[str] = Counter()
        self.given_back: Counter[str] = Counter()
        self.rejected: Counter[str] = Counter()
        self.deliveries: dict[str, int] = {}  # of each record, the highest count told
        self._work_s = work_s
        self._stop = threading.Event()
        self._consumer = ShareConsumer(
            bench.client(
                **{
                    "group.id": group,
                    "share.acknowledgement.mode": "explicit",
                    "max.poll.records": HANDFUL,
                }
            ),
            logger=quiet_logger,
        )
        self._consumer.subscribe([topic])
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        from confluent_kafka import AcknowledgeType

        while not self._stop.is_set():
            for message in self._consumer.poll(0.1):
                if message.error() is not None:
                    continue
                value = (message.value() or b"").decode()
                count = message.delivery_count() or 1
                self.deliveries[value] = max(count, self.deliveries.get(value, 0))
                time.sleep(self._work_s)
                if value.startswith(POISON):
                    self.rejected[value] += 1
                    self._consumer.acknowledge(message, AcknowledgeType.REJECT)
                elif value.startswith(FRAGILE) and count < 3:
                    self.given_back[value] += 1
                    self._consumer.acknowledge(message, AcknowledgeType.RELEASE)
                else:
                    self.accepted[value] += 1
                    self._consumer.acknowledge(message, AcknowledgeType.ACCEPT)
            self._consumer.commit_sync(ANSWER_TIMEOUT_S)
        self._consumer.close()

    def stop(self) -> None:
        self._stop.set()
        self._thread.join(20)


def run(bench: Bench) -> None:
    import confluent_kafka

    if not hasattr(confluent_kafka, "ShareConsumer"):
        raise LabError(
            "Share groups need a newer confluent-kafka; run: pip install -U confluent-kafka"
        )
    screen = bench.screen
    count = bench.scaled(60, 600)
    topic, group = bench.create_topic(bench.unique("share")), bench.unique("share-group")
    screen.heading(f"{WORKERS} workers on 1 partition")
    _read_from_beginning(bench, group)
    special = {count // 3: f"{POISON} one", count // 2: f"{FRAGILE} one"}
    values = [special.get(number, f"task {number}") for number in range(count)]
    # A batch goes to one worker as a whole: so each record is a batch.
    bench.produce(topic, [(None, value) for value in values], **{"batch.num.messages": 1})
    workers = [Worker(bench, group, topic, bench.scaled(2, 5) / 1_000) for _ in range(WORKERS)]

    def done() -> int:
        return sum(w.accepted.total() + w.rejected.total() for w in workers)

    def picture() -> list[str]:
        lines = []
        for number, worker in enumerate(workers):
            drawn = screen.colour_of(number, bar(worker.accepted.total(), count / 2, 32))
            extra = f"  gave back {worker.given_back.total()}" if worker.given_back else ""
            extra += f"  rejected {worker.rejected.total()}" if worker.rejected else ""
            lines.append(f"  worker {number + 1} {drawn} {worker.accepted.total():>4}{extra}")
        return lines

    try:
        bench.wait(lambda: done() >= count, "not all is done", picture=picture)
    finally:
        for worker in workers:
            worker.stop()
    _judge(bench, topic, workers)


def _judge(bench: Bench, topic: str, workers: list[Worker]) -> None:
    lying = Counter(row.value for row in bench.read(topic))
    accepted: Counter[str | None] = Counter()
    for worker in workers:
        accepted.update(worker.accepted)
    poison = sum(worker.rejected.total() for worker in workers)
    returned = sum(worker.given_back.total() for worker in workers)
    tries = max(w.deliveries.get(f"{FRAGILE} one", 0) for w in workers)
    at_work = sum(bool(worker.accepted) for worker in workers)
    bench.count(
        records=lying.total(),
        accepted=[worker.accepted.total() for worker in workers],
        given_back=returned,
        rejected=poison,
    )
    bench.check(f"{at_work} workers shared the one partition", at_work > 1)
    wanted = lying - Counter({f"{POISON} one": 1})
    bench.check(f"each of {wanted.total()} records was accepted once", accepted == wanted)
    bench.check(
        f"what was given back came again: accepted at delivery {tries}",
        returned == 2 and tries == 3,
    )
    bench.check("what was rejected did not come again", poison == 1)


def _read_from_beginning(bench: Bench, group: str) -> None:
    """A share group begins at the newest record unless it is told otherwise."""
    from confluent_kafka.admin import (
        AdminClient,
        AlterConfigOpType,
        ConfigEntry,
        ConfigResource,
        ResourceType,
    )

    entry = ConfigEntry(
        "share.auto.offset.reset", "earliest", incremental_operation=AlterConfigOpType.SET
    )
    resource = ConfigResource(ResourceType.GROUP, group, incremental_configs=[entry])
    admin = AdminClient(bench.client())  # to be kept until the answer is there
    admin.incremental_alter_configs([resource])[resource].result(ANSWER_TIMEOUT_S)
