"""Run the simulation: `python -m simulation [--seed N] [--seeds COUNT] [--lives N]`."""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter

from simulation.log_model import Violation
from simulation.log_world import LogWorld


def main() -> int:
    parser = argparse.ArgumentParser(prog="make sim", description=__doc__)
    parser.add_argument("--seed", type=int, help="replay this one seed, and tell every step")
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--seeds", type=int, default=60, help="how many seeds")
    parser.add_argument("--lives", type=int, default=30, help="starts of the machine in each seed")
    options = parser.parse_args()
    seeds = range(options.first, options.first + options.seeds)
    if options.seed is not None:
        seeds = range(options.seed, options.seed + 1)
    total: Counter[str] = Counter()
    started = time.monotonic()
    for seed in seeds:
        world = LogWorld(seed)
        try:
            total += world.run(options.lives)
        except Violation as violation:
            if options.seed is not None:
                print("\n".join(world.trace))
            print(f"seed {seed}, life {world.life}: {violation}")
            print(f"replay it with: make sim SEED={seed}")
            return 1
    minutes = (time.monotonic() - started) / 60
    cuts = total["power cut"] + total["power cuts during recovery"]
    for what, count in sorted(total.items()):
        print(f"{count:8} {what}")
    print(f"{cuts} power cuts, {cuts / minutes:.0f} a minute, nothing lost")
    return 0


if __name__ == "__main__":
    sys.exit(main())
