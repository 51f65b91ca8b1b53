"""OffsetCommit, OffsetFetch, OffsetDelete, expiry: what a group remembers."""

from __future__ import annotations

import itertools

from ottla.coordinator.group_config import GroupConfig
from ottla.coordinator.outcome import Client
from ottla.wire.errors import ErrorCode
from ottla.wire.messages.delete_groups import DeletableGroupResult
from ottla.wire.messages.list_groups import ListGroupsRequest
from ottla.wire.messages.offset_delete import (
    OffsetDeleteRequest,
    OffsetDeleteRequestPartition,
    OffsetDeleteRequestTopic,
    OffsetDeleteResponse,
)
from ottla.wire.messages.offset_fetch import (
    OffsetFetchRequest,
    OffsetFetchRequestGroup,
    OffsetFetchRequestTopic,
)
from ottla.wire.messages.txn_offset_commit import (
    TxnOffsetCommitRequest,
    TxnOffsetCommitRequestPartition,
    TxnOffsetCommitRequestTopic,
    TxnOffsetCommitResponse,
)

from .harness import Harness

DAY_MS = 86_400_000
waiters = itertools.count(1_000_000)


def delete_offsets(h: Harness, *topics: str) -> OffsetDeleteResponse:
    waiter = next(waiters)
    request = OffsetDeleteRequest(
        "g", [OffsetDeleteRequestTopic(t, [OffsetDeleteRequestPartition(0)]) for t in topics]
    )
    h.apply(h.coordinator.offset_delete(request, waiter))
    return h.answer(waiter, OffsetDeleteResponse)


def delete_group(h: Harness, group: str = "g") -> int:
    waiter = next(waiters)
    h.apply(h.coordinator.delete_group(group, waiter))
    return h.answer(waiter, DeletableGroupResult).error_code


def commit_in_transaction(
    h: Harness, offset: int, *, producer_id: int = 7, generation: int = -1, member_id: str = ""
) -> int:
    waiter = next(waiters)
    request = TxnOffsetCommitRequest(
        transactional_id="x",
        group_id="g",
        producer_id=producer_id,
        generation_id=generation,
        member_id=member_id,
        topics=[
            TxnOffsetCommitRequestTopic(
                "t", [TxnOffsetCommitRequestPartition(0, offset, -1, "txn")]
            )
        ],
    )
    h.apply(
        h.coordinator.txn_offset_commit(request, Client("c", "", 3), waiter, h.wall_ms, h.now_ms)
    )
    return h.answer(waiter, TxnOffsetCommitResponse).topics[0].partitions[0].error_code


def groups(
    h: Harness, states: list[str] | None = None, types: list[str] | None = None
) -> list[str]:
    response = h.coordinator.list_groups(ListGroupsRequest(states, types))
    return [group.group_id for group in response.groups]


def test_a_consumer_without_a_group_membership_commits_and_fetches() -> None:
    h = Harness()
    assert h.fetch().committed_offset == -1
    assert h.commit(42, metadata="note") == ErrorCode.NONE
    found = h.fetch()
    assert (found.committed_offset, found.metadata, found.error_code) == (42, "note", 0)
    assert h.fetch(partition=1).committed_offset == -1
    assert groups(h) == ["g"]
    assert h.state() == "Empty"


def test_null_metadata_comes_back_empty() -> None:
    h = Harness()
    h.commit(1, metadata=None)
    assert h.fetch().metadata == ""


def test_metadata_has_a_limit() -> None:
    h = Harness()
    assert h.commit(1, metadata="x" * 4097) == ErrorCode.OFFSET_METADATA_TOO_LARGE
    assert h.commit(1, metadata="x" * 4096) == ErrorCode.NONE
    assert h.fetch().metadata == "x" * 4096


def test_commits_are_checked_against_the_group() -> None:
    h = Harness()
    assert h.commit(1, member_id="m", generation=1, version=8) == ErrorCode.ILLEGAL_GENERATION
    assert h.commit(1, member_id="m", generation=1, version=9) == ErrorCode.GROUP_ID_NOT_FOUND
    (a,) = h.stable_group()
    assert h.commit(1, member_id=a, generation=1) == ErrorCode.NONE
    assert h.commit(1, member_id=a, generation=0) == ErrorCode.ILLEGAL_GENERATION
    assert h.commit(1, member_id="m", generation=1) == ErrorCode.UNKNOWN_MEMBER_ID
    assert h.commit(1) == ErrorCode.UNKNOWN_MEMBER_ID


