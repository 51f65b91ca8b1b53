"""Topics come, grow, change and go: each change durable in the metadata first.

What the metadata says and the disk does not hold yet is made up for at the
next start, and what the disk holds and the metadata does not know is removed
then; so a crash in the middle of a change leaves nothing half done.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from ottla.broker.config import refuse_factor
from ottla.broker.config_types import ConfigError
from ottla.broker.log_settings import log_config
from ottla.broker.partitions import Partition
from ottla.broker.topics import INTERNAL_TOPICS, Record, Topic
from ottla.storage.errors import LogOfflineError
from ottla.storage.log_config import LogConfig
from ottla.wire.errors import ErrorCode, RequestError

if TYPE_CHECKING:
    from ottla.broker.broker import Broker

#: Partitions that one broker holds at most.
MAX_PARTITIONS: Final = 20_000


class TopicChanges:
    """Creates, grows, configures and deletes the topics of one broker."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker

    def new_uuid(self) -> bytes:
        """A random (version 4) UUID that no topic has."""
        while True:
            raw = bytearray(self._broker.random_bytes(16))
            raw[6] = raw[6] & 0x0F | 0x40
            raw[8] = raw[8] & 0x3F | 0x80
            uuid = bytes(raw)
            if uuid not in self._broker.metadata.topics_by_id:
                return uuid

    def decide_create(
        self, name: str, partition_count: int, factor: int, configs: Mapping[str, str]
    ) -> list[Record]:
        """Records of a new topic; -1 stands for the configured default.

        Raises `RequestError` with the reason when it cannot be created.
        """
        if self._broker.is_log_directory_offline:
            # Whether it exists already is not for certain either: a change whose sync failed
            # may stand in the memory alone.
            error = self._broker.log_directory.state.offline_error()
            raise RequestError(error.code, error.message)
        if factor == 0 or factor < -1:
            raise RequestError(
                ErrorCode.INVALID_REPLICATION_FACTOR,
                "Replication factor must be larger than 0, or -1 to use the default value.",
            )
        if factor > 1:
            raise RequestError(ErrorCode.INVALID_REPLICATION_FACTOR, refuse_factor(factor))
        if partition_count == -1:
            partition_count = self._broker.config.number("num.partitions")
        if partition_count <= 0:
            raise RequestError(
                ErrorCode.INVALID_PARTITIONS,
                "Number of partitions was set to an invalid non-positive value.",
            )
        try:
            self._broker.config.check_topic(configs)
        except ConfigError as error:
            raise RequestError(ErrorCode.INVALID_CONFIG, str(error)) from None
        self.check_limit(partition_count)
        return self._broker.metadata.decide_create_topic(
            name, self.new_uuid(), partition_count, configs
        )

    def create(
        self, name: str, partition_count: int, factor: int, configs: Mapping[str, str]
    ) -> Topic:
        """The topic exists, durably; raises `RequestError` when it may not."""
        self._broker.commit_metadata(self.decide_create(name, partition_count, factor, configs))
        topic = self._broker.metadata.topics[name]
        try:
            self.open_partitions(topic)
        except (OSError, LogOfflineError) as error:
            self.delete(topic)
            raise RequestError(
                ErrorCode.KAFKA_STORAGE_ERROR, f"Cannot create the logs of {name}: {error}"
            ) from error
        return topic

    def auto_create(self, name: str) -> Topic:
        """Create a topic because somebody asked about it."""
        if name in INTERNAL_TOPICS:
            return self._broker.coordinators.create_internal_topic(name)
        return self.create(name, -1, -1, {})

    def check_limit(self, added: int) -> None:
        """Refuse more partitions than this broker can hold."""
        held = sum(t.partition_count for t in self._broker.metadata.topics.values())
        if held + added > MAX_PARTITIONS:
            raise RequestError(
                ErrorCode.POLICY_VIOLATION,
                f"The broker holds {held} partitions; {added} more would pass its limit of "
                f"{MAX_PARTITIONS}.",
            )

    def add_partitions(self, topic: Topic, partition_count: int) -> None:
        """The topic has this many partitions, durably."""
        before = topic.partition_count
        self._broker.commit_metadata(
            self._broker.metadata.decide_create_partitions(topic, partition_count)
        )
        try:
            self.open_partitions(topic)
        except (OSError, LogOfflineError) as error:
            for partition in topic.partitions[before:]:
                self._drop(partition)
            del topic.partitions[before:]
            self._broker.commit_metadata(
                self._broker.metadata.decide_create_partitions(topic, before)
            )
            raise RequestError(
                ErrorCode.KAFKA_STORAGE_ERROR, f"Cannot create the logs of {topic.name}: {error}"
            ) from error

    def delete(self, *topics: Topic) -> None:
        """The topics are gone, durably; their files follow in a worker."""
        decide = self._broker.metadata.decide_delete_topic
        self._broker.commit_metadata([record for topic in topics for record in decide(topic)])
        for topic in topics:
            partitions, topic.partitions = topic.partitions, []
            for partition in partitions:
                self._drop(partition)

    def _drop(self, partition: Partition) -> None:
        self._broker.flushes.forget(partition)
        try:
            self._delete_log(partition.topic_name, partition.index)
        except OSError:
            # The metadata says that it is gone: the next start removes what is left.
            self._broker.check_log_directory()
        partition.fail(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)

    def _delete_log(self, topic_name: str, index: int) -> None:
        job = self._broker.log_directory.delete_log(
            topic_name, index, self._broker.random_bytes(16)
        )
        self._broker.run_delete_job(job)

    def configs_changed(self, topic: Topic) -> None:
        """Put a topic's configuration into effect."""
        settings = log_config(self._broker.config, topic.configs)
        for partition in topic.partitions:
            partition.log.config = settings

    def open_partitions(self, topic: Topic) -> None:
        """Open, or create, the logs that the topic should have and has not."""
        settings = log_config(self._broker.config, topic.configs)
        leader_epoch = self._broker.metadata.starts - topic.first_start
        for index in range(len(topic.partitions), topic.partition_count):
            log = self._broker.log_directory.logs.get((topic.name, index))
            if log is None:
                log = self._broker.log_directory.create_log(
                    topic.name, index, topic.id, settings, self._broker.wall_ms
                )
            topic.partitions.append(
                Partition(
                    topic.name,
                    topic.id,
                    index,
                    log,
                    leader_epoch,
                    is_flushed_by_rounds=self._broker.config.is_fsync,
                )
            )

    def settings_of(self, topic_name: str) -> LogConfig:
        topic = self._broker.metadata.topics.get(topic_name)
        return log_config(self._broker.config, {} if topic is None else topic.configs)

    def delete_orphans(self) -> None:
        """Remove logs of topics whose deletion a crash interrupted."""
        for topic_name, index in list(self._broker.log_directory.logs):
            topic = self._broker.metadata.topics.get(topic_name)
            topic_id = self._broker.log_directory.topic_id_of(topic_name, index)
            if topic is None or index >= topic.partition_count or topic_id not in (None, topic.id):
                self._delete_log(topic_name, index)
            elif topic_id is None:
                # It may be what is left of an earlier topic of the same name.
                self._broker.tell(
                    self._broker.log_directory.set_aside(
                        topic_name, index, self._broker.random_bytes(16)
                    )
                )
