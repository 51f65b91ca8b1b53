"""JoinGroup and SyncGroup: how a generation comes about."""

from __future__ import annotations

import pytest

from ottla.coordinator.group_config import GroupConfig
from ottla.coordinator.outcome import Client
from ottla.wire.errors import ErrorCode
from ottla.wire.messages.leave_group import (
    LeaveGroupRequest,
    LeaveGroupResponse,
    MemberIdentity,
)
from ottla.wire.messages.sync_group import SyncGroupRequest

from .harness import Harness, subscription


def test_a_modern_member_is_given_an_id_and_must_come_back_with_it() -> None:
    h = Harness()
    first = h.joined(h.join())
    assert first.error_code == ErrorCode.MEMBER_ID_REQUIRED
    assert first.member_id.startswith("c-")
    again = h.joined(h.join(first.member_id))
    assert again.error_code == ErrorCode.NONE
    assert (again.generation_id, again.leader) == (1, first.member_id)
    assert [m.member_id for m in again.members] == [first.member_id]


def test_an_old_client_joins_at_once() -> None:
    h = Harness()
    reply = h.joined(h.join(version=3))
    assert reply.error_code == ErrorCode.NONE
    assert reply.protocol_name == "range"


def test_a_member_that_never_comes_back_with_its_id_is_forgotten() -> None:
    h = Harness()
    member_id = h.joined(h.join(session_timeout_ms=6_000)).member_id
    h.advance(6_000)
    assert h.joined(h.join(member_id)).error_code == ErrorCode.UNKNOWN_MEMBER_ID


@pytest.mark.parametrize("timeout_ms", [5_999, 1_800_001])
def test_the_session_timeout_has_bounds(timeout_ms: int) -> None:
    h = Harness()
    reply = h.joined(h.join(session_timeout_ms=timeout_ms))
    assert reply.error_code == ErrorCode.INVALID_SESSION_TIMEOUT


def test_a_group_needs_a_name_and_known_members() -> None:
    h = Harness()
    assert h.joined(h.join(group="")).error_code == ErrorCode.INVALID_GROUP_ID
    assert h.joined(h.join("stranger")).error_code == ErrorCode.UNKNOWN_MEMBER_ID
    h.stable_group()
    assert h.joined(h.join("stranger")).error_code == ErrorCode.UNKNOWN_MEMBER_ID


def test_members_must_share_a_protocol() -> None:
    h = Harness()
    assert h.joined(h.join(protocols={})).error_code == ErrorCode.INCONSISTENT_GROUP_PROTOCOL
    h.stable_group()
    other = h.joined(h.join(protocols={"sticky": b""}))
    assert other.error_code == ErrorCode.INCONSISTENT_GROUP_PROTOCOL
    other = h.joined(h.join(protocol_type="connect"))
    assert other.error_code == ErrorCode.INCONSISTENT_GROUP_PROTOCOL


def test_the_protocol_is_voted_for_among_those_all_members_support() -> None:
    h = Harness()
    a, b, c = {"x": b"1", "y": b"1"}, {"y": b"2", "x": b"2", "z": b""}, {"y": b"3", "x": b"3"}
    h.stable_group({"protocols": a}, {"protocols": b}, {"protocols": c})
    group = h.coordinator._groups["g"]
    assert group.protocol_name == "y"
    assert sorted(m.metadata for m in group.member_list()) == [b"1", b"2", b"3"]


def test_the_initial_delay_gathers_members_into_one_generation() -> None:
    h = Harness(GroupConfig(group_initial_rebalance_delay_ms=3_000))
    a = h.new_member()
    h.advance(2_000)
    b = h.new_member()
    assert a not in h.replies
    h.advance(1_000)  # a newcomer: the delay starts again
    assert a not in h.replies
    h.advance(3_000)
    assert h.joined(a).generation_id == h.joined(b).generation_id == 1
    assert len(h.joined(a).members) + len(h.joined(b).members) == 2


def test_a_newcomer_makes_the_others_join_again() -> None:
    h = Harness()
    (a,) = h.stable_group()
    waiter = h.new_member()
    assert waiter not in h.replies
    assert h.heartbeat(a, 1) == ErrorCode.REBALANCE_IN_PROGRESS
    again = h.join(a)
    assert h.joined(again).generation_id == h.joined(waiter).generation_id == 2
    assert len(h.joined(again).members) == 2
    assert h.joined(waiter).members == []


def test_who_does_not_join_in_time_is_out() -> None:
    h = Harness()
    a, _b = h.stable_group(
        {"rebalance_timeout_ms": 20_000, "session_timeout_ms": 600_000},
        {"rebalance_timeout_ms": 30_000, "session_timeout_ms": 600_000},
    )
    h.join(a, session_timeout_ms=600_000, rebalance_timeout_ms=20_000)
    assert h.state() == "PreparingRebalance"
    h.advance(29_999)
    assert h.state() == "PreparingRebalance"
    h.advance(1)
    assert h.state() == "CompletingRebalance"
    assert h.member_ids() == [a]


