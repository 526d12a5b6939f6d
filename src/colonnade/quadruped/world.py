"""Worlds: boxes, walls with windows, bounds; read from and written to JSON; random ones for statistics."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

import numpy as np

from colonnade.quadruped.errors import InputError, check_range
from colonnade.quadruped.jump_spec import Window
from colonnade.quadruped.mjcf import Box

WALL_HEIGHT = 1.3
MAX_BOXES = 200
MAX_EXTENT = 60.0
NARROWEST = 0.35  # m: the legs stand 0.26 m apart, outside to outside
Kind = Literal["window", "detour", "clutter", "two windows"]
KINDS: tuple[Kind, ...] = ("window", "detour", "clutter", "two windows")


@dataclass(frozen=True)
class Obstacle:
    """An upright box on the ground: centre x, y; sizes along its own axes; height; yaw (m, rad)."""

    x: float
    y: float
    length: float
    width: float
    height: float = 0.6
    yaw: float = 0.0

    def __post_init__(self) -> None:
        _finite("obstacle", self)
        check_range("obstacle length", self.length, 0.01, MAX_EXTENT, "m")
        check_range("obstacle width", self.width, 0.01, MAX_EXTENT, "m")
        check_range("obstacle height", self.height, 0.01, 5.0, "m")


@dataclass(frozen=True)
class Wall:
    """A wall with at most one window.

    Attributes:
        x, y: middle of the wall; yaw: of its normal, rad.
        span: length of the wall, m; depth: thickness, m.
        offset: of the window's middle from the wall's, along the wall (to the left of the normal), m.
        width, sill, lintel: of the opening, m; width 0 means no window.
    """

    x: float
    y: float
    yaw: float
    span: float
    depth: float = 0.05
    offset: float = 0.0
    width: float = 0.0
    sill: float = 0.0
    lintel: float = 1.0

    def __post_init__(self) -> None:
        _finite("wall", self)
        check_range("wall span", self.span, 0.1, MAX_EXTENT, "m")
        check_range("wall depth", self.depth, 0.01, 0.5, "m")
        if self.width == 0:
            return
        if self.width < NARROWEST:
            raise InputError(f"window width must be at least {NARROWEST} m, but is {self.width:g} m.")
        if abs(self.offset) + self.width / 2 > self.span / 2:
            raise InputError(f"window offset must keep the window within its wall, but is {self.offset:g} m.")
        Window(self.sill, self.lintel, self.depth)

    @property
    def window(self) -> Window | None:
        return Window(self.sill, self.lintel, self.depth) if self.width else None

    def place(self, ahead: float, left: float) -> tuple[float, float]:
        """World position of a point `ahead` along the normal and `left` along the wall from its middle."""
        c, s = math.cos(self.yaw), math.sin(self.yaw)
        return self.x + c * ahead - s * left, self.y + s * ahead + c * left

    def boxes(self, name: str) -> list[Box]:
        """The solid parts."""
        pieces = []
        if not self.width:
            pieces.append(("wall", 0.0, self.span, 0.0, WALL_HEIGHT))
        else:
            left, right = self.span / 2, -self.span / 2
            top, bottom = self.offset + self.width / 2, self.offset - self.width / 2
            pieces.append(("left", (left + top) / 2, left - top, 0.0, WALL_HEIGHT))
            pieces.append(("right", (right + bottom) / 2, bottom - right, 0.0, WALL_HEIGHT))
            pieces.append(("sill", self.offset, self.width, 0.0, self.sill))
            pieces.append(("lintel", self.offset, self.width, self.lintel, max(WALL_HEIGHT, self.lintel + 0.1)))
        out = []
        for part, middle, length, low, high in pieces:
            if length > 1e-6 and high - low > 1e-6:
                x, y = self.place(0.0, middle)
                half = (self.depth / 2, length / 2, (high - low) / 2)
                out.append(Box(f"{name}_{part}", (x, y, (low + high) / 2), half, self.yaw))
        return out


@dataclass(frozen=True)
class World:
    """A flat floor within bounds, with obstacles and walls.

    Attributes:
        bounds: x low, y low, x high, y high, m: the robot's centre stays within.
    """

    bounds: tuple[float, float, float, float]
    obstacles: tuple[Obstacle, ...] = ()
    walls: tuple[Wall, ...] = ()
    start: tuple[float, float, float] = (0.5, 0.0, 0.0)
    goal: tuple[float, float] = (4.0, 0.0)
    kind: str = field(default="", compare=False)

    def __post_init__(self) -> None:
        x0, y0, x1, y1 = self.bounds
        if not all(math.isfinite(value) for value in (*self.bounds, *self.start, *self.goal)):
            raise InputError("bounds, start and goal must be finite numbers.")
        if not (0.5 <= x1 - x0 <= MAX_EXTENT and 0.5 <= y1 - y0 <= MAX_EXTENT):
            raise InputError(f"bounds must span from 0.5 to {MAX_EXTENT:g} m each way, but are {self.bounds}.")
        if len(self.obstacles) + 4 * len(self.walls) > MAX_BOXES:
            raise InputError(f"A world holds at most {MAX_BOXES} boxes (a wall counts four).")
        self._check_windows()
        for name, (x, y) in (("start", self.start[:2]), ("goal", self.goal)):
            if not (x0 <= x <= x1 and y0 <= y <= y1):
                raise InputError(f"{name} must lie within the bounds {self.bounds}, but is ({x:g}, {y:g}).")
            if self.distance(x, y) <= 0:
                raise InputError(f"{name} must be free, but ({x:g}, {y:g}) lies inside an obstacle.")

    def _check_windows(self) -> None:
        centres = [(*wall.place(0.0, wall.offset), wall.width) for wall in self.walls if wall.width]
        for index, (x, y, width) in enumerate(centres):
            for other_x, other_y, other in centres[:index]:
                if math.hypot(x - other_x, y - other_y) < (width + other) / 2:
                    raise InputError(f"Two windows overlap near ({x:g}, {y:g}).")

    @property
    def boxes(self) -> list[Box]:
        """All solid parts, as the simulator takes them."""
        out = [
            Box(f"o{k}", (o.x, o.y, o.height / 2), (o.length / 2, o.width / 2, o.height / 2), o.yaw)
            for k, o in enumerate(self.obstacles)
        ]
        for index, wall in enumerate(self.walls):
            out += wall.boxes(f"w{index}")
        return out

    def distance(self, x: float, y: float) -> float:
        """From a point to the nearest box that stands on the ground, m; negative or zero inside."""
        best = math.inf
        for box in self.boxes:
            if box.centre[2] - box.half[2] > 0.45:
                continue
            c, s = math.cos(box.yaw), math.sin(box.yaw)
            dx, dy = x - box.centre[0], y - box.centre[1]
            out_x = abs(c * dx + s * dy) - box.half[0]
            out_y = abs(-s * dx + c * dy) - box.half[1]
            outside = math.hypot(max(out_x, 0), max(out_y, 0))
            best = min(best, outside if outside > 0 else max(out_x, out_y))
        return best

    def to_json(self) -> str:
        return json.dumps(asdict(self), indent=1)

    @classmethod
    def from_json(cls, text: str) -> World:
        """Read a world.

        Raises:
            InputError: not JSON, a part is missing, unknown or out of range.
        """
        try:
            data = json.loads(text)
            obstacles = tuple(Obstacle(**item) for item in data.pop("obstacles", ()))
            walls = tuple(Wall(**item) for item in data.pop("walls", ()))
            for name in ("bounds", "start", "goal"):
                if name in data:
                    data[name] = tuple(float(value) for value in data[name])
                    if len(data[name]) != {"bounds": 4, "start": 3, "goal": 2}[name]:
                        raise InputError(f"{name} holds {len(data[name])} numbers, which is not how many it needs.")
            return cls(obstacles=obstacles, walls=walls, **data)
        except InputError:
            raise
        except (TypeError, ValueError, AttributeError, RecursionError) as error:
            raise InputError(f"world must be a JSON description of a world, but could not be read: {error}.") from None


def _finite(name: str, value: Any) -> None:
    for key, number in asdict(value).items():
        if not isinstance(number, int | float) or not math.isfinite(number):
            raise InputError(f"{name} {key} must be a finite number, but is {number!r}.")


def random_world(rng: np.random.Generator, kind: Kind | None = None, sills: Sequence[float] = (0.1, 0.2)) -> World:
    """A world of 7 m by 4 m with the start at its left end and the goal at its right.

    Args:
        kind: "window" (a wall across, one window), "detour" (a wall with a window and a near gap), "clutter" (boxes
            only) or "two windows" (two such walls); drawn when not given.
        sills: lowest and highest sill, m.
    """
    kind = kind or KINDS[int(rng.integers(len(KINDS)))]
    start = (0.6, float(rng.uniform(-0.8, 0.8)), float(rng.uniform(-0.5, 0.5)))
    goal = (6.3, float(rng.uniform(-0.8, 0.8)))
    places = {"window": [3.4], "detour": [3.4], "clutter": [], "two windows": [2.3, 4.7]}[kind]
    walls = [_random_wall(rng, x, kind == "detour", sills) for x in places]
    world = World((0.0, -2.0, 7.0, 2.0), (), tuple(walls), start, goal, kind)
    count = int(rng.integers(5, 9)) if kind == "clutter" else int(rng.integers(1, 4))
    return World(world.bounds, tuple(_clutter(rng, world, count)), world.walls, start, goal, kind)


def _random_wall(rng: np.random.Generator, x: float, gap: bool, sills: Sequence[float]) -> Wall:
    sill, width = float(rng.uniform(sills[0], sills[1])), float(rng.uniform(0.5, 0.8))
    lintel = sill + float(rng.uniform(0.6, 0.75))
    yaw = float(rng.uniform(-0.12, 0.12))
    if gap:  # the wall ends well inside the bounds: walking round is open
        span = float(rng.uniform(2.0, 2.4))
        side = float(rng.choice([-1.0, 1.0]))
        middle = side * (2.4 - span / 2)
        return Wall(x, middle, yaw, span, 0.05, float(rng.uniform(-0.3, 0.3)), width, sill, lintel)
    return Wall(x, 0.0, yaw, 4.8, 0.05, float(rng.uniform(-0.9, 0.9)), width, sill, lintel)


def _clutter(rng: np.random.Generator, world: World, count: int) -> list[Obstacle]:
    """Boxes that leave start, goal and the ways to the windows free."""
    keep = [world.start[:2], world.goal]
    for wall in world.walls:
        keep += [wall.place(ahead, wall.offset) for ahead in (-1.0, -0.5, 0.0, 0.6, 1.1)]
    out: list[Obstacle] = []
    for _ in range(50 * count):
        if len(out) == count:
            break
        x, y = float(rng.uniform(1.2, 5.8)), float(rng.uniform(-1.6, 1.6))
        far = all(math.hypot(x - a, y - b) > 0.9 for a, b in keep)
        apart = all(math.hypot(x - other.x, y - other.y) > 1.1 for other in out)
        off_wall = all(abs(x - wall.x) > 0.7 for wall in world.walls)
        if far and apart and off_wall:
            size = rng.uniform(0.15, 0.4, 2)
            out.append(
                Obstacle(x, y, float(size[0]), float(size[1]), float(rng.uniform(0.3, 0.8)), float(rng.uniform(0, 3)))
            )
    return out
