"""Sequences wrap after 2**31 - 1."""

from ottla.batch.sequence import MAX_SEQUENCE, add_sequence, is_successor, subtract_sequence


def test_sequences_wrap() -> None:
    assert add_sequence(5, 3) == 8
    assert add_sequence(MAX_SEQUENCE, 1) == 0
    assert add_sequence(MAX_SEQUENCE - 1, 5) == 3
    assert subtract_sequence(0, 1) == MAX_SEQUENCE
    assert subtract_sequence(8, 3) == 5
    assert is_successor(MAX_SEQUENCE, 0)
    assert is_successor(4, 5)
    assert not is_successor(4, 6)
