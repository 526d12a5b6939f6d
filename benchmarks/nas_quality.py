"""One cell for CIFAR-10, chosen without a look at the table; what it is worth by the table (NAS-Bench-201, 200 epochs).

    COLONNADE_DATA=../shared/data python benchmarks/nas_quality.py tasks.npz

`tasks.npz` is made by scripts/collect_nas_tasks.py; its CIFAR-10 images describe the data set. The carried models have
seen no CIFAR image and no label of one. Every choice is a single one; where chance plays a part, over many seeds.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import torch

from colonnade.nas import (
    Architecture,
    Macro,
    cells,
    describe,
    ensemble,
    evolution,
    macros,
    meta,
    metadb,
    oracle,
    params,
    proxies,
)
from colonnade.nas.metadb import Tasks
from colonnade.nas.space import NAS_BENCH_201

ZOO = Path(ensemble.__file__).parent / "zoo"


def standing(members: tuple[object, ...], tasks: Tasks) -> np.ndarray:
    """Mean standing of every cell over the macro networks of the space, for the CIFAR-10 images; the carried ensemble
    or other members in its place."""
    model = ensemble.carried()
    if members:
        model = ensemble.MetaModel(
            model.encoder, members, model.generator, model.statistics, model.residuals, model.known
        )  # type: ignore[arg-type]
    found = model.predict_all(macros(), describe(tasks["cifar10"]))
    return found.standing.reshape(len(macros()), cells.COUNT).mean(0)


def blind(tasks: Tasks) -> tuple[object, ...]:
    """An ensemble trained on the same records that never sees a data set."""
    found = meta.records(metadb.load(ZOO / "metadb.csv.gz"))
    names = [name for name in found.tasks if tasks.families[name] != "cifar"]
    table = meta.Table(found, {name: describe(tasks[name]) for name in found.tasks})
    return tuple(meta.train_predictor(table, names, seed=seed, blind=True) for seed in range(3))


def transferred() -> np.ndarray:
    """A quadratic regression on the operations of what 12 epochs gave on CIFAR-100 and ImageNet16, for every cell."""
    columns = [oracle(name).short for name in ("cifar100", "imagenet16")]
    signal = sum((c - c.mean()) / c.std() for c in columns if c is not None)
    chosen = np.eye(5)[cells.every_cell()].reshape(cells.COUNT, -1)
    pairs = np.einsum("ni,nj->nij", chosen, chosen)[:, *np.triu_indices(30)]
    system = pairs.T @ pairs + np.eye(pairs.shape[1])
    return np.asarray(pairs @ np.linalg.solve(system, pairs.T @ signal))


def main() -> None:
    torch.set_num_threads(1)
    tasks, table = Tasks(sys.argv[1]), oracle("cifar10")
    aware = standing((), tasks)
    sizes = params(cells.every_cell(), NAS_BENCH_201).astype(float)
    first = np.argsort(-aware, kind="stable")[:48]
    macro = Macro(8, 1, 16)
    listed = [Architecture(int(c), macro) for c in first]
    ranks = [np.arange(48)] + [
        np.argsort(np.argsort(-proxies.scores(listed, tasks["cifar10"], name))) for name in ("naswot", "synflow")
    ]
    single = {
        "predictor, zero-shot": int(first[0]),
        "predictor re-ranked by proxies, zero-shot": int(first[int(np.mean(ranks, axis=0).argmin())]),
        "most parameters": int(sizes.argmax()),
        "12 epochs on CIFAR-100 and ImageNet16, regression": int(transferred().argmax()),
    }
    for name, cell in single.items():
        print(f"{name}: {table.test[cell]:.2f}  {cells.to_string(cells.from_index(cell))}", flush=True)
    rng = np.random.default_rng(0)
    picks = []
    for _ in range(5):
        sample = rng.choice(cells.searchable(), 60, replace=False)
        scored = proxies.scores([Architecture(int(c), macro) for c in sample], tasks["cifar10"], "naswot")
        picks.append(table.test[sample[scored.argmax()]])
    print(f"NASWOT, best of 60 random: {np.mean(picks):.2f} (5 repeats)")
    print(f"a random cell: {table.test.mean():.2f}; the best: {table.best:.2f}")
    assert table.short is not None
    for method, evaluations in (("random", 100), ("evolution", 300), ("local", 300)):
        rows = evolution.anytime(method, table.short, table.test, evaluations, 50, rng)
        print(f"{method}, {evaluations} trainings of 12 epochs on CIFAR-10: {rows[:, -1].mean():.2f} (50 repeats)")
    by_size = np.sort(table.test[np.argsort(-sizes, kind="stable")[:30]])[-1]
    top = np.sort(table.test[first[:30]])[-1]
    print(
        f"looked up by test accuracy, best of 30: by parameters {by_size:.2f}, by the predictor {top:.2f}", flush=True
    )
    cell = int(standing(blind(tasks), tasks).argmax())
    print(f"predictor blind to the data set: {table.test[cell]:.2f}  {cells.to_string(cells.from_index(cell))}")


if __name__ == "__main__":
    main()
