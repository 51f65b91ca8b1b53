"""Fuzz every target in turn: `make fuzz`, or `make fuzz ARGS="batches --seconds 600"`.

What a target has learned stays in .fuzz and is where the next run begins.
"""

from __future__ import annotations

import argparse
import importlib.util
import re
import subprocess
import sys
import tempfile
import time
import traceback
from pathlib import Path
from typing import Final, NamedTuple

from fuzzing.target import Target
from fuzzing.targets import TARGETS

ROOT: Final = Path(__file__).parents[1]
LEARNED: Final = ROOT / ".fuzz"
#: No input may make the process larger than this, or take longer than that.
MEMORY_MB: Final = 1_500
SLOWEST_S: Final = 20
LONGEST_BYTES: Final = 6_000
_COVERED: Final = re.compile(r"cov: (\d+)")
_EXECUTIONS: Final = re.compile(r"stat::number_of_executed_units: +(\d+)")
_PEAK: Final = re.compile(r"stat::peak_rss_mb: +(\d+)")


class Figures(NamedTuple):
    """What one fuzzer did; `found` is the input that broke a promise."""

    executions: int
    covered: int
    peak_mb: int
    found: Path | None
    output: str


def main() -> int:
    parser = argparse.ArgumentParser(prog="make fuzz", description=__doc__)
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=", ".join(TARGETS))
    parser.add_argument("--seconds", type=int, default=60, help="for each target (60)")
    parser.add_argument("--replay", type=Path, metavar="FILE", help="run one input, once")
    options = parser.parse_args()
    unknown = sorted(set(options.targets) - set(TARGETS))
    if unknown:
        parser.error(f"there is no target {unknown[0]}; there are {', '.join(TARGETS)}")
    targets = [TARGETS[name] for name in options.targets or TARGETS]
    if options.replay is not None:
        return replay(targets, options.replay)
    if importlib.util.find_spec("atheris") is None:
        print("atheris is not installed here (it exists for Linux on x86-64)")
        return 1
    print(f"{'target':10} {'executions':>12} {'places':>8} {'peak':>8}   what")
    results = [fuzz(target, options.seconds) for target in targets]
    total = sum(result.executions for result in results)
    found = [result for result in results if result.found is not None]
    print(f"{'together':10} {total:12,}")
    return 1 if found else 0


def fuzz(target: Target, seconds: int) -> Figures:
    """Run one fuzzer for so long, and say what it did."""
    if sys.stdout.isatty():
        print(f"{target.name:10} {seconds} s ...", end="\r", flush=True)
    result = _run_child(target, seconds)
    print(
        f"{target.name:10} {result.executions:12,} {result.covered:8,} {result.peak_mb:5,} MB"
        f"   {target.what}",
        flush=True,
    )
    if result.found is not None:
        print(result.output[-6_000:])
        print(f'replay it with: make fuzz ARGS="{target.name} --replay {result.found}"')
    return result


def _run_child(target: Target, seconds: int) -> Figures:
    learned = LEARNED / target.name
    faults = LEARNED / "found"
    for directory in (learned, faults):
        directory.mkdir(parents=True, exist_ok=True)
    before = set(faults.iterdir())
    with tempfile.TemporaryDirectory(prefix="ottla-fuzz-") as seeds:
        for i, seed in enumerate(target.seeds()):
            Path(seeds, f"{i:05}").write_bytes(seed)
        child = subprocess.run(
            [
                *(sys.executable, "-m", "fuzzing.child", target.name),
                f"-max_total_time={seconds}",
                f"-rss_limit_mb={MEMORY_MB}",
                f"-timeout={SLOWEST_S}",
                f"-max_len={LONGEST_BYTES}",
                f"-artifact_prefix={faults}/{target.name}-",
                "-print_final_stats=1",
                str(learned),
                seeds,
            ],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=False,
        )
    output = child.stdout.decode(errors="replace")
    found = sorted(set(faults.iterdir()) - before)
    if child.returncode and not found:
        raise SystemExit(f"the fuzzer of {target.name} failed:\n{output[-4_000:]}")
    return Figures(
        _last(_EXECUTIONS, output),
        _last(_COVERED, output),
        _last(_PEAK, output),
        found[0] if found else None,
        output,
    )


def _last(pattern: re.Pattern[str], output: str) -> int:
    found = pattern.findall(output)
    return int(found[-1]) if found else 0


def replay(targets: list[Target], path: Path) -> int:
    """Run one input on one target; the exit status says whether it still breaks it."""
    if len(targets) != 1:
        raise SystemExit("name the target whose input this is")
    started = time.process_time()
    try:
        targets[0].run(path.read_bytes())
    except Exception:  # noqa: BLE001 - whatever it is, it is what was asked for
        traceback.print_exc()
        return 1
    print(f"nothing is wrong; it took {time.process_time() - started:.3f} s of processor time")
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        print("stopped; what was learned stays in .fuzz")
        sys.exit(130)
