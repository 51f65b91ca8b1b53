"""Any sequence of acquiring, acknowledging, expiry and restarts.

- A record that was accepted or rejected is never handed out again.
- Two members never hold the same record.
- Nobody is handed a record more often than the limit while the process lives.
- In the end every record can be brought to its end.
- Replaying the log gives the same durable state.
"""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from tests.unit.coordinator.test_share_partition import KEY, SETTINGS, ShareHarness

from ottla.wire.errors import ErrorCode

#: Record batches of the log; 7 and 20 to 22 hold no records.
BATCHES = [(0, 2), (3, 3), (4, 6), (8, 12), (13, 19), (23, 30), (31, 40)]
RECORDS = {o for first, last in BATCHES for o in range(first, last + 1)}
MEMBERS = st.sampled_from(["a", "b", "c"])


class SharePartitions(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.h = ShareHarness(updates_per_snapshot=4)
        self.held: dict[int, tuple[str, int]] = {}
        self.done: set[int] = set()

    @rule(member=MEMBERS, most=st.integers(1, 20), strict=st.booleans())
    def acquire(self, member: str, most: int, strict: bool) -> None:
        taken = 0
        for first, last, count in self.h.acquire(member, *BATCHES, most=most, strict=strict):
            assert 1 <= count <= SETTINGS.share_delivery_count_limit
            for offset in range(first, last + 1):
                assert offset in RECORDS
                assert offset not in self.done
                assert offset not in self.held
                self.held[offset] = (member, count)
                taken += 1
        assert taken <= most or not strict

    @rule(member=MEMBERS, type_=st.sampled_from([1, 1, 2, 3, 4]), skip=st.integers(0, 10))
    def acknowledge(self, member: str, type_: int, skip: int) -> None:
        mine = sorted(o for o, (who, _) in self.held.items() if who == member)[skip:]
        if not mine:
            return
        last = mine[0]
        while last + 1 in mine:
            last += 1
        assert self.h.say(member, mine[0], last, type_) == ErrorCode.NONE
        if type_ == 4:
            return
        for offset in range(mine[0], last + 1):
            _, count = self.held.pop(offset)
            if type_ != 2 or count >= SETTINGS.share_delivery_count_limit:
                self.done.add(offset)

    @rule(member=MEMBERS)
    def close_session(self, member: str) -> None:
        self.h.apply(self.h.coordinator.release(KEY, member, 0))
        self.forget(lambda who: who == member)

    def forget(self, of: object) -> None:
        for offset, (who, count) in list(self.held.items()):
            if of(who):  # type: ignore[operator]
                del self.held[offset]
                if count >= SETTINGS.share_delivery_count_limit:
                    self.done.add(offset)

    @rule()
    def let_locks_expire(self) -> None:
        self.h.advance(1_000)
        self.forget(lambda who: True)

    @rule()
    def restart(self) -> None:
        self.h.restart()
        self.held.clear()

    @invariant()
    def replaying_the_log_gives_the_same_state(self) -> None:
        assert self.h.reloaded().durable_state() == self.h.coordinator.durable_state()

    @invariant()
    def runs_are_contiguous(self) -> None:
        live = self.h.coordinator.live_state(KEY)
        position = live.start_offset
        for run in live.runs:
            assert run.first == position
            position = run.last + 1

    def teardown(self) -> None:
        self.let_locks_expire()
        while found := self.h.acquire("z", *BATCHES, most=1):
            for first, last, _ in found:
                assert self.h.say("z", first, last, 1) == ErrorCode.NONE
                self.done.update(range(first, last + 1))
        assert self.done == RECORDS


SharePartitions.TestCase.settings = settings(
    max_examples=150, stateful_step_count=40, deadline=None
)
TestSharePartitions = SharePartitions.TestCase
