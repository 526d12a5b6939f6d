"""What is asked of a jump, and what a planned jump is."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from colonnade.quadruped.errors import InfeasibleJump, InputError, check_range
from colonnade.quadruped.robot import MINI_CHEETAH, Robot, planar_leg_joints, stand_load

Array = NDArray[np.float64]
Status = Literal["solved", "infeasible", "iterations", "timeout", "cancelled", "failed"]
INTERVALS = (16, 7, 16, 10)
PHASES = ("all feet", "rear feet", "flight", "landing")
LANDING_ROOM = 1.8  # times the margin from just before touch-down on, where errors are largest
STAND_LOAD = 1.1  # of the torque allowed: beyond this no stand is possible; the tenth is for the legs' own weight
FEET_IN_PHASE = ((0, 1), (1,), (), (0, 1))  # 0 front pair, 1 rear pair


def shared_out(total: int) -> tuple[int, int, int, int]:
    """Intervals of the four phases that add up to `total`, shared out as in `INTERVALS`; each at least three."""
    first, second, third = (max(round(count * total / sum(INTERVALS)), 3) for count in INTERVALS[:3])
    return first, second, third, max(total - first - second - third, 3)


@dataclass(frozen=True)
class Window:
    """An opening in a wall across the way: free from `sill` to `lintel`, wall below and above, `depth` thick (m)."""

    sill: float
    lintel: float = 1.5
    depth: float = 0.04

    def __post_init__(self) -> None:
        check_range("sill", self.sill, 0.0, 0.8, "m")
        check_range("depth", self.depth, 0.005, 0.5, "m")
        check_range("lintel", self.lintel, 0.05, 5.0, "m")
        if self.lintel <= self.sill:
            raise InputError(f"lintel must be above the sill at {self.sill:g} m, but is {self.lintel:g} m.")


@dataclass(frozen=True)
class JumpSpec:
    """A jump in the sagittal plane, from a stand to a stand.

    Attributes:
        window: what to pass, None for a free jump.
        length: how far the trunk travels, m; None lets the optimiser choose.
        distance: from the centres of the front feet to the near face of the window at the start, m.
        friction: Coulomb coefficient that the forces may use.
        margin: smallest distance kept between robot and window, m.
        robot: with its payload and torque scale.
        start_height, end_height: of the trunk's centre at both stands, m.
        torque_reserve: share of the motor envelope kept free for feedback.
        intervals: per phase (all feet, rear feet, flight, landing).
    """

    window: Window | None = None
    length: float | None = None
    distance: float = 0.2
    friction: float = 0.45
    margin: float = 0.03
    robot: Robot = field(default=MINI_CHEETAH)
    start_height: float = 0.2
    end_height: float = 0.25
    torque_reserve: float = 0.1
    intervals: tuple[int, int, int, int] = INTERVALS

    def __post_init__(self) -> None:
        size = self.robot.hip_x / MINI_CHEETAH.hip_x
        check_range("distance", self.distance, 0.05, 1.5 * size, "m")
        check_range("friction", self.friction, 0.1, 2.0)
        check_range("margin", self.margin, 0.0, 0.1, "m")
        check_range("torque_reserve", self.torque_reserve, 0.0, 0.5)
        if self.length is not None:
            check_range("length", self.length, -0.5 * size, 2.0 * size, "m")
        for name in ("start_height", "end_height"):
            check_range(name, getattr(self, name), 0.15 * size, 0.36 * size, "m")
        if any(not 3 <= count <= 60 for count in self.intervals):
            raise InputError(f"intervals must be from 3 to 60 in each phase, but are {self.intervals}.")

    @property
    def near(self) -> float:
        """x of the window's near face; the trunk's centre starts at 0."""
        return self.robot.hip_x + self.distance

    @property
    def far(self) -> float:
        """x of the window's far face."""
        return self.near + (self.window.depth if self.window else 0.0)

    @property
    def shortest(self) -> float:
        """Least length at which the rear feet, as far forward as they may land, stand beyond the window, m."""
        return self.far + self.robot.foot_radius + LANDING_ROOM * self.margin + self.robot.hip_x - self.foot_play

    @property
    def foot_play(self) -> float:
        """How far from under the hips the feet may land, m."""
        return 0.3 * self.robot.thigh_length

    @property
    def lowest_opening(self) -> float:
        """Least height between sill and lintel through which the folded robot fits, m.

        The trunk's thickness, the folded front leg below it and the margin above and below: a leg folded to the
        knee's limit with its thigh level reaches a thigh's radius below the hip's axis or less.
        """
        return 2 * self.robot.trunk_half[2] + 2 * self.margin

    def stand(self, height: float, x: float = 0.0) -> Array:
        """(7,) level pose with the feet under the hips."""
        joints = planar_leg_joints(self.robot, 0.0, height - self.robot.foot_radius)
        return np.array([x, height, 0.0, *joints, *joints])

    def refuse_impossible(self) -> None:
        """Raise for what geometry alone rules out.

        Raises:
            InfeasibleJump: naming the number that limits.
        """
        load = stand_load(self.robot, self.end_height, self.friction, self.foot_play) / (1 - self.torque_reserve)
        if load > STAND_LOAD:
            raise InfeasibleJump(
                f"The robot of {self.robot.mass:.2f} kg cannot stand at {self.end_height:g} m: that takes {load:.2f} "
                f"times the torque its motors may give with {self.torque_reserve:.0%} kept in reserve."
            )
        if self.window is None:
            return
        opening = self.window.lintel - self.window.sill
        if opening < self.lowest_opening:
            raise InfeasibleJump(
                f"The opening is {opening:.3f} m high, but the folded robot with a margin of {self.margin:g} m "
                f"needs at least {self.lowest_opening:.3f} m."
            )
        if self.length is not None and self.length < self.shortest:
            raise InfeasibleJump(
                f"The rear feet would land before or in the wall: length must be at least {self.shortest:.3f} m "
                f"for this window at a distance of {self.distance:g} m, but is {self.length:g} m."
            )


