"""The order in which Kafka's Java tools print what they keep in a HashMap.

Scripts compare the outputs of two tools line by line, so ours iterate in the
order of Java's `HashMap`: buckets ascending, insertion order within a bucket.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final, TypeVar

K = TypeVar("K")

DEFAULT_CAPACITY: Final = 16
LOAD_FACTOR: Final = 0.75


def string_hash(text: str) -> int:
    """Java's `String.hashCode` as an unsigned 32-bit number."""
    value = 0
    for unit in memoryview(text.encode("utf-16-le", "surrogatepass")).cast("H"):
        value = (31 * value + unit) & 0xFFFFFFFF
    return value


def partition_hash(partition: tuple[str, int]) -> int:
    """Java's hash of a `TopicPartition`, given as (topic, partition)."""
    topic, number = partition
    return (31 * (31 + number) + string_hash(topic)) & 0xFFFFFFFF


def hash_map_order(
    keys: Iterable[K], hash_of: Callable[[K], int], *, capacity: int = DEFAULT_CAPACITY
) -> list[K]:
    """The distinct `keys` in the order a HashMap filled in this order iterates them.

    `capacity` is what the map was created with; Java rounds it up to a power of two.
    """
    distinct = list(dict.fromkeys(keys))
    size = 1
    while size < capacity:
        size *= 2
    while len(distinct) > size * LOAD_FACTOR:
        size *= 2

    def bucket(key: K) -> int:
        value = hash_of(key)
        return (value ^ (value >> 16)) & (size - 1)

    return sorted(distinct, key=bucket)


def string_map_order(keys: Iterable[str], *, capacity: int = DEFAULT_CAPACITY) -> list[str]:
    """`hash_map_order` of strings."""
    return hash_map_order(keys, string_hash, capacity=capacity)


def partition_map_order(partitions: Iterable[tuple[str, int]]) -> list[tuple[str, int]]:
    """`hash_map_order` of (topic, partition) pairs."""
    return hash_map_order(partitions, partition_hash)
