"""The real storage and the real broker through simulated power cuts, on fixed seeds.

`make sim` runs more of them, and replays one that failed.
"""

from __future__ import annotations

import pytest
from simulation.log_world import LogWorld
from simulation.mutants import MUTANTS, Mutant, catch
from simulation.rot import RotWorld
from simulation.world import PageCacheWorld, World


@pytest.mark.parametrize("seed", range(40))
def test_logs_keep_their_promises(seed: int) -> None:
    world = LogWorld(seed)
    try:
        world.run(lives=15)
    except Exception as failure:
        pytest.fail(f"{failure!r}\nreplay it with: make sim SEED={seed}")


@pytest.mark.parametrize("seed", range(12))
def test_the_broker_keeps_its_promises(seed: int) -> None:
    world = World(seed)
    try:
        world.run(lives=10)
    except Exception as failure:
        pytest.fail(f'{failure!r}\nreplay it with: make sim SEED={seed} ARGS="--broker"')


@pytest.mark.parametrize("seed", range(6))
def test_the_page_cache_is_enough_while_the_machine_lives(seed: int) -> None:
    PageCacheWorld(seed).run(lives=8)


#: A full disk kept an assignment from being written, and members were given it all the same.
FOUND = (1, 28)


@pytest.mark.parametrize("seed", FOUND)
def test_what_was_found_stays_mended(seed: int) -> None:
    PageCacheWorld(seed).run(lives=12)


@pytest.mark.parametrize("first", range(0, 100, 25))
def test_decayed_bytes_are_not_served(first: int) -> None:
    for seed in range(first, first + 25):
        RotWorld(seed).run_and_rot()


@pytest.mark.parametrize("mutant", MUTANTS, ids=[mutant.name for mutant in MUTANTS])
def test_each_safety_step_is_missed_when_it_is_gone(mutant: Mutant) -> None:
    assert catch(mutant) is not None


def test_every_safety_step_has_a_mutant() -> None:
    from ottla.storage import safety

    own = {
        name
        for name, value in vars(safety).items()
        if getattr(value, "__module__", "") == safety.__name__
    }
    assert own == {mutant.step for mutant in MUTANTS if mutant.owner is safety}


def test_a_seed_decides_everything() -> None:
    def trace() -> list[str]:
        world = World(3)
        world.run(lives=4)
        return list(world.trace)

    assert trace() == trace()
