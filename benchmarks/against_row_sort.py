"""The ranking metric against sorting each row, and data sets against stored frames (CPU time, one thread)."""

import io
import time

import numpy as np

from colonnade.causal import ChemistryWorld, PhysicsWorld, ranking

ROWS, DIM = 10_000, 80


def cpu(function, repeats=3):
    times = []
    for _ in range(repeats):
        start = time.process_time()
        function()
        times.append(time.process_time() - start)
    return min(times)


def by_sorting(predicted, true, rows):
    """As is usual: distances of one row to all predictions, sorted; ties in favour."""
    ranks = []
    for i in rows:
        distance = ((true[i] - predicted) ** 2).sum(1)
        order = np.lexsort((np.arange(ROWS) != i, distance))
        ranks.append(int(np.flatnonzero(order == i)[0]))
    return ranks


def main():
    rng = np.random.default_rng(0)
    true = rng.normal(size=(ROWS, DIM))
    for name, predicted in {
        "all different": true + rng.normal(size=true.shape),
        "half of them doubled": (true + rng.normal(size=true.shape))[rng.integers(ROWS, size=ROWS)],
    }.items():
        some = range(0, ROWS, ROWS // 100)
        slow = cpu(lambda p=predicted, s=some: by_sorting(p, true, s), 1) * ROWS / len(some)
        fast = cpu(lambda p=predicted: ranking(p, true))
        equal = by_sorting(predicted, true, some) == ranking(predicted, true).rank[list(some)].tolist()
        print(f"ranking, {name}: {slow:.1f} s sorted, {fast:.2f} s ours, {slow / fast:.0f} times, same ranks: {equal}")
    total = 0
    for world in (PhysicsWorld(objects=5), ChemistryWorld(graph="chain5")):
        data = world.collect(1000, 100, seed=1)
        buffer = io.BytesIO()
        data.save(buffer)
        total += buffer.tell()
        rows = rng.integers(len(data), size=2048)
        out = np.empty((4096, 50, 50, 3), np.uint8)
        drawn = cpu(lambda d=data, r=rows, o=out: d.pairs(r, o), 20)
        print(f"streaming {world.kind}: {4096 / drawn:.3g} frames/s")
    print(f"100,000 + 100,000 transitions: {total / 1e6:.2f} MB; as float32 frames: {2e5 * 2 * 7500 * 4 / 1e9:.0f} GB")


if __name__ == "__main__":
    main()
