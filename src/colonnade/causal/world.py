"""The two worlds of Ke et al. (arXiv:2107.00848) as specifications: weighted blocks, and colour chemistry."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from colonnade.causal import sprites
from colonnade.causal.errors import CausalError, check_range
from colonnade.causal.graph import Graph, parse_graph
from colonnade.causal.mechanism import Mechanism, draw_mechanisms

if TYPE_CHECKING:
    from colonnade.causal.data import Transitions
    from colonnade.causal.env import CausalEnv, CausalVectorEnv

JITTER = {"train": 1 / 8, "test-v1": 1 / 4, "test-v2": 1 / 3, "test-v3": 1 / 2}  # times 1 / (n - 1)
Split = Literal["train", "test-v1", "test-v2", "test-v3", "zero-shot", "zero-shot-shape"]
MAX_COLORS = 9


class World(BaseModel):
    """What both worlds share; frozen, checked when made.

    Raises:
        CausalError: one sentence for the first field that is wrong.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", ignored_types=(cached_property,))
    kind: ClassVar[str]

    def __init__(self, **values: Any) -> None:
        try:
            super().__init__(**values)
        except ValidationError as error:
            raise CausalError(_sentence(error, type(self))) from None

    @property
    def slots(self) -> int:
        """How many objects."""
        raise NotImplementedError

    @property
    def size(self) -> int:
        """Width and height of a frame in pixels."""
        raise NotImplementedError

    @property
    def actions(self) -> int:
        """How many actions."""
        raise NotImplementedError

    @property
    def lut(self) -> NDArray[np.uint8]:
        """(colours, 3) RGB of each colour number."""
        raise NotImplementedError

    @property
    def actions_per_object(self) -> int:
        return self.actions // self.slots

    def env(self, **options: Any) -> CausalEnv:
        """One gymnasium environment; see `CausalEnv`."""
        from colonnade.causal.env import CausalEnv

        return CausalEnv(self, **options)

    def vector_env(self, num_envs: int, **options: Any) -> CausalVectorEnv:
        """A gymnasium vector environment; see `CausalVectorEnv`."""
        from colonnade.causal.env import CausalVectorEnv

        return CausalVectorEnv(self, num_envs, **options)

    def collect(self, episodes: int, steps: int, **options: Any) -> Transitions:
        """Transitions under a policy; see `data.collect`."""
        from colonnade.causal.data import collect

        return collect(self, episodes, steps, **options)


class PhysicsWorld(World):
    """Blocks on a grid; a block pushes lighter ones. The causal graph is the order of their weights.

    Args:
        objects: how many.
        mode: `observed`: shade tells weight; `unobserved`: each colour of a palette has a weight that must be found
            out; `fixed-unobserved`: shape tells which object it is, colours tell nothing.
        split: how far colours or shapes leave those of training.
        grid: cells along a side.
        cmap: sequential colours of the observed mode.
        palette: qualitative colours of the other modes.
        few_shot: colours of unseen weight added to the unobserved mode, with weights between the known ones.
        goal_steps: random actions from the start to the goal.
    """

    kind: ClassVar[str] = "physics"

    objects: int = Field(5, ge=2, le=15)
    mode: Literal["observed", "unobserved", "fixed-unobserved"] = "observed"
    split: Split = "train"
    grid: int = Field(5, ge=2, le=12)
    cmap: Literal["blues", "reds", "greens"] = "blues"
    palette: Literal["set1", "pastel1"] = "set1"
    few_shot: int = Field(0, ge=0, le=8)
    goal_steps: int = Field(10, ge=1, le=1000)

    @model_validator(mode="after")
    def _consistent(self) -> PhysicsWorld:
        if 2 * self.objects > self.grid**2:
            raise ValueError(
                f"objects must be at most {self.grid**2 // 2}, half the cells of a {self.grid}x{self.grid} grid, "
                f"but is {self.objects}"
            )
        if self.few_shot and self.mode != "unobserved":
            raise ValueError(f"few_shot must be 0 in the {self.mode} mode, but is {self.few_shot}")
        if self.mode == "fixed-unobserved" and self.objects > len(sprites.SHAPES):
            raise ValueError(f"objects must be at most 8, one a shape, when shapes are fixed, but is {self.objects}")
        if self.mode != "observed" and self.objects > MAX_COLORS + self.few_shot:
            raise ValueError(
                f"objects must be at most {MAX_COLORS + self.few_shot}, the colours of the palette, "
                f"but is {self.objects}"
            )
        if self.mode != "observed" and self.split not in ("train", "zero-shot-shape"):
            raise ValueError(f"split must be train or zero-shot-shape in the {self.mode} mode, but is {self.split!r}")
        if self.mode == "fixed-unobserved" and self.split != "train":
            raise ValueError("split must be train when shapes are fixed")
        return self

    @property
    def slots(self) -> int:
        return self.objects

    @property
    def size(self) -> int:
        return sprites.CELL * self.grid

    @property
    def actions(self) -> int:
        return 5 * self.objects

    @cached_property
    def graph(self) -> Graph:
        """Heavier moves lighter: an edge from each object to all after it (object 0 is the heaviest)."""
        return parse_graph(f"full{self.objects}")

    @property
    def lut(self) -> NDArray[np.uint8]:
        if self.mode == "observed":
            return sprites.palette(self.cmap)
        extra = sprites.palette("set3" if self.palette == "set1" else "pastel2")[: self.few_shot]
        return np.concatenate([sprites.palette(self.palette), extra])

    @cached_property
    def weight_of_colour(self) -> NDArray[np.int16]:
        """Twice the weight of each colour number (unobserved mode; else empty): 1, 2, ... and halves for few-shot."""
        if self.mode != "unobserved":
            return np.zeros(0, np.int16)
        known = 2 * (1 + np.arange(MAX_COLORS))
        return np.concatenate([known, 3 + 2 * np.arange(self.few_shot)]).astype(np.int16)


