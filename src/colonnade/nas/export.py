"""Trained networks as files: safetensors with all that is needed to use them, and ONNX."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from colonnade.nas import spaces, weights
from colonnade.nas.data import Images
from colonnade.nas.errors import NasError
from colonnade.nas.network import AnyNetwork, build

FORMAT = "colonnade.nas.network/2"


class Ready(nn.Module):
    """A network that reads pixels from 0 to 1 and gives probabilities.

    Attributes:
        network: the trained network.
        names: of the classes.
    """

    mean: Tensor
    spread: Tensor

    def __init__(self, network: AnyNetwork, mean: np.ndarray, spread: np.ndarray, names: tuple[str, ...]) -> None:
        super().__init__()
        self.network, self.names = network, names
        self.register_buffer("mean", torch.tensor(mean, dtype=torch.float32)[:, None, None])
        self.register_buffer("spread", torch.tensor(spread, dtype=torch.float32)[:, None, None])

    def forward(self, x: Tensor) -> Tensor:
        """Pixels float32 [b, channels, r, r] from 0 to 1 to probabilities [b, classes]."""
        return torch.softmax(self.network((x - self.mean) / self.spread), 1)


def save_network(network: AnyNetwork, data: Images, path: Path) -> None:
    """Write a trained network, the scale of its images and the names of its classes."""
    mean, spread = data.scale
    a = network.architecture
    space = spaces.of(a)
    notes = {"space": space.name, "types": space.node_types([a])[0].tolist(), "knobs": space.knob_values(a),
             "in_channels": network.in_channels, "names": data.names, "mean": mean.tolist(),
             "spread": spread.tolist()}  # fmt: skip
    state = {name: value.detach().contiguous() for name, value in network.state_dict().items()}
    save_file(state, str(path), {"format": FORMAT, "notes": json.dumps(notes)})


def load_network(path: Path | str) -> Ready:
    """Read what `save_network` wrote.

    Raises:
        NasError: it is none of ours.
    """
    state, metadata = weights.read(path, FORMAT, "model", "network")
    notes = json.loads(metadata["notes"])
    architecture = spaces.named(notes["space"]).network(notes["types"], notes["knobs"])
    network = build(architecture, notes["in_channels"], len(notes["names"]))
    network.load_state_dict(state)
    return Ready(network.eval(), np.array(notes["mean"]), np.array(notes["spread"]), tuple(notes["names"])).eval()


def export_onnx(network: AnyNetwork, data: Images, path: Path) -> None:
    """Write a network as ONNX; it reads pixels from 0 to 1, float32 [batch, channels, r, r], and gives probabilities.

    Raises:
        NasError: the packages that write ONNX are not installed.
    """
    ready = Ready(network.eval(), *data.scale, data.names).eval()
    side = network.architecture.resolution
    example = torch.zeros(2, network.in_channels, side, side)
    try:
        torch.onnx.export(
            ready, (example,), str(path), input_names=["pixels"], output_names=["probabilities"], dynamo=False,
            dynamic_axes={"pixels": {0: "batch"}, "probabilities": {0: "batch"}},
        )  # fmt: skip
    except ImportError as error:
        raise NasError(f"ONNX was not written: {error}; install it with: pip install 'colonnade[nas]'.") from None
