"""`make bench`: measure, print a table, write both beside it."""

from __future__ import annotations

import argparse
import json
import os
import platform
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks import measurements
from benchmarks.http_door import rest_produce
from benchmarks.report import markdown
from benchmarks.targets import Target, mock_cluster, ottla_broker

SIZES = (100, 1_000, 10_000)
PARTITIONS = (1, 12, 100)
DURABILITIES = ("fsync", "page-cache")
REST_SIZE, REST_REQUESTS = 100, 6_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--megabytes", type=int, default=400, help="per throughput run")
    parser.add_argument("--directory", type=Path, default=Path(tempfile.gettempdir()))
    parser.add_argument("--output", type=Path, default=Path("benchmarks/results"))
    args = parser.parse_args()
    total = args.megabytes * 1_000_000
    results: dict[str, Any] = {
        "machine": {"system": platform.platform(), "cores": os.cpu_count(),
                    "python": platform.python_version()},
        "targets": {},
    }  # fmt: skip
    for durability in DURABILITIES:
        with ottla_broker(durability, args.directory) as target:
            results["targets"][target.name] = measure(target, total)
    with mock_cluster() as target:
        results["targets"][target.name] = measure(target, total)
    args.output.mkdir(parents=True, exist_ok=True)
    (args.output / "latest.json").write_text(json.dumps(results, indent=1) + "\n")
    table = markdown(results)
    (args.output / "latest.md").write_text(table)
    print(table)


def measure(target: Target, total: int) -> dict[str, Any]:
    """Everything about one target."""
    figures: dict[str, Any] = {
        "ready_s": target.ready_s,
        "idle_mb": target.resident_mb(),
        "runs": [],
    }
    print(f"{target.name}: ready after {target.ready_s:.2f} s", flush=True)
    figures["latency_ms"] = measurements.latency_ms(target)
    topic = measurements.new_topic(target, 1)
    rest = rest_produce(target, topic, REST_SIZE, REST_REQUESTS)
    figures["rest"] = asdict(rest)
    print(f"  REST door, batches of 100: {rest.records_per_s:,.0f} records/s", flush=True)
    for partitions in PARTITIONS:
        for size in SIZES:
            volume = total // 4 if size == 100 else total
            topic, produced = measurements.produce(target, size, volume, partitions)
            consumed = measurements.consume(target, topic, size, partitions)
            figures["runs"].append(
                {
                    "size": size,
                    "partitions": partitions,
                    "produce": asdict(produced),
                    "consume": asdict(consumed),
                }
            )
            print(
                f"  {size} B, {partitions} partitions: in {produced.mb_per_s:.0f} MB/s "
                f"({produced.broker_core_share:.0%} of a core), out {consumed.mb_per_s:.0f} MB/s",
                flush=True,
            )
    figures["busy_mb"] = target.resident_mb()
    return figures


if __name__ == "__main__":
    main()
