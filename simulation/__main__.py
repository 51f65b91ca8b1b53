"""Run the simulation: `make sim`, or `make sim SEED=7` to replay one seed with every step told."""

from __future__ import annotations

import argparse
import sys
import time
import traceback
from collections import Counter

from simulation.log_world import LogWorld
from simulation.mutants import MUTANTS, catch
from simulation.rot import RotWorld


def main() -> int:
    parser = argparse.ArgumentParser(prog="make sim", description=__doc__)
    parser.add_argument("--seed", type=int, help="replay this one seed, and tell every step")
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--seeds", type=int, default=100, help="how many seeds")
    parser.add_argument("--lives", type=int, default=30, help="starts of the machine in each seed")
    parser.add_argument("--no-mutants", action="store_true", help="do not test the simulation")
    options = parser.parse_args()
    if options.seed is not None:
        return replay(options.seed, options.lives)
    is_sound = run(range(options.first, options.first + options.seeds), options.lives)
    if is_sound and not options.no_mutants:
        is_sound = catch_mutants()
    return 0 if is_sound else 1


def replay(seed: int, lives: int) -> int:
    """Tell every step of one seed, up to the violation if there is one."""
    world = LogWorld(seed)
    failure = None
    try:
        world.run(lives)
    except Exception:  # noqa: BLE001 - whatever a seed brings to light is worth telling
        failure = traceback.format_exc()
    print("\n".join(world.trace))
    print(failure or f"seed {seed}: nothing lost")
    return 1 if failure else 0


def run(seeds: range, lives: int) -> bool:
    """Power cuts on all seeds; True when every promise was kept."""
    total: Counter[str] = Counter()
    started = time.monotonic()
    for seed in seeds:
        world = LogWorld(seed)
        try:
            total += world.run(lives)
        except Exception as failure:  # noqa: BLE001 - any error is a finding, and has its seed
            print(f"seed {seed}, life {world.life}: {type(failure).__name__}: {failure}")
            print(f"replay it with: make sim SEED={seed}")
            return False
    minutes = (time.monotonic() - started) / 60
    cuts = total["power cuts"] + total["power cuts during recovery"]
    for what, count in sorted(total.items()):
        print(f"{count:8} {what}")
    print(f"{cuts} power cuts in {len(seeds)} seeds, {cuts / minutes:.0f} a minute: nothing lost")
    for seed in seeds:
        try:
            RotWorld(seed).run_and_rot()
        except Exception as failure:  # noqa: BLE001 - as above
            print(f"decay, seed {seed}: {type(failure).__name__}: {failure}")
            return False
    print(f"{len(seeds)} decayed disks: nothing spoilt was served")
    return True


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
