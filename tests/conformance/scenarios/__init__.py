"""What is said to a broker: one function per API, run in each of its versions.

A scenario takes a `Talk` and speaks `talk.version` of its API.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable
from typing import NamedTuple

from tests.conformance.talk import Talk

from ottla.wire.messages import API_NAMES

Speech = Callable[[Talk], None]


class Scenario(NamedTuple):
    name: str
    api_key: int
    versions: range
    speech: Speech


SCENARIOS: dict[str, Scenario] = {}


def scenario(api_key: int, oldest: int, newest: int) -> Callable[[Speech], Speech]:
    """Register a function as the scenario of an API in these versions."""

    def register(speech: Speech) -> Speech:
        name = speech.__name__
        assert name not in SCENARIOS
        assert api_key in API_NAMES
        SCENARIOS[name] = Scenario(name, api_key, range(oldest, newest + 1), speech)
        return speech

    return register


def load() -> dict[str, Scenario]:
    """All scenarios, by name."""
    for module in pkgutil.iter_modules(__path__):
        importlib.import_module(f"{__name__}.{module.name}")
    return SCENARIOS
