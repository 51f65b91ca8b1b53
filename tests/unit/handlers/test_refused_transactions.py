"""Transactions on a disk that is full for a while: no end is answered that was not reached."""

from __future__ import annotations

import errno
import random
from collections.abc import Callable, Sequence

import pytest
from simulation.disk import SimulatedDisk
from tests.support.core import Core
from tests.support.requests import create_topic, fetch
from tests.unit.handlers.test_transactions import end, init, write

from ottla.seams.delegating import DelegatingFile, DelegatingFileSystem
from ottla.seams.filesystem import Buffer, File
from ottla.wire.errors import ErrorCode
from ottla.wire.messages.end_txn import EndTxnRequest
from ottla.wire.messages.init_producer_id import InitProducerIdRequest


class FullDisk(DelegatingFileSystem):
    """Has no room for what `refuses` names."""

    def __init__(self) -> None:
        super().__init__(SimulatedDisk(random.Random(1)))
        self.refuses: Callable[[str], bool] = lambda _path: False

    def open(self, path: str, *, create: bool = False, read_only: bool = False) -> File:
        return FullFile(super().open(path, create=create, read_only=read_only), self)


class FullFile(DelegatingFile):
    """One of its files."""

    def __init__(self, inner: File, disk: FullDisk) -> None:
        super().__init__(inner)
        self._disk = disk

    def write_at(self, buffers: Sequence[Buffer], position: int) -> None:
        if self._disk.refuses(self.path):
            raise OSError(errno.ENOSPC, "No space left on device", self.path)
        super().write_at(buffers, position)


class Shop:
    """A broker on such a disk, and an open transaction."""

    def __init__(self) -> None:
        self.disk = FullDisk()
        self.disk.make_directory("/var")
        self.core = Core("/var/data", filesystem=self.disk)
        self.client = self.core.client()
        self.client.call(create_topic("t"), 7)
        self.producer = init(self.client)
        assert write(self.client, self.producer, "a", 0, 12) == 0

    def ended(self) -> tuple[int, int]:
        """The last stable offset, and how many transactions below it were aborted."""
        found = self.client.call(fetch("t", isolation_level=1), 12).responses[0].partitions[0]
        return found.last_stable_offset, len(found.aborted_transactions or ())

    def refuse(self, part_of_path: str, but: int = 0) -> None:
        """From now on, after `but` more writes."""
        left = [False] * but
        self.disk.refuses = lambda path: (
            part_of_path in path and path.endswith(".log") and (not left or left.pop())
        )

    def accept(self) -> None:
        self.disk.refuses = lambda _path: False


@pytest.fixture
def shop() -> Shop:
    return Shop()


def test_a_commit_that_could_not_be_written_is_not_answered_by_the_abort_after_it(
    shop: Shop,
) -> None:
    """It once was, with success: whoever shut the producer out ended the transaction otherwise."""
    shop.refuse("__transaction_state")
    assert end(shop.client, shop.producer, True) is ErrorCode.COORDINATOR_NOT_AVAILABLE
    shop.accept()
    rival = shop.core.client()
    first = rival.call(InitProducerIdRequest("tx", 60_000), 5)
    assert first.error_code == ErrorCode.CONCURRENT_TRANSACTIONS
    assert rival.call(InitProducerIdRequest("tx", 60_000), 5).error_code == 0
    assert shop.client.read() is None
    assert end(shop.client, shop.producer, True) is ErrorCode.PRODUCER_FENCED
    assert shop.ended() == (2, 1)


def test_a_commit_that_could_not_be_written_may_be_tried_again(shop: Shop) -> None:
    shop.refuse("__transaction_state")
    assert end(shop.client, shop.producer, True) is ErrorCode.COORDINATOR_NOT_AVAILABLE
    shop.accept()
    assert end(shop.client, shop.producer, True) is ErrorCode.NONE
    assert shop.ended() == (2, 0)


def test_a_transaction_whose_end_was_refused_still_ends_in_time(shop: Shop) -> None:
    shop.refuse("__transaction_state")
    assert end(shop.client, shop.producer, True) is ErrorCode.COORDINATOR_NOT_AVAILABLE
    # Nor can the abort be written when its time is over.
    shop.core.advance(61_000)
    shop.accept()
    shop.core.advance(2_000)
    assert end(shop.client, shop.producer, True) is ErrorCode.PRODUCER_FENCED
    assert write(shop.client, init(shop.client), "b", 0, 12) == 0


@pytest.mark.parametrize("where", ["/t-0/", "__transaction_state"])
def test_markers_and_the_end_are_written_as_soon_as_that_is_possible(
    shop: Shop, where: str
) -> None:
    """The decision is in the log, and then nothing more is taken for a while."""
    # The first write to the coordinator's log is the decision, the next one the end.
    shop.refuse(where, but=0 if where == "/t-0/" else 1)
    request = EndTxnRequest("tx", shop.producer.producer_id, shop.producer.producer_epoch, True)
    shop.client.send(request, 5)
    shop.core.advance(3_000)
    answer = shop.client.read()
    assert answer is None or answer.error_code == ErrorCode.COORDINATOR_NOT_AVAILABLE
    shop.accept()
    shop.core.advance(2_000)
    if answer is None:
        assert shop.client.read().error_code == 0
    else:
        assert end(shop.client, shop.producer, True) is ErrorCode.NONE
    assert shop.ended() == (2, 0)
