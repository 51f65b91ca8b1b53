"""Bank accounts: card numbers that pass the Luhn check, repeatable, and parsed with care."""

from __future__ import annotations

import json
from random import Random

import pytest

from ottla.demos.fraud.accounts import (
    BankAccount,
    MalformedAccountError,
    account_drawer,
    is_luhn_valid,
    parse_account,
)


def luhn_by_the_book(card_number: str) -> bool:
    total = 0
    for place, digit in enumerate(reversed(card_number)):
        number = int(digit) * (2 if place % 2 else 1)
        total += number - 9 if number > 9 else number
    return total % 10 == 0


def test_accounts_have_the_write_ups_properties_and_valid_cards() -> None:
    draw = account_drawer(Random(1))
    for _ in range(2_000):
        text = draw()
        document = json.loads(text)
        assert list(document) == ["FirstName", "LastName", "CreditCardNumber", "Amount"]
        number = document["CreditCardNumber"]
        assert len(number) in {15, 16}
        assert luhn_by_the_book(number)
        assert is_luhn_valid(number)
        assert 0 <= document["Amount"] < 1_000
        assert parse_account(text.encode()).card_number == number


def test_the_same_seed_draws_the_same_accounts() -> None:
    one, two, other = (account_drawer(Random(seed)) for seed in (5, 5, 6))
    first = [one() for _ in range(20)]
    assert first == [two() for _ in range(20)]
    assert first != [other() for _ in range(20)]


@pytest.mark.parametrize(
    ("number", "is_valid"),
    [
        ("4111111111111111", True),
        ("3558018114425614", False),  # the write-up's own example
        ("378282246310005", True),
        ("4111111111111112", False),
        ("0", True),
        ("", False),
        ("4111-1111-1111-1111", False),
        ("٤١١١", False),
    ],
)
def test_luhn(number: str, is_valid: bool) -> None:
    assert is_luhn_valid(number) == is_valid


def test_the_write_ups_event_is_parsed() -> None:
    value = (
        b'{"FirstName":"Jimmie","LastName":"Swaniawski",'
        b'"CreditCardNumber":"3558018114425614","Amount":644.78}'
    )
    assert parse_account(value) == BankAccount("Jimmie", "Swaniawski", "3558018114425614", 644.78)


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (None, "not JSON"),
        (b"{", "not JSON"),
        (b"[]", "not a JSON object"),
        (b"{}", "FirstName is missing"),
        (b'{"FirstName":1}', "FirstName is not a text"),
        (b'{"FirstName":"a","LastName":"b","CreditCardNumber":"1"}', "Amount is missing"),
        (
            b'{"FirstName":"a","LastName":"b","CreditCardNumber":"1","Amount":"2"}',
            "Amount is not a number",
        ),
        (
            b'{"FirstName":"a","LastName":"b","CreditCardNumber":"1","Amount":true}',
            "Amount is not a number",
        ),
    ],
)
def test_what_is_no_account_says_why(value: bytes | None, reason: str) -> None:
    with pytest.raises(MalformedAccountError, match=reason):
        parse_account(value)
