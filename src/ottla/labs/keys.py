"""The order of a key, and what adding partitions does to it.

A key's records go to one partition, and a partition is read in order: so is
the key. More partitions change the sum, keys move to other partitions, and
their new records may be read before their old ones. Another partitioner does
the same: Java's clients hash with murmur2, librdkafka's with CRC-32.
"""

from __future__ import annotations

import zlib
from collections import defaultdict
from collections.abc import Sequence
from typing import Final

from ottla.labs.bench import Bench, Row
from ottla.labs.screen import bar

KEYS: Final = ("ada", "grace", "linus", "alan", "edsger", "barbara", "ken", "margaret")
FEW, MANY = 3, 5


def run(bench: Bench) -> None:
    screen = bench.screen
    rounds = bench.scaled(20, 500)
    topic = bench.create_topic(bench.unique("keys"), FEW)

    screen.heading(f"{len(KEYS)} keys in {FEW} partitions")
    bench.produce(topic, _pairs(range(rounds)), partitioner="murmur2_random")
    before = bench.read(topic)
    _show(bench, before, FEW)
    homes = _homes(before)
    bench.check("each key has one partition", all(len(home) == 1 for home in homes.values()))
    bench.check(
        "that partition is murmur2(key) modulo partitions, as with Java's clients",
        all(home == {murmur2_partition(key, FEW)} for key, home in homes.items()),
    )
    bench.check("within its partition each key is in order", _is_ordered(before))

    screen.heading(f"{MANY} partitions from now on, the same keys again")
    _add_partitions(bench, topic)
    bench.produce(topic, _pairs(range(rounds, 2 * rounds)), partitioner="murmur2_random")
    after = bench.read(topic)
    _show(bench, after, MANY)
    moved = [key for key, home in _homes(after).items() if len(home) > 1]
    expected = [k for k in KEYS if murmur2_partition(k, FEW) != murmur2_partition(k, MANY)]
    screen.say(f"  moved: {', '.join(moved)}")
    bench.check(
        f"{len(moved)} of {len(KEYS)} keys now lie in two partitions: nobody orders these",
        bool(moved) and sorted(moved) == sorted(expected),
    )
    # A consumer that reads the highest partition first is as right as any other.
    backwards = sorted(after, key=lambda row: (-row.partition, row.offset))
    overtaken = [key for key in moved if not _is_key_ordered(backwards, key)]
    bench.check(
        f"read from the last partition on, {len(overtaken)} of them are out of order",
        bool(overtaken),
    )
    bench.check("old records stay where they are", after_head(after, before))

    screen.heading("the same keys by another partitioner")
    other = bench.create_topic(bench.unique("keys-crc"), FEW)
    bench.produce(other, _pairs(range(rounds)), partitioner="consistent_random")
    by_crc = _homes(bench.read(other))
    apart = [key for key in KEYS if by_crc[key] != homes[key]]
    screen.say(f"  elsewhere than with murmur2: {', '.join(apart) or 'none'}")
    bench.check(
        "librdkafka's default is CRC-32(key): keys lie elsewhere than Java puts them",
        all(by_crc[k] == {zlib.crc32(k.encode()) % FEW} for k in KEYS) and bool(apart),
    )
    bench.count(keys=len(KEYS), records=len(after), moved=moved, overtaken=overtaken, apart=apart)


def murmur2_partition(key: str, partitions: int) -> int:
    """The partition that Kafka's own partitioner gives a key."""
    return (murmur2(key.encode()) & 0x7FFF_FFFF) % partitions


def murmur2(data: bytes) -> int:
    """MurmurHash2 of 32 bits with Kafka's seed, unsigned (Kafka's Utils.murmur2)."""
    mask, m, r = 0xFFFF_FFFF, 0x5BD1_E995, 24
    h = 0x9747_B28C ^ len(data)
    whole = len(data) & ~3
    for position in range(0, whole, 4):
        k = int.from_bytes(data[position : position + 4], "little") * m & mask
        h = (h * m ^ (k ^ k >> r) * m) & mask
    if whole < len(data):
        h = (h ^ int.from_bytes(data[whole:], "little")) * m & mask
    h = (h ^ h >> 13) * m & mask
    return h ^ h >> 15


def after_head(after: Sequence[Row], before: Sequence[Row]) -> bool:
    """Whether everything that was there before is there unchanged."""
    places = {(row.partition, row.offset): row.value for row in after}
    return all(places.get((row.partition, row.offset)) == row.value for row in before)


def _pairs(numbers: range) -> list[tuple[str | None, str]]:
    return [(key, str(number)) for number in numbers for key in KEYS]


def _homes(rows: Sequence[Row]) -> dict[str, set[int]]:
    homes: dict[str, set[int]] = defaultdict(set)
    for row in rows:
        homes[row.key or ""].add(row.partition)
    return homes


def _is_ordered(rows: Sequence[Row]) -> bool:
    return all(_is_key_ordered(rows, key) for key in KEYS)


def _is_key_ordered(rows: Sequence[Row], key: str) -> bool:
    numbers = [int(row.value or 0) for row in rows if row.key == key]
    return numbers == sorted(numbers)


def _show(bench: Bench, rows: Sequence[Row], partitions: int) -> None:
    screen = bench.screen
    homes = _homes(rows)
    for partition in range(partitions):
        count = sum(row.partition == partition for row in rows)
        here = [
            screen.colour_of(number, key)
            for number, key in enumerate(KEYS)
            if partition in homes[key]
        ]
        drawn = bar(count, len(rows), 16)
        screen.say(f"  partition {partition} {drawn} {count:>5}  {' '.join(here)}")


def _add_partitions(bench: Bench, topic: str) -> None:
    from confluent_kafka.admin import AdminClient
    from confluent_kafka.cimpl import NewPartitions

    admin = AdminClient(bench.client())
    admin.create_partitions([NewPartitions(topic, MANY)])[topic].result(20)
    bench.wait(
        lambda: len(admin.list_topics(topic, timeout=10).topics[topic].partitions) == MANY,
        "the new partitions do not appear",
    )
