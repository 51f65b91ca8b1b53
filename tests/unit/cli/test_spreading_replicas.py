from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ottla.cli.errors import CommandError
from ottla.cli.workers.reassigning import spread

RACKS = st.dictionaries(
    st.integers(0, 20), st.sampled_from(["a", "b", "c"]), min_size=1, max_size=9
)


@given(racks=RACKS, partitions=st.integers(1, 40), data=st.data())
def test_leaders_take_turns_and_racks_come_before_second_copies(
    racks: dict[int, str | None], partitions: int, data: st.DataObject
) -> None:
    factor = data.draw(st.integers(1, len(racks)))
    placed = spread(racks, partitions, factor)
    assert len(placed) == partitions
    leaders = Counter(dict.fromkeys(racks, 0) | Counter(each[0] for each in placed))
    assert max(leaders.values()) - min(leaders.values()) <= 1
    for replicas in placed:
        assert len({*replicas}) == factor
        used = {racks[broker] for broker in replicas}
        assert len(used) == min(factor, len({*racks.values()}))


def test_more_copies_than_brokers_are_refused() -> None:
    with pytest.raises(CommandError, match="replication factor of 3"):
        spread({1: None, 2: None}, 1, 3)