def test_who_does_not_sync_in_time_is_out() -> None:
    h = Harness()
    h.stable_group({"session_timeout_ms": 600_000})
    newcomer = h.new_member(session_timeout_ms=600_000)
    old = h.leader()
    again = h.join(old, session_timeout_ms=600_000)
    generation = h.joined(again).generation_id
    h.sync(old, generation, {old: b"all"})
    h.advance(59_999)
    assert h.heartbeat(old, generation) == ErrorCode.NONE
    h.advance(1)
    assert h.state() == "PreparingRebalance"
    assert h.member_ids() == [old]
    assert h.joined(newcomer).member_id not in h.member_ids()


def test_followers_wait_for_the_leaders_assignment() -> None:
    h = Harness()
    h.stable_group()
    follower_waiter = h.new_member()
    leader = h.leader()
    h.join(leader)
    follower = h.joined(follower_waiter).member_id
    waiting = h.sync(follower, 2)
    assert waiting not in h.replies
    done = h.sync(leader, 2, {leader: b"L", follower: b"F"})
    assert h.synced(waiting).assignment == b"F"
    assert h.synced(done).assignment == b"L"
    assert h.state() == "Stable"


def test_a_rebalance_tells_those_who_wait_for_an_assignment() -> None:
    h = Harness()
    h.stable_group()
    follower_waiter = h.new_member()
    h.join(h.leader())
    waiting = h.sync(h.joined(follower_waiter).member_id, 2)
    h.new_member()
    assert h.synced(waiting).error_code == ErrorCode.REBALANCE_IN_PROGRESS


def test_sync_checks_member_generation_and_protocol() -> None:
    h = Harness()
    assert h.synced(h.sync("nobody", 1)).error_code == ErrorCode.UNKNOWN_MEMBER_ID
    (a,) = h.stable_group()
    assert h.synced(h.sync("nobody", 1)).error_code == ErrorCode.UNKNOWN_MEMBER_ID
    assert h.synced(h.sync(a, 9)).error_code == ErrorCode.ILLEGAL_GENERATION
    wrong = h.synced(h.sync(a, 1, protocol_name="other"))
    assert wrong.error_code == ErrorCode.INCONSISTENT_GROUP_PROTOCOL
    assert h.synced(h.sync(a, 1)).assignment == f"for {a}".encode()
    assert h.synced(h.sync(a, 1, protocol_name="range")).error_code == ErrorCode.NONE
    unnamed = h.coordinator.sync_group(
        SyncGroupRequest("g", 1, a), Client("c", "", 5), "waiter", h.wall_ms, h.now_ms
    )
    h.apply(unnamed)
    assert h.synced("waiter").error_code == ErrorCode.INCONSISTENT_GROUP_PROTOCOL


def test_joining_a_stable_group_unchanged_returns_the_generation() -> None:
    h = Harness()
    ids = h.stable_group({}, {})
    follower = next(m for m in ids if m != h.leader())
    generation = h.group_generation()
    assert h.joined(h.join(follower)).generation_id == generation
    assert h.state() == "Stable"
    changed = h.join(follower, protocols={"range": subscription("t", "u")})
    assert changed not in h.replies
    assert h.state() == "PreparingRebalance"


def test_a_leader_that_joins_again_starts_a_rebalance() -> None:
    h = Harness()
    (a,) = h.stable_group()
    assert h.joined(h.join(a)).generation_id == 2


def test_a_repeated_join_releases_the_earlier_one() -> None:
    h = Harness()
    (a, _) = h.stable_group({}, {})
    first = h.join(a, protocols={"range": subscription("u")})
    second = h.join(a, protocols={"range": subscription("u")})
    assert h.joined(first).error_code == ErrorCode.REBALANCE_IN_PROGRESS
    assert second not in h.replies


def test_a_full_group_refuses_newcomers() -> None:
    h = Harness(GroupConfig(group_max_size=1))
    (a,) = h.stable_group()
    assert h.joined(h.join()).error_code == ErrorCode.GROUP_MAX_SIZE_REACHED
    assert h.joined(h.join(a)).error_code == ErrorCode.NONE


def test_a_silent_member_leaves_and_the_others_rebalance() -> None:
    h = Harness()
    a, b = h.stable_group({}, {})
    generation = h.group_generation()
    h.advance(9_000)
    assert h.heartbeat(a, generation) == ErrorCode.NONE
    h.advance(1_000)
    assert h.heartbeat(a, generation) == ErrorCode.REBALANCE_IN_PROGRESS
    assert h.member_ids() == [a]
    assert h.heartbeat(b, generation) == ErrorCode.UNKNOWN_MEMBER_ID


def test_an_abandoned_new_member_does_not_stay_for_ever() -> None:
    h = Harness()
    h.stable_group({"session_timeout_ms": 1_800_000, "rebalance_timeout_ms": 1_800_000})
    newcomer = h.new_member()
    h.advance(300_000)
    assert h.joined(newcomer).error_code == ErrorCode.UNKNOWN_MEMBER_ID


