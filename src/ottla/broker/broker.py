"""The broker: the one object that owns all state.

Whoever drives it (the server, the simulation) calls it from one thread with
the time as arguments, and performs the `Effects` it asks for. Every entry ends
with `settle`, which looks again at the fetches that the entry has woken.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from typing import Final

from ottla.broker.acls import AclAuthorizer
from ottla.broker.authentication import Authentication, SaslSettings
from ottla.broker.authorizer import AllowAll, Authorizer
from ottla.broker.budget import Budget
from ottla.broker.config import BrokerConfig
from ottla.broker.connection import Connection
from ottla.broker.coordinators import Coordinators
from ottla.broker.delayed import Deadlines
from ottla.broker.effects import Effects
from ottla.broker.fetch_sessions import FetchSessions
from ottla.broker.flush_rounds import FlushRounds
from ottla.broker.maintenance import Maintenance
from ottla.broker.metrics import Metrics
from ottla.broker.partitions import ParkedFetch, Partition
from ottla.broker.quotas import Quotas
from ottla.broker.share_groups import ShareGroups
from ottla.broker.topic_changes import TopicChanges
from ottla.broker.topics import (
    RESOURCE_BROKER,
    ClusterMetadata,
    Record,
    encode_change,
)
from ottla.seams.filesystem import FileSystem
from ottla.storage.errors import AppendError, DirectoryRefusedError, LogOfflineError
from ottla.storage.flush import FlushTicket
from ottla.storage.identity import Identity
from ottla.storage.log_directory import LoadReport, LogDirectory, RunAll, run_in_turn
from ottla.storage.metadata_journal import MetadataJournal
from ottla.storage.partition_directory import format_id, parse_id
from ottla.storage.partition_log import AppendInfo
from ottla.storage.retention import DeleteJob
from ottla.storage.validator import Origin
from ottla.wire.errors import ErrorCode, RequestError
from ottla.wire.message import Buffer
from ottla.wire.scram import parse_verifiers

#: Cached encodings of responses; cleared with every change of the metadata.
RESPONSE_CACHE_ENTRIES: Final = 256

#: Sentences remembered so that they are not told again.
MAX_TOLD: Final = 100

#: Producer ids reserved durably at once.
PRODUCER_ID_BLOCK: Final = 1000


class Broker:
    """State and entry points; made by `open`."""

    #: Exists once the metadata is loaded.
    coordinators: Coordinators
    share_groups: ShareGroups

    def __init__(
        self,
        config: BrokerConfig,
        log_directory: LogDirectory,
        journal: MetadataJournal,
        effects: Effects,
        random_bytes: Callable[[int], bytes],
        wall_ms: int,
        mono_ms: int,
    ) -> None:
        self.config = config
        self.log_directory = log_directory
        self.journal = journal
        self.effects = effects
        self.random_bytes = random_bytes
        #: The times of the entry being handled.
        self.wall_ms = wall_ms
        self.mono_ms = mono_ms
        self.node_id = config.node_id
        self.cluster_id = log_directory.identity.cluster_id
        self.directory_id = parse_id(log_directory.identity.directory_id)
        #: Serve only the versions that Apache Kafka 4 serves.
        self.is_strict = config.text("ottla.protocol") == "strict"
        self.rack: str | None = config.raw("broker.rack")
        self.metadata = ClusterMetadata()
        self.metrics = Metrics()
        self.budget = Budget(
            config.number("ottla.unsent.max.bytes"), config.number("queued.max.request.bytes")
        )
        self.deadlines = Deadlines()
        self.quotas = Quotas(self)
        self.authorizer = self._configured_authorizer()
        self._sasl: dict[str, SaslSettings] = {}
        #: Users of the configuration; those that were altered since are in the metadata.
        self._first_users = parse_verifiers(config.text("ottla.scram.credentials"))
        self.fetch_sessions = FetchSessions(
            lambda: int.from_bytes(random_bytes(4), "big") >> 1,
            config.number("max.incremental.fetch.session.cache.slots"),
        )
        self.connections: dict[int, Connection] = {}
        self.fetches_waiting_for_budget: dict[ParkedFetch, None] = {}
        self.response_cache: dict[object, Buffer] = {}
        self.is_log_directory_offline = False
        self._is_sync_shared = False
        self._told: dict[str, None] = {}
        self._free_producer_ids = range(0)
        self.load_report = LoadReport(is_clean=True)
        self._run_all: RunAll = run_in_turn
        self._connection_ids = count(1)
        self._woken: dict[ParkedFetch, None] = {}
        self.flushes = FlushRounds(self)
        self.maintenance = Maintenance(self)
        self.topics = TopicChanges(self)

    # --- security ---------------------------------------------------------------

    def _configured_authorizer(self) -> Authorizer:
        """ACLs where `authorizer.class.name` names any authorizer; else all is allowed."""
        if not self.config.text("authorizer.class.name"):
            return AllowAll()
        users = self.config.text("super.users").split(";")
        return AclAuthorizer(
            self.metadata.acls,
            (user.strip() for user in users if user.strip()),
            self.config.flag("allow.everyone.if.no.acl.found"),
        )

    def _sasl_settings(self, listener: str) -> SaslSettings:
        settings = self._sasl.get(listener)
        if settings is None:
            settings = self._sasl[listener] = SaslSettings(
                self.config,
                listener,
                lambda user, number: (
                    self.metadata.scram_credentials.get((user, number))
                    or self._first_users.get((user, number))
                ),
            )
        return settings

    # --- connections ------------------------------------------------------------

    def open_connection(
        self,
        listener: str,
        local: tuple[str, int],
        peer: tuple[str, int],
        certificate_principal: str | None = None,
        mono_ms: int | None = None,
    ) -> Connection:
        """A client has connected to the listener of this name.

        `certificate_principal` is who its TLS certificate says it is. Without
        `mono_ms` it happened at the time of the last entry.
        """
        connection = Connection(
            next(self._connection_ids), listener, local, peer, self.effects, self.budget
        )
        if certificate_principal is not None:
            connection.principal = certificate_principal
        if self.config.is_sasl(listener):
            connection.authentication = Authentication(
                self._sasl_settings(listener), self.random_bytes
            )
        self.connections[connection.id] = connection
        self.metrics.connections_opened += 1
        if mono_ms is not None:
            self.mono_ms = mono_ms
        self.quotas.connection_opened(connection)
        return connection

    def connection_lost(self, connection: Connection) -> None:
        """The connection is gone, whoever closed it; its buffers are free."""
        if self.connections.pop(connection.id, None) is not None:
            connection.released()
            self.share_groups.connection_lost(connection)
            self._wake_those_waiting_for_budget()
            self.settle()

    def unsent_changed(self, connection: Connection, unsent_bytes: int) -> None:
        """The operating system took some of what `Effects.send` had left over."""
        if not connection.is_closed:
            connection.unsent_changed(unsent_bytes)
            self._wake_those_waiting_for_budget()
            self.settle()

    # --- fetches that wait --------------------------------------------------------

    def wake(self, fetch: ParkedFetch) -> None:
        """Look at this fetch again when the present entry ends."""
        self._woken[fetch] = None

    def _wake_those_waiting_for_budget(self) -> None:
        if self.fetches_waiting_for_budget:
            self._woken.update(self.fetches_waiting_for_budget)

    def settle(self) -> None:
        """The end of every entry: fetches that were woken are looked at again."""
        while self._woken:
            woken, self._woken = self._woken, {}
            for fetch in woken:
                fetch.look_again()

    # --- time -----------------------------------------------------------------------

    def on_time(self, wall_ms: int, mono_ms: int) -> None:
        """Do what is due; `next_deadline_ms` says when to come again."""
        self.wall_ms = wall_ms
        self.mono_ms = mono_ms
        self.deadlines.run_due(wall_ms, mono_ms)
        deadline_ms = self.coordinators.next_deadline_ms()
        if deadline_ms is not None and deadline_ms <= mono_ms:
            self.coordinators.on_time(wall_ms, mono_ms)
        self.share_groups.on_time(wall_ms, mono_ms)
        self.settle()

    def next_deadline_ms(self) -> int | None:
        """Monotonic time of the next deadline, or None."""
        deadlines = (
            self.deadlines.next_deadline_ms(),
            self.coordinators.next_deadline_ms(),
            self.share_groups.next_deadline_ms(),
        )
        return min((d for d in deadlines if d is not None), default=None)

    # --- flushing -------------------------------------------------------------------

    def append(
        self,
        partition: Partition,
        data: memoryview,
        origin: Origin = Origin.CLIENT,
        *,
        must_start_at_zero: bool = False,
    ) -> AppendInfo:
        """Append batches; visible and acknowledged as the durability has it.

        `must_start_at_zero` refuses unknown producers in mid-sequence (KIP-890).
        Raises `AppendError`, having changed nothing.
        """
        try:
            info = partition.log.append(
                data,
                leader_epoch=partition.leader_epoch,
                wall_ms=self.wall_ms,
                origin=origin,
                must_start_at_zero=must_start_at_zero,
            )
        except AppendError as error:
            if error.code is ErrorCode.KAFKA_STORAGE_ERROR:
                self.check_log_directory()
            raise
        if not info.is_duplicate:
            partition.appended(info)
            self.flushes.appended(partition)
        return info

    def take_flush_round(self) -> list[FlushTicket]:
        """Tickets for everything dirty: `run` each in a thread, then `finish_flush`."""
        tickets = self.flushes.take()
        self.settle()
        return tickets

    def finish_flush(
        self, ticket: FlushTicket, error: OSError | None, wall_ms: int, mono_ms: int
    ) -> None:
        """A ticket has run: acknowledge and show what it covers, or go offline."""
        self.wall_ms = wall_ms
        self.mono_ms = mono_ms
        self.flushes.finish(ticket, error)
        self.settle()

    def tell(self, sentence: str) -> None:
        """Tell the person who runs the broker, once."""
        if sentence in self._told:
            return
        if len(self._told) >= MAX_TOLD:
            del self._told[next(iter(self._told))]
        self._told[sentence] = None
        self.effects.tell(sentence)

    def check_log_directory(self) -> None:
        """Go offline if the storage has."""
        if self.log_directory.state.reason is not None:
            self.log_directory_failed()

    def log_directory_failed(self) -> None:
        """The disk has failed: nothing in its directory is served until a restart."""
        if self.is_log_directory_offline:
            return
        self.is_log_directory_offline = True
        self.tell(
            f"the log directory {self.log_directory.path} has failed and is offline until a "
            f"restart: {self.log_directory.state.reason}"
        )
        self.response_cache.clear()
        for topic in self.metadata.topics.values():
            for partition in topic.partitions:
                if not partition.offline_error:
                    partition.fail(ErrorCode.KAFKA_STORAGE_ERROR)

    # --- metadata --------------------------------------------------------------------

    def commit_metadata(self, records: list[Record]) -> None:
        """Make one change durable, then apply it.

        Waits for the disk: such changes are rare, and nothing may go on before
        them. Raises `RequestError`, with nothing changed, when the disk fails.
        """
        journal = self.journal
        try:
            journal.append(encode_change(records))
        except AppendError as error:
            self.check_log_directory()
            raise RequestError(error.code, error.message) from error
        if not self._is_sync_shared:
            self._sync_journal()
        for record in records:
            self.metadata.replay(record)
        self.response_cache.clear()
        if journal.is_bloated:
            try:
                journal.rewrite([encode_change(list(self.metadata.snapshot()))])
            except OSError:
                pass  # A full disk, perhaps: the change stands, and the old journal goes on.

    def _sync_journal(self) -> None:
        journal = self.journal
        ticket = journal.begin_flush()
        if ticket is None:
            return  # It was rewritten meanwhile, or there is nothing new.
        try:
            ticket.run()
        except OSError as error:
            journal.finish_flush(ticket, error)
            self.log_directory_failed()
            raise RequestError(ErrorCode.KAFKA_STORAGE_ERROR, str(error)) from error
        journal.finish_flush(ticket, None)

    @contextmanager
    def one_sync(self) -> Iterator[None]:
        """Changes made within become durable together, with one wait for the disk at the end.
        Only for changes that touch no files. Raises `RequestError` when the disk fails: then
        nothing of this broker can be used any more."""
        self._is_sync_shared = True
        try:
            yield
        finally:
            self._is_sync_shared = False
            self._sync_journal()

    def cache_response(self, key: object, body: Buffer) -> None:
        """Keep an encoded response until the metadata changes."""
        if len(self.response_cache) < RESPONSE_CACHE_ENTRIES:
            self.response_cache[key] = body

    def find_partition(self, topic_name: str, index: int) -> Partition | None:
        topic = self.metadata.topics.get(topic_name)
        if topic is None or not 0 <= index < len(topic.partitions):
            return None
        return topic.partitions[index]

    def next_producer_id(self) -> int:
        """A producer id that was never given before, not even before a crash."""
        if not self._free_producer_ids:
            first = self.metadata.next_producer_id
            self.commit_metadata(self.metadata.decide_producer_ids(PRODUCER_ID_BLOCK))
            self._free_producer_ids = range(first, first + PRODUCER_ID_BLOCK)
        producer_id, self._free_producer_ids = (
            self._free_producer_ids[0],
            self._free_producer_ids[1:],
        )
        return producer_id

    def broker_configs_changed(self) -> None:
        """Put changed dynamic configuration of the broker into effect."""
        configs = self.metadata.configs
        self.config.set_dynamic(
            configs.get((RESOURCE_BROKER, ""), {}),
            configs.get((RESOURCE_BROKER, str(self.node_id)), {}),
        )
        for topic in self.metadata.topics.values():
            self.topics.configs_changed(topic)

    def run_delete_job(self, job: DeleteJob) -> None:
        """Have a worker remove files when their grace period is over."""
        if job.delay_ms <= 0:
            self.effects.run_job(job.run, ignore_result)
        else:
            self.deadlines.at(
                self.mono_ms + job.delay_ms,
                lambda wall_ms, mono_ms: self.effects.run_job(job.run, ignore_result),
            )

    # --- life cycle ---------------------------------------------------------------------

    @classmethod
    def open(
        cls,
        config: BrokerConfig,
        filesystem: FileSystem,
        effects: Effects,
        random_bytes: Callable[[int], bytes],
        wall_ms: int,
        mono_ms: int,
        run_all: RunAll = run_in_turn,
        *,
        directory: str = "",
    ) -> Broker:
        """A broker that can serve, with everything its directory holds: the one in `config`,
        or `directory`, which is the same in full. After a crash `run_all` may recover logs at
        the same time.

        Raises `DirectoryRefusedError`, `LogOfflineError`, `MetadataFormatError` or
        `OSError`, each with a sentence for the person who starts it.
        """
        path = directory or config.log_directory
        identity = Identity(
            format_id(random_bytes(16)), config.node_id, format_id(random_bytes(16))
        )
        log_directory = LogDirectory.open(filesystem, path, identity)
        try:
            _check_directory_id(path, log_directory.identity)
            journal, changes = MetadataJournal.open(filesystem, log_directory.state, path)
            broker = cls(config, log_directory, journal, effects, random_bytes, wall_ms, mono_ms)
            for change in changes:
                broker.metadata.replay_change(change)
            broker._load(run_all)
        except RequestError as error:
            log_directory.let_go()
            raise LogOfflineError(str(error)) from error
        except BaseException:
            log_directory.let_go()
            raise
        return broker

    def _load(self, run_all: RunAll) -> None:
        """Put into effect what the metadata says, and rebuild the rest from the logs."""
        self.commit_metadata(self.metadata.decide_start())
        configs = self.metadata.configs
        self.config.set_dynamic(
            configs.get((RESOURCE_BROKER, ""), {}),
            configs.get((RESOURCE_BROKER, str(self.node_id)), {}),
        )
        self.log_directory.state.tell = self.tell
        self._run_all = run_all
        self.load_report = self.log_directory.load(self.topics.settings_of, self.wall_ms, run_all)
        for problem in self.load_report.problems:
            self.tell(problem)
        if self.load_report.leftovers is not None:
            self.run_delete_job(self.load_report.leftovers)
        self.topics.delete_orphans()
        for topic in self.metadata.topics.values():
            self.topics.open_partitions(topic)
        self.coordinators = Coordinators(self)
        self.coordinators.load()
        self.share_groups = ShareGroups(self)
        self.share_groups.load()
        if not self.load_report.is_clean:
            self.coordinators.abort_unknown_transactions(
                p for t in self.metadata.topics.values() for p in t.partitions
            )
        self.quotas.changed()
        self.maintenance.start()

    def prepare_close(self) -> None:
        """Have flush rounds do, in parallel, what `close` would do log by log."""
        for topic in self.metadata.topics.values():
            for partition in topic.partitions:
                if not partition.offline_error and partition.log.recovery_lag > 0:
                    partition.log.request_checkpoint()
                    self.flushes.flush_soon(partition)

    def close(self, wall_ms: int) -> None:
        """Leave everything durable and marked as cleanly shut down. Raises `OSError`."""
        for connection in list(self.connections.values()):
            connection.close("the broker stops")
        try:
            self.journal.close()
        finally:
            self.log_directory.close(self._run_all)


def _check_directory_id(path: str, identity: Identity) -> None:
    try:
        parse_id(identity.directory_id)
    except ValueError as error:
        raise DirectoryRefusedError(f"meta.properties in {path} is damaged: {error}") from error


def ignore_result(result: object) -> None:
    """For jobs whose outcome changes nothing: the next start finds what they left."""