class ChemistryWorld(World):
    """Objects whose colours follow a causal graph; an action sets one colour, and its descendants react.

    Args:
        graph: a family with its size ("chain5") or edges ("0->1->{2-3}", delayed "0-[2]->1"); see `parse_graph`.
        objects: how many; by default as the graph says.
        colors: how many values.
        positions: `static`: fixed cells; `dynamic`: drawn anew in each episode.
        min_edge_tv: least strength of every edge, a total variation; see `edge_strength`.
        goal_steps: random interventions from the start to the goal.
        seed: decides mechanisms (and the edges of `random<n>`).
    """

    kind: ClassVar[str] = "chemistry"

    graph: str = "chain5"
    objects: int | None = Field(None, ge=2, le=15)
    colors: int = Field(5, ge=2, le=MAX_COLORS)
    positions: Literal["static", "dynamic"] = "static"
    min_edge_tv: float = Field(0.0, ge=0, le=0.8)
    goal_steps: int = Field(10, ge=1, le=1000)
    seed: int = Field(0, ge=0, lt=2**63)
    grid: ClassVar[int] = 5

    @model_validator(mode="after")
    def _consistent(self) -> ChemistryWorld:
        self.structure  # noqa: B018  (checks the graph)
        return self

    @cached_property
    def structure(self) -> Graph:
        """The causal graph."""
        return parse_graph(self.graph, self.objects, self.seed)

    @cached_property
    def mechanisms(self) -> tuple[Mechanism, ...]:
        """The conditional law of each variable."""
        return draw_mechanisms(self.structure, self.colors, self.min_edge_tv, self.seed)

    @property
    def slots(self) -> int:
        return self.structure.nodes

    @property
    def size(self) -> int:
        return sprites.CELL * self.grid

    @property
    def actions(self) -> int:
        return self.slots * self.colors

    @property
    def lut(self) -> NDArray[np.uint8]:
        return sprites.palette("set1")[: self.colors]


FIXED_CELLS = [(0, 0), (0, 4), (4, 0), (4, 4), (2, 2), (1, 1), (1, 3), (3, 1), (3, 3), (0, 2)]
FIXED_CELLS += [(2, 0), (2, 4), (4, 2), (1, 2), (3, 2)]


def graph_of(world: World) -> Graph:
    """The causal graph of either world."""
    return world.graph if isinstance(world, PhysicsWorld) else chemistry(world).structure


def chemistry(world: World) -> ChemistryWorld:
    """`world` if it is a chemistry world.

    Raises:
        CausalError: it is not.
    """
    if not isinstance(world, ChemistryWorld):
        raise CausalError(f"world must be a chemistry world here, but is a {world.kind} world.")
    return world


def observed_splits(world: PhysicsWorld) -> dict[str, PhysicsWorld]:
    """The world under each out-of-distribution split that its mode has."""
    names = [*JITTER, "zero-shot", "zero-shot-shape"] if world.mode == "observed" else ["train", "zero-shot-shape"]
    if world.mode == "fixed-unobserved":
        names = ["train"]
    return {name: world.model_copy(update={"split": name}) for name in names}


def check_actions(action: Any, batch: int, actions: int) -> NDArray[np.int64]:
    """(batch,) int64 actions.

    Raises:
        CausalError: not whole numbers, not `batch` of them, or out of range; never taken modulo.
    """
    array = np.asarray(action)
    if array.dtype.kind not in "iu":
        raise CausalError(f"actions must be whole numbers, but are {array.dtype}.")
    if array.shape != (batch,):
        raise CausalError(f"actions must have shape ({batch},), but have {array.shape}.")
    whole = np.ascontiguousarray(array, np.int64)
    if whole.size and whole.view(np.uint64).max() >= actions:  # negative ones are huge there
        check_range("an action", int(whole[(whole < 0) | (whole >= actions)][0]), 0, actions - 1)
    return whole


def _sentence(error: ValidationError, model: type[BaseModel]) -> str:
    item = error.errors()[0]
    name = ".".join(str(part) for part in item["loc"])
    if item["type"] == "value_error":
        text = str(item["ctx"]["error"]).rstrip(".")
        return f"{text}."
    if item["type"] == "extra_forbidden":
        return f"{name} must be one of {', '.join(model.model_fields)}; there is no such field."
    bounds = {type(part).__name__: part for part in (model.model_fields[name].metadata if name else [])}
    if {"Ge", "Le"} <= set(bounds) and item["type"] in ("greater_than_equal", "less_than_equal"):
        return f"{name} must be from {bounds['Ge'].ge} to {bounds['Le'].le}, but is {item['input']!r}."
    wanted = item["msg"].replace("Input should be ", "").rstrip(".")
    return f"{name} must be {wanted}, but is {item['input']!r}."
