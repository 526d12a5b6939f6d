"""Searches that train (or look up) one cell after another: what a prediction is compared with.

Each gives the cells in the order in which they were tried; the best so far by the signal is what one would take.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

import numpy as np

from colonnade.nas import cells
from colonnade.nas.errors import NasError

Signal = Callable[[int], float]


def random_search(signal: Signal, evaluations: int, rng: np.random.Generator) -> list[int]:
    """Cells drawn alike, without repeats while there are others."""
    return [int(c) for c in rng.permutation(cells.COUNT)[:evaluations]]


def regularised_evolution(
    signal: Signal, evaluations: int, rng: np.random.Generator, population: int = 10, tournament: int = 3
) -> list[int]:
    """The best of a few random members gets a child with one other operation; the oldest dies (arXiv:1802.01548)."""
    alive: deque[tuple[float, int]] = deque()
    tried: list[int] = []
    while len(tried) < evaluations:
        if len(alive) < population:
            cell = int(rng.integers(cells.COUNT))
        else:
            places = rng.choice(len(alive), tournament, replace=False)
            cell = mutated(max(alive[int(i)] for i in places)[1], rng)
        alive.append((signal(cell), cell))
        tried.append(cell)
        if len(alive) > population:
            alive.popleft()
    return tried


def local_search(signal: Signal, evaluations: int, rng: np.random.Generator) -> list[int]:
    """From a random cell to its best neighbour until none is better, then from another (arXiv:2005.02960)."""
    tried: list[int] = []
    seen: dict[int, float] = {}

    def look(cell: int) -> float:
        if cell not in seen:
            seen[cell] = signal(cell)
            tried.append(cell)
        return seen[cell]

    while len(tried) < evaluations:
        here = int(rng.integers(cells.COUNT))
        value = look(here)
        while len(tried) < evaluations:
            near = neighbours(here)
            rng.shuffle(near)
            values = []
            for cell in near:
                if len(tried) >= evaluations:
                    break
                values.append((look(cell), cell))
            best = max(values, default=(value, here))
            if best[0] <= value:
                break
            value, here = best
    return tried[:evaluations]


def mutated(cell: int, rng: np.random.Generator) -> int:
    """A cell with one operation changed."""
    found = list(cells.from_index(cell))
    edge = int(rng.integers(len(found)))
    found[edge] = (found[edge] + 1 + int(rng.integers(len(cells.OPERATIONS) - 1))) % len(cells.OPERATIONS)
    return cells.to_index(found)


def neighbours(cell: int) -> list[int]:
    """The 24 cells that differ in one operation."""
    found = list(cells.from_index(cell))
    near = []
    for edge in range(len(found)):
        for other in range(len(cells.OPERATIONS)):
            if other != found[edge]:
                near.append(cells.to_index([*found[:edge], other, *found[edge + 1 :]]))
    return near


METHODS = {"random": random_search, "evolution": regularised_evolution, "local": local_search}


def anytime(
    method: str, signal: np.ndarray, truth: np.ndarray, evaluations: int, repeats: int, rng: np.random.Generator
) -> np.ndarray:
    """True value of the cell that leads by the signal after each evaluation, float64 [repeats, evaluations].

    Args:
        signal: what the search sees of every cell, [15625].
        truth: what counts in the end, [15625].

    Raises:
        NasError: no such method.
    """
    if method not in METHODS:
        raise NasError(f"method must be one of {', '.join(METHODS)}, but is {method!r}.")
    rows = np.empty((repeats, evaluations))
    for row in rows:
        tried = np.array(METHODS[method](lambda cell: float(signal[cell]), evaluations, rng))
        seen = signal[tried]
        leading = np.maximum.accumulate(seen)
        place = np.maximum.accumulate(np.where(seen >= leading, np.arange(evaluations), 0))
        row[:] = truth[tried[place]]
    return rows
