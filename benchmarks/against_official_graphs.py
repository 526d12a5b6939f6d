"""kNN graphs of jets (100 nodes, 7 neighbours) against sorting all distances, and against the official builder.

    python benchmarks/against_official_graphs.py [path of pd4ml/preprocessing_utils.py]

The official builder (`to_adj` of erum-data-idt/pd4ml) is not carried: give the file of your own checkout, and the one
function is taken out of it and run. It lets padding be a neighbour; the sorting oracle does not, and ours equals it.
"""

from __future__ import annotations

import ast
import sys
import time
from pathlib import Path

import numpy as np

from colonnade.physics import graphs

JETS, NODES, K = 1000, 100, 7


def points(rng):
    """Constituents as jets have them: 15 to 90, in a core and a wide part, sorted away from the padding."""
    mask = np.arange(NODES) < rng.integers(15, 90, JETS)[:, None]
    wide = rng.random((JETS, NODES, 1)) < 0.4
    return rng.normal(0, 1, (JETS, NODES, 2)) * np.where(wide, 0.3, 0.08) * mask[..., None], mask


def oracle(place, mask):
    """All distances, sorted; padding infinitely far."""
    apart = ((place[:, :, None] - place[:, None]) ** 2).sum(axis=-1)
    apart[~(mask[:, :, None] & mask[:, None])] = np.inf
    apart[:, np.arange(NODES), np.arange(NODES)] = np.inf
    near = np.argsort(apart, axis=-1, kind="stable")[..., :K]
    return np.where(np.isinf(np.take_along_axis(apart, near, -1)), -1, near)


def official(file):
    """`to_adj` and what it calls, cut out of the official module, whose imports no longer install."""
    wanted = {"to_adj", "batch_distance_matrix_numpy"}
    tree = ast.parse(Path(file).read_text())
    tree.body = [node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name in wanted]
    space = {"np": np}
    exec(compile(tree, file, "exec"), space)
    return space["to_adj"]


def speed(function, repeats):
    best = np.inf
    for _ in range(repeats):
        begin = time.process_time()
        found = function()
        best = min(best, time.process_time() - begin)
    return JETS / best, found


def main():
    place, mask = points(np.random.default_rng(0))
    graphs.knn(place[:2], mask[:2], K)  # compiles
    peers = {"sorting all distances": lambda: oracle(place, mask)}
    if len(sys.argv) > 1:
        to_adj, float_mask = official(sys.argv[1]), mask[..., None].astype("float32")
        peers["official builder"] = lambda: to_adj(place.astype("float32"), float_mask.copy(), K)
    for name, peer in peers.items():
        theirs, answer = speed(peer, 3)
        ours, near = speed(lambda: graphs.knn(place, mask, K), 5)
        again, _ = speed(peer, 1)
        print(f"{name}: {max(theirs, again):,.0f} jets/CPU-s, ours {ours:,.0f}: {ours / max(theirs, again):.1f} times")
        if name == "official builder":
            degree = answer.transpose(0, 2, 1).sum(axis=2)[mask]
            full = np.minimum(K, mask.sum(axis=1, keepdims=True) - 1) * mask + mask
            print(f"  real nodes that lose neighbours to padding there: {(degree < full[mask]).mean():.1%}, here: 0 %")
        else:
            print(f"  identical neighbours: {np.array_equal(answer, near)}")


if __name__ == "__main__":
    main()
