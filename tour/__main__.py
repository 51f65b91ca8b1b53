"""`python -m tour`: the rows on the embedded broker, and on Apache Kafka if asked."""

from __future__ import annotations

import argparse
import contextlib
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from tour.platform import embedded_platform, platform_around
from tour.run import Results, load_stories, run_rows, table, wanted
from tour.stage import Stage


def main() -> int:
    parser = argparse.ArgumentParser(prog="make tour", description=__doc__)
    parser.add_argument("rows", nargs="*", help="rows or write-ups to run, such as 2.2 or 0")
    parser.add_argument(
        "--apache", action="store_true", help="run the rows for both on Apache Kafka, too"
    )
    parser.add_argument(
        "--servers", metavar="HOST:PORT", help="on this Kafka, instead of the embedded broker"
    )
    args = parser.parse_args()
    load_stories()
    results: Results = {}
    engines = ["cluster" if args.servers else "embedded"]
    if args.apache:
        engines.append("apache")
    start = time.monotonic()
    for engine in engines:
        if not any(row.is_for(engine) for row in wanted(args.rows)):
            continue
        with open_stage(engine, args.servers) as stage:
            run_rows(stage, results, args.rows, say)
    say("\n" + "═" * 78)
    say(table(results, engines, args.rows))
    say(f"The tour took {time.monotonic() - start:.0f} s.")
    return int(any(seen.mark == "failed" for seen in results.values()))


@contextlib.contextmanager
def open_stage(engine: str, servers: str | None) -> Iterator[Stage]:
    with contextlib.ExitStack() as stack:
        scratch = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="ottla-tour-")))
        if engine == "embedded":
            platform = stack.enter_context(embedded_platform(scratch, say))
        elif engine == "apache":
            from ottla.engine import obtain

            kafka = stack.enter_context(obtain("apache", say))
            platform = stack.enter_context(platform_around(kafka.bootstrap_servers, scratch, say))
        else:
            platform = stack.enter_context(platform_around(servers or "", scratch, say))
        yield Stage(
            engine, platform.bootstrap_servers, platform.doors, scratch, say, platform.ready_s
        )


def say(line: str) -> None:
    print(line, flush=True)


if __name__ == "__main__":
    sys.exit(main())
