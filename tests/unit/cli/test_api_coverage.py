from __future__ import annotations

from ottla.cli.api_coverage import KAFKA, table


def test_every_api_of_either_side_has_a_row() -> None:
    rows = table({0: (0, 13), 4711: (1, 1)})
    assert rows[1] == ["0", "Produce", "0 to 13", "0 to 13"]
    assert rows[2][2:] == ["-", "4 to 18"]
    assert rows[-1] == ["4711", "?", "1", "-"]
    assert len(rows) == len(KAFKA) + 2
