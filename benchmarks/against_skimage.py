"""A* with jump edges against scikit-image's geometric minimum-cost path: equal cost, time ratio.

python benchmarks/against_skimage.py
"""

import time
from collections.abc import Callable

import numpy as np
from skimage.graph import route_through_array

from colonnade.quadruped.plan import plan_path, travel_cost

REPEATS = 3


def obstacles(size: int, rng: np.random.Generator) -> np.ndarray:
    """A cost map as missions make it: 3 % of the cells in blocks, inflated, dearer near obstacles."""
    blocked = np.zeros((size, size), bool)
    for _ in range(size * size // 3000):
        row, column = rng.integers(0, size, 2)
        blocked[row : row + 10, column : column + 10] = True
    blocked[:60, :60] = blocked[-60:, -60:] = False
    cost, _ = travel_cost(blocked, 0.04)
    return cost


def theirs(cost: np.ndarray, start: tuple[int, int], goal: tuple[int, int]) -> float:
    """The cost of scikit-image's path."""
    return float(route_through_array(cost, start, goal, geometric=True)[1])


def ours(cost: np.ndarray, start: tuple[int, int], goal: tuple[int, int]) -> float:
    """The cost of this package's path."""
    return plan_path(cost, start, goal).cost


def best(call: Callable[..., float], cost: np.ndarray) -> tuple[float, float]:
    """Least processor time of some calls from corner to corner, s, and the cost found."""
    goal = (len(cost) - 6, len(cost) - 6)
    times, found = [], 0.0
    for _ in range(REPEATS):
        began = time.process_time()
        found = call(cost, (5, 5), goal)
        times.append(time.process_time() - began)
    return min(times), found


def main() -> None:
    rng = np.random.default_rng(0)
    plan_path(np.ones((4, 4)), (0, 0), (3, 3))  # compiles
    print("grid       map        scikit-image   here      ratio   equal cost")
    for size in (200, 400, 1000):
        for name, cost in (("obstacles", obstacles(size, rng)), ("random 1-4", rng.uniform(1, 4, (size, size)))):
            slow, expected = best(theirs, np.where(np.isfinite(cost), cost, -1))
            fast, found = best(ours, cost)
            equal = abs(found - expected) < 1e-9 * expected
            print(
                f"{size:4d}²  {name:11s} {1e3 * slow:9.1f} ms {1e3 * fast:9.1f} ms  x {slow / fast:5.1f}   {equal}",
                flush=True,
            )


if __name__ == "__main__":
    main()
