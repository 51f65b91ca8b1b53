"""The coordinators of one broker, and what their outcomes lead to.

Every outcome is appended and replayed here; replies follow the flush. A
transaction's end goes through three steps, each begun when the one before is
durable: the decision in `__transaction_state`, a marker in every partition
that took part, the completion in `__transaction_state`. A crash between them
is taken up where it happened, when the state is loaded again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

from ottla.batch.control import ControlType, TransactionMarker, build_marker_batch, control_type
from ottla.broker.coordinator_log import (
    CoordinatorLog,
    create_internal_topic,
    refuse_replies,
    send_replies,
    when_all_visible,
)
from ottla.broker.topic_catalog import BrokerTopics
from ottla.broker.topics import GROUP_METADATA_TOPIC, RESOURCE_GROUP, TRANSACTION_STATE_TOPIC, Topic
from ottla.coordinator.group_config import GroupConfig
from ottla.coordinator.group_coordinator import GroupCoordinator
from ottla.coordinator.outcome import Client, CoordinatorRecord, Markers, Outcome
from ottla.coordinator.transaction_coordinator import (
    NEXT_TRY_MS,
    TransactionConfig,
    TransactionCoordinator,
)
from ottla.storage.errors import AppendError
from ottla.storage.validator import Origin
from ottla.wire.errors import ErrorCode, ProtocolError, RequestError
from ottla.wire.message import Message

if TYPE_CHECKING:
    from ottla.broker.broker import Broker
    from ottla.broker.partitions import Partition
    from ottla.broker.request import RequestContext


class Coordinators:
    """Groups and transactions, with the internal topics they live in."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker
        config = broker.config
        self._group_log = CoordinatorLog(broker, GROUP_METADATA_TOPIC)
        self._transaction_log = CoordinatorLog(broker, TRANSACTION_STATE_TOPIC)
        self.groups = GroupCoordinator(
            GroupConfig(
                group_min_session_timeout_ms=config.number("group.min.session.timeout.ms"),
                group_max_session_timeout_ms=config.number("group.max.session.timeout.ms"),
                group_initial_rebalance_delay_ms=config.number("group.initial.rebalance.delay.ms"),
                group_max_size=config.number("group.max.size"),
                group_consumer_session_timeout_ms=config.number(
                    "group.consumer.session.timeout.ms"
                ),
                group_consumer_heartbeat_interval_ms=config.number(
                    "group.consumer.heartbeat.interval.ms"
                ),
                group_consumer_assignment_interval_ms=config.number(
                    "group.consumer.assignment.interval.ms"
                ),
                group_consumer_max_size=config.number("group.consumer.max.size"),
                group_consumer_migration_policy=config.text("group.consumer.migration.policy"),
                group_share_session_timeout_ms=config.number("group.share.session.timeout.ms"),
                group_share_heartbeat_interval_ms=config.number(
                    "group.share.heartbeat.interval.ms"
                ),
                group_share_assignment_interval_ms=config.number(
                    "group.share.assignment.interval.ms"
                ),
                group_share_max_size=config.number("group.share.max.size"),
                offset_metadata_max_bytes=config.number("offset.metadata.max.bytes"),
                offsets_retention_minutes=config.number("offsets.retention.minutes"),
                offsets_retention_check_interval_ms=config.number(
                    "offsets.retention.check.interval.ms"
                ),
                overrides_of=lambda group_id: broker.metadata.configs.get(
                    (RESOURCE_GROUP, group_id), {}
                ),
            ),
            broker.random_bytes,
            self._group_log.partition_count,
            BrokerTopics(broker.metadata),
        )
        self.transactions = TransactionCoordinator(
            TransactionConfig(
                transaction_max_timeout_ms=config.number("transaction.max.timeout.ms"),
                transactional_id_expiration_ms=config.number("transactional.id.expiration.ms"),
                transaction_remove_expired_transaction_cleanup_interval_ms=config.number(
                    "transaction.remove.expired.transaction.cleanup.interval.ms"
                ),
            ),
            broker.next_producer_id,
            self._transaction_log.partition_count,
        )

    # --- start ------------------------------------------------------------------

    def create_internal_topic(self, name: str) -> Topic:
        return create_internal_topic(self._broker, name)

    def load(self) -> None:
        """Replay the internal topics, and go on where a crash interrupted."""
        broker = self._broker
        for index, header, record in self._group_log.read_last():
            if header.is_control:
                kind = control_type(record)
                if kind in (ControlType.ABORT, ControlType.COMMIT):
                    self.groups.replay_marker(
                        index, header.producer_id, committed=kind is ControlType.COMMIT
                    )
                continue
            producer_id = header.producer_id if header.is_transactional else -1
            made = CoordinatorRecord(record.key or b"", record.value)
            try:
                self.groups.replay(made, record.offset, producer_id)
            except ProtocolError as error:
                self._group_log.tell_skipped(index, record.offset, error)
        self.groups.loaded(broker.mono_ms)
        for index, header, record in self._transaction_log.read_last():
            if header.is_control:
                continue
            try:
                self.transactions.replay(CoordinatorRecord(record.key or b"", record.value))
            except ProtocolError as error:
                self._transaction_log.tell_skipped(index, record.offset, error)
        for transactional_id, outcome in self.transactions.loaded(broker.wall_ms, broker.mono_ms):
            self.apply_transaction_outcome(transactional_id, outcome)

    def abort_unknown_transactions(self, partitions: Iterable[Partition]) -> None:
        """End transactions of which the coordinator never durably knew.

        A crash can leave a transaction's first records in a log and lose the
        record that let the partition take part.
        """
        for partition in partitions:
            where = (partition.topic_name, partition.index)
            for state in list(partition.log.producers):
                producer_id, epoch = state.producer_id, state.epoch
                if not partition.log.producers.has_open_transaction(producer_id):
                    continue
                if not self.transactions.is_ongoing(producer_id, epoch, where):
                    self.write_marker(partition, producer_id, epoch, committed=False)

    # --- groups -----------------------------------------------------------------

    def group_partition(self, group_id: str) -> Partition:
        """Where a group's records are; creates the topic when it is first needed."""
        return self._group_log.partition(self.groups.partition_for(group_id))

    def apply_group_outcome(
        self, group_id: str, outcome: Outcome, also: Iterable[Partition] = ()
    ) -> ErrorCode:
        """Append, replay, and let the replies follow the flush (of `also`, too).

        When the append is refused, so are the replies, with COORDINATOR_NOT_AVAILABLE
        or the producer's own error; it is returned as well.
        """
        try:
            partition = self.group_partition(group_id)
            first_offset = self._group_log.append(partition, outcome)
        except (AppendError, RequestError) as error:
            code = ErrorCode.COORDINATOR_NOT_AVAILABLE
            if error.code in (
                ErrorCode.INVALID_PRODUCER_EPOCH,
                ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER,
            ):
                code = ErrorCode.INVALID_PRODUCER_EPOCH
            refuse_replies(outcome.replies, code)
            broker = self._broker
            send_replies(
                self.groups.not_written(group_id, outcome, broker.wall_ms, broker.mono_ms).replies
            )
            return code
        producer_id = -1 if outcome.producer is None else outcome.producer.producer_id
        for i, record in enumerate(outcome.records):
            self.groups.replay(record, first_offset + i, producer_id)
        if outcome.replies:
            self._reply_when_visible([partition, *also], outcome)
        return ErrorCode.NONE

    def read_group_state(
        self, group_ids: list[str], request: RequestContext, response: Message
    ) -> None:
        """Answer with what was read, when all of it is durable."""
        outcome = Outcome()
        outcome.reply(request, response)
        topic = self._group_log.existing
        indexes = {self.groups.partition_for(g) for g in group_ids} if topic is not None else set()
        partitions = [] if topic is None else [topic.partitions[i] for i in sorted(indexes)]
        self._reply_when_visible(partitions, outcome)

    def topics_deleted(self, names: list[str]) -> None:
        """Erase the offsets that were committed for them."""
        for group_id, outcome in self.groups.delete_topics(names):
            self.apply_group_outcome(group_id, outcome)

    def _reply_when_visible(self, partitions: Iterable[Partition], outcome: Outcome) -> None:
        replies = outcome.replies

        def proceed(error: ErrorCode) -> None:
            if error:
                refuse_replies(replies, ErrorCode.COORDINATOR_NOT_AVAILABLE)
            else:
                send_replies(replies)

        when_all_visible(partitions, proceed)

    # --- transactions -------------------------------------------------------------

    def transaction_partition(self, transactional_id: str) -> Partition:
        """Where a transactional id's records are; creates the topic when first needed."""
        return self._transaction_log.partition(self.transactions.partition_for(transactional_id))

    def apply_transaction_outcome(
        self, transactional_id: str, outcome: Outcome, *, is_foregone: bool = False
    ) -> ErrorCode:
        """Append, replay; replies, and then markers, follow the flush.

        A foregone outcome is what a start after a crash would come to as well: its
        replies need not wait.
        """
        partition = self.transaction_partition(transactional_id)
        try:
            self._transaction_log.append(partition, outcome)
        except AppendError:
            refuse_replies(outcome.replies, ErrorCode.COORDINATOR_NOT_AVAILABLE)
            broker = self._broker
            send_replies(
                self.transactions.not_written(
                    transactional_id, broker.wall_ms, broker.mono_ms
                ).replies
            )
            return ErrorCode.COORDINATOR_NOT_AVAILABLE
        for record in outcome.records:
            self.transactions.replay(record)
        if is_foregone:
            send_replies(outcome.replies)
            return ErrorCode.NONE

        def proceed(error: ErrorCode) -> None:
            if error:
                refuse_replies(outcome.replies, ErrorCode.COORDINATOR_NOT_AVAILABLE)
                left = Outcome()
                self.transactions.give_up_ending(transactional_id, left)
                send_replies(left.replies)
                return
            send_replies(outcome.replies)
            if outcome.markers is not None:
                self._write_markers(outcome.markers)

        when_all_visible([partition], proceed)
        return ErrorCode.NONE

    def reply_with_transactions(
        self, transactional_ids: Iterable[str], request: RequestContext, response: Message
    ) -> None:
        """Answer when all that was decided for these ids is durable."""
        outcome = Outcome()
        outcome.reply(request, response)
        topic = self._transaction_log.existing
        partitions: list[Partition] = []
        if topic is not None:
            indexes = {self.transactions.partition_for(t) for t in transactional_ids}
            partitions = [topic.partitions[i] for i in sorted(indexes)]
        self._reply_when_visible(partitions, outcome)

    def _write_markers(self, markers: Markers, written: Sequence[Partition] = ()) -> None:
        """Every partition that took part has the transaction's end, durably; then complete it.
        `written` have it already."""
        done = list(written)
        for topic_name, index in markers.partitions:
            partition = self._broker.find_partition(topic_name, index)
            if partition is None or partition in done:
                continue  # The topic was deleted meanwhile, or this is another try.
            try:
                self.write_marker(
                    partition,
                    markers.producer_id,
                    markers.producer_epoch,
                    committed=markers.committed,
                )
            except AppendError as error:
                if error.code is ErrorCode.KAFKA_STORAGE_ERROR:
                    self._try_later(lambda: self._write_markers(markers, done))
                    return
                continue  # A marker of a later epoch has ended it already.
            done.append(partition)

        def proceed(error: ErrorCode) -> None:
            if not error:
                self._complete(markers.transactional_id)

        when_all_visible(done, proceed)

    def _complete(self, transactional_id: str) -> None:
        """The decision and all markers are durable: nothing can end otherwise any more, and the
        producer's next record of this log is flushed behind this one."""
        outcome = self.transactions.markers_written(transactional_id, self._broker.wall_ms)
        if self.apply_transaction_outcome(transactional_id, outcome, is_foregone=True):
            self._try_later(lambda: self._complete(transactional_id))

    def _try_later(self, step: Callable[[], None]) -> None:
        """A full disk may have room again; of one that has failed, the next start takes it up."""
        broker = self._broker
        if not broker.is_log_directory_offline:
            broker.deadlines.at(broker.mono_ms + NEXT_TRY_MS, lambda wall_ms, mono_ms: step())

    def write_marker(
        self,
        partition: Partition,
        producer_id: int,
        producer_epoch: int,
        *,
        committed: bool,
        coordinator_epoch: int = 0,
    ) -> None:
        """Append the end of a producer's transaction. Raises `AppendError`."""
        batch = build_marker_batch(
            TransactionMarker(committed, coordinator_epoch),
            producer_id=producer_id,
            producer_epoch=producer_epoch,
            timestamp_ms=self._broker.wall_ms,
        )
        self._broker.append(partition, memoryview(batch), Origin.COORDINATOR)
        if partition.topic_name == GROUP_METADATA_TOPIC:
            self.groups.replay_marker(partition.index, producer_id, committed=committed)

    # --- time -----------------------------------------------------------------------

    def next_deadline_ms(self) -> int | None:
        deadlines = (self.groups.next_deadline_ms(), self.transactions.next_deadline_ms())
        return min((d for d in deadlines if d is not None), default=None)

    def on_time(self, wall_ms: int, mono_ms: int) -> None:
        """Decide what is due. A group's second deadline waits for the next call."""
        for group_id, outcome in self.groups.on_time(wall_ms, mono_ms):
            self.apply_group_outcome(group_id, outcome)
        for transactional_id, outcome in self.transactions.on_time(wall_ms, mono_ms):
            self.apply_transaction_outcome(transactional_id, outcome)


def client_of(request: RequestContext) -> Client:
    """What coordinators keep of whoever asks."""
    return Client(request.client_id or "", f"/{request.connection.peer_host}", request.version)
