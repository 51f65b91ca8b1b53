"""What is said of a log and of a group between two looks."""

from __future__ import annotations

import dataclasses

from ottla.console import anatomy, group_watch
from ottla.console.anatomy import LogPicture, SegmentView, deletable_from
from ottla.console.group_watch import GroupPicture, MemberView
from ottla.console.pages.group_drawing import group_svg
from ottla.console.pages.log_drawing import log_svg

FIRST = SegmentView(0, 100, 5_000, 8, 12, (50,), 1_000, is_active=False)
LAST = SegmentView(100, 150, 700, 0, 0, (), -1, is_active=True)
LOG = LogPicture(0, 150, 150, 1, 5_700, "/data", (FIRST, LAST), "", {"readers": 120})


def test_a_segment_that_retention_took() -> None:
    now = dataclasses.replace(LOG, log_start=100, segments=(LAST,))
    said = anatomy.changes(LOG, now)
    assert said == [
        "Segment 0 was deleted by retention: 5,000 bytes",
        "The log now starts at offset 100: 100 offsets are gone",
    ]


def test_a_segment_that_was_compacted_and_one_that_was_rolled() -> None:
    smaller = dataclasses.replace(FIRST, log_bytes=900)
    rolled = SegmentView(150, 150, 0, 0, 0, (), -1, is_active=True)
    now = dataclasses.replace(LOG, segments=(smaller, LAST, rolled))
    assert anatomy.changes(LOG, now) == [
        "A new segment begins at offset 150: the one before it is closed",
        "Segment 0 was compacted: 5,000 → 900 bytes",
    ]


def test_growth_alone_is_no_news() -> None:
    assert not anatomy.changes(LOG, dataclasses.replace(LOG, high_watermark=180))


def test_when_a_segment_may_go() -> None:
    assert deletable_from(FIRST, {"retention.ms": "60000"}) == 61_000
    assert deletable_from(LAST, {"retention.ms": "60000"}) is None
    assert deletable_from(FIRST, {"retention.ms": "-1"}) is None
    assert deletable_from(FIRST, {"retention.ms": "1", "cleanup.policy": "compact"}) is None


def test_the_drawing_escapes_names_of_groups() -> None:
    drawn = log_svg(dataclasses.replace(LOG, commits={"<script>": 3}))
    assert "<script>" not in drawn
    assert "high watermark 150" in drawn


def member(name: str, *numbers: int) -> MemberView:
    return MemberView(f"{name}-123456", name, "h", 1, frozenset(("orders", n) for n in numbers))


def test_a_rebalance_is_told() -> None:
    before = GroupPicture("consumer", "Stable", "uniform", 4, (member("a", 0, 1),))
    now = GroupPicture("consumer", "Stable", "uniform", 5, (member("a", 0), member("b", 1)))
    assert group_watch.changes(before, now) == [
        "b …123456 joined",
        "Group epoch 4 → 5",
        "orders-1: a …123456 → b …123456",
    ]


def test_the_groups_drawing_names_idle_members() -> None:
    picture = GroupPicture("classic", "Stable", "range", None, (member("a", 0), member("<b>")))
    drawn = group_svg(picture, {("orders", 0): 7}, {})
    assert "7 behind" in drawn
    assert "idle" in drawn
    assert "<b>" not in drawn


def test_an_assignment_that_is_not_a_consumers_is_empty() -> None:
    assert group_watch.assigned(b"\x00\x01\xff") == []
