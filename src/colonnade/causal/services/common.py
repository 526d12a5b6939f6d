"""Inputs and results that several causal services share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from pydantic import model_validator

from colonnade.inputs import Inputs, Param
from colonnade.results import Table

if TYPE_CHECKING:
    from colonnade.causal.world import World

PAPER = "arXiv:2107.00848"
SOFTWARE = ("torch", "numba", "gymnasium")
WORLD = "The world"


class WorldInputs(Inputs):
    """Which world."""

    world: Literal["physics", "chemistry"] = Param(
        "physics",
        title="World",
        group=WORLD,
        help="Blocks that push lighter ones, or colours that follow a causal graph.",
    )
    objects: int = Param(
        5, ge=2, le=15, title="Objects", group=WORLD, help="Physics only; a graph says its own number."
    )
    mode: Literal["observed", "unobserved", "fixed-unobserved"] = Param(
        "observed", title="What tells weight", group=WORLD, level="expert",
        help="Physics: the shade; a palette colour whose weight must be found out; or the shape.",
    )  # fmt: skip
    split: Literal["train", "test-v1", "test-v2", "test-v3", "zero-shot", "zero-shot-shape"] = Param(
        "train",
        title="Look",
        group=WORLD,
        level="expert",
        help="Physics: how far shades or shapes leave the training's.",
    )
    grid: int = Param(
        5, ge=2, le=12, title="Grid", unit="cells", group=WORLD, level="expert", help="Physics: side length."
    )
    graph: str = Param(
        "chain5", title="Causal graph", max_length=500, group=WORLD,
        help="Chemistry: a family with its size (chain5, full4, collider5, tree9, jungle6, bidiag4, fork3, random6) or "
        "edges such as 0->1->{2-3}; 0-[2]->1 acts two steps later.",
    )  # fmt: skip
    colors: int = Param(5, ge=2, le=9, title="Colours", group=WORLD, help="Chemistry: values of each object.")
    positions: Literal["static", "dynamic"] = Param(
        "static",
        title="Positions",
        group=WORLD,
        level="expert",
        help="Chemistry: fixed, or drawn anew in each episode.",
    )
    min_edge_tv: float = Param(
        0.2, ge=0, le=0.8, title="Least edge strength", group=WORLD, level="expert",
        help="Chemistry: least total variation that every edge makes. At 0 some edges cannot be found by anyone.",
    )  # fmt: skip
    world_seed: int = Param(
        0, ge=0, le=2**31 - 1, title="Seed of the mechanisms", group=WORLD, level="expert",
        help="Chemistry: which mechanisms; the job's own seed decides the data.",
    )  # fmt: skip

    @model_validator(mode="after")
    def _makes_a_world(self) -> WorldInputs:
        self.make_world()
        return self

    def make_world(self) -> World:
        """The world; raises ValueError with one sentence when fields do not fit."""
        from colonnade.causal.world import ChemistryWorld, PhysicsWorld

        if self.world == "physics":
            return PhysicsWorld(objects=self.objects, mode=self.mode, split=self.split, grid=self.grid)
        return ChemistryWorld(
            graph=self.graph, colors=self.colors, positions=self.positions, min_edge_tv=self.min_edge_tv,
            seed=self.world_seed,
        )  # fmt: skip


def rows_table(rows: list[dict[str, Any]], title: str, caption: str = "") -> Table:
    """Rows of one shape as a table; numbers to two digits."""

    def cell(value: Any) -> Any:
        return round(value, 2) if isinstance(value, float) else value

    return Table.of({name: [cell(row[name]) for row in rows] for name in rows[0]}, title=title, caption=caption)
