"""Train what `colonnade.nas` carries: encoder, predictors, generator; about five minutes of one core.

    python scripts/train_nas_models.py tasks.npz metadb.csv.gz ZOO WORK [--encoder lite0] [--space mobilenet]

Writes ZOO/encoder.safetensors (for the encoder `small`, unless it is there), ZOO/models-ENCODER[-SPACE].safetensors and
ZOO/measures-ENCODER[-SPACE].json: what cross-validation over families of tasks measured.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from safetensors.torch import save_file
from torch import nn

from colonnade.nas import crossing, ensemble, meta, metadb, spaces
from colonnade.nas.features import Description, describe, small_network
from colonnade.nas.generator import Generator
from colonnade.nas.metadb import Tasks
from colonnade.nas.network import Network
from colonnade.nas.predictor import Predictor

T = TypeVar("T", bound=nn.Module)

LEFT_OUT = "cifar"  # the family that no carried model has seen, so that CIFAR-10's published table can test them


def keep_encoder(network: Network, path: Path) -> None:
    state = {n: v.half() if v.is_floating_point() else v for n, v in network.state_dict().items() if "head" not in n}
    save_file({name: value.contiguous() for name, value in state.items()}, str(path))


class Kept:
    """Pieces of work that are done once: a file each in a folder, so that a stopped training goes on where it was."""

    def __init__(self, folder: Path, seconds: float) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder, self.seconds = folder, seconds

    def arrays(self, name: str, make: Callable[[], dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
        path = self.folder / f"{name}.npz"
        if not path.exists():
            if time.process_time() > self.seconds:
                raise SystemExit(f"{self.seconds:g} CPU-seconds are over; start it again to go on with {name}")
            np.savez(path, **make())
        with np.load(path) as stored:
            return dict(stored)

    def weights(self, name: str, make: Callable[[], nn.Module], empty: Callable[[], T]) -> T:
        """A module's weights, put into an empty one."""
        state = self.arrays(name, lambda: {n: v.numpy() for n, v in make().state_dict().items()})
        module = empty()
        module.load_state_dict({n: torch.from_numpy(v) for n, v in state.items()})
        return module.eval()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("tasks", type=Path)
    parser.add_argument("database", type=Path)
    parser.add_argument("zoo", type=Path)
    parser.add_argument("work", type=Path, help="folder of intermediate results; a new one for a new database")
    parser.add_argument(
        "--seconds", type=float, default=1e9, help="stop after so many CPU-seconds; start again to go on"
    )
    parser.add_argument("--encoder", default="small")
    parser.add_argument("--space", default="cells")
    parser.add_argument("--folds", type=int, default=4)
    parser.add_argument("--members", type=int, default=4)
    parser.add_argument("--crossed", type=int, default=1, help="members of each ensemble in cross-validation")
    given = parser.parse_args()
    torch.set_num_threads(1)
    kept = Kept(given.work, given.seconds)
    tasks, outcomes = Tasks(given.tasks), metadb.load(given.database)
    outcomes = [o for o in outcomes if o.trial.space == given.space]
    found = meta.records(outcomes, given.space)
    space = spaces.named(given.space)
    families = {name: tasks.families[name] for name in found.tasks}
    names = list(found.tasks)
    seen = [name for name in names if families[name] != LEFT_OUT]
    own = given.zoo / "encoder.safetensors"
    if given.encoder == "small" and not own.exists():
        network = kept.weights(
            "encoder", lambda: meta.train_encoder({name: tasks[name] for name in seen}, seed=0), small_network
        )
        keep_encoder(network, own)
    made = {name: _described(kept, tasks, name, given.encoder) for name in names}
    table = meta.Table(found, made)
    parts = crossing.folds(families, given.folds)
    aware, blind = (_crossed(kept, table, parts, given.crossed, hidden) for hidden in (False, True))
    measures = _measures(table, aware, blind, outcomes, given)
    width = table.descriptions[0].features.shape[-1]
    members = tuple(
        kept.weights(
            f"member{i}", partial(meta.train_predictor, table, seen, seed=i), lambda: Predictor(width, space=space)
        )
        for i in range(given.members)
    )
    grown = kept.weights(
        "generator", lambda: meta.train_generator(table, seen, seed=0), lambda: Generator(width, space=space)
    )
    known = {space.code(network) for _, network in meta.best(table, seen)}
    residuals = tuple((found.y - aware.logits)[found.of([name])].astype(np.float32) for name in names)
    numbers = torch.stack([made[name].statistics for name in seen])
    model = ensemble.MetaModel(given.encoder, members, grown, numbers, residuals, frozenset(known), measures, space)
    ensemble.save(model, ensemble.zoo_file("models", given.encoder, given.space, "safetensors", given.zoo))
    ensemble.zoo_file("measures", given.encoder, given.space, "json", given.zoo).write_text(
        json.dumps(measures, indent=1) + "\n"
    )
    print(json.dumps(measures, indent=1))


