"""Train what `colonnade.nas` carries: encoder, predictors, generator; about half an hour of one core.

    python scripts/train_nas_models.py tasks.npz metadb.csv.gz ZOO [--encoder lite0] [--folds 5] [--members 5]

Writes ZOO/encoder.safetensors (for the encoder `small`, unless it is there), ZOO/models-ENCODER.safetensors and
ZOO/measures-ENCODER.json: what cross-validation over families of tasks measured.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file

from colonnade.nas import crossing, ensemble, meta, metadb
from colonnade.nas.features import Description, describe
from colonnade.nas.metadb import Tasks
from colonnade.nas.network import Network

LEFT_OUT = "cifar"  # the family that no carried model has seen, so that CIFAR-10's published table can test them


def keep_encoder(network: Network, path: Path) -> None:
    state = {n: v.half() if v.is_floating_point() else v for n, v in network.state_dict().items() if "head" not in n}
    save_file({name: value.contiguous() for name, value in state.items()}, str(path))


def descriptions(tasks: Tasks, names: list[str], encoder: str | Network) -> dict[str, Description]:
    return {name: describe(tasks[name], encoder) for name in names}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("tasks", type=Path)
    parser.add_argument("database", type=Path)
    parser.add_argument("zoo", type=Path)
    parser.add_argument("--encoder", default="small")
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument("--members", type=int, default=5)
    parser.add_argument("--crossed", type=int, default=3, help="members of each ensemble in cross-validation")
    parser.add_argument(
        "--own-encoders", action="store_true", help="an encoder for each fold that has not seen its images"
    )
    given = parser.parse_args()
    torch.set_num_threads(1)
    tasks, outcomes = Tasks(given.tasks), metadb.load(given.database)
    found = meta.records(outcomes)
    families = {name: tasks.families[name] for name in found.tasks}
    names = list(found.tasks)
    own = given.zoo / "encoder.safetensors"
    if given.encoder == "small" and not own.exists():
        start = time.process_time()
        others = {name: tasks[name] for name in names if families[name] != LEFT_OUT}
        keep_encoder(meta.train_encoder(others, seed=0), own)
        print(f"encoder: {time.process_time() - start:.0f} CPU-s", flush=True)
    parts = crossing.folds(families, given.folds)
    table = meta.Table(found, descriptions(tasks, names, given.encoder))
    by_fold = _fold_descriptions(tasks, names, parts) if given.own_encoders else None
    print("descriptions are made", flush=True)
    aware = crossing.cross(table, parts, given.crossed, descriptions=by_fold)
    blind = crossing.cross(table, parts, given.crossed, blind=True)
    measures = _measures(table, aware, blind, outcomes, given)
    print(json.dumps(measures, indent=1), flush=True)
    seen = [name for name in names if families[name] != LEFT_OUT]
    members = tuple(meta.train_predictor(table, seen, seed=member) for member in range(given.members))
    generator, known = meta.train_generator(table, seen, seed=0)
    residuals = tuple((found.y - aware.logits)[found.of([name])].astype(np.float32) for name in names)
    numbers = torch.stack([table.descriptions[names.index(name)].statistics for name in seen])
    model = ensemble.MetaModel(given.encoder, members, generator, numbers, residuals, frozenset(known), measures)
    ensemble.save(model, given.zoo / f"models-{given.encoder}.safetensors")
    (given.zoo / f"measures-{given.encoder}.json").write_text(json.dumps(measures, indent=1) + "\n")


def _fold_descriptions(tasks: Tasks, names: list[str], parts: list[list[str]]) -> list[dict[str, Description]]:
    """Descriptions by encoders that have not seen a fold's images."""
    found = []
    for number, part in enumerate(parts):
        network = meta.train_encoder({n: tasks[n] for n in names if n not in part}, seed=number, steps=600)
        found.append(descriptions(tasks, names, network))
    return found


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
        "encoder_saw_images_of_left_out_tasks": given.encoder == "small" and not given.own_encoders,
        "seeds": {"members": list(range(given.members)), "encoder": 0, "generator": 0},
    }  # fmt: skip


if __name__ == "__main__":
    main()