def test_heartbeats_know_wrong_generations_and_strangers() -> None:
    h = Harness()
    assert h.heartbeat("x", 1) == ErrorCode.UNKNOWN_MEMBER_ID
    (a,) = h.stable_group()
    assert h.heartbeat(a, 2) == ErrorCode.ILLEGAL_GENERATION
    assert h.heartbeat("x", 1) == ErrorCode.UNKNOWN_MEMBER_ID


def test_leaving_empties_the_group_and_says_who_was_unknown() -> None:
    h = Harness()
    a, b = h.stable_group({}, {})
    reply = h.leave(a, "x", b)
    assert [m.error_code for m in reply.members] == [0, ErrorCode.UNKNOWN_MEMBER_ID, 0]
    assert h.state() == "Empty"
    assert h.leave(a).members[0].error_code == ErrorCode.UNKNOWN_MEMBER_ID


def test_an_old_leave_reports_its_one_error_on_top() -> None:
    h = Harness()
    (a,) = h.stable_group()
    assert h.leave("x", version=1).error_code == ErrorCode.UNKNOWN_MEMBER_ID
    assert h.leave(a, version=1).error_code == ErrorCode.NONE
    assert h.state() == "Empty"


def test_leaving_with_an_id_that_has_not_joined_yet() -> None:
    h = Harness()
    pending = h.joined(h.join()).member_id
    assert h.leave(pending).members[0].error_code == ErrorCode.NONE
    assert h.joined(h.join(pending)).error_code == ErrorCode.UNKNOWN_MEMBER_ID


def test_members_of_a_stable_group_survive_a_restart() -> None:
    h = Harness()
    a, b = h.stable_group({}, {})
    generation = h.group_generation()
    h.restart()
    assert h.state() == "Stable"
    assert h.heartbeat(a, generation) == ErrorCode.NONE
    assert h.synced(h.sync(b, generation)).assignment == f"for {b}".encode()
    h.advance(10_000)
    assert h.state() == "Empty"


def test_an_old_client_has_one_time_out_for_both_purposes() -> None:
    h = Harness()
    h.join(version=0, rebalance_timeout_ms=-1, session_timeout_ms=12_000)
    (member,) = h.coordinator._groups["g"].members.values()
    assert member.rebalance_timeout_ms == 12_000


def test_requests_in_the_middle_of_a_rebalance() -> None:
    h = Harness()
    (a,) = h.stable_group()
    h.new_member()
    assert h.state() == "PreparingRebalance"
    assert h.synced(h.sync(a, 1)).error_code == ErrorCode.REBALANCE_IN_PROGRESS


def test_a_repeated_sync_releases_the_earlier_one() -> None:
    h = Harness()
    h.stable_group()
    waiting = h.new_member()
    h.join(h.leader())
    follower = h.joined(waiting).member_id
    first = h.sync(follower, 2)
    second = h.sync(follower, 2)
    assert h.synced(first).error_code == ErrorCode.REBALANCE_IN_PROGRESS
    h.leave(follower)
    assert h.synced(second).error_code in (
        ErrorCode.UNKNOWN_MEMBER_ID,
        ErrorCode.REBALANCE_IN_PROGRESS,
    )


def test_members_that_left_an_empty_group_are_unknown() -> None:
    h = Harness()
    (a,) = h.stable_group()
    h.leave(a)
    assert h.heartbeat(a, 1) == ErrorCode.UNKNOWN_MEMBER_ID
    assert h.joined(h.join(a)).error_code == ErrorCode.UNKNOWN_MEMBER_ID
    assert h.synced(h.sync(a, 1)).error_code == ErrorCode.UNKNOWN_MEMBER_ID


def test_leaving_a_group_that_is_not_there() -> None:
    h = Harness()
    assert h.leave("m").members[0].error_code == ErrorCode.UNKNOWN_MEMBER_ID
    client = Client("c", "", 5)
    request = LeaveGroupRequest("", [MemberIdentity("m")])
    h.apply(h.coordinator.leave_group(request, client, "w", h.wall_ms, h.now_ms))
    assert h.answer("w", LeaveGroupResponse).error_code == ErrorCode.INVALID_GROUP_ID
    sync = SyncGroupRequest("", 1, "m")
    h.apply(h.coordinator.sync_group(sync, client, "s", h.wall_ms, h.now_ms))
    assert h.synced("s").error_code == ErrorCode.INVALID_GROUP_ID


def test_a_leader_that_does_not_join_again_is_replaced() -> None:
    h = Harness()
    h.stable_group({"session_timeout_ms": 600_000}, {"session_timeout_ms": 600_000})
    old = h.leader()
    other = next(m for m in h.member_ids() if m != old)
    h.join(other, protocols={"range": subscription("u")}, session_timeout_ms=600_000)
    h.advance(60_000)
    assert h.leader() == other
    assert h.member_ids() == [other]
