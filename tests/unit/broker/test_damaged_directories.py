"""Files that make no sense although nothing is torn: a start refuses them in one sentence."""

from __future__ import annotations

from pathlib import Path

import pytest
from fuzzing.batches import with_right_sums
from tests.support.core import Core
from tests.support.requests import create_topic

from ottla.storage.errors import CorruptLogError, DirectoryRefusedError
from ottla.wire.messages.init_producer_id import InitProducerIdRequest


def stopped(directory: Path) -> Core:
    """A core with a transactional producer behind it."""
    core = Core(str(directory))
    client = core.client()
    create_topic(client, "t")
    client.call(InitProducerIdRequest(transactional_id="x", transaction_timeout_ms=1000), 4)
    core.broker.close(core.wall_ms)
    return core


@pytest.mark.parametrize("bad", ["too-short", "größe", "\0" * 22, ""])
def test_a_directory_id_that_is_none_is_refused(tmp_path: Path, bad: str) -> None:
    core = stopped(tmp_path)
    path = tmp_path / "meta.properties"
    lines = path.read_text().splitlines()
    kept = [line for line in lines if not line.startswith("directory.id")]
    path.write_text("\n".join([*kept, f"directory.id={bad}"]))
    with pytest.raises(DirectoryRefusedError, match="is damaged"):
        core.start()


def test_a_coordinators_batch_with_senseless_records_is_refused(tmp_path: Path) -> None:
    core = stopped(tmp_path)
    [path] = [p for p in tmp_path.glob("__transaction_state-*/*.log") if p.stat().st_size]
    content = bytearray(path.read_bytes())
    content[61] ^= 2
    path.write_bytes(with_right_sums(bytes(content)))
    with pytest.raises(CorruptLogError, match=r"__transaction_state-.*the batch with offset 0"):
        core.start()
