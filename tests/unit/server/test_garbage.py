from __future__ import annotations

import gc

from ottla.server.garbage import THRESHOLDS, collected_seldom


def test_the_collector_is_left_as_it_was() -> None:
    before = gc.get_threshold()
    with collected_seldom():
        assert gc.get_threshold() == THRESHOLDS
        assert gc.get_freeze_count() > 0
    assert gc.get_threshold() == before
    assert gc.get_freeze_count() == 0
