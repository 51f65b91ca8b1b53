"""Static membership (KIP-345, KIP-814)."""

from __future__ import annotations

from ottla.wire.errors import ErrorCode

from .harness import Harness, subscription


def test_a_static_member_that_comes_back_gets_a_new_id_without_a_rebalance() -> None:
    h = Harness()
    (a, b) = h.stable_group({"instance": "one"}, {"instance": "two"})
    generation = h.group_generation()
    follower, instance = (b, "two") if h.leader() == a else (a, "one")
    reply = h.joined(h.join(instance=instance))
    assert reply.error_code == ErrorCode.NONE
    assert reply.member_id != follower
    assert reply.generation_id == generation
    assert h.state() == "Stable"
    same = h.synced(h.sync(reply.member_id, generation, instance=instance))
    assert same.assignment == f"for {follower}".encode()
    fenced = h.heartbeat(follower, generation, instance)
    assert fenced == ErrorCode.FENCED_INSTANCE_ID
    assert h.commit(1, member_id=follower, generation=generation, instance=instance) == fenced
    assert h.synced(h.sync(follower, generation, instance=instance)).error_code == fenced
    assert h.joined(h.join(follower, instance=instance)).error_code == fenced


def test_a_static_leader_keeps_the_assignment_it_made() -> None:
    h = Harness()
    (a,) = h.stable_group({"instance": "one"})
    reply = h.joined(h.join(instance="one"))
    assert reply.skip_assignment
    assert reply.leader == reply.member_id != a
    assert len(reply.members) == 1


def test_an_old_static_leader_is_not_told_that_it_leads() -> None:
    h = Harness()
    (a,) = h.stable_group({"instance": "one"})
    reply = h.joined(h.join(instance="one", version=8))
    assert reply.leader == a != reply.member_id
    assert reply.members == []


def test_a_changed_protocol_makes_a_static_member_rebalance() -> None:
    h = Harness()
    both = {"x": subscription("t"), "y": subscription("t")}
    h.stable_group({"instance": "one", "protocols": both})
    reply = h.joined(h.join(instance="one", protocols={"y": subscription("t")}))
    assert (reply.generation_id, reply.protocol_name) == (2, "y")


def test_a_static_member_that_returns_before_the_assignment_restarts_the_rebalance() -> None:
    h = Harness()
    first = h.joined(h.join(instance="one"))
    assert h.state() == "CompletingRebalance"
    second = h.joined(h.join(instance="one"))
    assert second.generation_id == first.generation_id + 1


def test_a_parked_request_of_the_old_id_is_fenced() -> None:
    h = Harness()
    h.stable_group({})
    parked = h.join(instance="one")
    assert parked not in h.replies
    again = h.join(instance="one")
    assert h.joined(parked).error_code == ErrorCode.FENCED_INSTANCE_ID
    assert again not in h.replies


def test_the_place_of_a_silent_static_member_lasts_until_its_session_ends() -> None:
    h = Harness()
    a, b = h.stable_group(
        {"instance": "one", "session_timeout_ms": 100_000},
        {"instance": "two", "session_timeout_ms": 100_000},
    )
    h.join(h.leader(), instance="one" if h.leader() == a else "two", session_timeout_ms=100_000)
    h.advance(60_000)  # the rebalance time-out: the absent static member stays in
    assert set(h.member_ids()) == {a, b}
    assert h.state() == "CompletingRebalance"


def test_an_administrator_removes_by_instance() -> None:
    h = Harness()
    h.stable_group({"instance": "one"}, {"instance": "two"})
    reply = h.leave(("", "one"), ("", "three"))
    assert [m.error_code for m in reply.members] == [0, ErrorCode.UNKNOWN_MEMBER_ID]
    assert h.leave(("wrong", "two")).members[0].error_code == ErrorCode.FENCED_INSTANCE_ID


def test_the_new_id_survives_a_restart() -> None:
    h = Harness()
    h.stable_group({"instance": "one"})
    new_id = h.joined(h.join(instance="one")).member_id
    h.restart()
    assert h.heartbeat(new_id, 1, "one") == ErrorCode.NONE


def test_absent_static_members_keep_the_group_until_their_sessions_end() -> None:
    h = Harness()
    a, _ = h.stable_group(
        {"instance": "one", "session_timeout_ms": 100_000},
        {"session_timeout_ms": 10_000, "protocols": {"range": subscription("t")}},
    )
    h.advance(10_000)  # the dynamic member goes silent
    assert h.member_ids() == [a]
    assert h.state() == "PreparingRebalance"
    h.advance(60_000)  # nobody joins: the rebalance waits on
    assert h.state() == "PreparingRebalance"
    h.advance(40_000)
    assert h.state() == "Empty"


def test_a_parked_sync_of_the_old_id_is_fenced() -> None:
    h = Harness()
    h.stable_group({})
    parked = h.join(instance="one")
    h.join(h.leader())
    follower = h.joined(parked).member_id
    waiting = h.sync(follower, 2, instance="one")
    h.join(instance="one")
    assert h.synced(waiting).error_code == ErrorCode.FENCED_INSTANCE_ID


def test_a_pending_id_cannot_take_a_static_place() -> None:
    h = Harness()
    h.stable_group({"instance": "one"})
    pending = h.joined(h.join()).member_id
    assert h.joined(h.join(pending, instance="one")).error_code == ErrorCode.FENCED_INSTANCE_ID
    nobody = h.heartbeat("x", 1, "no such instance")
    assert nobody == ErrorCode.UNKNOWN_MEMBER_ID
