"""One client's socket: cuts frames out of the stream and sends responses.

Small frames arrive in one receive buffer shared by all connections, and each
is copied out of it; the broker then owns the copy. The rest of a large frame,
once enough of it is there to believe in it, is received straight into memory of
its own, which counts against the broker's budget and is let go as soon as the
frame is handled.

Reading pauses while the broker has enough of this connection's requests in
progress, while the client does not take its responses, and while the budget
has no room for a large frame.
"""

from __future__ import annotations

import asyncio
import mmap
import os
import socket
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final, cast

from ottla.broker.connection import Connection
from ottla.server.clock import mono_ms, wall_ms
from ottla.server.counted_sockets import host_of
from ottla.server.tls import asked_for, certificate_principal
from ottla.wire.message import Buffer

if TYPE_CHECKING:
    from ottla.server.driver import Driver
    from ottla.server.listeners import BoundListener

RECEIVE_BUFFER_SIZE: Final = 256 * 1024

#: A frame of which this much has arrived, and not all, gets memory of its own.
LARGE_FRAME: Final = 60 * 1024

#: Larger frames live in mapped memory, whose pages cost nothing until bytes arrive, and
#: are admitted to the budget in steps, as they do. (Fresh pages are expensive: measured,
#: a 1 MB frame costs 0.9 ms so and 0.26 ms in memory that the process has already.)
MAPPED_FRAME: Final = 2 * 1024 * 1024
ADMISSION_STEP: Final = 1024 * 1024

#: Responses of one entry are gathered up to this size before they are written.
GATHER_LIMIT: Final = 64 * 1024

#: Nothing more is read from a client that has left this much unread.
UNSENT_LIMIT: Final = 1024 * 1024

#: A frame must be whole this long after its first byte, and a little later for each byte:
#: who is slower (a "slow loris") holds memory for nothing.
FRAME_LIMIT_MS: Final = 30_000
SLOWEST_BYTES_PER_MS: Final = 1

#: Who takes nothing of his answers for this long is closed when memory is short.
STUCK_LIMIT_MS: Final = 3_000

#: Buffers per system call; IOV_MAX is 1024 wherever we run.
_MAX_BUFFERS: Final = 512

_HAS_WRITEV: Final = hasattr(os, "writev")

_HTTP_VERBS: Final = (b"GET ", b"POST", b"HEAD", b"PUT ")
_HTTP_ANSWER: Final = (
    b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\nConnection: close\r\n\r\n"
    b"This port speaks Kafka's protocol, not HTTP.\n"
)


