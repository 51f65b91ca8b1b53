"""What a test may do to a broker in its own process: faults, and time that moves.

Everything here is called from other threads and takes effect on the broker's
loop before it returns.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final, TypeVar, cast

from ottla.handlers.dispatch import refuse
from ottla.handlers.registry import find_api
from ottla.server.driver import Driver
from ottla.wire import codec
from ottla.wire.errors import ErrorCode, RequestError
from ottla.wire.frames import read_request_header
from ottla.wire.messages import API_NAMES

if TYPE_CHECKING:
    from ottla.broker.broker import Broker as Core
    from ottla.broker.connection import Connection

T = TypeVar("T")
#: OffsetCommit, JoinGroup, Heartbeat, LeaveGroup, SyncGroup, TxnOffsetCommit,
#: ConsumerGroupHeartbeat, ShareGroupHeartbeat.
_GROUP_KEYS: Final = frozenset((8, 11, 12, 13, 14, 28, 68, 76))
_KEYS: Final = {name: key for key, name in API_NAMES.items()}
CALL_TIMEOUT_S: Final = 10.0


@dataclass(slots=True)
class Fault:
    """What happens to the next `times` requests of an API (None: of any); -1 is for ever.

    `seen` is how many requests it has met so far, `delay_ms` milliseconds.
    """

    api_key: int | None
    error: ErrorCode | None
    delay_ms: int
    is_disconnect: bool
    times: int
    seen: int = 0


class Control:
    """Faults and time of one embedded broker; `Broker.control` has it."""

    def __init__(self, loop: asyncio.AbstractEventLoop, driver: Driver) -> None:
        self._loop = loop
        self._driver = driver
        self._dispatch = driver.dispatch
        self._faults: list[Fault] = []
        self._held: dict[str, list[tuple[Connection, bytearray]]] = {}
        driver.dispatch = self._intercept

    def _on_loop(self, work: Callable[[], T]) -> T:
        done: Future[T] = Future()

        def run() -> None:
            try:
                done.set_result(work())
            except BaseException as error:  # noqa: BLE001 - handed to the caller's thread
                done.set_exception(error)

        self._loop.call_soon_threadsafe(run)
        return done.result(CALL_TIMEOUT_S)

    def advance_time(self, seconds: float) -> None:
        """The broker's clocks jump ahead by so many seconds; what became due has happened.

        Sessions and transactions time out, retention and offset expiry see the
        new time. Clients keep their own clocks. Time moves forward only.
        """
        self._on_loop(partial(self._driver.advance_time, round(seconds * 1000)))

    def inject(
        self,
        api: str | None = None,
        *,
        error: ErrorCode | str | None = None,
        delay_ms: int = 0,
        disconnect: bool = False,
        times: int = 1,
    ) -> Fault:
        """The next `times` requests of an API (`"produce"`, `"offset_commit"`; None: any) fail.

        They are answered with `error` and change nothing, or are handled
        `delay_ms` milliseconds later, or lose their connection unhandled.
        `times` -1 is until `clear`. Faults are met in the order in which they
        were injected, one a request. Returns the fault, whose `seen` counts
        what it met. Names of APIs are those of Kafka's protocol in snake case,
        names of errors Kafka's. Errors: `ValueError` for an unknown name.
        """
        if api is not None and api not in _KEYS:
            raise ValueError(f"there is no API {api!r}; names are like 'produce', 'join_group'")
        if isinstance(error, str):
            if error not in ErrorCode.__members__:
                raise ValueError(f"there is no error {error!r}; names are like 'NOT_COORDINATOR'")
            error = ErrorCode[error]
        key = None if api is None else _KEYS[api]
        fault = Fault(key, error, delay_ms, disconnect, times)
        self._on_loop(partial(self._faults.append, fault))
        return fault

    def hold_group(self, group: str) -> None:
        """The group's joins, heartbeats, departures and commits wait until `release_group`.

        Of any kind of group: classic, KIP-848 and share groups, commits within
        transactions included.
        """
        self._on_loop(lambda: self._held.setdefault(group, []))

    def release_group(self, group: str) -> None:
        """What was held is handled now, in the order it came."""

        def release() -> None:
            for connection, frame in self._held.pop(group, []):
                self._handle_late(connection, frame)

        self._on_loop(release)

    def clear(self) -> None:
        """No more faults."""
        self._on_loop(self._faults.clear)

    def _intercept(
        self, connection: Connection, frame: bytearray | memoryview, wall_ms: int, mono_ms: int
    ) -> None:
        key = int.from_bytes(frame[:2], "big")
        if self._held and key in _GROUP_KEYS:
            group = self._group_of(frame)
            if group in self._held:
                connection.mute()
                self._held[group].append((connection, bytearray(frame)))
                return
        fault = self._take(key)
        if fault is None:
            self._dispatch(connection, frame, wall_ms, mono_ms)
        elif fault.is_disconnect:
            connection.close("injected fault")
        elif fault.error is not None:
            core = cast("Core", self._driver.core)
            error = RequestError(fault.error, "injected fault")
            refuse(core, connection, frame, error, wall_ms, mono_ms)
        else:
            # Nothing of this connection may overtake the request that waits.
            connection.mute()
            self._loop.call_later(
                fault.delay_ms / 1000, self._handle_late, connection, bytearray(frame)
            )

    @staticmethod
    def _group_of(frame: bytearray | memoryview) -> str | None:
        """The group a request is about; None where it cannot be read."""
        view = memoryview(frame)
        header = read_request_header(view)
        api = find_api(header.api_key)
        if api is None or not api.min_version <= header.api_version <= api.max_version:
            return None
        is_flexible = header.api_version >= api.flexible_from
        message = codec.decode(
            api.request_class, header.api_version, view, header.body, is_flexible
        )
        group: str | None = getattr(message, "group_id", None)
        return group

    def _take(self, api_key: int) -> Fault | None:
        for fault in self._faults:
            if fault.api_key in (None, api_key):
                fault.seen += 1
                if fault.times > 0:
                    fault.times -= 1
                    if fault.times == 0:
                        self._faults.remove(fault)
                return fault
        return None

    def _handle_late(self, connection: Connection, frame: bytearray) -> None:
        if not connection.is_closed:
            driver = self._driver
            self._dispatch(connection, frame, driver.wall_ms(), driver.mono_ms())
            connection.unmute()
            driver.settle()
