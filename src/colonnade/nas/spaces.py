"""What models and searches need to know of a space: its graphs, their masks, sizes, and what describes a network."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from functools import cached_property
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor

from colonnade.nas import cells, graphs, mobilenet, space, statistics
from colonnade.nas.errors import NasError
from colonnade.nas.features import Description
from colonnade.nas.graphs import FIRST, INPUT, OUTPUT
from colonnade.nas.mobilenet import Mobile
from colonnade.nas.space import Architecture, Macro, macs, params

Design = Architecture | Mobile
D = TypeVar("D", Architecture, Mobile)
FEATURES = 6  # numbers that describe a network beside its graph


class Space(ABC):
    """A set of networks, each a graph of `nodes` typed nodes, wired as `topology` says, and some knobs around it.

    Attributes:
        types: kinds of nodes: input, output, then those of the space.
        knobs: values that each knob may take.
    """

    name: str
    nodes: int
    types: int
    knobs: tuple[tuple[int, ...], ...]

    @cached_property
    @abstractmethod
    def topology(self) -> Tensor:
        """Which node feeds which, bool [nodes, nodes]; row: source, column: target."""

    @abstractmethod
    def node_types(self, found: Sequence[Design]) -> Tensor:
        """Types of the nodes of networks, int64 [n, nodes]."""

    @abstractmethod
    def knob_values(self, network: Design) -> tuple[int, ...]:
        """The knobs of a network."""

    @abstractmethod
    def network(self, types: Sequence[int], knobs: Sequence[int]) -> Design:
        """The network of valid nodes and knobs."""

    @abstractmethod
    def permitted(self, types: Tensor, node: int) -> Tensor:
        """Which types a node may have after those before it, bool [n, types]."""

    @abstractmethod
    def code(self, network: Design) -> int:
        """A number of what the generator is to vary: networks that share it count as the same."""

    @abstractmethod
    def sizes(self, found: Sequence[Design], in_channels: int, classes: int) -> tuple[np.ndarray, np.ndarray]:
        """Parameters and multiply-adds of networks, int64 [n] each."""

    @abstractmethod
    def features(self, found: Sequence[Design], description: Description) -> np.ndarray:
        """Size and shape of networks on a data set, float32 [n, 6]."""

    def valid(self, types: Tensor) -> Tensor:
        """Which rows of node types [n, nodes] belong to the space, bool [n]."""
        inside = (types[:, 0] == INPUT) & (types[:, -1] == OUTPUT)
        for node in range(1, self.nodes - 1):
            inside &= self.permitted(types, node).gather(1, types[:, node : node + 1])[:, 0]
        return inside


class CellSpace(Space):
    """Cells of NAS-Bench-201 in macro networks."""

    name, nodes, types = "cells", graphs.NODES, graphs.TYPES
    knobs = (space.CHANNELS, space.REPEATS, space.RESOLUTIONS)

    @cached_property
    def topology(self) -> Tensor:
        return torch.from_numpy(graphs.topology())

    def node_types(self, found: Sequence[Design]) -> Tensor:
        return graphs.node_types(cells.every_cell()[[a.cell for a in _only(found, Architecture)]])

    def knob_values(self, network: Design) -> tuple[int, ...]:
        macro = _only([network], Architecture)[0].macro
        return macro.channels, macro.repeats, macro.resolution

    def network(self, types: Sequence[int], knobs: Sequence[int]) -> Architecture:
        return Architecture(cells.to_index([kind - FIRST for kind in types[1:-1]]), Macro(*knobs))

    def permitted(self, types: Tensor, node: int) -> Tensor:
        return (torch.arange(self.types) >= FIRST).expand(len(types), -1)

    def code(self, network: Design) -> int:
        return _only([network], Architecture)[0].cell

    def sizes(self, found: Sequence[Design], in_channels: int, classes: int) -> tuple[np.ndarray, np.ndarray]:
        listed = [(cells.from_index(a.cell), a.macro) for a in _only(found, Architecture)]
        first, second = (
            np.array([int(count(cell, macro, in_channels, classes)) for cell, macro in listed], dtype=np.int64)
            for count in (params, macs)
        )
        return first, second

    def features(self, found: Sequence[Design], description: Description) -> np.ndarray:
        listed = _only(found, Architecture)
        grid = cells.every_cell()[[a.cell for a in listed]]
        rows = np.empty((len(listed), FEATURES), dtype=np.float32)
        by_macro: dict[Macro, list[int]] = {}
        for place, architecture in enumerate(listed):
            by_macro.setdefault(architecture.macro, []).append(place)
        for knobs, places in by_macro.items():
            rows[places] = macro_features(grid[places], knobs, description)
        return rows


class MobileSpace(Space):
    """Stages of inverted residual blocks: a chain of twelve places, some of them empty."""

    name, nodes, types = "mobilenet", mobilenet.STAGES * mobilenet.DEPTH + 2, len(mobilenet.KINDS) + 3
    knobs = (mobilenet.WIDTHS, mobilenet.RESOLUTIONS)
    absent = FIRST  # the type of an empty place; the kinds of blocks follow

    @cached_property
    def topology(self) -> Tensor:
        return torch.diag(torch.ones(self.nodes - 1, dtype=torch.bool), 1)

    def node_types(self, found: Sequence[Design]) -> Tensor:
        types = np.full((len(found), self.nodes), OUTPUT, dtype=np.int64)
        types[:, 0] = INPUT
        types[:, 1:-1] = mobilenet.blocks(_only(found, Mobile)).reshape(len(found), -1) + self.absent
        return torch.from_numpy(types)

    def knob_values(self, network: Design) -> tuple[int, ...]:
        found = _only([network], Mobile)[0]
        return found.width, found.resolution

    def network(self, types: Sequence[int], knobs: Sequence[int]) -> Mobile:
        kinds = np.array(types[1:-1]).reshape(mobilenet.STAGES, -1) - self.absent
        return Mobile(mobilenet.to_code([stage[stage > 0].tolist() for stage in kinds]), *knobs)

    def permitted(self, types: Tensor, node: int) -> Tensor:
        allowed = (torch.arange(self.types) >= FIRST).repeat(len(types), 1)
        place = (node - 1) % mobilenet.DEPTH
        if place == 0:
            allowed[:, self.absent] = False  # each stage has a block
        elif place > 1:
            allowed[types[:, node - 1] == self.absent, self.absent + 1 :] = False  # and no gap
        return allowed

    def code(self, network: Design) -> int:
        return _only([network], Mobile)[0].code

    def sizes(self, found: Sequence[Design], in_channels: int, classes: int) -> tuple[np.ndarray, np.ndarray]:
        return mobilenet.sizes(_only(found, Mobile), in_channels, classes)

    def features(self, found: Sequence[Design], description: Description) -> np.ndarray:
        listed = _only(found, Mobile)
        sized = np.log10(np.stack(self.sizes(listed, description.channels, description.classes), 1))
        width, depth, side = (
            np.array([getattr(a, name) for a in listed], dtype=np.float64) for name in ("width", "depth", "resolution")
        )
        rows = [np.log2(width), depth / 4, np.log2(side), np.log2(side / _side(description))]
        return np.column_stack([sized, *rows]).astype(np.float32)


CELLS, MOBILENET = CellSpace(), MobileSpace()
SPACES: dict[str, Space] = {found.name: found for found in (CELLS, MOBILENET)}


def named(name: str) -> Space:
    """A space by its name.

    Raises:
        NasError: there is none.
    """
    if name not in SPACES:
        raise NasError(f"space must be one of {', '.join(SPACES)}, but is {name!r}.")
    return SPACES[name]


def of(network: Design) -> Space:
    """The space of a network."""
    return MOBILENET if isinstance(network, Mobile) else CELLS


def macro_features(found: np.ndarray, macro: Macro, description: Description) -> np.ndarray:
    """Size and shape of cells [n, 6] in a macro network on a data set, float32 [n, 6]."""
    sized = [
        np.log10(count(found, macro, description.channels, description.classes).astype(np.float64))
        for count in (params, macs)
    ]
    relative = np.log2(macro.resolution / _side(description))
    fixed = [np.log2(macro.channels), macro.repeats, np.log2(macro.resolution), relative]
    return np.stack([*sized, *(np.full(len(found), value) for value in fixed)], 1).astype(np.float32)


def _side(description: Description) -> float:
    return float(2.0 ** float(description.statistics[statistics.NAMES.index("log_side")]))


def _only(found: Sequence[Design], kind: type[D]) -> list[D]:
    """The same list, known to hold networks of one space."""
    listed = [network for network in found if isinstance(network, kind)]
    if len(listed) != len(found):
        raise NasError("networks of one space at a time can be scored.")
    return listed
