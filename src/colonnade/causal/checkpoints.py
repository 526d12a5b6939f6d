"""The state of a training as arrays and JSON values, so that it can go on after a crash as if there had been none."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

if TYPE_CHECKING:
    from colonnade.causal.models import WorldModel
    from colonnade.causal.training import Curve


def capture(
    update: int, model: WorldModel, optimiser: torch.optim.Adam, rng: np.random.Generator, noise: torch.Generator,
    curve: Curve,
) -> dict[str, Any]:  # fmt: skip
    """All that decides how the training goes on after `update` updates."""
    state: dict[str, Any] = {"update": update, "loss": list(curve.loss), "noted": list(curve.update)}
    state |= {f"model.{name}": value.numpy().copy() for name, value in model.state_dict().items()}
    for k, moments in optimiser.state_dict()["state"].items():
        state |= {f"adam.{k}.{name}": value.numpy().copy() for name, value in moments.items()}
    return state | {"noise": noise.get_state().numpy().copy(), "rng": rng.bit_generator.state}


def restore(
    state: Mapping[str, Any], model: WorldModel, optimiser: torch.optim.Adam, rng: np.random.Generator,
    noise: torch.Generator, curve: Curve,
) -> int:  # fmt: skip
    """Put everything back as `capture` found it; returns how many updates were done."""
    weights = {name.removeprefix("model."): value for name, value in state.items() if name.startswith("model.")}
    model.load_state_dict({name: torch.from_numpy(np.array(value)) for name, value in weights.items()})
    moments: dict[int, dict[str, Any]] = {}
    for name, value in state.items():
        if name.startswith("adam."):
            _, k, kind = name.split(".")
            moments.setdefault(int(k), {})[kind] = torch.from_numpy(np.array(value))
    optimiser.load_state_dict(optimiser.state_dict() | {"state": moments})
    noise.set_state(torch.from_numpy(np.array(state["noise"])))
    rng.bit_generator.state = state["rng"]
    curve.loss[:], curve.update[:] = state["loss"], state["noted"]
    return int(state["update"])