def _described(kept: Kept, tasks: Tasks, name: str, encoder: str) -> Description:
    def make() -> dict[str, np.ndarray]:
        found = describe(tasks[name], encoder)
        sizes = np.array([found.classes, found.channels])
        return {"features": found.features.numpy(), "statistics": found.statistics.numpy(), "sizes": sizes}

    stored = kept.arrays(f"description-{encoder}-{name}", make)
    features, numbers = torch.from_numpy(stored["features"]), torch.from_numpy(stored["statistics"])
    return Description(features, numbers, *(int(v) for v in stored["sizes"]))


def _crossed(kept: Kept, table: meta.Table, parts: list[list[str]], members: int, blind: bool) -> crossing.Crossed:
    """All folds, each member of each by itself."""
    fields = ("standing", "logits", "foreign")
    total = {field: np.zeros(len(table.records.y)) for field in fields}
    for number, part in enumerate(parts):
        rows = table.records.of(part)
        for member in range(members):
            seed = 100 * number + member
            stored = kept.arrays(
                f"crossed-{'blind' if blind else 'aware'}-{number}-{member}",
                lambda part=part, seed=seed: asdict(crossing.cross(table, [part], 1, blind=blind, seed=seed)),
            )
            for field in fields:
                total[field][rows] += stored[field][rows] / members
    return crossing.Crossed(**total)


def _measures(
    table: meta.Table, aware: crossing.Crossed, blind: crossing.Crossed, outcomes: list[metadb.Outcome],
    given: argparse.Namespace,
) -> dict[str, object]:  # fmt: skip
    found = table.records
    params = table.macro[:, 0].numpy()
    rho = {
        "aware": crossing.within(table, aware.standing),
        "blind": crossing.within(table, blind.standing),
        "foreign": crossing.within(table, aware.foreign),
        "params": crossing.within(table, params),
        "macs": crossing.within(table, table.macro[:, 1].numpy()),
    }
    residuals = [(found.y - aware.logits)[found.of([name])] for name in found.tasks]
    covered = [
        np.mean(np.abs(r) <= ensemble.quantile(residuals[:i] + residuals[i + 1 :], ensemble.LEVEL))
        for i, r in enumerate(residuals)
    ]
    return {
        "tasks": len(found.tasks), "trainings": len(outcomes), "records": len(found.y),
        "cpu_seconds": round(sum(o.seconds for o in outcomes)),
        "two_trainings_correlate": round(metadb.noise_ceiling(outcomes), 4),
        "spearman_within_tasks": {name: round(float(np.mean(list(v.values()))), 4) for name, v in rho.items()},
        "aware_minus_blind": [round(v, 4) for v in crossing.paired_interval(rho["aware"], rho["blind"])],
        "aware_minus_foreign": [round(v, 4) for v in crossing.paired_interval(rho["aware"], rho["foreign"])],
        "aware_minus_params": [round(v, 4) for v in crossing.paired_interval(rho["aware"], rho["params"])],
        "coverage_of_90": round(float(np.mean(covered)), 4),
        "half_width_logit": round(ensemble.quantile(residuals, ensemble.LEVEL), 3),
        "by_task": {name: [round(rho["aware"][name], 3), round(rho["blind"][name], 3)] for name in found.tasks},
        "encoder_saw_images_of_left_out_tasks": given.encoder == "small",
        "seeds": {"members": list(range(given.members)), "encoder": 0, "generator": 0},
    }  # fmt: skip


if __name__ == "__main__":
    main()
