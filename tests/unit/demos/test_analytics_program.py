"""The analytics demo without a broker: flags, files, and what is told when things go wrong."""

from __future__ import annotations

import argparse
from pathlib import Path
from random import Random

import pytest

from ottla.demos.analytics.producer import Pace, ShopProducer
from ottla.demos.analytics.program import add_arguments, run
from ottla.demos.analytics.rules import Rules, default_rules_text
from ottla.demos.analytics.shop import PRESETS, Shop
from ottla.demos.kafka_clients import DemoError, Stop

NOBODY = {"bootstrap.servers": "127.0.0.1:1", "message.timeout.ms": "300"}


def typed(*words: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    return parser.parse_args(words)


def test_the_default_rules_are_written_once_and_never_over_a_file(tmp_path: Path) -> None:
    file = tmp_path / "rules.toml"
    assert run(typed("--write-rules", str(file)), NOBODY) == 0
    assert file.read_text() == default_rules_text()
    with pytest.raises(DemoError, match="File exists"):
        run(typed("--write-rules", str(file)), NOBODY)


def test_the_default_rules_can_be_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(typed("--write-rules", "-"), NOBODY) == 0
    assert capsys.readouterr().out == default_rules_text()


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--peak", "0"], "peak must lie between"),
        (["--pattern", "1,2"], "24 factors, not 2"),
        (["--pattern", "a"], "could not convert"),
        (["--start", "yesterday"], "Invalid isoformat"),
        (["--speed", "0"], "--speed must be above 0"),
        (["--rules", "/nowhere/rules.toml"], "cannot be read"),
        (["--recurring", "0.95"], "exceed 1 together"),
    ],
)
def test_what_cannot_be_is_refused_in_a_sentence(words: list[str], sentence: str) -> None:
    with pytest.raises(DemoError, match=sentence):
        run(typed(*words), NOBODY)


def test_rules_that_cannot_be_used_are_named_with_their_file(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text('[event.e]\nx = "{nothing}"\n')
    with pytest.raises(DemoError, match=r"mine\.toml: event\.e: x names \{nothing\}"):
        run(typed("--rules", str(file)), NOBODY)


def test_every_number_of_the_write_up_is_a_flag_with_its_value_as_default() -> None:
    settings = PRESETS["5000"]
    assert (settings.peak_users, settings.recurring, settings.anonymous) == (300, 0.4, 0.1)
    assert settings.hour_s == 5.0
    args = typed()
    assert (args.retention_ms, args.segment_ms, args.speed) == (3_600_000, 600_000, 1.0)


def test_failed_deliveries_are_counted_and_told() -> None:
    random = Random(1)
    shop = Shop(PRESETS["5000"], Rules(default_rules_text(), random), random)
    pace = Pace(is_paced=False, max_events=20)
    tally = ShopProducer(NOBODY, "analytics", shop, pace, Stop()).run(lambda _: None)
    assert (tally.sent, tally.failed, tally.acknowledged) == (20, 20, 0)
    assert not tally.is_complete
    assert "timed out" in tally.last_error.lower()


def test_status_lines_tell_the_shops_time_and_numbers() -> None:
    random = Random(1)
    shop = Shop(PRESETS["5000"], Rules(default_rules_text(), random), random)
    lines: list[str] = []
    stop = Stop()

    def report(line: str) -> None:
        lines.append(line)
        if "waiting for the broker" in line or "FAILED" in line:
            stop.set()

    pace = Pace(max_duration_s=60.0, status_interval_s=0.5)
    ShopProducer(NOBODY, "analytics", shop, pace, stop).run(report)
    assert lines[0].startswith("shop time 08:")
    assert "users online" in lines[0]
    assert stop.is_set()
