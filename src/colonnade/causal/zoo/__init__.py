"""A few trained world models, small enough to carry, and the recipe that made each.

`python -m colonnade.causal.zoo physics5-gnn` trains one again, from the seed that is written here.
"""

from __future__ import annotations

import json
from pathlib import Path

from colonnade.causal.bench import Cell
from colonnade.causal.errors import check_choice
from colonnade.causal.models import WorldModel

FOLDER = Path(__file__).parent
RECIPES = {
    "physics5-gnn": Cell(updates=2000),
    "chain5-gnn": Cell(world="chain5", updates=600),
    "chain5-flat": Cell(world="chain5", transition="flat", updates=600),
    "full5-flat": Cell(world="full5", transition="flat", updates=600),
}


def pretrained(name: str) -> WorldModel:
    """A trained model by name, e.g. `pretrained("physics5-gnn")`; its world is `RECIPES[name].make_world()`.

    Raises:
        CausalError: there is none of that name.
    """
    check_choice("name", name, RECIPES)
    return WorldModel.load(FOLDER / f"{name}.safetensors")


def train(name: str, folder: Path = FOLDER) -> Path:
    """Train a model of the zoo again and write it (float16) into a folder."""
    import torch

    from colonnade.causal.training import fit

    check_choice("name", name, RECIPES)
    cell = RECIPES[name]
    torch.set_num_threads(1)
    world = cell.make_world()
    data = world.collect(cell.episodes, 100, seed=3 * cell.seed + 1)
    model = cell.make_model(world)
    fit(model, data, loss=cell.loss, updates=cell.updates, batch=cell.batch, balance=cell.balance, seed=cell.seed)
    path = folder / f"{name}.safetensors"
    described = json.dumps({"kind": world.kind} | world.model_dump())
    model.save(path, half=True, recipe=cell.model_dump_json(), world=described)
    return path