class ClientConnection(asyncio.BufferedProtocol):
    """The protocol object of one accepted socket."""

    __slots__ = (
        "_admitted",
        "_driver",
        "_filled",
        "_frame",
        "_frame_began_ms",
        "_gathered",
        "_gathered_bytes",
        "_is_budget_short",
        "_is_gathering",
        "_is_reading",
        "_is_resume_scheduled",
        "_is_stopping",
        "_listener",
        "_max_frame",
        "_peer_host",
        "_shared",
        "_stuck_since_ms",
        "_tail",
        "_transport",
        "_unsent",
        "_writev_fd",
        "connection",
        "last_active_ms",
    )

    def __init__(
        self, driver: Driver, listener: BoundListener, shared: memoryview, max_frame: int
    ) -> None:
        self._driver = driver
        self._listener = listener
        self._shared = shared
        self._max_frame = max_frame
        self._tail = b""
        self._frame: memoryview | None = None
        #: When the first byte of an unfinished frame came; 0 while there is none.
        self._frame_began_ms = 0
        self._filled = 0
        self._admitted = 0
        self._is_budget_short = False
        self._is_reading = True
        self._is_resume_scheduled = False
        self._is_stopping = False
        self._gathered: list[Buffer] = []
        self._gathered_bytes = 0
        self._is_gathering = False
        self._unsent = 0
        #: When the client last took some of what is unsent.
        self._stuck_since_ms = 0
        self._writev_fd = -1
        self.connection: Connection | None = None
        self.last_active_ms = 0

    # -- the socket comes and goes ------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        peer = address_of(transport.get_extra_info("peername"))
        self._peer_host = peer[0]
        if not self._listener.is_counted and not self._listener.limits.admit(peer[0]):
            self._transport.abort()
            return
        self._transport.set_write_buffer_limits(high=0)
        if _HAS_WRITEV and transport.get_extra_info("sslcontext") is None:
            sock: socket.socket = transport.get_extra_info("socket")
            self._writev_fd = sock.fileno()
        local = self._listener.advertise(address_of(transport.get_extra_info("sockname")))
        self.last_active_ms = mono_ms()
        secured = transport.get_extra_info("ssl_object")
        principal = None
        if secured is not None:
            certificate = transport.get_extra_info("peercert")
            principal = certificate_principal(certificate, self._listener.principal_rules)
        self.connection = self._driver.core.open_connection(
            self._listener.name, local, peer, principal, self._driver.mono_ms()
        )
        if secured is not None and not self._listener.advertised_host:
            self.connection.tls_server_name = asked_for(secured)
        if self.connection.authentication is not None:
            # Strangers send small frames: the exchange needs no large ones.
            self._max_frame = min(self._max_frame, self._driver.max_stranger_frame)
        self.connection.driver_state = self
        self._driver.connections.add(self)

    def connection_lost(self, exc: BaseException | None) -> None:
        connection, self.connection = self.connection, None
        if connection is None:
            return
        if not self._listener.is_counted:
            self._listener.limits.release(self._peer_host)
        self._driver.forget(self)
        self._drop_frame()
        self._gathered.clear()
        self._tail = b""
        connection.driver_state = None
        self._driver.core.connection_lost(connection)
        self._driver.settle()
        self._driver.connection_gone(self)

    def eof_received(self) -> bool:
        """The client has nothing more to say; what is not answered yet is not waited for."""
        return False

    # -- bytes come in ------------------------------------------------------------------

    def get_buffer(self, sizehint: int) -> memoryview:
        frame = self._frame
        if frame is not None:
            return frame[self._filled : min(self._admitted, len(frame))]
        tail = self._tail
        if not tail:
            return self._shared
        # The event loop fills the buffer and reports at once, with nothing in between.
        size = len(tail)
        self._shared[:size] = tail
        return self._shared[size:]

    def buffer_updated(self, nbytes: int) -> None:
        if self.connection is None:
            return
        now = self.last_active_ms = mono_ms()
        frame = self._frame
        if frame is None:
            size = len(self._tail) + nbytes
            self._tail = b""
            self._consume(self._shared[:size], now)
        else:
            self._filled += nbytes
            if self._filled == len(frame):
                self._dispatch_large(frame, now)
            elif self._filled == self._admitted:
                self._admit_next_step()
        self._driver.settle()

    def _consume(self, data: memoryview, now: int) -> None:
        """Dispatch the whole frames in `data`; keep what is left over."""
        connection = self.connection
        assert connection is not None
        handle = self._driver.handle
        wall = wall_ms()
        position, end = 0, len(data)
        while end - position >= 4:
            size = int.from_bytes(data[position : position + 4], "big", signed=True)
            if not 0 < size <= self._max_frame and not self._is_allowed_now(size):
                self._refuse(bytes(data[position : position + 4]), size)
                return
            frame_end = position + 4 + size
            if frame_end > end:
                if end - position >= LARGE_FRAME and self._begin_large(size, data[position:]):
                    return
                break
            if connection.is_paused:
                break
            handle(connection, bytearray(data[position + 4 : frame_end]), wall, now)
            if connection.is_closed:
                return
            position = frame_end
        self._keep(data[position:], is_new=position > 0, now=now)
        if connection.is_paused or self._is_budget_short or not self._is_reading:
            self._update_reading()

    def _keep(self, rest: memoryview, *, is_new: bool, now: int) -> None:
        """Keep what is left over; `is_new` says that it begins with another frame than before."""
        driver = self._driver
        if is_new or not rest:
            driver.leftovers.let_go(self, driver.core.budget)
            self._frame_began_ms = 0
        if rest:
            self._tail = bytes(rest)
            self._frame_began_ms = self._frame_began_ms or now
            driver.leftovers.keep(self, len(rest), driver.core.budget)

    def _begin_large(self, size: int, start: memoryview) -> bool:
        """Give the frame that begins in `start` memory of its own; False while there is none."""
        is_mapped = size > MAPPED_FRAME
        self._admitted = 0
        if not is_mapped and not self._admit(size):
            return False
        self._driver.leftovers.let_go(self, self._driver.core.budget)
        self._frame_began_ms = self.last_active_ms
        frame = memoryview(mmap.mmap(-1, size) if is_mapped else bytearray(size))
        filled = len(start) - 4
        frame[:filled] = start[4:]
        self._frame = frame
        self._filled = filled
        if is_mapped:
            self._admit_next_step()
        return True

    def _admit(self, size: int) -> bool:
        """Count `size` bytes of a large frame; False, and reading pauses, for want of room."""
        is_admitted = self._driver.admit(self, size)
        if is_admitted:
            self._admitted += size
        self._is_budget_short = not is_admitted
        self._update_reading()
        return is_admitted

    def _admit_next_step(self) -> None:
        assert self._frame is not None
        self._admit(min(len(self._frame), self._filled + ADMISSION_STEP) - self._admitted)

    def budget_freed(self) -> None:
        """Ask again for room for the large frame."""
        if self._frame is not None:
            self._admit_next_step()
        else:
            self._is_budget_short = False
            self.resume()

    def _dispatch_large(self, frame: memoryview, now: int) -> None:
        connection = self.connection
        assert connection is not None
        self._frame = None
        if connection.is_paused:
            # Paused by a timer or another connection's request while this frame arrived.
            self._frame = frame
            self._update_reading()
            return
        try:
            self._driver.handle(connection, frame, wall_ms(), now)
        finally:
            self._release_frame()
        self._update_reading()

    def _release_frame(self) -> None:
        admitted, self._admitted, self._filled = self._admitted, 0, 0
        self._frame_began_ms = 0
        self._driver.release(self, admitted)

    def _drop_frame(self) -> None:
        if self._frame is not None:
            self._frame = None
            self._release_frame()

    def _is_allowed_now(self, size: int) -> bool:
        """Whether a frame is of a client that was a stranger, and has authenticated since."""
        connection = self.connection
        assert connection is not None
        authentication = connection.authentication
        if authentication is not None and authentication.is_done:
            self._max_frame = self._driver.max_frame
        return 0 < size <= self._max_frame

    def _refuse(self, start: bytes, size: int) -> None:
        self._driver.frames_refused += 1
        if start in _HTTP_VERBS:
            self._transport.write(_HTTP_ANSWER)
        self.close(f"a frame of {size} bytes; allowed are 1 to {self._max_frame}")

    # -- reading stops and goes on ------------------------------------------------------

    def _update_reading(self) -> None:
        connection = self.connection
        if connection is None or self._transport.is_closing():
            return
        wanted = not (connection.is_paused or self._is_budget_short or self._unsent > UNSENT_LIMIT)
        if wanted is not self._is_reading:
            self._is_reading = wanted
            if wanted:
                self._transport.resume_reading()
            else:
                self._transport.pause_reading()

    def resume(self) -> None:
        """The broker takes requests again: handle what has been read already, then read on."""
        if not self._is_resume_scheduled:
            self._is_resume_scheduled = True
            self._driver.loop.call_soon(self._go_on)

    def _go_on(self) -> None:
        self._is_resume_scheduled = False
        connection = self.connection
        if connection is None or connection.is_closed or connection.is_paused or self._is_stopping:
            return
        now = mono_ms()
        frame = self._frame
        if frame is not None and self._filled == len(frame):
            self._dispatch_large(frame, now)
        elif self._tail:
            tail, self._tail = self._tail, b""
            self._consume(memoryview(tail), now)
        self._update_reading()
        self._driver.settle()

    # -- bytes go out ---------------------------------------------------------------------

    def send(self, buffers: Sequence[Buffer]) -> int:
        """Send the buffers in order; returns the bytes not handed to the system yet.

        Small responses wait for the end of the entry and count as handed over.
        """
        gathered = self._gathered
        for buffer in buffers:
            gathered.append(buffer)
            self._gathered_bytes += len(buffer)
        if self._gathered_bytes >= GATHER_LIMIT:
            self._write()
        elif not self._is_gathering:
            self._is_gathering = True
            self._driver.mark_dirty(self)
        return self._unsent

    def write_gathered(self) -> None:
        """The entry has ended: write what it has gathered."""
        self._is_gathering = False
        if not self._gathered:
            return
        before = self._unsent
        self._write()
        if self._unsent != before and self.connection is not None:
            self._driver.core.unsent_changed(self.connection, self._unsent)
            self._update_reading()

    def _write(self) -> None:
        buffers, self._gathered = self._gathered, []
        size, self._gathered_bytes = self._gathered_bytes, 0
        transport = self._transport
        if transport.is_closing():
            return
        if self._unsent == 0 and self._writev_fd >= 0:
            try:
                while buffers:
                    sent = os.writev(self._writev_fd, buffers[:_MAX_BUFFERS])
                    size -= sent
                    if not size:
                        return
                    buffers = _rest(buffers, sent)
            except BlockingIOError:
                pass
            except OSError:
                transport.abort()
                return
        for buffer in buffers:
            transport.write(buffer)
        if not self._unsent:
            self._stuck_since_ms = mono_ms()
        self._unsent = self._buffered()

    def _buffered(self) -> int:
        """Bytes that the transport still holds."""
        transport = self._transport
        if self._writev_fd < 0 and transport.is_closing():
            return 0  # an aborted TLS transport has let go of its own state
        return transport.get_write_buffer_size()

    def resume_writing(self) -> None:
        """The system has taken everything."""
        self._report_unsent()

    def _report_unsent(self) -> None:
        unsent = self._buffered()
        if unsent == self._unsent or self.connection is None:
            return
        self._unsent = unsent
        self.last_active_ms = self._stuck_since_ms = mono_ms()
        self._driver.core.unsent_changed(self.connection, unsent)
        self._driver.budget_changed()
        self._update_reading()
        self._driver.settle()

    # -- the end ------------------------------------------------------------------------

    def close(self, reason: str) -> None:
        """Close when what is gathered and unsent has left."""
        if self.connection is not None:
            self.connection.is_closed = True
        if self._gathered:
            self._write()
        self._transport.close()

    def stop_reading(self) -> None:
        """Take no more requests; those in progress are still answered."""
        self._is_stopping = True
        self._update_reading()

    def evict(self) -> None:
        """Close at once, for want of memory: others need it."""
        self._tail = b""
        self._transport.abort()

    def abort(self) -> None:
        """Close at once."""
        self._transport.abort()

    def sweep(
        self, now_ms: int, max_idle_ms: int, stall_limit_ms: int, is_memory_short: bool = False
    ) -> None:
        """Report progress in sending; close the connection if it is idle or has stalled, or
        keeps others from their answers by not taking its own."""
        if self._unsent:
            self._report_unsent()
        silence = now_ms - self.last_active_ms
        # A frame is held up by its client: by not sending, or by not taking its answers.
        is_ours_to_go_on = self._is_budget_short or (
            self.connection is not None and self.connection.is_paused
        )
        is_unfinished = self._frame_began_ms > 0 and not is_ours_to_go_on
        may_stall = self._transport.is_closing() or is_unfinished
        is_stuck = self._unsent > 0 and now_ms - self._stuck_since_ms > STUCK_LIMIT_MS
        if (
            (may_stall and silence > stall_limit_ms)
            or (is_stuck and is_memory_short)
            or (is_unfinished and self._is_too_slow(now_ms))
            or 0 <= max_idle_ms < silence
        ):
            self._transport.abort()

    def _is_too_slow(self, now_ms: int) -> bool:
        received = len(self._tail) if self._frame is None else self._filled
        allowed_ms = FRAME_LIMIT_MS + received // SLOWEST_BYTES_PER_MS
        return now_ms - self._frame_began_ms > allowed_ms


def _rest(buffers: list[Buffer], sent: int) -> list[Buffer]:
    """What is left of `buffers` after the first `sent` bytes."""
    for i, buffer in enumerate(buffers):
        if sent < len(buffer):
            return [memoryview(buffer)[sent:], *buffers[i + 1 :]] if sent else buffers[i:]
        sent -= len(buffer)
    return []


def address_of(name: object) -> tuple[str, int]:
    """(host, port) of a socket name."""
    if not isinstance(name, tuple):
        return ("", 0)  # gone already
    return (host_of(name), int(name[1]))