def test_commits_during_a_rebalance() -> None:
    h = Harness()
    (a,) = h.stable_group()
    waiting = h.new_member()
    assert h.state() == "PreparingRebalance"
    assert h.commit(5, member_id=a, generation=1) == ErrorCode.NONE
    h.join(a)
    assert h.joined(waiting).generation_id == 2
    assert h.commit(6, member_id=a, generation=2) == ErrorCode.REBALANCE_IN_PROGRESS
    assert h.fetch().committed_offset == 5


def test_a_commit_counts_as_a_heartbeat() -> None:
    h = Harness()
    (a,) = h.stable_group()
    for _ in range(3):
        h.advance(9_000)
        assert h.commit(1, member_id=a, generation=1) == ErrorCode.NONE


def test_all_offsets_of_a_group_in_old_and_new_requests() -> None:
    h = Harness()
    h.commit(1, topic="t")
    h.commit(2, topic="u", partition=3)
    new = OffsetFetchRequest(groups=[OffsetFetchRequestGroup("g"), OffsetFetchRequestGroup("no")])
    response = h.coordinator.offset_fetch(new, Client("c", "", 9))
    assert [[t.name for t in g.topics] for g in response.groups] == [["t", "u"], []]
    old = OffsetFetchRequest(group_id="g")
    response = h.coordinator.offset_fetch(old, Client("c", "", 7))
    assert [t.partitions[0].committed_offset for t in response.topics] == [1, 2]
    named = OffsetFetchRequest(group_id="g", topics=[OffsetFetchRequestTopic("u", [3, 4])])
    response = h.coordinator.offset_fetch(named, Client("c", "", 7))
    assert [p.committed_offset for p in response.topics[0].partitions] == [2, -1]


def test_offsets_and_groups_survive_a_restart() -> None:
    h = Harness()
    (a,) = h.stable_group()
    h.commit(17, member_id=a, generation=1)
    h.commit(18, group="simple")
    h.restart()
    assert h.fetch().committed_offset == 17
    assert h.fetch(group="simple").committed_offset == 18
    assert groups(h) == ["g", "simple"]


def test_offsets_of_an_empty_group_expire_counting_from_when_it_became_empty() -> None:
    h = Harness()
    (a,) = h.stable_group()
    h.commit(17, member_id=a, generation=1)
    for _ in range(900):
        h.advance(9_000)
        h.heartbeat(a, 1)
    h.leave(a)
    h.advance(7 * DAY_MS - 600_000)
    assert h.fetch().committed_offset == 17
    h.advance(1_200_000)
    assert h.fetch().committed_offset == -1
    assert groups(h) == []
    assert h.reloaded().durable_state() == h.coordinator.durable_state()


def test_offsets_without_a_group_expire_counting_from_the_commit() -> None:
    h = Harness()
    h.commit(1, topic="old")
    h.advance(DAY_MS)
    h.commit(2, topic="young")
    h.advance(6 * DAY_MS + 600_000)
    assert h.fetch("old").committed_offset == -1
    assert h.fetch("young").committed_offset == 2
    h.advance(DAY_MS)
    assert groups(h) == []


def test_a_stable_group_loses_only_offsets_of_topics_it_left() -> None:
    h = Harness(GroupConfig(offsets_retention_minutes=1, offsets_retention_check_interval_ms=1_000))
    (a,) = h.stable_group()
    h.commit(1, member_id=a, generation=1, topic="t")
    h.commit(2, member_id=a, generation=1, topic="gone")
    for _ in range(8):
        h.advance(9_000)
        h.heartbeat(a, 1)
    assert h.fetch("t").committed_offset == 1
    assert h.fetch("gone").committed_offset == -1


def test_old_clients_set_their_own_retention() -> None:
    h = Harness(GroupConfig(offsets_retention_check_interval_ms=1_000))
    h.commit(1, version=4, retention_ms=60_000)
    h.advance(59_000)
    assert h.fetch().committed_offset == 1
    h.advance(2_000)
    assert h.fetch().committed_offset == -1


def test_offset_delete_spares_subscribed_topics() -> None:
    h = Harness()
    assert delete_offsets(h, "t").error_code == ErrorCode.GROUP_ID_NOT_FOUND
    (a,) = h.stable_group()
    h.commit(1, member_id=a, generation=1, topic="t")
    h.commit(1, member_id=a, generation=1, topic="other")
    codes = [t.partitions[0].error_code for t in delete_offsets(h, "t", "other").topics]
    assert codes == [ErrorCode.GROUP_SUBSCRIBED_TO_TOPIC, ErrorCode.NONE]
    assert h.fetch("t").committed_offset == 1
    assert h.fetch("other").committed_offset == -1


