"""A produce request between its appends and the flush that makes them durable."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ottla.wire.errors import ErrorCode
from ottla.wire.messages.produce import PartitionProduceResponse, ProduceResponse

if TYPE_CHECKING:
    from ottla.broker.delayed import Timer
    from ottla.broker.partitions import Partition
    from ottla.broker.request import RequestContext


class _Wait:
    """One partition of the request that is not visible yet."""

    __slots__ = ("is_over", "operation", "result")

    def __init__(self, operation: PendingProduce, result: PartitionProduceResponse) -> None:
        self.operation = operation
        self.result = result
        self.is_over = False

    def __call__(self, error: ErrorCode) -> None:
        self.is_over = True
        if error:
            refuse(self.result, error)
        self.operation.one_is_over()


class PendingProduce:
    """Answers when every partition appended to has made its records visible.

    A partition that fails meanwhile gets its error in the response; when
    `timeout_ms` passes first, those still waiting get REQUEST_TIMED_OUT (their
    records stay in the log all the same, as in Kafka).
    """

    __slots__ = ("_is_answered", "_left", "_timer", "_waits", "request", "response")

    def __init__(self, request: RequestContext, response: ProduceResponse) -> None:
        self.request = request
        self.response = response
        self._waits: list[_Wait] = []
        self._left = 0
        self._timer: Timer | None = None
        self._is_answered = False

    def wait_for(
        self, partition: Partition, end_offset: int, result: PartitionProduceResponse
    ) -> None:
        """Hold the response until the partition is visible up to `end_offset`."""
        if end_offset <= partition.high_watermark:
            return
        wait = _Wait(self, result)
        self._waits.append(wait)
        self._left += 1
        partition.when_visible(end_offset, wait)

    def is_parked(self, timeout_ms: int) -> bool:
        """Whether the response has to wait; from then on this object sends it."""
        if not self._left:
            return False
        deadline_ms = self.request.mono_ms + max(0, timeout_ms)
        self._timer = self.request.broker.deadlines.at(deadline_ms, self._time_out)
        return True

    def one_is_over(self) -> None:
        self._left -= 1
        if not self._left and self._timer is not None:
            self._timer.cancel()
            self._answer()

    def _time_out(self, wall_ms: int, mono_ms: int) -> None:
        for wait in self._waits:
            if not wait.is_over:
                refuse(wait.result, ErrorCode.REQUEST_TIMED_OUT)
        self._answer()

    def _answer(self) -> None:
        if not self._is_answered:
            self._is_answered = True
            self.request.complete(self.response)


def refuse(
    result: PartitionProduceResponse, code: ErrorCode, message: str | None = None
) -> PartitionProduceResponse:
    """Make a partition's result an error."""
    result.error_code = code
    result.error_message = message
    result.base_offset = -1
    result.log_append_time_ms = -1
    return result
