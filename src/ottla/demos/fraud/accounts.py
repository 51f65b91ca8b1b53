"""Bank-account events, as JSON: names, a card number that passes the Luhn check, an amount."""

from __future__ import annotations

import json
from collections.abc import Callable
from random import Random
from typing import NamedTuple

NAMES = 1_000  # first names and last names to draw from, each

# Issuer prefixes and the length of the whole number.
_CARDS = (("4", 16), ("51", 16), ("55", 16), ("2221", 16), ("6011", 16), ("3558", 16), ("37", 15))


class BankAccount(NamedTuple):
    """One event. The JSON names are those of the write-up."""

    first_name: str
    last_name: str
    card_number: str
    amount: float


class MalformedAccountError(ValueError):
    """The bytes are no bank account; the message says why."""


def _luhn_sum(number: int) -> int:
    """Luhn's sum of four digits, the first and the third of them doubled."""
    digits = (number // 1000, number // 100 % 10, number // 10 % 10, number % 10)
    doubled = (2 * digits[0], digits[1], 2 * digits[2], digits[3])
    return sum(d - 9 if d > 9 else d for d in doubled)


_SUMS = tuple(_luhn_sum(number) for number in range(10_000))


def is_luhn_valid(card_number: str) -> bool:
    if not card_number.isdecimal() or not card_number.isascii():
        return False
    padded = card_number.zfill(-(-len(card_number) // 4) * 4)
    return sum(_SUMS[int(padded[at : at + 4])] for at in range(0, len(padded), 4)) % 10 == 0


def account_drawer(random: Random) -> Callable[[], str]:
    """A function that draws one account as a JSON document; the same seed draws the same."""
    from mimesis import Person

    person = Person(seed=random.getrandbits(64))
    first_names = [_json_text(person.first_name()) for _ in range(NAMES)]
    last_names = [_json_text(person.last_name()) for _ in range(NAMES)]
    # Prefix of the whole number, and how many random digits stand between it and the check digit.
    cards = [
        (int(prefix) * 10 ** (length - len(prefix)), 10 ** (length - len(prefix) - 1))
        for prefix, length in _CARDS
    ]
    draw, sums = random.random, _SUMS

    def draw_account() -> str:
        start, span = cards[int(draw() * len(cards))]
        number = start + int(draw() * span) * 10
        low, high = number % 100_000_000, number // 100_000_000
        total = sums[low % 10_000] + sums[low // 10_000]
        total += sums[high % 10_000] + sums[high // 10_000]
        number += -total % 10
        return (
            f'{{"FirstName":{first_names[int(draw() * NAMES)]},'
            f'"LastName":{last_names[int(draw() * NAMES)]},'
            f'"CreditCardNumber":"{number}","Amount":{int(draw() * 100_000) / 100}}}'
        )

    return draw_account


def parse_account(value: bytes | None) -> BankAccount:
    """Errors: MalformedAccountError."""
    import orjson

    try:
        document = orjson.loads(value or b"")
    except orjson.JSONDecodeError as error:
        raise MalformedAccountError(f"not JSON: {error}") from None
    if not isinstance(document, dict):
        raise MalformedAccountError("not a JSON object")
    texts = []
    for name in ("FirstName", "LastName", "CreditCardNumber"):
        text = document.get(name)
        if not isinstance(text, str):
            raise MalformedAccountError(f"{name} is {'missing' if text is None else 'not a text'}")
        texts.append(text)
    amount = document.get("Amount")
    if isinstance(amount, bool) or not isinstance(amount, int | float):
        raise MalformedAccountError(f"Amount is {'missing' if amount is None else 'not a number'}")
    return BankAccount(texts[0], texts[1], texts[2], float(amount))


def _json_text(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)
