"""`ottla demo fraud [producer|consumer|veritas]`: its flags, and what it prints."""

from __future__ import annotations

import argparse
import threading
import time
from random import Random, SystemRandom
from typing import TYPE_CHECKING

from ottla.demos.kafka_clients import DemoError, Settings, Stop

if TYPE_CHECKING:
    from ottla.demos.fraud.producer import Sent
    from ottla.demos.fraud.veritas import Veritas

SHOWN_SIZE = 20  # up to here the producer shows each account
TALLY_INTERVAL_S = 5.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "part", nargs="?", choices=("both", "producer", "consumer", "veritas"), default="both",
        help="one part of it, for a terminal of its own; without it producer and consumer "
        "together, until every account is decided",
    )  # fmt: skip
    parser.add_argument("--topic", default="bankaccount", help="(default: %(default)s)")
    parser.add_argument("--seed", type=int, help="the same seed makes the same accounts or answers")
    producer = parser.add_argument_group("producer")
    producer.add_argument(
        "--size", type=int, default=10, metavar="N", help="accounts to send (default: %(default)s)"
    )
    producer.add_argument("--rate", type=float, default=0.0, metavar="N", help="accounts a second")
    consumer = parser.add_argument_group("consumer")
    consumer.add_argument("--group", default="fraud-detection", help="(default: %(default)s)")
    consumer.add_argument(
        "--from-beginning", action="store_true", help="start a new group at the oldest account"
    )
    consumer.add_argument("--limit", type=int, metavar="N", help="end after N accounts")
    consumer.add_argument("--quiet", action="store_true", help="show the tally, not each account")
    consumer.add_argument(
        "--veritas", metavar="URL", help="ask this service (default: chance, without a service)"
    )
    consumer.add_argument(
        "--timeout", type=float, default=2.0, metavar="SECONDS", help="for an answer of Veritas"
    )
    service = parser.add_argument_group("veritas")
    service.add_argument("--port", type=int, default=5050, help="(default: %(default)s)")
    service.add_argument("--host", default="127.0.0.1", help="(default: %(default)s)")
    service.add_argument(
        "--authorized", type=float, default=0.5, metavar="SHARE", help="(default: %(default)s)"
    )
    service.add_argument(
        "--latency", type=float, default=0.05, metavar="SECONDS", help="(default: %(default)s)"
    )
    service.add_argument(
        "--failure-rate", type=float, default=0.0, metavar="SHARE", help="(default: %(default)s)"
    )


def run(args: argparse.Namespace, settings: Settings) -> int:
    """Errors: DemoError."""
    seed = args.seed if args.seed is not None else SystemRandom().getrandbits(63)
    if args.part == "veritas":
        return _run_veritas(args, seed)
    with Stop() as stop:
        if args.part == "producer":
            return _run_producer(args, settings, seed, stop)
        if args.part == "consumer":
            return _run_consumer(args, settings, seed, stop, args.limit)
        return _run_both(args, settings, seed, stop)


def _say(line: str) -> None:
    print(line, flush=True)


def _run_producer(args: argparse.Namespace, settings: Settings, seed: int, stop: Stop) -> int:
    from ottla.demos.fraud.producer import send_accounts

    show = _say if args.size <= SHOWN_SIZE else None
    start = time.monotonic()
    sent = send_accounts(settings, args.topic, args.size, Random(seed), stop, show, args.rate)
    return _tell_sent(sent, args.topic, time.monotonic() - start)


def _tell_sent(sent: Sent, topic: str, elapsed_s: float) -> int:
    lost = sent.failed + sent.pending
    _say(
        f"{sent.sent:,} bank accounts sent to {topic} in {elapsed_s:.1f} s "
        f"({sent.sent / elapsed_s:,.0f}/s): {sent.acknowledged:,} acknowledged, {lost:,} lost."
    )
    if lost:
        _say(f"Last error: {sent.last_error}")
    return int(lost > 0)


def _run_consumer(
    args: argparse.Namespace,
    settings: Settings,
    seed: int,
    stop: Stop,
    limit: int | None,
    ready: threading.Event | None = None,
) -> int:
    from ottla.demos.fraud.detector import Detector

    veritas = _veritas(args, seed, stop)
    detector = Detector(
        settings, args.topic, veritas, _say,
        group=args.group, is_quiet=args.quiet, from_start=args.from_beginning,
    )  # fmt: skip

    def on_ready() -> None:
        _say("Consumer started")
        if ready is not None:
            ready.set()

    done = threading.Event()
    teller = threading.Thread(target=_tell_tally, args=(detector, done), daemon=True)
    teller.start()
    try:
        tally = detector.run(stop, limit, on_ready)
    finally:
        done.set()
        teller.join()
        veritas.close()
    if stop.is_set():
        _say("Interrupt is detected")
    _say(f"Processed all messages: {tally}.")
    return 0


def _tell_tally(detector: object, done: threading.Event) -> None:
    from ottla.demos.fraud.detector import Detector

    assert isinstance(detector, Detector)
    told = 0
    while not done.wait(TALLY_INTERVAL_S):
        if detector.tally.received != told:
            told = detector.tally.received
            _say(f"So far {detector.tally}.")


def _run_both(args: argparse.Namespace, settings: Settings, seed: int, stop: Stop) -> int:
    """The consumer first, as in the write-up; then the producer; until all are decided."""
    ready = threading.Event()
    failures: list[DemoError] = []

    def consume() -> None:
        try:
            _run_consumer(args, settings, seed, stop, args.size, ready)
        except DemoError as error:
            failures.append(error)
            stop.set()

    consumer = threading.Thread(target=consume, name="fraud consumer")
    consumer.start()
    while not stop.is_set() and not ready.wait(0.1):
        pass
    status = 0 if stop.is_set() else _run_producer(args, settings, seed, stop)
    while consumer.is_alive() and not stop.wait(0.1):
        pass
    consumer.join()
    if failures:
        raise failures[0]
    return status


def _veritas(args: argparse.Namespace, seed: int, stop: Stop) -> Veritas:
    from ottla.demos.fraud.veritas import ChanceVeritas, HttpVeritas

    if not args.veritas:
        return ChanceVeritas(seed, args.authorized)
    try:
        return HttpVeritas(args.veritas, timeout_s=args.timeout, wait=stop.wait)
    except ValueError as error:
        raise DemoError(f"Veritas cannot be asked: {error}.") from None


def _run_veritas(args: argparse.Namespace, seed: int) -> int:
    from ottla.demos.fraud.veritas_service import Character, serve

    character = Character(seed, args.authorized, args.latency, args.failure_rate)
    if not serve(character, args.host, args.port, lambda url: _say(f"Veritas answers at {url}")):
        raise DemoError(f"Veritas cannot listen on {args.host}:{args.port}; try another --port.")
    return 0
