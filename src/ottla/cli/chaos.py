"""`ottla chaos`: a proxy in front of a broker that makes the network bad."""

from __future__ import annotations

import argparse
import contextlib
import sys
import threading
from collections.abc import Iterator

from ottla.cli.connection_options import checked_servers
from ottla.cli.errors import CommandError
from ottla.labs.chaos_proxy import ChaosProxy, Faults, broker_behind

DESCRIPTION = """\
Put a bad network in front of a broker: slow, uneven, cut, or silent.

  ottla chaos --latency-ms 200 --jitter-ms 50       with a throw-away broker behind
  ottla chaos --to localhost:9092 --cut-every 5     in front of yours

The proxy rewrites nothing. A Kafka client asks the address it was given for
the brokers' advertised addresses, and then goes there: through the proxy only
if the broker advertises the proxy. The throw-away broker does. Yours does with

  ottla up --port 9092 --set advertised.listeners=PLAINTEXT://localhost:19092
  ottla chaos --to localhost:9092 --port 19092 --latency-ms 200

and a second listener keeps a way around the proxy for everybody else:

  listeners=PLAINTEXT://localhost:9092,CHAOS://localhost:9093
  advertised.listeners=PLAINTEXT://localhost:9092,CHAOS://localhost:19092
  listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CHAOS:PLAINTEXT

  ottla chaos --to localhost:9093 --port 19092 --latency-ms 200

While it runs it takes lines: cut, freeze, thaw, clear, and a fault with its
number, such as `latency 500`, `jitter 100`, `bandwidth 20000`, `drop 0.01`.
"""
DEFAULT_PORT = 19092
#: Word of a line -> name of the fault.
WORDS = {
    "latency": "latency_ms",
    "jitter": "jitter_ms",
    "bandwidth": "bandwidth",
    "cut": "cut",
    "drop": "drop",
    "cut-every": "cut_every_s",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--to", metavar="HOST:PORT", help="the broker (default: a throw-away broker of its own)"
    )
    parser.add_argument("--host", default="127.0.0.1", help="where to listen (%(default)s)")
    parser.add_argument(
        "--port", type=int, default=DEFAULT_PORT, help="0 takes a free one (%(default)s)"
    )
    faults = parser.add_argument_group("faults")
    for name, metavar, told in (
        ("--latency-ms", "MS", "each way, on everything"),
        ("--jitter-ms", "MS", "at random, on top of it"),
        ("--bandwidth", "BYTES", "a second, each way of each connection"),
        ("--cut-every", "SECONDS", "reset all connections so often"),
    ):
        faults.add_argument(name, type=_not_negative, default=0.0, metavar=metavar, help=told)
    faults.add_argument(
        "--cut", type=_probability, default=0.0, metavar="P",
        help="probability, for each piece that passes, that the connection is reset",
    )  # fmt: skip
    faults.add_argument(
        "--drop", type=_probability, default=0.0, metavar="P",
        help="as --cut, but the connection stays open and nothing passes any more",
    )  # fmt: skip
    faults.add_argument("--seed", type=int, help="draw the same chances again")


def run(args: argparse.Namespace) -> int:
    """Runs until Ctrl-C. Errors: CommandError."""
    faults = Faults(
        args.latency_ms, args.jitter_ms, args.bandwidth, args.cut, args.drop, args.cut_every
    )
    proxy = ChaosProxy(faults=faults, host=args.host, port=args.port, seed=args.seed)
    try:
        with proxy, _broker_behind(proxy, args.to) as behind:
            print(f"Chaos   {proxy.address}  in front of {behind}")
            print(f"Faults  {proxy.faults}")
            print("Ctrl-C stops it.", flush=True)
            _serve(proxy)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise CommandError(
            f"ottla chaos: cannot listen on {args.host}:{args.port}: {reason}; "
            "choose another with --port."
        ) from None
    return 0


@contextlib.contextmanager
def _broker_behind(proxy: ChaosProxy, address: str | None) -> Iterator[str]:
    """The given broker, or a throw-away one that advertises the proxy."""
    if address is not None:
        host, _, port = checked_servers(address).split(",")[0].rpartition(":")
        proxy.target = (host.strip("[]"), int(port))
        yield address
        return
    from ottla.embedded import StartError

    try:
        with broker_behind(proxy):
            assert proxy.target is not None
            yield f"a throw-away broker at {proxy.target[0]}:{proxy.target[1]}"
    except StartError as error:
        raise CommandError(f"ottla chaos: {error}") from None


def _serve(proxy: ChaosProxy) -> None:
    """Take lines and report, until SIGINT or SIGTERM."""
    from ottla.demos.kafka_clients import Stop

    with Stop() as stop:
        threading.Thread(target=_take_lines, args=(proxy,), daemon=True).start()
        while not stop.wait(0.5):
            pass
    seen = proxy.seen
    print(
        f"{seen.connections} connections, {seen.bytes_in:,} bytes from clients, "
        f"{seen.bytes_out:,} to them, {seen.cuts} cut, {seen.dropped} dropped, "
        f"{seen.unreachable} times no broker.",
        flush=True,
    )


def _take_lines(proxy: ChaosProxy) -> None:
    for line in sys.stdin:
        if line.strip():
            print(obey(proxy, line), flush=True)


def obey(proxy: ChaosProxy, line: str) -> str:
    """Do what a line says; returns what there is to say about it."""
    word, _, number = line.strip().partition(" ")
    if word == "cut" and not number:
        return f"{proxy.cut()} connections cut"
    if word in ("freeze", "thaw") and not number:
        getattr(proxy, word)()
        return "nothing passes until `thaw`" if word == "freeze" else "everything passes"
    if word == "clear" and not number:
        proxy.faults = Faults()
    elif word in WORDS:
        try:
            setattr(proxy.faults, WORDS[word], _not_negative(number))
        except ValueError:
            return f"{number!r} is no number"
    else:
        return f"{word!r} is not known; lines are: cut, freeze, thaw, clear, {', '.join(WORDS)}"
    return f"faults: {proxy.faults}"


def _not_negative(text: str) -> float:
    number = float(text)
    if not 0 <= number < float("inf"):
        raise ValueError(text)
    return number


def _probability(text: str) -> float:
    number = float(text)
    if not 0 <= number <= 1:
        raise ValueError(text)
    return number