@dataclass(frozen=True)
class JumpPlan:
    """A jump, node by node; controls hold between a node and the next.

    Attributes:
        t: (N+1,) s.
        q, v: (N+1, 7) coordinates of the sagittal model and their rates.
        tau: (N, 4) torque of each joint pair, N m.
        f: (N, 4) contact force of front and rear pair (x, z), N, upwards positive.
        phase: (N,) index into PHASES.
        status: "solved" only when every constraint holds to tolerance.
        cost: the objective.
        iterations, seconds: of the solver.
        message: the solver's own verdict.
        violation: largest constraint violation of the last iterate; binding: of which constraint.
        multipliers: the solver's dual variables and extra variables, for warm starts.
    """

    spec: JumpSpec
    t: Array
    q: Array
    v: Array
    tau: Array
    f: Array
    phase: NDArray[np.int64]
    status: Status = "solved"
    cost: float = 0.0
    iterations: int = 0
    seconds: float = 0.0
    message: str = ""
    violation: float = 0.0
    binding: str = ""
    multipliers: dict[str, Array] = field(default_factory=dict, repr=False, compare=False)

    @property
    def solved(self) -> bool:
        return self.status == "solved"

    @property
    def ends(self) -> Array:
        """(5,) times at which the phases begin, and the end."""
        starts = [self.t[np.flatnonzero(self.phase == index)[0]] for index in range(4)]
        return np.array([*starts, self.t[-1]])

    @property
    def length(self) -> float:
        """How far the trunk travels, m."""
        return float(self.q[-1, 0] - self.q[0, 0])

    @property
    def apex(self) -> float:
        """Greatest height of the trunk's centre, m."""
        return float(self.q[:, 1].max())
