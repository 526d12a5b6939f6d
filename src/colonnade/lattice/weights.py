"""Trained weights as safetensors files with everything needed to rebuild the flow."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from colonnade.lattice.action import ScalarAction
from colonnade.lattice.errors import LatticeError
from colonnade.lattice.flow import Density, FlowConfig, FlowProposal, build

FORMAT = "colonnade.lattice/1"


@dataclass(frozen=True)
class Weights:
    """A trained flow, its architecture, the action it was trained on and notes about the training."""

    flow: Density
    config: FlowConfig
    action: ScalarAction
    notes: dict[str, Any]

    def proposal(self, action: ScalarAction | None = None, shape: tuple[int, ...] | None = None) -> FlowProposal:
        """The flow as a proposal for `action` (default: the one it was trained on; another is reweighted).

        Raises
        ------
        LatticeError
            If `shape` is not the one the weights are for.
        """
        if shape is not None and tuple(shape) != tuple(self.config.shape):
            raise LatticeError(
                f"shape is {list(shape)} but these weights are for {list(self.config.shape)}; "
                "train for that shape, or start it from these weights with `transfer`"
            )
        return FlowProposal(self.flow, action or self.action)

    def stamp(self, action: ScalarAction) -> str | None:
        """A sentence to show when the flow is used for another action than it was trained on, else None."""
        if action == self.action:
            return None
        return f"these weights were trained on {self.action} and are reweighted to {action}"


def save_weights(
    path: Path | str,
    flow: Density,
    config: FlowConfig,
    action: ScalarAction,
    notes: dict[str, Any] | None = None,
) -> None:
    """Write a flow to a safetensors file (never a pickle)."""
    metadata = {
        "format": FORMAT,
        "config": json.dumps(config.to_dict()),
        "action": json.dumps(asdict(action)),
        "notes": json.dumps(notes or {}),
    }
    save_file({k: v.detach().contiguous() for k, v in flow.state_dict().items()}, str(path), metadata)


def load_weights(path: Path | str) -> Weights:
    """Read a file written by `save_weights`.

    Raises
    ------
    LatticeError
        If the file is not one of ours.
    """
    try:
        with safe_open(str(path), framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise LatticeError(f"weights {Path(path).name!r} cannot be read as a safetensors file: {error}") from error
    if metadata.get("format") != FORMAT:
        raise LatticeError(f"weights {Path(path).name!r} are not a lattice flow (their format is not {FORMAT!r})")
    raw = json.loads(metadata["config"])
    config = FlowConfig(**(raw | {"shape": tuple(raw["shape"])}))
    flow = build(config)
    try:
        flow.load_state_dict(tensors)
    except RuntimeError as error:
        raise LatticeError(f"weights {Path(path).name!r} do not fit the architecture they name") from error
    return Weights(flow, config, ScalarAction(**json.loads(metadata["action"])), json.loads(metadata["notes"]))