def test_offset_delete_of_a_busy_group_that_does_not_consume() -> None:
    h = Harness()
    h.stable_group({"protocol_type": "connect"})
    assert delete_offsets(h, "t").error_code == ErrorCode.NON_EMPTY_GROUP


def test_only_empty_groups_are_deleted() -> None:
    h = Harness()
    assert delete_group(h) == ErrorCode.GROUP_ID_NOT_FOUND
    (a,) = h.stable_group()
    h.commit(1, member_id=a, generation=1)
    assert delete_group(h) == ErrorCode.NON_EMPTY_GROUP
    h.leave(a)
    assert delete_group(h) == ErrorCode.NONE
    assert groups(h) == []
    assert h.fetch().committed_offset == -1
    h.restart()
    assert groups(h) == []


def test_a_deleted_topic_takes_its_offsets_along() -> None:
    h = Harness()
    h.commit(1, topic="t")
    h.commit(2, topic="u")
    for _, outcome in h.coordinator.delete_topics(["t"]):
        h.apply(outcome)
    assert h.fetch("t").committed_offset == -1
    assert h.fetch("u").committed_offset == 2


def test_listing_filters_by_state_and_type() -> None:
    h = Harness()
    h.stable_group()
    h.commit(1, group="simple")
    assert groups(h, ["stable"]) == ["g"]
    assert groups(h, ["Empty"], ["Classic"]) == ["simple"]
    assert groups(h, None, ["share"]) == []


def test_a_missing_group_is_dead_and_later_versions_say_not_found() -> None:
    h = Harness()
    old = h.coordinator.describe_group("no", Client("c", "", 5))
    new = h.coordinator.describe_group("no", Client("c", "", 6))
    assert (old.group_state, old.error_code) == ("Dead", 0)
    assert (new.group_state, new.error_code) == ("Dead", ErrorCode.GROUP_ID_NOT_FOUND)


def test_a_stable_group_is_described_with_its_assignments() -> None:
    h = Harness()
    (a,) = h.stable_group()
    group = h.coordinator.describe_group("g", Client("c", "", 6))
    assert (group.group_state, group.protocol_type, group.protocol_data) == (
        "Stable",
        "consumer",
        "range",
    )
    assert bytes(group.members[0].member_assignment) == f"for {a}".encode()


def test_offsets_of_a_transaction_appear_when_it_commits() -> None:
    h = Harness()
    h.commit(1)
    assert commit_in_transaction(h, 10) == ErrorCode.NONE
    assert h.fetch().committed_offset == 1
    assert h.fetch(stable=True).error_code == ErrorCode.UNSTABLE_OFFSET_COMMIT
    h.restart()
    assert h.fetch(stable=True).error_code == ErrorCode.UNSTABLE_OFFSET_COMMIT
    h.marker(7, committed=True)
    assert (h.fetch(stable=True).committed_offset, h.fetch().metadata) == (10, "txn")
    commit_in_transaction(h, 20)
    h.marker(7, committed=False)
    assert h.fetch(stable=True).committed_offset == 10
    h.restart()
    assert h.fetch(stable=True).committed_offset == 10


def test_a_plain_commit_after_a_pending_one_wins() -> None:
    h = Harness()
    commit_in_transaction(h, 10)
    h.commit(11)
    h.marker(7, committed=True)
    assert h.fetch().committed_offset == 11


def test_a_pending_offset_can_be_deleted() -> None:
    h = Harness()
    commit_in_transaction(h, 10)
    assert delete_offsets(h, "t").topics[0].partitions[0].error_code == ErrorCode.NONE
    h.marker(7, committed=True)
    assert h.fetch().committed_offset == -1


def test_transactional_commits_know_the_generation() -> None:
    h = Harness()
    assert commit_in_transaction(h, 1, generation=3) == ErrorCode.ILLEGAL_GENERATION
    (a,) = h.stable_group()
    assert commit_in_transaction(h, 1) == ErrorCode.NONE
    assert commit_in_transaction(h, 1, generation=1, member_id=a) == ErrorCode.NONE
    assert commit_in_transaction(h, 1, generation=0, member_id=a) == ErrorCode.ILLEGAL_GENERATION
    assert commit_in_transaction(h, 1, generation=1, member_id="x") == ErrorCode.UNKNOWN_MEMBER_ID


def test_an_open_transaction_keeps_its_group() -> None:
    h = Harness()
    commit_in_transaction(h, 10)
    h.advance(30 * DAY_MS)
    assert groups(h) == ["g"]
    h.marker(7, committed=True)
    h.advance(DAY_MS)
    assert groups(h) == []
