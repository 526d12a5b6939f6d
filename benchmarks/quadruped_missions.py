"""Missions over random worlds: how many reach the goal within 10 cm untouched, with the Wilson interval.

python benchmarks/quadruped_missions.py [--worlds 20] [--first 100]
"""

import argparse
import time

import numpy as np

from colonnade.quadruped import navigate, random_world, wilson
from colonnade.quadruped.world import KINDS


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--worlds", type=int, default=20)
    parser.add_argument("--first", type=int, default=100)
    options = parser.parse_args()
    good, ratios = 0, []
    for index in range(options.worlds):
        seed, kind = options.first + index, KINDS[index % len(KINDS)]
        world = random_world(np.random.default_rng(seed), kind)
        wall, used = time.perf_counter(), time.process_time()
        metrics = navigate(world).metrics
        wall, used = time.perf_counter() - wall, time.process_time() - used
        good += metrics.success
        ratios.append(metrics.time / used)
        print(
            f"{seed} {kind:12s} {metrics.outcome:8s} success={metrics.success} error={metrics.error:.3f} m "
            f"jumps={metrics.jumps} contacts={metrics.contacts} simulated={metrics.time:.1f} s "
            f"processor={used:.1f} s wall={wall:.1f} s {metrics.cause}",
            flush=True,
        )
    low, high = wilson(good, options.worlds)
    print(f"{good}/{options.worlds} succeeded, 95 % interval {low:.2f}-{high:.2f}; ", end="")
    print(f"median {np.median(ratios):.1f} simulated seconds a processor second")


if __name__ == "__main__":
    main()
