"""World models: an encoder of frames into slots, a transition, and a decoder where the loss needs one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn

from colonnade.causal.errors import CausalError, check_choice
from colonnade.causal.transitions import TRANSITIONS, action_slots, transition
from colonnade.causal.world import World

Array = NDArray[Any]


class ModelConfig(BaseModel):
    """The shape of a world model.

    Args:
        slots: how many objects.
        per_object: actions of each object.
        size: of a frame, in pixels; a multiple of 10.
        dim: of a slot.
        hidden: units of a layer.
        transition: see `transitions`.
        encoder: `small` looks at cells of 10x10 pixels (exact for these worlds), `medium` and `large` convolve.
        decoder: whether frames can be reconstructed (likelihood losses need it).
        variational: whether slots are sampled from a Gaussian posterior (VAE).
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    slots: int = Field(ge=2, le=15)
    per_object: int = Field(ge=2, le=9)
    size: int = Field(50, ge=20, le=120, multiple_of=10)
    dim: int = Field(16, ge=1, le=128)
    hidden: int = Field(128, ge=16, le=1024)
    transition: Literal["flat", "modular", "gnn", "csgnn", "lstm", "rim", "scoff"] = "gnn"
    encoder: Literal["small", "medium", "large"] = "small"
    decoder: bool = False
    variational: bool = False


class Cells(nn.Module):
    """The `small` encoder's first layers: one look at each cell of 10x10 pixels (a 10x10 convolution of stride 10)."""

    def __init__(self, channels: int, slots: int) -> None:
        super().__init__()
        self.look = nn.Linear(300, channels)
        self.norm = nn.BatchNorm1d(channels)
        self.map = nn.Linear(channels, slots)

    def forward(self, frames: Tensor) -> Tensor:
        batch, size = len(frames), frames.shape[1] // 10
        cells = frames.view(batch, size, 10, size, 10, 3).transpose(2, 3).reshape(batch * size * size, 300)
        # Most cells are black and look alike (the bias); only the others are turned into floats and multiplied.
        lit = cells.any(1).nonzero()[:, 0]
        seen = nn.functional.linear(cells[lit].float(), self.look.weight / 255, self.look.bias)
        look = self.look.bias.expand(len(cells), -1).index_copy(0, lit, seen)
        seen = torch.relu(self.norm(look))
        return torch.sigmoid(self.map(seen)).view(batch, size * size, -1).transpose(1, 2)


class Convolutions(nn.Module):
    """The `medium` (9x9, then 5x5 of stride 5) and `large` (three 3x3) encoders of C-SWM."""

    def __init__(self, channels: int, slots: int, large: bool) -> None:
        super().__init__()
        if large:
            layers: list[nn.Module] = []
            for inputs in (3, channels, channels):
                layers += [nn.Conv2d(inputs, channels, 3, padding=1), nn.BatchNorm2d(channels), nn.ReLU()]
            layers += [nn.Conv2d(channels, slots, 3, padding=1)]
        else:
            layers = [nn.Conv2d(3, channels, 9, padding=4), nn.BatchNorm2d(channels), nn.LeakyReLU()]
            layers += [nn.Conv2d(channels, slots, 5, stride=5)]
        self.layers = nn.Sequential(*layers, nn.Sigmoid())

    def forward(self, frames: Tensor) -> Tensor:
        maps: Tensor = self.layers(frames.permute(0, 3, 1, 2).float() / 255)
        return maps.flatten(2)


