"""A message that fails: retried after a growing while, and in the end set aside.

A consumer that tried a bad message again and again would hold up all others;
one that skipped it would lose it. So it goes to a retry topic with the time it
is due, and after the last try to a dead-letter topic, with its history. The
consumer at work here is that of `ottla demo services`.
"""

from __future__ import annotations

import itertools
import json
import logging
import threading
import time
from collections import defaultdict
from typing import Any, Final

from ottla.demos.services.events import Headers, header_dict
from ottla.demos.services.retrying import (
    ERROR,
    HISTORY,
    HandlingError,
    RetryingConsumer,
    RetryPolicy,
    dead_letter_topic,
)
from ottla.labs.bench import ANSWER_TIMEOUT_S, Bench
from ottla.labs.screen import bar

PARTITIONS: Final = 2
#: Fails twice, then works.
SHAKY: Final = "shaky"
#: Never works.
HOPELESS: Final = "hopeless"


class Handler:
    """Handles orders; notes every try and when it was."""

    def __init__(self) -> None:
        self.tries: dict[str, list[float]] = defaultdict(list)
        self.done: dict[str, float] = {}
        self._lock = threading.Lock()

    def __call__(self, event: dict[str, Any], headers: Headers) -> None:
        name = str(event["name"])
        with self._lock:
            moments = self.tries[name]
            moments.append(time.monotonic())
            if name.startswith(HOPELESS):
                raise HandlingError("the warehouse knows no such thing")
            if name.startswith(SHAKY) and len(moments) < 3:
                raise HandlingError("the warehouse does not answer")
            assert name not in self.done, "handled twice"
            self.done[name] = moments[-1]


def run(bench: Bench) -> None:
    screen = bench.screen
    logging.getLogger("ottla.demos.services").setLevel(logging.WARNING)
    policy = RetryPolicy(tries=5, base_s=bench.scaled(50, 400) / 1_000, factor=2.0)
    count = bench.scaled(40, 400)
    topic, group = bench.unique("orders"), bench.unique("warehouse")
    delays = [policy.delay_ms(n) for n in range(1, policy.tries)]
    screen.heading(f"{policy.tries} tries, after {', '.join(map(str, delays))} ms")
    handler = Handler()
    consumer = RetryingConsumer(bench.client(), topic, group, handler, policy)
    consumer.prepare(PARTITIONS)
    special = {count // 4: f"{SHAKY} order", count // 2: f"{HOPELESS} order"}
    names = [special.get(number, f"order {number}") for number in range(count)]
    bench.produce(topic, [(name, json.dumps({"name": name})) for name in names])
    consumer.start()

    def picture() -> list[str]:
        lines = [f"  handled {screen.paint(bar(consumer.handled, count, 40), 'green')}"]
        lines[0] += f" {consumer.handled}"
        for name, style in ((f"{SHAKY} order", "yellow"), (f"{HOPELESS} order", "red")):
            tries = len(handler.tries[name])
            end = " done" if name in handler.done else " dead letter" * bool(consumer.dead)
            fate = end if tries >= 3 else ""
            lines.append(f"  {name:<15} {screen.paint('● ' * tries, style)}{fate}")
        return lines

    try:
        bench.wait(
            lambda: consumer.handled + consumer.dead >= count, "not all is done", picture=picture
        )
    finally:
        consumer.stop()
    _judge(bench, names, handler, policy, dead_letter_topic(topic, group))


def _judge(
    bench: Bench, names: list[str], handler: Handler, policy: RetryPolicy, dead_letters: str
) -> None:
    shaky, hopeless = handler.tries[f"{SHAKY} order"], handler.tries[f"{HOPELESS} order"]
    overtaken = sum(moment < shaky[-1] for moment in handler.done.values())
    letters = bench.read(dead_letters)
    headers = _first_headers(bench, dead_letters)
    history = json.loads(headers.get(HISTORY, "[]"))
    bench.count(
        records=len(names),
        handled=len(handler.done),
        tries_of_shaky=len(shaky),
        tries_of_hopeless=len(hopeless),
        dead_letters=len(letters),
    )
    bench.check(
        "everything but the hopeless order was handled, once",
        sorted(handler.done) == sorted(n for n in names if not n.startswith(HOPELESS)),
    )
    bench.check("the shaky order worked at its third try", len(shaky) == 3)
    bench.check(
        f"{overtaken} others were handled while it waited: it blocked nobody",
        overtaken >= len(names) - 2,
    )
    waits = [round((b - a) * 1000) for a, b in itertools.pairwise(hopeless)]
    bench.check(
        f"the hopeless one waited {', '.join(map(str, waits))} ms between its tries",
        len(waits) == policy.tries - 1
        and all(wait >= policy.delay_ms(n) for n, wait in enumerate(waits, 1)),
    )
    bench.check(
        f"it lies in the dead letters with its {len(history)} failures, and alone",
        len(letters) == 1 and len(history) == policy.tries and ERROR in headers,
    )


def _first_headers(bench: Bench, topic: str) -> Headers:
    from confluent_kafka import Consumer

    consumer = Consumer(
        bench.client(
            group_id=bench.unique("letters"), auto_offset_reset="earliest", enable_auto_commit=False
        )
    )
    consumer.subscribe([topic])
    message = consumer.poll(ANSWER_TIMEOUT_S)
    consumer.close()
    return header_dict(message.headers()) if message is not None else {}
