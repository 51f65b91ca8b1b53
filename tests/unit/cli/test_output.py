from __future__ import annotations

import pytest

from ottla.cli.output import _narrowed


@pytest.mark.parametrize(
    ("widths", "room", "narrowed"),
    [
        ([10, 10], 80, [10, 10]),
        ([10, 100], 80, [10, 68]),
        ([50, 100, 12], 80, [32, 32, 12]),
        ([60, 60], 80, [39, 39]),
        ([27, 27, 20], 40, [27, 27, 20]),
    ],
)
def test_the_widest_columns_give_way(widths: list[int], room: int, narrowed: list[int]) -> None:
    fitting = _narrowed(widths, [4] * len(widths), room)
    assert sorted(fitting) == sorted(narrowed)
