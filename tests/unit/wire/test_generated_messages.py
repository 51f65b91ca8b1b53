"""The message modules are what the generator writes, and reach as far as Kafka 4.3."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from ottla.wire import frames
from ottla.wire.messages import API_NAMES, API_VERSIONS

ROOT = Path(__file__).parents[3]

#: Newest version of each API in Apache Kafka 4.3, as its broker reports them.
KAFKA_4_3_NEWEST = {
    0: 13, 1: 18, 2: 11, 3: 13, 8: 10, 9: 10, 10: 6, 11: 9, 12: 4, 13: 5, 14: 5, 15: 6, 16: 5,
    17: 1, 18: 4, 19: 7, 20: 6, 21: 2, 22: 5, 23: 4, 24: 5, 25: 4, 26: 5, 27: 2, 28: 5, 29: 3,
    30: 3, 31: 3, 32: 4, 33: 2, 34: 2, 35: 5, 36: 2, 37: 3, 38: 3, 39: 2, 40: 2, 41: 3, 42: 2,
    43: 2, 44: 1, 45: 1, 46: 0, 47: 0, 48: 1, 49: 1, 50: 0, 51: 0, 55: 2, 57: 2, 60: 2, 61: 0,
    64: 0, 65: 0, 66: 2, 68: 1, 69: 1, 71: 0, 72: 0, 74: 1, 75: 0, 76: 1, 77: 1, 78: 2, 79: 2,
    80: 1, 81: 0, 88: 0, 89: 0, 90: 1, 91: 0, 92: 0,
}  # fmt: skip


def test_the_generated_modules_are_up_to_date(tmp_path: Path) -> None:
    generator = ROOT / "tools" / "generate_messages.py"
    subprocess.run([sys.executable, generator, tmp_path], check=True, capture_output=True)
    kept = ROOT / "src" / "ottla" / "wire" / "messages"
    written = {p.name: p.read_text() for p in tmp_path.glob("*.py")}
    present = {p.name: p.read_text() for p in kept.glob("*.py")}
    assert written.keys() == present.keys()
    stale = [name for name in written if written[name] != present[name]]
    assert not stale, "run make messages"


def test_newest_versions_are_those_of_kafka_4_3() -> None:
    assert {key: newest for key, (_, newest, _) in API_VERSIONS.items()} == KAFKA_4_3_NEWEST


@pytest.mark.parametrize("api_key", sorted(API_NAMES), ids=lambda key: API_NAMES[key])
def test_the_index_agrees_with_the_modules(api_key: int) -> None:
    module = sys.modules[frames.request_class(api_key).__module__]
    assert api_key == module.API_KEY
    assert API_VERSIONS[api_key] == (
        module.MIN_VERSION,
        module.MAX_VERSION,
        module.FLEXIBLE_FROM,
    )
    assert frames.response_class(api_key) is module.RESPONSE
