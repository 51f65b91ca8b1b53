"""The labs, and how one is run: on a broker of its own, or on the Kafka that was named."""

from __future__ import annotations

import contextlib
import importlib
import time
from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from typing import Any, Final

from ottla.labs.bench import Bench, LabError
from ottla.labs.screen import Screen

__all__ = ["LABS", "LabError", "available", "run", "runs_alone"]

LABS: Final = {
    "groups": "who reads what: idle consumers, a second group, the price of a rebalance",
    "delivery": "at most once, at least once, exactly once, with a consumer that is killed",
    "acks": "acks 0, 1 and all: what each costs, and what each risks",
    "replication": "three brokers, three controllers: who may die, what is lost, what stops",
    "keys": "the order of a key, and what adding partitions does to it",
    "log": "segments, the sparse index, bytes as sent, retention, compaction",
    "lag": "a slow consumer through Burrow's eyes: OK, WARN, STALL, STOP, REWIND",
    "transactions": "committed, aborted, still open: who sees what",
    "retry": "a message that fails: back-off, then the dead letters",
    "story": "all programs, a power cut, a move to Apache Kafka under load, a broker killed",
    "share": "a queue: more consumers than partitions (share groups)",
}


def available() -> dict[str, str]:
    """The labs that are there."""
    return {name: text for name, text in LABS.items() if find_spec(f"ottla.labs.{name}")}


def runs_alone(name: str) -> str | None:
    """Why a lab only runs on a broker of its own, if so."""
    return getattr(importlib.import_module(f"ottla.labs.{name}"), "OWN_ONLY", None)


def brings_its_own_kafka(name: str) -> bool:
    """Whether a lab starts what it needs by itself."""
    return hasattr(importlib.import_module(f"ottla.labs.{name}"), "OWN_KAFKA")


def run(
    name: str,
    settings: Mapping[str, Any] | None,
    screen: Screen,
    *,
    is_fast: bool = False,
) -> dict[str, Any]:
    """Run a lab; what it counted and found. Errors: LabError.

    Without settings the lab starts a throw-away broker. A module has `run(bench)`, and may
    have `BROKER`, settings of that broker; `OWN_ONLY`, why it runs on no other; and
    `OWN_KAFKA`, what it starts itself in its stead.
    """
    from confluent_kafka import KafkaException

    module = importlib.import_module(f"ottla.labs.{name}")
    why_own = runs_alone(name)
    if settings is not None and why_own:
        raise LabError(f"The lab {name} only runs on a broker of its own: {why_own}.")
    start = time.monotonic()
    screen.say(screen.paint(f"lab {name}", "bold"))
    screen.say(LABS[name])
    own_kafka = getattr(module, "OWN_KAFKA", None)
    if own_kafka:
        settings = {"bootstrap.servers": ""}
    with _bench(settings, screen, is_fast, getattr(module, "BROKER", {})) as bench:
        screen.say(screen.paint(f"on {own_kafka or _kafka_text(bench)}", "dim"))
        try:
            module.run(bench)
        except KafkaException as error:
            raise LabError(f"{bench.bootstrap_servers} says: {error.args[0].str()}") from None
    verdict = "holds" if bench.holds else "fails"
    seconds = time.monotonic() - start
    good = sum(check.holds for check in bench.checks)
    colour = "green" if bench.holds else "red"
    screen.say("")
    screen.say(
        f"verdict: {screen.paint(verdict, colour)} "
        f"({good} of {len(bench.checks)} checks against the records, {seconds:.1f} s)"
    )
    return {
        "lab": name,
        "bootstrap_servers": bench.bootstrap_servers,
        "is_own_broker": bench.broker is not None,
        "counts": bench.counts,
        "checks": [{"sentence": c.sentence, "holds": c.holds} for c in bench.checks],
        "verdict": verdict,
        "seconds": round(seconds, 2),
    }


@contextlib.contextmanager
def _bench(
    settings: Mapping[str, Any] | None, screen: Screen, is_fast: bool, broker: Mapping[str, str]
) -> Iterator[Bench]:
    if settings is not None:
        yield Bench(dict(settings), screen, is_fast)
        return
    from ottla.embedded import Broker, StartError

    try:
        own = Broker(config=broker).start()
    except StartError as error:
        raise LabError(str(error)) from None
    try:
        yield Bench({"bootstrap.servers": own.bootstrap_servers}, screen, is_fast, own)
    finally:
        screen.settle()
        own.stop()


def _kafka_text(bench: Bench) -> str:
    own = "a throw-away broker of its own, " if bench.broker is not None else ""
    return f"{own}{bench.bootstrap_servers}"
