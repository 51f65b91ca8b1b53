"""`make bench`: Ottla beside Apache Kafka and librdkafka's mock, on this machine, in turn.

The quick profile takes about two minutes. `make bench ARGS=--full` measures
every row in several rounds (about a quarter of an hour), and writes its tables
and pictures into docs/performance.md.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import tempfile
from pathlib import Path

from benchmarks import plan, plots, report
from benchmarks.runner import Runner
from benchmarks.security import Certificates, make_certificates
from ottla.engine.distribution import Distribution, find
from ottla.engine.errors import EngineError

PAGE = Path("docs/performance.md")
PICTURES = Path("docs/pictures")


def main() -> int:
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--full", action="store_true", help="every row, several rounds")
    parser.add_argument("--rounds", type=int, metavar="N", help="default: 1, with --full 3")
    parser.add_argument("--rows", default="", metavar="BEGIN,…", help="only rows that begin so")
    parser.add_argument("--list", action="store_true", help="name the rows and measure nothing")
    parser.add_argument("--no-apache", action="store_true", help="leave Apache Kafka out")
    parser.add_argument("--directory", type=Path, default=Path(tempfile.gettempdir()))
    parser.add_argument("--output", type=Path, default=Path("benchmarks/results"))
    args = parser.parse_args()
    if sys.platform != "linux":
        print("make bench reads CPU times and memory as Linux tells them; run it there.")
        return 1
    notes: list[str] = []
    distribution = None if args.no_apache else _apache(notes)
    with tempfile.TemporaryDirectory(dir=args.directory, prefix="ottla-bench-") as name:
        directory = Path(name)
        certificates = _certificates(directory, notes)
        rounds = args.rounds or (3 if args.full else 1)
        with plan.systems(
            directory, distribution, certificates, is_full=args.full, rounds=rounds, tell=_tell
        ) as bench:
            begins = tuple(args.rows.split(","))
            rows = [row for row in plan.rows(bench) if row.key.startswith(begins)]
            if args.list:
                print("\n".join(f"{row.key:<26}{row.title}" for row in rows))
                return 0
            runner = Runner(args.output, "full" if args.full else "quick", notes)
            results = runner.run(rows)
            results["memory_after"] = plan.memory_after(bench)
            runner.save()
    text = report.markdown(results)
    (args.output / f"{runner.profile}.md").write_text(text)
    print(text)
    if args.full and not args.rows:
        pictures = plots.write(results, PICTURES)
        report.write_into(PAGE, pictures + text)
        print(f"written into {PAGE}, with pictures in {PICTURES}")
    failures = [
        f"{key}: {row['failures']}" for key, row in results["rows"].items() if row["failures"]
    ]
    print(f"{runner.path} has every figure; {len(failures)} rows with failures")
    print("\n".join(failures))
    return bool(failures)


def _tell(text: str) -> None:
    print(text, flush=True)


def _apache(notes: list[str]) -> Distribution | None:
    """Apache Kafka, or a note in one sentence why it was not run."""
    try:
        return find(_tell)
    except EngineError as error:
        notes.append(f"Apache Kafka was not run: {error}.")
        _tell(notes[-1])
        return None


def _certificates(directory: Path, notes: list[str]) -> Certificates | None:
    try:
        return make_certificates(directory / "certificates")
    except ImportError:
        notes.append("Nothing was measured with TLS: ottla[secure] is not installed.")
        _tell(notes[-1])
        return None


def _stop(signal_number: int, _: object) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    os.environ.setdefault("PYTHONUNBUFFERED", "1")
    signal.signal(signal.SIGTERM, _stop)  # so that brokers and data go, as with Ctrl-C
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        print("\nStopped; what was measured until now is in benchmarks/results.")
        sys.exit(130)
