"""Incremental fetch sessions (KIP-227): consumers name only what changes.

A session remembers the partitions a client asked for, with what it was told
last, so that a request lists changes only and a response omits partitions
without news. Sessions are a cache: a client whose session was evicted gets
FETCH_SESSION_ID_NOT_FOUND and starts a new one.

Limits: `max.incremental.fetch.session.cache.slots` sessions (1,000). A full
cache makes room by dropping the session that was used least recently, if it
has been idle for two minutes or is smaller than the newcomer.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable
from typing import Final, TypeAlias

from ottla.wire.errors import ErrorCode, RequestError
from ottla.wire.messages.fetch import FetchPartition, FetchRequest, PartitionData

DEFAULT_SLOTS: Final = 1000
IDLE_MS: Final = 120_000

#: (topic id or zeros, topic name or "", partition index)
Key: TypeAlias = tuple[bytes, str, int]

NO_SESSION: Final = 0
FINAL_EPOCH: Final = -1
INITIAL_EPOCH: Final = 0
MAX_EPOCH: Final = 2**31 - 1


class SessionPartition:
    """What a client wants of one partition, and what it was told last.

    Requests that address topics by id are keyed by the id alone, and answered
    with it; older ones by name.
    """

    __slots__ = (
        "current_leader_epoch",
        "fetch_offset",
        "high_watermark",
        "last_fetched_epoch",
        "log_start_offset",
        "max_bytes",
        "partition",
        "topic",
        "topic_id",
    )

    def __init__(self, topic_id: bytes, topic: str, wanted: FetchPartition) -> None:
        self.topic_id = topic_id
        self.topic = topic
        self.partition = wanted.partition
        #: -1: the client was told nothing yet, so the first response names it.
        self.high_watermark = -1
        self.log_start_offset = -1
        self.update(wanted)

    def update(self, wanted: FetchPartition) -> None:
        self.fetch_offset = wanted.fetch_offset
        self.max_bytes = wanted.partition_max_bytes
        self.current_leader_epoch = wanted.current_leader_epoch
        self.last_fetched_epoch = wanted.last_fetched_epoch

    @property
    def key(self) -> Key:
        return (self.topic_id, self.topic, self.partition)

    def is_news(self, data: PartitionData) -> bool:
        """Whether an incremental response has to name the partition."""
        return bool(
            data.error_code
            or data.records
            or data.high_watermark != self.high_watermark
            or data.log_start_offset != self.log_start_offset
        )

    def told(self, data: PartitionData) -> None:
        self.high_watermark = data.high_watermark
        self.log_start_offset = data.log_start_offset
        if data.error_code:
            # Errors are repeated until they are gone, and so is what follows them.
            self.high_watermark = -1


class FetchSession:
    """One client's remembered interest."""

    __slots__ = ("epoch", "id", "last_used_ms", "partitions", "uses_topic_ids")

    def __init__(self, id_: int, uses_topic_ids: bool) -> None:
        self.id = id_
        self.epoch = 1
        self.uses_topic_ids = uses_topic_ids
        #: In the order in which they are served; what was served moves to the end.
        self.partitions: OrderedDict[Key, SessionPartition] = OrderedDict()
        self.last_used_ms = 0

    def served(self, key: Key) -> None:
        """Move a partition that returned records behind those that did not."""
        if key in self.partitions:
            self.partitions.move_to_end(key)


class FetchContext:
    """What one fetch reads, in order, and how it is answered.

    `session` is None for a sessionless fetch, which names every partition in
    its response; `is_incremental` responses name only what is news.
    """

    __slots__ = ("is_incremental", "partitions", "session")

    def __init__(
        self,
        partitions: list[SessionPartition],
        session: FetchSession | None = None,
        is_incremental: bool = False,
    ) -> None:
        self.partitions = partitions
        self.session = session
        self.is_incremental = is_incremental

    @property
    def session_id(self) -> int:
        return NO_SESSION if self.session is None else self.session.id


def named_partitions(request: FetchRequest) -> Iterable[SessionPartition]:
    for topic in request.topics:
        for wanted in topic.partitions:
            yield SessionPartition(topic.topic_id, topic.topic, wanted)


class FetchSessions:
    """The cache of sessions; `random_id` gives 31 random bits."""

    def __init__(self, random_id: Callable[[], int], slots: int = DEFAULT_SLOTS) -> None:
        self._random_id = random_id
        self._slots = slots
        #: Least recently used first.
        self._sessions: OrderedDict[int, FetchSession] = OrderedDict()
        self.evictions = 0

    def __len__(self) -> int:
        return len(self._sessions)

    @property
    def partition_count(self) -> int:
        return sum(len(s.partitions) for s in self._sessions.values())

    def open(self, request: FetchRequest, uses_topic_ids: bool, mono_ms: int) -> FetchContext:
        """The context of a request; updates or ends its session.

        Raises `RequestError` with FETCH_SESSION_ID_NOT_FOUND,
        INVALID_FETCH_SESSION_EPOCH or FETCH_SESSION_TOPIC_ID_ERROR.
        """
        if request.session_epoch in (FINAL_EPOCH, INITIAL_EPOCH):
            if request.session_id != NO_SESSION:
                self._sessions.pop(request.session_id, None)
            partitions = list(named_partitions(request))
            if request.session_epoch == FINAL_EPOCH:
                return FetchContext(partitions)
            return FetchContext(partitions, self._create(partitions, uses_topic_ids, mono_ms))
        session = self._sessions.get(request.session_id)
        if session is None:
            raise RequestError(ErrorCode.FETCH_SESSION_ID_NOT_FOUND)
        if session.epoch != request.session_epoch:
            raise RequestError(ErrorCode.INVALID_FETCH_SESSION_EPOCH)
        if session.uses_topic_ids != uses_topic_ids:
            del self._sessions[session.id]
            raise RequestError(ErrorCode.FETCH_SESSION_TOPIC_ID_ERROR)
        session.epoch = 1 if session.epoch == MAX_EPOCH else session.epoch + 1
        session.last_used_ms = mono_ms
        self._sessions.move_to_end(session.id)
        self._update(session, request)
        return FetchContext(list(session.partitions.values()), session, is_incremental=True)

    def _update(self, session: FetchSession, request: FetchRequest) -> None:
        known = session.partitions
        for topic in request.topics:
            for wanted in topic.partitions:
                key = (topic.topic_id, topic.topic, wanted.partition)
                partition = known.get(key)
                if partition is None:
                    known[key] = SessionPartition(topic.topic_id, topic.topic, wanted)
                else:
                    partition.update(wanted)
        for forgotten in request.forgotten_topics_data:
            for index in forgotten.partitions:
                known.pop((forgotten.topic_id, forgotten.topic, index), None)

    def _create(
        self, partitions: list[SessionPartition], uses_topic_ids: bool, mono_ms: int
    ) -> FetchSession | None:
        if not partitions or not self._make_room(len(partitions), mono_ms):
            return None
        session_id = self._random_id()
        while session_id == NO_SESSION or session_id in self._sessions:
            session_id = self._random_id()
        session = FetchSession(session_id, uses_topic_ids)
        session.last_used_ms = mono_ms
        session.partitions.update((p.key, p) for p in partitions)
        self._sessions[session_id] = session
        return session

    def _make_room(self, size: int, mono_ms: int) -> bool:
        if len(self._sessions) < self._slots:
            return True
        if not self._sessions:
            return False
        oldest = next(iter(self._sessions.values()))
        if mono_ms - oldest.last_used_ms <= IDLE_MS and len(oldest.partitions) >= size:
            return False
        del self._sessions[oldest.id]
        self.evictions += 1
        return True
