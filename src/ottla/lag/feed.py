"""Keeps a `LagStore` up to date from a Kafka cluster.

A thread follows `__consumer_offsets` from its beginning, so that commits made
before the monitor started are known, too; another asks for the ends of all
partitions every `offset_refresh_s`. Offsets that the topic no longer holds
record by record are asked for once per group through the admin API.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import defaultdict
from collections.abc import Mapping
from typing import Any

from confluent_kafka import (
    OFFSET_BEGINNING,
    Consumer,
    ConsumerGroupState,
    KafkaError,
    KafkaException,
    TopicPartition,
)
from confluent_kafka.admin import AdminClient

from ottla.client.cluster import Cluster
from ottla.client.errors import (
    CannotConnectError,
    ClientError,
    ConnectionLostError,
    UnsupportedError,
)
from ottla.client.offsets import EARLIEST, LATEST, find_offsets
from ottla.client.security import secured
from ottla.client.settings import Settings
from ottla.lag.offsets_topic import parse_key, parse_value
from ottla.lag.share_groups import Positions, ShareGroups
from ottla.lag.store import LagStore, PartitionView
from ottla.wire.errors import ErrorCode

log = logging.getLogger("ottla.burrow")

#: librdkafka logs a line for each refused connection; once per retry is enough.
quiet_logger = logging.getLogger("ottla.lag.librdkafka")
quiet_logger.addHandler(logging.NullHandler())
quiet_logger.propagate = False

OFFSETS_TOPIC = "__consumer_offsets"
#: After each refresh of the ends the feed rests so many times as long as it took.
REST_FACTOR = 4
#: Members are asked for once in so many refreshes of the ends.
MEMBER_REFRESHES = 3
#: Likewise the starts, which only retention moves.
START_REFRESHES = 3


def now_ms() -> int:
    return int(time.time() * 1000)


class LagFeed:
    """Four threads that feed one store; `lock` guards it for readers."""

    def __init__(
        self,
        client_config: Mapping[str, Any],
        store: LagStore,
        offset_refresh_s: float = 10.0,
        call_timeout_s: float = 30.0,
    ) -> None:
        self.client_config = dict(client_config)
        self.call_timeout_s = call_timeout_s
        self.store = store
        self.offset_refresh_s = offset_refresh_s
        self.lock = threading.Lock()
        self.is_ready = threading.Event()
        #: Why the ends could not be read at the last try; empty when they could.
        self.problem = ""
        self._said = ""
        self._stop = threading.Event()
        self._threads = [
            threading.Thread(target=self._run, args=(work,), name=name, daemon=True)
            for name, work in (
                ("burrow-ends", self._follow_ends),
                ("burrow-commits", self._follow_commits),
                ("burrow-members", self._follow_members),
                ("burrow-shares", self._follow_share_groups),
            )
        ]
        self._has_ends = threading.Event()
        self._refreshes = 0
        self._starts: dict[tuple[str, int], int] = {}

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        self._stop.set()
        for thread in self._threads:
            if thread.is_alive():
                thread.join(3)

    def _run(self, work: Any) -> None:
        """Do the work until stopped; after an error of Kafka wait a little and go on."""
        while not self._stop.is_set():
            try:
                work()
            except (KafkaException, ClientError, TimeoutError) as error:
                reason = str(error.args[0] if error.args else "no answer in time")
                if work == self._follow_ends:
                    self.problem = reason
                # Said once, and not by each thread at each try, until it is well again.
                level = logging.DEBUG if reason == self._said else logging.WARNING
                self._said = reason
                servers = self.client_config["bootstrap.servers"]
                log.log(level, "Kafka at %s: %s", servers, reason)
                self._stop.wait(2)

    def _follow_ends(self) -> None:
        timeout_ms = int(self.call_timeout_s * 1000)
        settings = Settings(client_id="ottla-lag", request_timeout_ms=timeout_ms)
        servers = self.client_config["bootstrap.servers"]
        # Asked over our own connection: librdkafka's makes a future of every partition, which
        # costs ten times as much with thousands of them.
        with Cluster(servers, secured(settings, self.client_config)) as cluster:
            while not self._stop.is_set():
                began = time.monotonic()
                self._refresh_ends(cluster)
                self.problem = self._said = ""
                self._has_ends.set()
                # Thousands of partitions are asked for less often rather than all the time.
                took = time.monotonic() - began
                self._stop.wait(max(self.offset_refresh_s, REST_FACTOR * took))

    def _refresh_ends(self, cluster: Cluster) -> None:
        metadata = cluster.metadata()
        partitions = {
            (topic.name or "", partition.partition_index): partition
            for topic in metadata.topics
            if not topic.error_code
            for partition in topic.partitions
        }
        leaders = {where: partition.leader_id for where, partition in partitions.items()}
        ends = self._offsets(cluster, leaders, LATEST)
        if self._refreshes % START_REFRESHES == 0:
            self._starts = self._offsets(cluster, leaders, EARLIEST)
        self._refreshes += 1
        starts = self._starts
        moment = now_ms()
        with self.lock:
            self.store.keep_topics({topic.name or "" for topic in metadata.topics})
            for (topic, number), end in ends.items():
                self.store.set_end(topic, number, end, moment)
            self.store.views = {
                where: PartitionView(
                    partition.leader_id,
                    tuple(partition.replica_nodes),
                    tuple(partition.isr_nodes),
                    starts.get(where, 0),
                )
                for where, partition in partitions.items()
            }
            self.store.brokers = {b.node_id: f"{b.host}:{b.port}" for b in metadata.brokers}
            self.store.expire(moment)

    def _offsets(
        self, cluster: Cluster, leaders: Mapping[tuple[str, int], int], time_asked: int
    ) -> dict[tuple[str, int], int]:
        """Those that are known: each leader is asked, and who is away is away alone."""
        by_leader: dict[int, dict[tuple[str, int], int]] = defaultdict(dict)
        for where, leader in leaders.items():
            by_leader[leader][where] = time_asked
        found: dict[tuple[str, int], int] = {}
        for times in by_leader.values():
            try:
                answers = find_offsets(cluster, times, leaders=leaders)
            except (CannotConnectError, ConnectionLostError) as error:
                log.warning("the offsets of %d partitions: %s", len(times), error)
                continue
            for where, answer in answers.items():
                if answer.error_code:
                    reason = ErrorCode(answer.error_code).name
                    log.warning("offset of %s-%d: %s", *where, reason)
                else:
                    found[where] = answer.offset
        return found

    def _follow_members(self) -> None:
        """Who owns which partition; asked for seldom, because it is a call per group."""
        admin = AdminClient(self.client_config, logger=quiet_logger)
        while not self.is_ready.wait(0.2):
            if self._stop.is_set():
                return
        while not self._stop.is_set():
            listing = admin.list_consumer_groups(request_timeout=self.call_timeout_s).result()
            empty = {g.group_id for g in listing.valid if g.state is ConsumerGroupState.EMPTY}
            with self.lock:
                groups = sorted(self.store.groups)
                for group in empty.intersection(groups):
                    self.store.members[group] = 0
            for group in groups:
                if self._stop.is_set():
                    return
                if group not in empty:
                    self._refresh_members(admin, group)
            self._stop.wait(self.offset_refresh_s * MEMBER_REFRESHES)

    def _refresh_members(self, admin: AdminClient, group: str) -> None:
        try:
            described = admin.describe_consumer_groups([group])[group].result(10)
        except (KafkaException, ClientError, TimeoutError) as error:
            log.info("members of %s are not known: %s", group, error)
            return
        with self.lock:
            self.store.members[group] = len(described.members)
            for member in described.members:
                assigned = member.assignment.topic_partitions if member.assignment else []
                for where in assigned:
                    self.store.set_owner(
                        group, where.topic, where.partition, member.host, member.client_id
                    )

    def _follow_share_groups(self) -> None:
        if not self._wait_for_ends():
            return
        groups = ShareGroups(self.client_config)
        known: set[str] = set()
        positions = Positions()
        try:
            while not self._stop.is_set():
                names = groups.names()
                with self.lock:
                    for gone in known.difference(names):
                        self.store.remove_group(gone)
                    ends = {where: self.store.end_of(*where) for where in self.store.views}
                known = set(names)
                for group in names:
                    found = list(groups.states(group))
                    moment = now_ms()
                    with self.lock:
                        for state in found:
                            where = (state.topic, state.partition)
                            offset = positions.offset(state, ends.get(where))
                            self.store.set_position(group, *where, offset, moment)
                self._stop.wait(self.offset_refresh_s)
        except UnsupportedError:
            self._stop.wait()  # an older Kafka, which has no share groups
        finally:
            groups.close()

    def _wait_for_ends(self) -> bool:
        """Commits need ends to have a lag; False when there will be none any more."""
        while not self._has_ends.wait(0.2):
            if self._stop.is_set():
                return False
        return True

    def _follow_commits(self) -> None:
        if not self._wait_for_ends():
            return
        consumer = Consumer(
            {
                **self.client_config,
                "group.id": "ottla-lag-monitor",
                "enable.auto.commit": False,
                "auto.offset.reset": "earliest",
                "enable.partition.eof": True,
                "isolation.level": "read_committed",
                "topic.metadata.refresh.interval.ms": 10_000,
            },
            logger=quiet_logger,
        )
        try:
            self._consume(consumer)
        finally:
            consumer.close()

    def _consume(self, consumer: Consumer) -> None:
        assigned = self._assign(consumer)
        at_end: set[int] = set()
        while not self._stop.is_set():
            if not assigned:
                # No group has ever committed: the topic appears with the first that does.
                self.is_ready.set()
                self._stop.wait(0.5)
                assigned = self._assign(consumer)
                continue
            messages = consumer.consume(1000, 0.25)
            with self.lock:
                for message in messages:
                    error = message.error()
                    if error is None:
                        self._apply(message)
                    elif error.code() == KafkaError._PARTITION_EOF:
                        at_end.add(message.partition() or 0)
            if len(at_end) >= assigned:
                self.is_ready.set()

    def _assign(self, consumer: Consumer) -> int:
        metadata = consumer.list_topics(OFFSETS_TOPIC, timeout=self.call_timeout_s)
        topic = metadata.topics[OFFSETS_TOPIC]
        if topic.error is not None or not topic.partitions:
            return 0
        consumer.assign(
            [TopicPartition(OFFSETS_TOPIC, p, OFFSET_BEGINNING) for p in sorted(topic.partitions)]
        )
        return len(topic.partitions)

    def _apply(self, message: Any) -> None:
        key = parse_key(message.key())
        if key is None:
            return
        if message.value() is None:
            self.store.remove_commit(*key)
            return
        value = parse_value(message.value())
        if value is not None:
            self.store.add_commit(*key, value.offset, value.timestamp_ms, now_ms())
