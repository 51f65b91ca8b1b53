from ottla.cli.java_order import (
    hash_map_order,
    partition_hash,
    string_hash,
    string_map_order,
)


def test_hashes_are_javas() -> None:
    assert string_hash("") == 0
    assert string_hash("hello") == 99162322
    assert string_hash("\U0001f600") == 31 * 0xD83D + 0xDE00
    assert partition_hash(("a", 1)) == 31 * 32 + 97


def test_a_bucket_keeps_the_order_of_insertion() -> None:
    # "Aa" and "BB" have one hash in Java.
    assert string_map_order(["BB", "Aa"]) == ["BB", "Aa"]
    assert string_map_order(["Aa", "BB"]) == ["Aa", "BB"]


def test_buckets_ascend_and_the_table_grows_at_three_quarters() -> None:
    assert hash_map_order([17, 0, 1], lambda n: n) == [0, 17, 1]
    assert hash_map_order([*range(12), 17], lambda n: n)[-1] == 17
    assert hash_map_order([4, 1, 2], lambda n: n, capacity=3) == [4, 1, 2]


def test_a_list_seen_from_kafkas_own_tool() -> None:
    printed = "tools-g1 tools-g2 go_json_consumer tools-g3 analytics-hello2 analytics-logger"
    assert string_map_order(sorted(printed.split())) == printed.split()
