"""A slow reference of both worlds, one environment at a time in plain Python, written from the paper's definitions.

It shares no code with the package but the colour tables and the mechanisms' weights, and is what the kernels are held
against: in the tests for every bit, in the benchmarks for time.
"""

from __future__ import annotations

import copy

import numpy as np

MASK = (1 << 64) - 1
CORNERS = {
    1: [(0, 5), (10, 0), (10, 10)],
    2: [(0, 0), (10, 0), (10, 10), (0, 10)],
    3: [(0, 5), (5, 10), (10, 5), (5, 0)],
    4: [(0, 5), (4, 10), (10, 8), (10, 2), (4, 0)],
    6: [(0, 0), (0, 6), (10, 10), (10, 4)],
    7: [(0, 3), (10, 10), (10, 0)],
}


def covered(shape, row, column):
    """Whether a shape covers a pixel of its tile: by the even-odd rule, with its border."""
    if shape == 0:
        return (row - 5) ** 2 + (column - 5) ** 2 < 25
    if shape == 5:
        return 4 <= row <= 6 or 4 <= column <= 6
    corners = CORNERS[shape]
    inside = False
    for (r0, c0), (r1, c1) in zip(corners, corners[1:] + corners[:1], strict=True):
        cross = (r1 - r0) * (column - c0) - (c1 - c0) * (row - r0)
        if cross == 0 and min(r0, r1) <= row <= max(r0, r1) and min(c0, c1) <= column <= max(c0, c1):
            return True
        if (r0 > row) != (r1 > row) and column < (c1 - c0) * (row - r0) / (r1 - r0) + c0:
            inside = not inside
    return inside


PIXELS = {
    shape: np.array([(r, c) for r in range(11) for c in range(11) if covered(shape, r, c)]).T for shape in range(8)
}


def paint(cells, colours, shapes, lut, grid):
    """(size, size, 3) uint8 frame; as the original, float channels painted object by object."""
    size = 10 * grid
    frame = np.zeros((3, size, size), np.float32)
    for cell, colour, shape in zip(cells, colours, shapes, strict=True):
        rows, columns = PIXELS[int(shape)]
        rows, columns = rows + 10 * (int(cell) // grid), columns + 10 * (int(cell) % grid)
        inside = (rows < size) & (columns < size)
        frame[:, rows[inside], columns[inside]] = (lut[colour] / 255.0)[:, None]
    return np.rint(frame.transpose(1, 2, 0) * 255).astype(np.uint8)


def random_number(key, counter):
    """splitmix64 in Python's integers."""
    z = (key + (counter + 1) * 0x9E3779B97F4A7C15) & MASK
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
    return ((z ^ (z >> 31)) >> 11) / 2**53


class Blocks:
    """Weighted block pushing: Ke et al., section 4.1."""

    def __init__(self, grid, cells, weights, colours, shapes, lut):
        self.grid = grid
        self.places = [(int(c) // grid, int(c) % grid) for c in cells]
        self.weights, self.colours, self.shapes, self.lut = list(map(int, weights)), list(colours), list(shapes), lut

    @property
    def cells(self):
        return [x * self.grid + y for x, y in self.places]

    def step(self, action):
        actor, direction = divmod(int(action), 5)
        dx, dy = [(0, 0), (-1, 0), (0, 1), (1, 0), (0, -1)][direction]
        x, y = self.places[actor]
        target = (x + dx, y + dy)
        if direction == 0 or not self._inside(target):
            return "nothing"
        if target not in self.places:
            self.places[actor] = target
            return "moved"
        other = self.places.index(target)
        if self.weights[actor] <= self.weights[other]:
            return "held by a heavier block"
        behind = (target[0] + dx, target[1] + dy)
        if not self._inside(behind):
            return "held by the wall"
        if behind in self.places:
            return "two blocks in the way"
        self.places[other], self.places[actor] = behind, target
        return "pushed"

    def _inside(self, place):
        return 0 <= place[0] < self.grid and 0 <= place[1] < self.grid

    def render(self):
        return paint(self.cells, self.colours, self.shapes, self.lut, self.grid)

    def distance(self, goal):
        other = [(int(c) // self.grid, int(c) % self.grid) for c in goal]
        return sum(abs(a - c) + abs(b - d) for (a, b), (c, d) in zip(self.places, other, strict=True))


class Chemistry:
    """Colour chemistry: Ke et al., section 4.2, with its network evaluated at each draw."""

    def __init__(self, graph, mechanisms, colors, values, cells, lut, key, counter):
        self.edges = [(e.parent, e.child, e.lag) for e in graph.edges]
        self.n, self.colors, self.mechanisms = graph.nodes, colors, mechanisms
        self.values, self.cells, self.lut = list(map(int, values)), list(cells), lut
        self.key, self.counter = int(key), int(counter)
        self.history = [copy.copy(self.values)] * 3
        self.touched = [set(), set(), set()]
        self.order = self._order()

    def _order(self):
        left, order = set(range(self.n)), []
        while left:
            node = min(v for v in left if not any(p in left for p, c, _ in self.edges if c == v))
            order.append(node)
            left.remove(node)
        return order

    def law(self, node, sources):
        """Softmax of the two-layer network on one-hot parents."""
        m = self.mechanisms[node]
        hidden = m.bias1.copy()
        for k, value in enumerate(sources):
            hidden = hidden + m.first[k, value]
        logits = m.bias2.copy()
        for unit in range(len(hidden)):
            logits = logits + max(hidden[unit], 0.0) * m.second[unit]
        weight = np.exp(logits - logits.max())
        total = weight[0]
        for value in range(1, self.colors):
            total = total + weight[value]
        return weight / total

    def step(self, action):
        target, colour = divmod(int(action), self.colors)
        reached = {target}
        for node in self.order:
            for parent, child, lag in self.edges:
                if child == node and parent in (reached if lag == 0 else self.touched[lag - 1]):
                    reached.add(node)
        past = [copy.copy(self.values), *self.history[:-1]]
        self.touched = [reached, *self.touched[:-1]]
        self.history = past
        self.values[target] = colour
        for node in self.order:
            if node == target or node not in reached:
                continue
            arrows = sorted((p, lag) for p, c, lag in self.edges if c == node)
            sources = [self.values[p] if lag == 0 else past[lag - 1][p] for p, lag in arrows]
            u, total, value = random_number(self.key, self.counter + node), 0.0, 0
            for probability in self.law(node, sources)[:-1]:
                total += probability
                value += u >= total
            self.values[node] = value
        self.counter += self.n

    def render(self):
        return paint(self.cells, self.values, [i % 8 for i in range(self.n)], self.lut, 5)
