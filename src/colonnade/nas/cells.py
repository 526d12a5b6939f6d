"""The cell space of NAS-Bench-201: strings, indices, canonical classes.

A cell is a directed acyclic graph of four nodes; each of its six edges carries one of five operations (Dong & Yang,
arXiv:2001.00326). As an array it is `int[6]`, values 0..4 into `OPERATIONS`, edges in the order of `EDGES`.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from colonnade.nas.errors import NasError

OPERATIONS = ("none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3")
NONE, SKIP, CONV1, CONV3, POOL = range(5)
EDGES = ((0, 1), (0, 2), (1, 2), (0, 3), (1, 3), (2, 3))  # (source, target)
NODES = 4
COUNT = len(OPERATIONS) ** len(EDGES)  # 15,625

Cell = tuple[int, ...]


def to_string(cell: Any) -> str:
    """The cell as NAS-Bench-201 writes it, `|op~0|+|op~0|op~1|+|op~0|op~1|op~2|`."""
    nodes: list[str] = ["", "", ""]
    for (source, target), operation in zip(EDGES, cell, strict=True):
        nodes[target - 1] += f"|{OPERATIONS[int(operation)]}~{source}"
    return "+".join(f"{node}|" for node in nodes)


def from_string(text: str) -> Cell:
    """Read a cell as NAS-Bench-201 writes it.

    Raises:
        NasError: it is none; names the position (counted from 1) of the first thing that is wrong.
    """
    cell: list[int] = []
    place = 0

    def expect(token: str) -> None:
        nonlocal place
        if not text.startswith(token, place):
            found = repr(text[place]) if place < len(text) else "the end"
            raise NasError(f"arch: expected {token!r} at position {place + 1} of {text[:120]!r}, but found {found}.")
        place += len(token)

    for target in range(1, NODES):
        if target > 1:
            expect("+")
        for source in range(target):
            expect("|")
            end = text.find("~", place)
            name = text[place:end] if end >= 0 else text[place : place + 20]
            if name not in OPERATIONS:
                raise NasError(
                    f"arch: unknown operation {name[:30]!r} at position {place + 1} of {text[:120]!r}; "
                    f"known are {', '.join(OPERATIONS)}."
                )
            cell.append(OPERATIONS.index(name))
            place = end
            expect(f"~{source}")
        expect("|")
    if place != len(text):
        raise NasError(f"arch: {text[:120]!r} goes on after its end at position {place + 1}.")
    return tuple(cell)


def to_index(cell: Any) -> int:
    """The number of a cell, 0 to 15,624: its operations as digits in base 5, first edge first."""
    number = 0
    for operation in cell:
        number = number * len(OPERATIONS) + int(operation)
    return number


def from_index(index: int) -> Cell:
    """The inverse of `to_index`."""
    if not 0 <= index < COUNT:
        raise NasError(f"cell must be from 0 to {COUNT - 1}, but is {index}.")
    digits = []
    for _ in EDGES:
        index, digit = divmod(index, len(OPERATIONS))
        digits.append(digit)
    return tuple(reversed(digits))


def every_cell() -> np.ndarray:
    """All 15,625 cells, int8 [15625, 6], row i being cell number i."""
    grid = np.indices((len(OPERATIONS),) * len(EDGES), dtype=np.int8)
    return np.ascontiguousarray(grid.reshape(len(EDGES), -1).T)


def canonical(cell: Any) -> str:
    """The benchmark's own name of a cell up to isomorphism: equal for 6,466 classes of cells.

    `skip_connect` is folded away and the inputs of a node are a multiset; an input that carries nothing counts as `#`.
    """
    return _name(cell, dead=True)


def function(cell: Any) -> str:
    """A name that two cells share exactly when they compute the same up to their weights: 5,390 in all.

    Unlike `canonical`, inputs that carry nothing leave no trace.
    """
    return _name(cell, dead=False)


def _name(cell: Any, dead: bool) -> str:
    nodes = ["0"]
    for target in range(1, NODES):
        parts = []
        for (source, end), operation in zip(EDGES, cell, strict=True):
            if end != target:
                continue
            name = nodes[source]
            if operation == NONE or name == "#":
                parts += ["#"] * dead
            else:
                parts.append(name if operation == SKIP else f"({name})@{OPERATIONS[int(operation)]}")
        nodes.append("+".join(sorted(parts)) or "#")
    return nodes[-1]


@cache
def classes(functions: bool = False) -> np.ndarray:
    """The class of every cell, int32 [15625], numbered by the first cell of each, by `canonical` or by `function`."""
    named = function if functions else canonical
    numbers: dict[str, int] = {}
    found = [numbers.setdefault(named(cell), len(numbers)) for cell in every_cell().tolist()]
    return np.array(found, dtype=np.int32)


def live_edges(cell: Any) -> list[bool]:
    """Which edges carry anything from the input to the output."""
    fed = [True] + [False] * (NODES - 1)
    for (source, target), operation in zip(EDGES, cell, strict=True):
        fed[target] = fed[target] or (operation != NONE and fed[source])
    used = [False] * (NODES - 1) + [True]
    for (source, target), operation in reversed(list(zip(EDGES, cell, strict=True))):
        used[source] = used[source] or (operation != NONE and used[target])
    return [
        operation != NONE and fed[source] and used[target]
        for (source, target), operation in zip(EDGES, cell, strict=True)
    ]


def simplify(cell: Any) -> Cell:
    """The cell with `none` on every edge that carries nothing: same function, fewer parameters."""
    return tuple(int(o) if live else NONE for o, live in zip(cell, live_edges(cell), strict=True))


def connected(cell: Any) -> bool:
    """Whether the output depends on the input at all."""
    return any(live_edges(cell))


@cache
def searchable() -> np.ndarray:
    """The cells that a search ranks, int16 [5389]: one for each function of the input, with the fewest convolutions.

    Among equals the lowest number; the cell whose output does not depend on its input is left out.
    """
    found, numbers = every_cell(), classes(functions=True)
    weight = (found == CONV3).sum(1) * 9 + (found == CONV1).sum(1)
    order = np.lexsort((np.arange(COUNT), weight))
    _, first = np.unique(numbers[order], return_index=True)
    chosen = np.sort(order[first])
    return chosen[[connected(found[i]) for i in chosen]].astype(np.int16)
