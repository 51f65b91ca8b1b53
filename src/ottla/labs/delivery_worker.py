"""One consumer process of the delivery lab: reads `source`, writes what it made to `target`.

    echo '{"mode": …, "die_after": …, …}' | python -m ottla.labs.delivery_worker

It ends when all partitions are read, or kills itself with SIGKILL in the
middle of a batch: at once, without a chance to put anything in order.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from typing import Any, Final

from confluent_kafka import Consumer, Message, Producer, TopicPartition

BATCH: Final = 20
ANSWER_S: Final = 20.0
QUIET: Final = {"log_level": 0}

AT_MOST_ONCE: Final = "at most once"
AT_LEAST_ONCE: Final = "at least once"
EXACTLY_ONCE: Final = "exactly once"


class Worker:
    def __init__(self, order: dict[str, Any]) -> None:
        self._mode: str = order["mode"]
        self._target: str = order["target"]
        self._die_after: int | None = order["die_after"]
        self._ends: dict[int, int] = {int(p): end for p, end in order["ends"].items()}
        self._handled = 0
        settings = {**QUIET, **order["settings"]}
        self._is_transactional = self._mode == EXACTLY_ONCE
        own = {"transactional.id": order["group"]} if self._is_transactional else {}
        self._producer = Producer({**settings, "acks": "all", "linger.ms": 0, **own})
        self._consumer = Consumer(
            {
                **settings,
                "group.id": order["group"],
                "enable.auto.commit": False,
                "auto.offset.reset": "earliest",
                "enable.partition.eof": False,
            }
        )
        if self._is_transactional:
            # The predecessor's transaction is aborted here, and the predecessor locked out.
            self._producer.init_transactions(ANSWER_S)
        # Assigned by hand: a successor need not wait until the dead member's session is over.
        wanted = [TopicPartition(order["source"], p) for p in self._ends]
        committed = self._consumer.committed(wanted, timeout=ANSWER_S)
        self._next = {p.partition: max(0, p.offset) for p in committed}
        self._source: str = order["source"]
        self._consumer.assign(
            [TopicPartition(self._source, p, offset) for p, offset in self._next.items()]
        )

    def run(self) -> None:
        """Everything up to the ends is handled, unless it dies first."""
        while any(self._next[p] < end for p, end in self._ends.items()):
            batch = [m for m in self._consumer.consume(BATCH, 0.5) if m.error() is None]
            if batch:
                getattr(self, f"_{self._mode.replace(' ', '_')}")(batch)
        self._consumer.close()

    def _at_most_once(self, batch: list[Message]) -> None:
        """Commit, then handle: what a death leaves unhandled is lost."""
        self._commit(batch)
        self._handle(batch)

    def _at_least_once(self, batch: list[Message]) -> None:
        """Handle, then commit: what a death leaves uncommitted is handled again."""
        self._handle(batch)
        self._commit(batch)

    def _exactly_once(self, batch: list[Message]) -> None:
        """Results and offsets in one transaction: both or neither."""
        self._producer.begin_transaction()
        self._handle(batch)
        group = self._consumer.consumer_group_metadata()
        self._producer.send_offsets_to_transaction(self._offsets(batch), group, ANSWER_S)
        self._producer.commit_transaction(ANSWER_S)

    def _handle(self, batch: list[Message]) -> None:
        for message in batch:
            self._producer.produce(self._target, message.value())
            # The result has reached the log before the next record is looked at.
            self._producer.flush(ANSWER_S)
            self._handled += 1
            print(self._handled, flush=True)
            if self._handled == self._die_after:
                os.kill(os.getpid(), signal.SIGKILL)

    def _commit(self, batch: list[Message]) -> None:
        self._consumer.commit(offsets=self._offsets(batch), asynchronous=False)

    def _offsets(self, batch: list[Message]) -> list[TopicPartition]:
        for message in batch:
            self._next[message.partition() or 0] = (message.offset() or 0) + 1
        touched = {message.partition() or 0 for message in batch}
        return [TopicPartition(self._source, p, self._next[p]) for p in sorted(touched)]


if __name__ == "__main__":
    Worker(json.loads(sys.stdin.readline())).run()
