"""A depth camera on the trunk, cast as rays in the simulator: no graphics library is needed."""

from __future__ import annotations

from dataclasses import dataclass

import mujoco
import numpy as np

from colonnade.quadruped.robot import Array
from colonnade.quadruped.simulation import Simulation

WORLD_GROUP = np.array([0, 0, 1, 0, 0, 0], np.uint8)  # floor and boxes; the robot does not see itself


@dataclass(frozen=True)
class DepthSensor:
    """Field of view and range of a RealSense D435, on the nose, looking ahead.

    Attributes:
        columns, rows: rays; width, height: opening angles, rad; far, near: range, m.
        place: on the trunk, m; noise: standard deviation at 1 m, growing with the square of range.
    """

    columns: int = 96
    rows: int = 56
    width: float = 1.5
    height: float = 1.0
    near: float = 0.15
    far: float = 5.0
    place: tuple[float, float, float] = (0.24, 0.0, 0.06)
    tilt: float = 0.15  # rad, down
    noise: float = 0.0

    def rays(self) -> Array:
        """(rows * columns, 3) unit directions in trunk axes."""
        across = np.tan(np.linspace(self.width / 2, -self.width / 2, self.columns))
        up = np.tan(np.linspace(self.height / 2, -self.height / 2, self.rows) - self.tilt)
        rays = np.stack(np.broadcast_arrays(1.0, across[None, :], up[:, None]), axis=-1).reshape(-1, 3)
        directions: Array = rays / np.linalg.norm(rays, axis=1, keepdims=True)
        return directions


@dataclass(frozen=True)
class Scan:
    """Where the rays hit: points (n, 3) in the world, whether the surface there is steep (n,), and the eye (3,)."""

    points: Array
    steep: Array
    eye: Array


class Scanner:
    """Casts the rays of one sensor in one simulation."""

    def __init__(
        self, sim: Simulation, sensor: DepthSensor | None = None, rng: np.random.Generator | None = None
    ) -> None:
        self.sim, self.sensor, self.rng = sim, sensor or DepthSensor(), rng
        self._rays = self.sensor.rays()
        count = len(self._rays)
        self._geom, self._range, self._normal = np.empty(count, np.int32), np.empty(count), np.empty(3 * count)

    def scan(self) -> Scan:
        """One depth image as points."""
        state, sensor = self.sim.state, self.sensor
        eye = state.position + state.rotation @ np.array(sensor.place)
        directions = self._rays @ state.rotation.T
        mujoco.mj_multiRay(
            self.sim.model, self.sim.data, eye, directions.ravel(), WORLD_GROUP, 1, -1, self._geom, self._range,
            self._normal, len(directions), sensor.far,
        )  # fmt: skip
        hit = (self._geom >= 0) & (self._range > sensor.near) & (self._range < sensor.far)
        distance = self._range[hit]
        if sensor.noise and self.rng is not None:
            distance = distance + sensor.noise * distance**2 * self.rng.standard_normal(len(distance))
        points = eye + directions[hit] * distance[:, None]
        steep = np.abs(self._normal.reshape(-1, 3)[hit, 2]) < 0.5
        return Scan(points, steep, eye)
