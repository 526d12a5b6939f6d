"""Trained networks as files: safetensors with all that is needed to use them, and ONNX."""

from __future__ import annotations

import json
from dataclasses import astuple
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from colonnade.nas.data import Images
from colonnade.nas.errors import NasError
from colonnade.nas.network import Network, build
from colonnade.nas.space import Architecture, Macro

FORMAT = "colonnade.nas.network/1"


class Ready(nn.Module):
    """A network that reads pixels from 0 to 1 and gives probabilities.

    Attributes:
        network: the trained network.
        names: of the classes.
    """

    mean: Tensor
    spread: Tensor

    def __init__(self, network: Network, mean: np.ndarray, spread: np.ndarray, names: tuple[str, ...]) -> None:
        super().__init__()
        self.network, self.names = network, names
        self.register_buffer("mean", torch.tensor(mean, dtype=torch.float32)[:, None, None])
        self.register_buffer("spread", torch.tensor(spread, dtype=torch.float32)[:, None, None])

    def forward(self, x: Tensor) -> Tensor:
        """Pixels float32 [b, channels, r, r] from 0 to 1 to probabilities [b, classes]."""
        return torch.softmax(self.network((x - self.mean) / self.spread), 1)


def save_network(network: Network, data: Images, path: Path) -> None:
    """Write a trained network, the scale of its images and the names of its classes."""
    mean, spread = data.scale
    a = network.architecture
    notes = {"cell": a.cell, "macro": astuple(a.macro), "in_channels": network.in_channels, "names": data.names,
             "mean": mean.tolist(), "spread": spread.tolist()}  # fmt: skip
    state = {name: value.detach().contiguous() for name, value in network.state_dict().items()}
    save_file(state, str(path), {"format": FORMAT, "notes": json.dumps(notes)})


def load_network(path: Path | str) -> Ready:
    """Read what `save_network` wrote.

    Raises:
        NasError: it is none of ours.
    """
    try:
        with safe_open(str(path), framework="pt") as file:
            metadata = file.metadata() or {}
            state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise NasError(f"model: {Path(path).name!r} cannot be read as safetensors ({error}).") from None
    if metadata.get("format") != FORMAT:
        raise NasError(f"model: {Path(path).name!r} holds no network of this column.")
    notes = json.loads(metadata["notes"])
    network = build(Architecture(notes["cell"], Macro(*notes["macro"])), notes["in_channels"], len(notes["names"]))
    network.load_state_dict(state)
    return Ready(network.eval(), np.array(notes["mean"]), np.array(notes["spread"]), tuple(notes["names"])).eval()


def export_onnx(network: Network, data: Images, path: Path) -> None:
    """Write a network as ONNX; it reads pixels from 0 to 1, float32 [batch, channels, r, r], and gives probabilities.

    Raises:
        NasError: the packages that write ONNX are not installed.
    """
    ready = Ready(network.eval(), *data.scale, data.names).eval()
    side = network.architecture.macro.resolution
    example = torch.zeros(2, network.in_channels, side, side)
    try:
        torch.onnx.export(
            ready, (example,), str(path), input_names=["pixels"], output_names=["probabilities"], dynamo=False,
            dynamic_axes={"pixels": {0: "batch"}, "probabilities": {0: "batch"}},
        )  # fmt: skip
    except ImportError as error:
        raise NasError(f"ONNX was not written: {error}; install it with: pip install 'colonnade[nas]'.") from None