class WorldModel(nn.Module):
    """Frames to slots, and slots with an action to the next slots.

    Args:
        config: its shape.
        seed: of the initial weights.

    Attributes:
        details: what `save` was told beside the weights, e.g. the training `world` as JSON.
    """

    MAPS: ClassVar[dict[str, int]] = {"small": 10, "medium": 5, "large": 1}

    def __init__(self, config: ModelConfig, seed: int = 0) -> None:
        super().__init__()
        self.config = config
        self.details: dict[str, str] = {}
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self._build()

    @classmethod
    def of(cls, world: World, seed: int = 0, **options: Any) -> WorldModel:
        """A model that fits a world: `WorldModel.of(world, transition="gnn", dim=16, hidden=128)`."""
        sizes = {"slots": world.slots, "per_object": world.actions_per_object, "size": world.size}
        check_choice("transition", options.get("transition", "gnn"), TRANSITIONS)
        return cls(ModelConfig(**sizes, **options), seed)

    def _build(self) -> None:
        c = self.config
        channels = 32
        small = c.encoder == "small"
        self.eyes = Cells(channels, c.slots) if small else Convolutions(channels, c.slots, c.encoder == "large")
        pixels = (c.size // self.MAPS[c.encoder]) ** 2
        out = c.dim * (2 if c.variational else 1)
        self.head = nn.Sequential(
            nn.Linear(pixels, c.hidden), nn.ReLU(), nn.Linear(c.hidden, c.hidden), nn.LayerNorm(c.hidden), nn.ReLU(),
            nn.Linear(c.hidden, out),
        )  # fmt: skip
        self.transition = transition(c.transition, c.slots, c.dim, c.hidden, c.per_object)
        self.decoder = Decoder(c.slots, c.dim, c.hidden, c.size) if c.decoder else None

    @property
    def parameters_count(self) -> int:
        return sum(p.numel() for p in self.parameters())

    def posterior(self, frames: Tensor | Array) -> tuple[Tensor, Tensor | None]:
        """Mean and (variational only) log-variance of the slots: (batch, n, dim) each.

        Raises:
            CausalError: frames are not uint8 or not (batch, size, size, 3).
        """
        out = self.head(self.eyes(self.checked(frames)))
        if not self.config.variational:
            return out, None
        mean, log_variance = out.chunk(2, 2)
        return mean, log_variance.clamp(-8, 8)

    def encode(self, frames: Tensor | Array) -> Tensor:
        """(batch, n, dim) slots of (batch, size, size, 3) uint8 frames."""
        return self.posterior(frames)[0]

    def checked(self, frames: Tensor | Array) -> Tensor:
        tensor = torch.from_numpy(frames) if isinstance(frames, np.ndarray) else frames
        size = self.config.size
        if tensor.dtype != torch.uint8:
            raise CausalError(f"frames must be uint8 from 0 to 255, but are {tensor.dtype}.")
        if tensor.ndim != 4 or tuple(tensor.shape[1:]) != (size, size, 3):
            raise CausalError(f"frames must have shape (batch, {size}, {size}, 3), but have {tuple(tensor.shape)}.")
        return tensor

    @property
    def recurrent(self) -> bool:
        """Whether the transition has a memory."""
        return bool(getattr(self.transition, "recurrent", False))

    def step(self, z: Tensor, action: Tensor | Array, memory: Any = None) -> tuple[Tensor, Any]:
        """Next slots (batch, n, dim) of slots and actions (batch,), and the memory for the step after.

        Raises:
            CausalError: an action out of range.
        """
        tensor = torch.as_tensor(action, dtype=torch.int64)
        top = self.config.slots * self.config.per_object
        if len(tensor) and not (int(tensor.min()) >= 0 and int(tensor.max()) < top):
            raise CausalError(f"actions must be from 0 to {top - 1}, but reach from {tensor.min()} to {tensor.max()}.")
        routed = action_slots(tensor, self.config.slots, self.config.per_object)
        if not self.recurrent:
            return z + self.transition(z, routed), None
        change, memory = self.transition(z, routed, memory)
        return z + change, memory

    def predict(self, z: Tensor, action: Tensor | Array) -> Tensor:
        """Next slots (batch, n, dim), with nothing remembered; see `step`."""
        return self.step(z, action)[0]

    def rollout(self, z: Tensor, actions: Tensor | Array) -> Tensor:
        """(batch, steps, n, dim) slots after each of actions (batch, steps)."""
        out, memory = [], None
        for step in range(actions.shape[1]):
            z, memory = self.step(z, actions[:, step], memory)
            out.append(z)
        return torch.stack(out, 1)

    def decode(self, z: Tensor) -> Tensor:
        """(batch, 3 * size * size) logits of the frame's channels, in NHWC order.

        Raises:
            CausalError: the model has no decoder.
        """
        if self.decoder is None:
            raise CausalError("this model has no decoder; train it with loss='ae' or 'vae'.")
        logits: Tensor = self.decoder(z)
        return logits

    def save(self, path: str | Path, half: bool = False, **details: str) -> None:
        """Write weights and shape as safetensors; `half` keeps float16."""
        from safetensors.torch import save_file

        tensors = {
            name: (value.half() if half and value.is_floating_point() else value).contiguous()
            for name, value in self.state_dict().items()
        }
        save_file(tensors, str(path), metadata={"config": self.config.model_dump_json(), **details})

    @classmethod
    def load(cls, path: str | Path) -> WorldModel:
        """Read what `save` wrote.

        Raises:
            CausalError: the file is no world model, or its weights do not fit its shape.
        """
        from safetensors import SafetensorError, safe_open

        try:
            with safe_open(str(path), framework="pt") as stored:
                details = dict(stored.metadata() or {})
                config = json.loads(details.pop("config"))
                tensors = {name: stored.get_tensor(name) for name in stored.keys()}  # noqa: SIM118
            model = cls(ModelConfig(**config))
            model.load_state_dict({k: v.float() if v.is_floating_point() else v for k, v in tensors.items()})
        except (SafetensorError, OSError, KeyError, ValueError, RuntimeError) as error:
            reason = str(error).splitlines()[0][:120]
            raise CausalError(f"{Path(path).name!r} does not hold a world model that fits ({reason}).") from None
        model.details = details
        return model.eval()


class Decoder(nn.Module):
    """Slots to maps of cells to pixels: the mirror of the `small` encoder."""

    def __init__(self, slots: int, dim: int, hidden: int, size: int) -> None:
        super().__init__()
        self.cells = (size // 10) ** 2
        self.slot = nn.Sequential(nn.Linear(dim, hidden), nn.ReLU(), nn.Linear(hidden, self.cells * 4))
        last = nn.Linear(hidden, 300)
        self.paint = nn.Sequential(nn.Linear(slots * 4, hidden), nn.ReLU(), last)
        nn.init.constant_(last.bias, -3.0)  # most of a frame is black

    def forward(self, z: Tensor) -> Tensor:
        batch, side = len(z), int(self.cells**0.5)
        maps = self.slot(z).view(batch, -1, self.cells, 4).transpose(1, 2).reshape(batch * self.cells, -1)
        patches: Tensor = self.paint(maps).view(batch, side, side, 10, 10, 3)
        return patches.transpose(2, 3).reshape(batch, -1)
