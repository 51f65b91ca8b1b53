"""Run the simulation: `make sim`, or `make sim SEED=7` to replay one seed with every step told."""

from __future__ import annotations

import argparse
import sys
import time
import traceback
from collections import Counter
from collections.abc import Callable

from simulation.log_world import LogWorld
from simulation.mutants import MUTANTS, catch
from simulation.rot import RotWorld
from simulation.world import PageCacheWorld, World


def main() -> int:
    parser = argparse.ArgumentParser(prog="make sim", description=__doc__)
    parser.add_argument("--seed", type=int, help="replay this one seed, and tell every step")
    parser.add_argument("--broker", action="store_true", help="replay the whole broker's world")
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--seeds", type=int, default=100, help="how many seeds")
    parser.add_argument("--lives", type=int, help="starts of the machine in each seed")
    parser.add_argument("--no-mutants", action="store_true", help="do not test the simulation")
    options = parser.parse_args()
    if options.seed is not None:
        world = World(options.seed) if options.broker else LogWorld(options.seed)
        return replay(world, options.lives or (12 if options.broker else 30))
    seeds = range(options.first, options.first + options.seeds)
    started = time.monotonic()
    cuts = run("storage", LogWorld, seeds, options.lives or 30, "")
    # The whole broker takes longer, and each of its lives has more in it.
    fewer = range(options.first, options.first + max(1, options.seeds // 3))
    cuts += run("broker", World, fewer, options.lives or 12, ' ARGS="--broker"')
    run("broker, page cache", PageCacheWorld, fewer, options.lives or 12, "")
    minutes = (time.monotonic() - started) / 60
    decay(seeds)
    print(f"{cuts} power cuts, {cuts / minutes:.0f} a minute: nothing lost")
    return 0 if options.no_mutants or catch_mutants() else 1


def replay(world: LogWorld | World, lives: int) -> int:
    """Tell every step of one seed, up to the violation if there is one."""
    failure = None
    try:
        world.run(lives)
    except Exception:  # noqa: BLE001 - whatever a seed brings to light is worth telling
        failure = traceback.format_exc()
    print("\n".join(world.trace))
    print(failure or "nothing lost")
    return 1 if failure else 0


def run(
    name: str, make: Callable[[int], LogWorld | World], seeds: range, lives: int, how: str
) -> int:
    """Power cuts on all seeds, and their number; ends the program at a broken promise."""
    total: Counter[str] = Counter()
    for seed in seeds:
        world = make(seed)
        try:
            total += world.run(lives)
        except Exception as failure:  # noqa: BLE001 - any error is a finding, and has its seed
            print(f"{name}, seed {seed}, life {world.life}: {type(failure).__name__}: {failure}")
            print(f"replay it with: make sim SEED={seed}{how}")
            sys.exit(1)
    print(f"{name}, {len(seeds)} seeds:")
    for what, count in sorted(total.items()):
        print(f"{count:8} {what}")
    return total["power cuts"] + total["power cuts during recovery"]


def decay(seeds: range) -> None:
    """Ends the program when spoilt bytes are served."""
    for seed in seeds:
        try:
            RotWorld(seed).run_and_rot()
        except Exception as failure:  # noqa: BLE001 - as above
            print(f"decay, seed {seed}: {type(failure).__name__}: {failure}")
            sys.exit(1)
    print(f"{len(seeds)} decayed disks: nothing spoilt was served")


def catch_mutants() -> bool:
    """Every safety step left out in turn; True when that was always noticed."""
    missed = 0
    for mutant in MUTANTS:
        how = catch(mutant)
        missed += how is None
        print(f"{'caught' if how else 'MISSED'}  {mutant.name}: {(how or '')[:110]}")
    print(f"{len(MUTANTS) - missed} of {len(MUTANTS)} mutants caught")
    return not missed


if __name__ == "__main__":
    sys.exit(main())
