"""Committed, aborted, still open: what read_committed sees, and what read_uncommitted does.

An open transaction holds back everybody who reads committed records, from its
first record on (the last stable offset). A producer that comes back under the
same transactional id aborts what its predecessor left open, and locks it out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from ottla.labs.bench import ANSWER_TIMEOUT_S, Bench
from ottla.lag.feed import quiet_logger

if TYPE_CHECKING:
    from confluent_kafka import Producer

COMMITTED: Final = "committed"
UNCOMMITTED: Final = "uncommitted"


def run(bench: Bench) -> None:
    from confluent_kafka import KafkaException

    screen = bench.screen
    each = bench.scaled(3, 8)
    topic = bench.create_topic(bench.unique("transactions"))
    first_id, second_id = bench.unique("first"), bench.unique("second")

    screen.heading("one transaction committed, one aborted, one still open")
    first = _producer(bench, first_id)
    _write(first, topic, "kept", each)
    first.commit_transaction(ANSWER_TIMEOUT_S)
    _write(first, topic, "dropped", each)
    first.abort_transaction(ANSWER_TIMEOUT_S)
    _write(first, topic, "open", each)
    second = _producer(bench, second_id)
    _write(second, topic, "behind", each)
    second.commit_transaction(ANSWER_TIMEOUT_S)
    seen = _seen(bench, topic)
    _show(bench, topic, seen)
    bench.check(
        "read_uncommitted sees all of them, the aborted ones, too",
        seen[UNCOMMITTED] == {"kept": each, "dropped": each, "open": each, "behind": each},
    )
    bench.check(
        "read_committed ends before the open transaction, although the next is committed",
        seen[COMMITTED] == {"kept": each},
    )

    screen.heading("a successor with the same transactional id")
    heir = _producer(bench, first_id)
    after = _seen(bench, topic)
    _show(bench, topic, after)
    bench.check(
        "its start aborted what was open, and what was held back is there",
        after[COMMITTED] == {"kept": each, "behind": each},
    )
    refusal = ""
    try:
        first.commit_transaction(ANSWER_TIMEOUT_S)
    except KafkaException as error:
        refusal = error.args[0].name()
    screen.say(f"  the predecessor tries to commit: {refusal or 'and may'}")
    bench.check("the predecessor is locked out", bool(refusal))
    _write(heir, topic, "heir", each)
    heir.commit_transaction(ANSWER_TIMEOUT_S)
    last = _seen(bench, topic)
    bench.check(
        "the successor goes on", last[COMMITTED] == {"kept": each, "behind": each, "heir": each}
    )

    low, high = _watermarks(bench, topic)
    records = sum(last[UNCOMMITTED].values())
    bench.count(offsets=high - low, records=records, markers=high - low - records, seen=last)
    bench.check(
        f"{high - low} offsets hold {records} records and 5 markers, one for each end",
        high - low - records == 5,
    )


def _producer(bench: Bench, transactional_id: str) -> Producer:
    from confluent_kafka import Producer

    # The one that is locked out would shout about it.
    producer = Producer(bench.client(transactional_id=transactional_id), logger=quiet_logger)
    producer.init_transactions(ANSWER_TIMEOUT_S)
    return producer


def _write(producer: Producer, topic: str, word: str, count: int) -> None:
    producer.begin_transaction()
    for number in range(count):
        producer.produce(topic, f"{word} {number}", key=word)
    producer.flush(ANSWER_TIMEOUT_S)


def _seen(bench: Bench, topic: str) -> dict[str, dict[str, int]]:
    """For each isolation level: how many records of which transaction."""
    seen: dict[str, dict[str, int]] = {}
    for level in (COMMITTED, UNCOMMITTED):
        counts = seen[level] = {}
        for row in bench.read(topic, is_committed=level == COMMITTED):
            counts[row.key or ""] = counts.get(row.key or "", 0) + 1
    return seen


def _show(bench: Bench, topic: str, seen: dict[str, dict[str, int]]) -> None:
    screen = bench.screen
    styles = {"kept": "green", "dropped": "red", "open": "yellow", "behind": "cyan"}
    for level in (UNCOMMITTED, COMMITTED):
        cells = [
            screen.paint(f"[{word} ×{count}]", styles.get(word, "bold"))
            for word, count in seen[level].items()
        ]
        screen.say(f"  read_{level:<12} {' '.join(cells)}")
    stable = _watermarks(bench, topic, is_committed=True)[1]
    end = _watermarks(bench, topic)[1]
    screen.say(screen.paint(f"  last stable offset {stable}, high watermark {end}", "dim"))


def _watermarks(bench: Bench, topic: str, *, is_committed: bool = False) -> tuple[int, int]:
    """First offset, and the end that a reader of this isolation level sees."""
    from confluent_kafka import IsolationLevel, TopicPartition
    from confluent_kafka.admin import AdminClient, OffsetSpec

    admin = AdminClient(bench.client())
    where = TopicPartition(topic, 0)
    level = IsolationLevel.READ_COMMITTED if is_committed else IsolationLevel.READ_UNCOMMITTED
    ends = []
    for spec in (OffsetSpec.earliest(), OffsetSpec.latest()):  # type: ignore[no-untyped-call]
        asked = admin.list_offsets({where: spec}, isolation_level=level)
        ends.append(asked[where].result(ANSWER_TIMEOUT_S).offset)
    return ends[0], ends[1]
