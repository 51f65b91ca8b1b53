"""`ottla demo hello` and `ottla demo uuid`: the smallest producers and consumers."""

from __future__ import annotations

import argparse
import re

import pytest

from ottla.demos.hello import program as hello
from ottla.demos.kafka_clients import DemoError, Stop, create_topic
from ottla.demos.uuid_log import program as uuid_log


@pytest.fixture
def settings(bootstrap_servers: str) -> dict[str, str]:
    return {"bootstrap.servers": bootstrap_servers}


def test_25_messages_are_read_by_two_consumers_a_partition_each(
    settings: dict[str, str], unique: str
) -> None:
    lines: list[str] = []
    assert create_topic(settings, unique, 2)
    hello.write_messages(settings, unique, 25, lines.append)
    assert re.fullmatch(
        rf"Wrote 25 messages to the topic {unique}: \d+ in partition 0, \d+ in partition 1\.",
        lines[0],
    )
    readers = hello.Readers(settings, unique, unique, 2, lines.append)
    readers.run(Stop(), expected=25)
    assert readers.read.total() == 25
    assert all(readers.read[number] for number in (1, 2))
    read = [line for line in lines if re.search(r"partition \d offset \d+: hello \d+", line)]
    assert len(read) == 25
    assert lines[-1].startswith("25 messages read: consumer 1 read ")


def test_a_third_consumer_of_two_partitions_waits(settings: dict[str, str], unique: str) -> None:
    lines: list[str] = []
    create_topic(settings, unique, 2)
    hello.write_messages(settings, unique, 10, lines.append)
    readers = hello.Readers(settings, unique, unique, 3, lines.append)
    readers.run(Stop(), expected=10)
    assert sum(count > 0 for count in readers.read.values()) == 2
    assert any("none, and waits" in line for line in lines)


def test_a_topic_that_is_there_is_left_as_it_is(settings: dict[str, str], unique: str) -> None:
    assert create_topic(settings, unique, 1)
    assert not create_topic(settings, unique, 3)


def test_an_impossible_topic_is_named(settings: dict[str, str]) -> None:
    with pytest.raises(DemoError, match="no/way"):
        create_topic(settings, "no/way", 1)


def test_the_group_logs_the_write_ups_line_for_each_uuid(
    settings: dict[str, str], unique: str
) -> None:
    create_topic(settings, unique, 1)
    written: list[str] = []
    assert uuid_log.produce(settings, unique, 3, 0, Stop(), written.append) == 0
    assert written[:3] == ["Key- 0", "Key- 1", "Key- 2"]
    read: list[str] = []
    assert uuid_log.consume(settings, unique, unique, 3, Stop(), read.append) == 3
    messages = [line for line in read if line.startswith("message at")]
    for number, line in enumerate(messages):
        found = re.fullmatch(
            rf"message at topic:{unique} partition:0 offset:{number}  (\S+) = (.*)", line
        )
        assert found
        key, value = found.groups()
        assert value == (f'{{"uuid":"{key}", "key":{number},"msg":success", "event":"kafka test"}}')


def test_the_group_goes_on_where_it_stopped(settings: dict[str, str], unique: str) -> None:
    create_topic(settings, unique, 1)
    uuid_log.produce(settings, unique, 4, 0, Stop(), lambda _: None)
    first: list[str] = []
    uuid_log.consume(settings, unique, unique, 3, Stop(), first.append)
    second: list[str] = []
    uuid_log.consume(settings, unique, unique, 1, Stop(), second.append)
    assert "offset:3 " in second[1]


def test_keys_and_values_that_are_not_text_are_logged_all_the_same() -> None:
    assert uuid_log.log_line("t", 0, 1, None, b"\xff") == (
        "message at topic:t partition:0 offset:1   = \N{REPLACEMENT CHARACTER}"
    )


def test_both_halves_in_one_terminal(
    settings: dict[str, str], unique: str, capsys: pytest.CaptureFixture[str]
) -> None:
    parser = argparse.ArgumentParser()
    uuid_log.add_arguments(parser)
    words = ["--topic", unique, "--group", unique, "--messages", "3", "--rate", "0"]
    assert uuid_log.run(parser.parse_args(words), settings) == 0
    lines = capsys.readouterr().out.splitlines()
    assert sum(line.startswith(f"message at topic:{unique}") for line in lines) == 3
    assert "3 messages sent, 3 acknowledged." in lines
    assert "3 messages read." in lines
