"""Results as a table, with ratios to the mock cluster measured in the same run."""

from __future__ import annotations

from typing import Any, Final

MOCK: Final = "librdkafka mock"


def markdown(results: dict[str, Any]) -> str:
    """The whole report."""
    targets: dict[str, Any] = results["targets"]
    machine = results["machine"]
    lines = [
        "# Benchmark",
        "",
        f"{machine['system']}, {machine['cores']} cores, Python {machine['python']}. Clients and",
        "broker share the machine; one librdkafka producer, acks=all, no compression; one Python",
        "consumer. The mock is C, in memory, without checksums or a disk, and keeps 5 MB a",
        "partition: an upper bound, not an equal. Read the ratios.",
        "",
        "| | " + " | ".join(targets) + " |",
        "|---|" + "---|" * len(targets),
    ]
    for title, show in (
        ("start to ready, s", lambda t: f"{t['ready_s']:.2f}"),
        ("memory when idle, MB", lambda t: f"{t['idle_mb']:.0f}"),
        ("memory after the runs, MB", lambda t: f"{t['busy_mb']:.0f}"),
        (
            "produce to consume, ms (p50 / p99)",
            lambda t: "{:.2f} / {:.2f}".format(*t["latency_ms"]),
        ),
        ("REST door, batches of 100, records/s (core)", _rest),
    ):
        lines.append(f"| {title} | " + " | ".join(show(t) for t in targets.values()) + " |")
    lines += ["", "## Produce", "", *_throughput(targets, "produce")]
    # The mock keeps too little to be read for long enough.
    ours = {name: target for name, target in targets.items() if name != MOCK}
    lines += ["", "## Consume", "", *_throughput(ours, "consume")]
    return "\n".join(lines) + "\n"


def _rest(target: dict[str, Any]) -> str:
    rest = target["rest"]
    return f"{rest['records_per_s']:,.0f} ({rest['gateway_core_share']:.0%})"


def _throughput(targets: dict[str, Any], kind: str) -> list[str]:
    compared = [name for name in targets if name != MOCK and MOCK in targets]
    head = "| message | partitions |" + "".join(f" {name}, MB/s (core) |" for name in targets)
    head += "".join(f" {name} / mock |" for name in compared)
    lines = [head, "|---|---|" + "---|" * (len(targets) + len(compared))]
    for i, run in enumerate(next(iter(targets.values()))["runs"]):
        cells = [f"{run['size']} B", str(run["partitions"])]
        for target in targets.values():
            rate = target["runs"][i][kind]
            cells.append(f"{rate['mb_per_s']:.0f} ({rate['broker_core_share']:.0%})")
        cells += [_ratio(targets[name], targets[MOCK], i, kind) for name in compared]
        lines.append("| " + " | ".join(cells) + " |")
    return lines


def _ratio(target: dict[str, Any], bound: dict[str, Any], i: int, kind: str) -> str:
    return f"{target['runs'][i][kind]['mb_per_s'] / bound['runs'][i][kind]['mb_per_s']:.2f}"
