"""The consumer: asks Veritas about each account, and publishes what it said.

Decisions and the offsets they stand for are written in one transaction, and shown only
after it is committed. So a consumer that is killed loses no account, and no account gets
two decisions, though Veritas answers by chance.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple
from uuid import uuid4

from confluent_kafka import (
    OFFSET_BEGINNING,
    Consumer,
    KafkaError,
    KafkaException,
    Message,
    Producer,
    TopicPartition,
)

from ottla.demos.fraud.accounts import MalformedAccountError, parse_account
from ottla.demos.fraud.veritas import Veritas, VeritasDownError
from ottla.demos.kafka_clients import DemoError, Settings, Stop, no_broker, waiting_line

GROUP = "fraud-detection"
ROUND_MESSAGES = 20_000  # decided in one transaction, at most
ROUND_S = 0.25  # and for how long at most
ANSWER_TIMEOUT_S = 30.0
TRANSACTION_TIMEOUT_MS = 10_000
SESSION_TIMEOUT_MS = 6_000
HEARTBEAT_INTERVAL_MS = 1_000
TRANSACTION_TRIES = 5


@dataclass
class Tally:
    """What has been decided, and committed."""

    received: int = 0
    authorized: int = 0
    unauthorized: int = 0
    malformed: int = 0

    def __str__(self) -> str:
        return (
            f"{self.received:,} received: {self.authorized:,} authorized, "
            f"{self.unauthorized:,} unauthorized, {self.malformed:,} malformed"
        )


class _Decision(NamedTuple):
    verdict: str  # empty: nothing was decided, only lines are to be shown
    message: Message
    reason: str
    lines: tuple[str, ...]


class Detector:
    """One consumer of a group; start more of them to share the partitions."""

    def __init__(
        self,
        settings: Settings,
        topic: str,
        veritas: Veritas,
        show: Callable[[str], None],
        *,
        group: str = GROUP,
        is_quiet: bool = False,
        from_start: bool = False,
    ) -> None:
        self.topic = topic
        self.tally = Tally()
        self._settings = settings
        self._veritas = veritas
        self._show = show
        self._is_quiet = is_quiet
        self._from_start = from_start
        self._group = group
        self._ends: dict[int, int] = {}  # of the partitions that were there when we started
        self._given_up: set[int | None] = set()  # partitions taken from us with messages in hand
        self._consumer = Consumer(
            {
                "log_level": "0",
                "group.id": group,
                "enable.auto.commit": False,
                "auto.offset.reset": "earliest",  # where to start is our own choice: _on_assign
                "isolation.level": "read_committed",
                "topic.metadata.refresh.interval.ms": 500,  # the topic may come after us
                "session.timeout.ms": SESSION_TIMEOUT_MS,
                "heartbeat.interval.ms": HEARTBEAT_INTERVAL_MS,
                "partition.assignment.strategy": "cooperative-sticky",
                **settings,
            }
        )
        self._transactional_id = f"{group}-{uuid4()}"
        self._producer = self._new_producer()

    def _new_producer(self) -> Producer:
        return Producer(
            {
                "log_level": "0",
                "transactional.id": self._transactional_id,
                "transaction.timeout.ms": TRANSACTION_TIMEOUT_MS,
                # When all brokers were away at once, librdkafka 2.16 starts from its bootstrap
                # servers again, and then no longer sends the offsets: the transaction times out.
                "metadata.recovery.strategy": "none",
                "linger.ms": "5",
                **self._settings,
            }
        )

    def run(
        self, stop: Stop, limit: int | None = None, on_ready: Callable[[], None] = lambda: None
    ) -> Tally:
        """Decide until told to stop, or until `limit` accounts are decided. Errors: DemoError.

        What is in hand at a stop is finished and committed.
        """
        try:
            self._ends = self._measure()
            self._producer.init_transactions(ANSWER_TIMEOUT_S)
            self._consumer.subscribe(
                [self.topic], on_assign=self._on_assign, on_revoke=self._on_revoke
            )
            on_ready()
            while not stop.is_set() and (limit is None or self.tally.received < limit):
                wanted = ROUND_MESSAGES if limit is None else limit - self.tally.received
                messages = self._consumer.consume(min(wanted, ROUND_MESSAGES), 0.1)
                if messages:
                    self._decide_all(messages, stop)
        except KafkaException as failure:
            error = failure.args[0]
            if error.code() in {KafkaError._TRANSPORT, KafkaError._TIMED_OUT}:
                raise DemoError(no_broker(self._settings)) from None
            raise DemoError(f"Kafka refused: {error.str()}.") from None
        finally:
            self._consumer.close()
        return self.tally

    def _measure(self) -> dict[int, int]:
        """Ends of the partitions there are: the newest records, from which we start."""
        topics = self._consumer.list_topics(timeout=ANSWER_TIMEOUT_S).topics
        if self._from_start or self.topic not in topics:
            return {}
        return {
            number: self._consumer.get_watermark_offsets(
                TopicPartition(self.topic, number), timeout=ANSWER_TIMEOUT_S
            )[1]
            for number in topics[self.topic].partitions
        }

    def _on_assign(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        """Go on where the group stopped; else where the partition ended when we started.

        A partition that was not there then is read from its beginning: all in it is new, and
        what the topic's first send brought would be missed by starting at its end.
        """
        committed = consumer.committed(partitions, timeout=ANSWER_TIMEOUT_S)
        starts = []
        for partition in committed:
            if partition.offset < 0:
                partition.offset = self._ends.get(partition.partition, OFFSET_BEGINNING)
                starts.append(partition)
        consumer.incremental_assign(committed)
        known = [partition for partition in starts if partition.offset >= 0]
        if known:  # so that whoever takes over starts there, too
            consumer.commit(offsets=known, asynchronous=False)

    def _on_revoke(self, _: Consumer, partitions: list[TopicPartition]) -> None:
        self._given_up.update(partition.partition for partition in partitions)

    def _decide_all(self, messages: list[Message], stop: Stop) -> None:
        """Decide and commit in rounds; what a stop leaves undecided is not committed."""
        waiting = messages
        self._given_up.clear()
        while waiting:
            waiting = self._decide_round(waiting, stop)
            if self._given_up:  # others decide these
                waiting = [m for m in waiting if m.partition() not in self._given_up]
            if stop.is_set():
                return

    def _decide_round(self, messages: list[Message], stop: Stop) -> list[Message]:
        """Decide for a while, commit, show; returns what is left, if time or Veritas ran out.

        The transaction is opened only after Veritas has spoken, so it is always short.
        """
        decisions: list[_Decision] = []
        trouble: VeritasDownError | None = None
        end = time.monotonic() + ROUND_S
        for message in messages:
            try:
                decisions.append(self._decide(message))
            except VeritasDownError as down:
                trouble = down
                break
            if stop.is_set() or time.monotonic() > end:
                break
        if not self._commit(decisions):
            self._go_back(messages)
            return []
        for decision in decisions:
            self._count(decision)
        if trouble is not None:
            self._show(f"Veritas does not answer ({trouble}); asking again")
            self._stay_in_group(trouble.retry_after_s, stop)
        return messages[len(decisions) :]

    def _decide(self, message: Message) -> _Decision:
        """Errors: VeritasDownError."""
        error = message.error()
        if error is not None:
            return _Decision("", message, "", (waiting_line(error, self.topic),))
        value = message.value()
        try:
            account = parse_account(value)
        except MalformedAccountError as reason:
            line = f"--MALFORMED-- {_place(message)}: {reason}"
            return _Decision("malformed", message, str(reason), (line,))
        verdict = "authorized" if self._veritas.is_authorized(account) else "unauthorized"
        if self._is_quiet:
            return _Decision(verdict, message, "", ())
        text = (value or b"").decode(errors="replace")
        lines = (
            f"Received message | Topic({self.topic}) | Message({text})",
            f"Calling Veritas for {account.first_name} bank...",
            f"--{verdict.upper()}-- bank account for user {account.first_name}",
        )
        return _Decision(verdict, message, "", lines)

    def _count(self, decision: _Decision) -> None:
        for line in decision.lines:
            self._show(line)
        tally = self.tally
        tally.received += bool(decision.verdict)
        tally.authorized += decision.verdict == "authorized"
        tally.unauthorized += decision.verdict == "unauthorized"
        tally.malformed += decision.verdict == "malformed"

    def _publish(self, decision: _Decision) -> None:
        message = decision.message
        headers = {"source": _place(message)}
        if decision.reason:
            headers["reason"] = decision.reason
        topic = f"{self.topic}-{decision.verdict}"
        while True:
            try:
                self._producer.produce(topic, message.value(), message.key(), headers=dict(headers))
                return
            except BufferError:
                self._producer.poll(0.05)

    def _commit(self, decisions: list[_Decision]) -> bool:
        """Commit decisions and offsets together; False if the group has moved on meanwhile.

        Then none of the decisions counts.
        """
        decided = [decision for decision in decisions if decision.verdict]
        if not decided:
            return True
        offsets = {d.message.partition(): (d.message.offset() or 0) + 1 for d in decided}
        ends = [TopicPartition(self.topic, n or 0, offset) for n, offset in offsets.items()]
        self._producer.begin_transaction()
        try:
            for decision in decided:
                self._publish(decision)
            metadata = self._consumer.consumer_group_metadata()
            _again(lambda: self._producer.send_offsets_to_transaction(ends, metadata))
            _again(self._producer.commit_transaction)
            return True
        except KafkaException as failure:
            if failure.args[0].fatal():
                return self._begin_again(offsets)
            if not failure.args[0].txn_requires_abort():
                raise
        _again(self._producer.abort_transaction)
        return False

    def _go_back(self, messages: list[Message]) -> None:
        """What is in hand and still ours is read again, decided in vain or not yet."""
        firsts: dict[int | None, int] = {}
        for message in messages:
            if message.error() is None:
                firsts.setdefault(message.partition(), message.offset() or 0)
        for owned in self._consumer.assignment():
            if owned.partition in firsts:
                first = firsts[owned.partition]
                self._consumer.seek(TopicPartition(self.topic, owned.partition, first))

    def _begin_again(self, offsets: dict[int | None, int]) -> bool:
        """A new producer for one that is fenced; whether its last transaction was committed.

        Nobody else has our id: the coordinator has given up a transaction that took too long,
        because the brokers were away. Once the new producer has its place the old one's
        transaction has ended, one way or the other, and the committed offsets tell which.
        """
        self._producer = self._new_producer()
        self._producer.init_transactions(ANSWER_TIMEOUT_S)
        owned = [p for p in self._consumer.assignment() if p.partition in offsets]
        committed = self._consumer.committed(owned, timeout=ANSWER_TIMEOUT_S)
        return bool(committed) and all(p.offset == offsets[p.partition] for p in committed)

    def _stay_in_group(self, seconds: float, stop: Stop) -> None:
        """Wait without reading on; polling meanwhile keeps our place in the group."""
        end = time.monotonic() + seconds
        while not stop.is_set() and (left := end - time.monotonic()) > 0:
            self._consumer.pause(self._consumer.assignment())
            message = self._consumer.poll(min(left, 0.2))
            if message is None or message.error() is not None:
                continue
            partition, offset = message.partition(), message.offset()
            assert partition is not None
            assert offset is not None
            # Of a partition that came to us just now: read it again later.
            self._consumer.seek(TopicPartition(self.topic, partition, offset))
        self._consumer.resume(self._consumer.assignment())


def _place(message: Message) -> str:
    return f"{message.topic()}[{message.partition()}]@{message.offset()}"


def _again(call: Callable[[], None]) -> None:
    """Call until it works or fails for good. Errors: KafkaException."""
    for _ in range(TRANSACTION_TRIES - 1):
        try:
            call()
            return
        except KafkaException as failure:
            if not failure.args[0].retriable():
                raise
    call()
