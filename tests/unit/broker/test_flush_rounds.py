from __future__ import annotations

from pathlib import Path

from tests.support.core import Core, batch
from tests.support.requests import create_topic, produce


def test_page_cache_durability_flushes_as_configured(tmp_path: Path) -> None:
    core = Core(str(tmp_path / "d"), {"ottla.durability": "page-cache"}, flushes_by_hand=True)
    client = core.client()
    client.call(create_topic("count", flush_messages="3"), 7)
    client.call(create_topic("time", flush_ms="1000"), 7)
    client.call(create_topic("never"), 7)
    core.flush()
    logs = {name: t.partitions[0].log for name, t in core.broker.metadata.topics.items()}
    for _ in range(2):
        for name in logs:
            client.call(produce(name, batch("x")), 9)
    core.flush()
    assert {n: log.flushed_end_offset for n, log in logs.items()} == dict.fromkeys(logs, 0)
    client.call(produce("count", batch("x")), 9)
    core.advance(1000)
    core.flush()
    assert logs["count"].flushed_end_offset == 3
    assert logs["time"].flushed_end_offset == 2
    assert logs["never"].flushed_end_offset == 0
    core.broker.close(core.wall_ms)


def test_a_round_takes_what_was_dirty_when_it_began(tmp_path: Path) -> None:
    core = Core(str(tmp_path / "d"), flushes_by_hand=True)
    client = core.client()
    client.call(create_topic("t"), 7)
    client.send(produce("t", batch("a")), 9)
    (ticket,) = core.broker.take_flush_round()
    client.send(produce("t", batch("b")), 9)
    assert core.broker.take_flush_round() == []
    ticket.run()
    core.sink.is_flush_wanted = False
    core.broker.finish_flush(ticket, None, core.wall_ms, core.now_ms)
    assert client.read().responses[0].partition_responses[0].base_offset == 0
    assert client.read() is None
    assert core.sink.is_flush_wanted
    core.flush()
    assert client.read().responses[0].partition_responses[0].base_offset == 1
    core.broker.close(core.wall_ms)
