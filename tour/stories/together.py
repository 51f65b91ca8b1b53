"""All stories at once, from the embedded broker to a cluster that loses a node."""

from __future__ import annotations

from tour.run import shows
from tour.stage import Stage

STORY_LIMIT_S = 900.0


@shows("5.1")
def the_whole_story(stage: Stage) -> str:
    with stage.leaves_running("ottla lab story --fast") as lab:
        lab.wait_for("^verdict: holds", STORY_LIMIT_S)
        moved = lab.wait_for(r"✓ ([\d,]+) records in (\d+) partitions arrived", STORY_LIMIT_S)
        kept = lab.wait_for(r"✓ ([\d,]+) acknowledged, (\d+) lost", STORY_LIMIT_S)
        once = lab.wait_for(r"decided ([\d,]+) accounts,\s+(\d+) of them twice", STORY_LIMIT_S)
    return (
        f"{moved[1]} records moved under load; {kept[1]} acknowledged, {kept[2]} lost; the "
        f"exactly-once consumer: {once[1]} decided, {once[2]} twice"
    )
