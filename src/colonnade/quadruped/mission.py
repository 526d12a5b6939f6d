"""Whole missions: look, plan, walk, align, crouch, jump, land, until the goal, a fall, or no way is left.

The decision of the paper, to walk round or to jump through, is the planner's: windows found in the map enter the search
as edges with a price.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from colonnade.quadruped.balance import stand_inertia
from colonnade.quadruped.errors import Cancelled
from colonnade.quadruped.gait import CONTROL_STEPS, Command, GaitConfig, Walker
from colonnade.quadruped.jump_spec import Array, JumpPlan
from colonnade.quadruped.legs import State
from colonnade.quadruped.library import JumpLibrary, standard_library
from colonnade.quadruped.local import LocalPlanner
from colonnade.quadruped.mapping import ElevationMap, FoundWindow
from colonnade.quadruped.passage import Passage, passages
from colonnade.quadruped.plan import JumpEdge, NoPath, Path, plan_path, straighten, travel_cost
from colonnade.quadruped.robot import MINI_CHEETAH, Robot
from colonnade.quadruped.sensing import DepthSensor, Scanner
from colonnade.quadruped.simulation import Diverged, Simulation
from colonnade.quadruped.track import JumpTracker
from colonnade.quadruped.trial import hold
from colonnade.quadruped.world import World

Outcome = Literal["reached", "fell", "no path", "stuck", "too long", "diverged"]
CLEAR = 0.25  # m walked straight on after a landing
IDLE = Command(vx=1e-9)  # trots on the spot


@dataclass(frozen=True)
class MissionConfig:
    """Settings of a mission.

    Attributes:
        arrive: m from the goal that counts as reached; patience: s without progress; longest: simulated s.
        allow_jumps: False plans round walls only.
        friction, mass_factor: of the simulated world, unknown to the robot.
        radius, comfort: of the planner's footprint, m.
        stage: m further from the wall than the take-off, where the robot turns to face the window.
    """

    arrive: float = 0.08
    patience: float = 12.0
    longest: float = 180.0
    speed: float = 0.8
    allow_jumps: bool = True
    friction: float = 0.7
    mass_factor: float = 1.0
    depth_noise: float = 0.0
    radius: float = 0.24
    comfort: float = 0.5
    stage: float = 0.3
    replans: int = 60


@dataclass
class Metrics:
    """What a mission took; contacts are time steps in which the robot touched an obstacle."""

    outcome: Outcome = "too long"
    cause: str = ""
    time: float = 0.0
    distance: float = 0.0
    error: float = math.inf
    jumps: int = 0
    contacts: int = 0
    replans: int = 0
    energy: float = 0.0
    cost_of_transport: float = 0.0

    @property
    def success(self) -> bool:
        """At the goal within 10 cm, without touching an obstacle."""
        return self.outcome == "reached" and self.error <= 0.1 and self.contacts == 0


@dataclass
class MissionResult:
    """A mission's metrics, its map and all that was recorded (30 frames a second)."""

    world: World
    metrics: Metrics
    map: ElevationMap
    t: Array
    qpos: Array
    states: list[tuple[float, str]]
    windows: list[FoundWindow]
    plans: list[list[tuple[float, float]]] = field(default_factory=list)
    jumps: list[JumpPlan] = field(default_factory=list)


def navigate(
    world: World,
    *,
    robot: Robot = MINI_CHEETAH,
    config: MissionConfig | None = None,
    library: JumpLibrary | None = None,
    rng: np.random.Generator | None = None,
    watch: Callable[[float, str], bool] | None = None,
) -> MissionResult:
    """Cross `world` from its start to its goal, seeing only what the depth sensor sees.

    Args:
        rng: for sensor noise; needed only with `config.depth_noise`.
        watch: called with time and state about ten times a simulated second; True ends the mission.

    Raises:
        Cancelled: `watch` said so.
    """
    return Mission(world, robot, config or MissionConfig(), library or standard_library(), rng, watch).run()


class Mission:
    """One run of the state machine; see `navigate`."""

    def __init__(
        self,
        world: World,
        robot: Robot,
        config: MissionConfig,
        library: JumpLibrary,
        rng: np.random.Generator | None,
        watch: Callable[[float, str], bool] | None,
    ) -> None:
        self.world, self.config, self.library, self.watch = world, config, library, watch
        x, y, yaw = world.start
        self.sim = Simulation(
            robot, world.boxes, friction=config.friction, mass_factor=config.mass_factor, position=(x, y), yaw=yaw
        )
        self.walker = Walker(robot, GaitConfig())
        self.scanner = Scanner(self.sim, DepthSensor(noise=config.depth_noise), rng)
        self.map = ElevationMap(world.bounds)
        self.local = LocalPlanner(speed=config.speed)
        self.inertia = stand_inertia(robot)
        self.metrics = Metrics()
        self.known: list[FoundWindow] = []
        self.states: list[tuple[float, str]] = []
        self.frames: list[tuple[float, Array]] = []
        self.paths: list[list[tuple[float, float]]] = []
        self.done_jumps: list[JumpPlan] = []
        self.banned: set[tuple[int, int]] = set()
        self.passed: set[int] = set()
        self._ticks = 0
        self._last = self.sim.state.position[:2].copy()
        self._turned = False

    # --- the state machine ------------------------------------------------------------------------

    def run(self) -> MissionResult:
        """Go until an end is reached."""
        try:
            self._enter("look")
            self._stand(0.4)
            while self.metrics.outcome == "too long" and self.sim.time < self.config.longest:
                self._leg()
        except _End as end:
            self.metrics.outcome, self.metrics.cause = end.outcome, end.cause
        except Diverged as problem:
            self.metrics.outcome, self.metrics.cause = "diverged", str(problem)
        return self._result()

    def _leg(self) -> None:
        """Plan once and follow the plan up to its first jump, the goal, or the next look at the map."""
        try:
            passage, path = self._plan()
        except NoPath as problem:
            self._no_path(str(problem))
            return
        if self._walk(path, passage):
            if passage is None:
                self._arrive()
            elif self._align(passage):
                self._jump(passage)
            else:
                self.banned.add(passage.key)

    def _no_path(self, text: str) -> None:
        """Look all round once before giving up."""
        if self._turned:
            raise _End("no path", text)
        self._turned = True
        self._enter("look")
        until = self.sim.time + 2 * math.pi / 1.2
        while self.sim.time < until:
            self._tick(Command(yaw_rate=1.2))
        self._stand(0.3)

    def _plan(self) -> tuple[Passage | None, Array]:
        """The next passage to jump through (None: the goal) and the walk up to it, (n, 2) corners."""
        self._enter("plan")
        self.metrics.replans += 1
        if self.metrics.replans > self.config.replans:
            raise _End("stuck", f"Gave up after {self.config.replans} plans.")
        here = self.sim.state.position
        cost, _ = self._cost()
        start, goal = self.map.index(here[0], here[1]), self.map.index(*self.world.goal)
        cost[start] = min(cost[start], 5.0)
        ways = passages(self.known, self.library, self.config.stage) if self.config.allow_jumps else []
        ways = [way for way in ways if way.key not in self.banned]
        edges = [
            JumpEdge(self.map.index(*way.stage), self.map.index(*way.landing), way.price / self.map.cell, index)
            for index, way in enumerate(ways)
        ]
        path = plan_path(cost, start, goal, edges)
        self.paths.append([self.map.point(*cell) for cell in path.cells])
        first = ways[path.jumps[0].name] if path.jumps else None
        return first, self._corners(path, cost, first)

    def _corners(self, path: Path, cost: Array, passage: Passage | None) -> Array:
        cells = path.segments[0].cells if path.segments[0].kind == "walk" else path.cells[:1]
        corners = [self.map.point(*cell) for cell in straighten(cells, cost)]
        corners[-1] = passage.stage if passage is not None else self.world.goal
        return np.array(corners)

    def _cost(self) -> tuple[Array, Array]:
        blocked = self.map.blocked
        unknown = ~(self.map.seen | blocked)
        return travel_cost(
            blocked, self.map.cell, radius=self.config.radius, comfort=self.config.comfort, unknown=unknown
        )

    def _walk(self, path: Array, passage: Passage | None) -> bool:
        """Follow a path; True at its end, False when it is time to plan again."""
        self._enter("walk")
        end = path[-1]
        near = 0.12 if passage is not None else 0.3
        began, best, progress = self.sim.time, math.inf, self.sim.time
        _, room = self._cost()
        windows = len(self.known)
        command = IDLE
        while True:
            state = self.sim.state
            left = float(np.hypot(*(end - state.position[:2])))
            if left < near:
                return True
            if left < best - 0.05:
                best, progress = left, self.sim.time
            if self.sim.time - progress > self.config.patience:
                raise _End("stuck", f"No progress for {self.config.patience:g} s at {self.sim.time:.1f} s.")
            pose = np.array([*state.position[:2], state.rpy[2]])
            chosen = self.local.command(pose, path, room, self.map.bounds[:2], self.map.cell)
            command = chosen if chosen is not None else Command(vx=-0.15)
            self._run(command, 0.1)
            _, room = self._cost()
            if self.sim.time - began > 1.5 or len(self.known) != windows:
                return False

    def _arrive(self) -> None:
        """The last steps, in any direction, to the goal."""
        until = self.sim.time + 8.0
        while self.sim.time < until:
            state = self.sim.state
            error = np.array(self.world.goal) - state.position[:2]
            if np.hypot(*error) < 0.03:
                break
            self._run(self._towards(state, error, state.rpy[2]), 0.05)
        self._stand(1.0)
        self.metrics.error = float(np.hypot(*(np.array(self.world.goal) - self.sim.state.position[:2])))
        if self.metrics.error <= self.config.arrive:
            raise _End("reached", "")

    def _towards(self, state: State, error: Array, yaw: float, speed: float = 0.25) -> Command:
        """A slow step towards a point, in any direction, turning to `yaw`."""
        c, s = math.cos(state.rpy[2]), math.sin(state.rpy[2])
        ahead, left = c * error[0] + s * error[1], -s * error[0] + c * error[1]
        turn = (yaw - state.rpy[2] + math.pi) % (2 * math.pi) - math.pi
        return Command(
            float(np.clip(1.5 * ahead, -speed, speed)) + 1e-9,
            float(np.clip(1.5 * left, -0.2, 0.2)),
            float(np.clip(2.0 * turn, -1.0, 1.0)),
        )

    def _align(self, passage: Passage) -> bool:
        """Face the window at the take-off place, still: feet within 1.2 cm along, 4 cm across, 2°."""
        self._enter("align")
        until = self.sim.time + 16.0
        ahead = np.array([math.cos(passage.yaw), math.sin(passage.yaw)])
        lead = 0.0  # aims further ahead by what stopping was found to fall back
        while self.sim.time < until:
            along, across, turn = self._off(passage)
            close = abs(across) < 0.05 and abs(turn) < 0.08
            aim = passage.takeoff if close or (along > -0.15 and abs(turn) < 0.2) else passage.stage
            state = self.sim.state
            self._run(self._towards(state, np.array(aim) + lead * ahead - state.position[:2], passage.yaw), 0.03)
            if abs(along - lead) < 0.012 and abs(across) < 0.02 and abs(turn) < 0.03:
                self._stand(0.35)
                along, across, turn = self._off(passage, feet=True)
                if abs(along) < 0.012 and abs(across) < 0.04 and abs(turn) < 0.035:
                    return True
                lead = float(np.clip(lead - 0.8 * along, -0.04, 0.04))
        return False

    def _off(self, passage: Passage, feet: bool = False) -> tuple[float, float, float]:
        """Position of the trunk (or of the feet's middle) along and across the window's axis from the take-off place,
        and heading error."""
        state = self.sim.state
        here = state.feet.mean(axis=0)[:2] if feet else state.position[:2]
        gap = here - np.array(passage.takeoff)
        c, s = math.cos(passage.yaw), math.sin(passage.yaw)
        turn = (state.rpy[2] - passage.yaw + math.pi) % (2 * math.pi) - math.pi
        return float(c * gap[0] + s * gap[1]), float(-s * gap[0] + c * gap[1]), float(turn)

    def _jump(self, passage: Passage) -> None:
        """Crouch, jump, land, and stand up."""
        sim, plan = self.sim, passage.plan
        self._enter("crouch")
        top, low = float(sim.state.position[2]), plan.spec.start_height
        for k in range(500):
            share = min(k / 300, 1.0)
            height = top + (low - top) * share * share * (3 - 2 * share)
            self._physics(hold(sim.robot, self.inertia, sim.state, height, passage.yaw), 1)
        self._enter("jump")
        _, across, _ = self._off(passage, feet=True)
        c, s = math.cos(passage.yaw), math.sin(passage.yaw)
        origin = (passage.takeoff[0] - s * across, passage.takeoff[1] + c * across, passage.yaw)
        tracker = JumpTracker(plan, origin)
        for k in range(int((plan.t[-1] + 0.7) * 1000)):
            if tracker.landed is not None and self.states[-1][1] == "jump":
                self._enter("land")
            self._physics(tracker.torque(sim.state, sim.contact, k * 1e-3), 1)
        self.metrics.jumps += 1
        self.passed.add(passage.key[0])
        self.done_jumps.append(plan)
        self._turned = False
        self._enter("recover")
        self.walker.reset()
        self._stand(0.4)
        self._leave_wall(passage)

    def _leave_wall(self, passage: Passage) -> None:
        """Straight on before any turn: turning where it landed, the robot would brush the wall with a rear knee."""
        until = self.sim.time + 1.5
        while self.sim.time < until:
            state = self.sim.state
            ahead = state.position[:2] + 0.4 * np.array([math.cos(passage.yaw), math.sin(passage.yaw)])
            _, room = self._cost()
            along, _, _ = self._off(passage)
            if along > passage.plan.length + CLEAR or room[self.map.index(ahead[0], ahead[1])] < 0.2:
                break
            turn = (passage.yaw - state.rpy[2] + math.pi) % (2 * math.pi) - math.pi
            self._run(Command(0.3, 0.0, float(np.clip(2 * turn, -0.5, 0.5))), 0.1)

    # --- moving -----------------------------------------------------------------------------------

    def _run(self, command: Command, seconds: float) -> None:
        for _ in range(max(round(seconds * 1000 / CONTROL_STEPS), 1)):
            self._tick(command)

    def _stand(self, seconds: float) -> None:
        self._run(Command(), seconds)

    def _tick(self, command: Command) -> None:
        self.walker.command = command
        self._physics(self.walker.torque(self.sim.state), CONTROL_STEPS)

    def _physics(self, torque: Array, steps: int) -> None:
        sim = self.sim
        sim.step(torque, steps)
        before, self._ticks = self._ticks, self._ticks + steps
        if self._ticks // 33 != before // 33:
            self.frames.append((sim.time, sim.data.qpos.copy()))
        if self._ticks // 100 != before // 100:
            self._often()
        if sim.fallen:
            raise _End("fell", f"Fell at {sim.time:.2f} s while in state '{self.states[-1][1]}'.")

    def _often(self) -> None:
        """Ten times a second: distance, the caller's wish, and every other time a look."""
        here = self.sim.state.position[:2]
        self.metrics.distance += float(np.hypot(*(here - self._last)))
        self._last = here.copy()
        if self.watch is not None and self.watch(self.sim.time, self.states[-1][1]):
            raise Cancelled("The mission was cancelled.")
        if self.states[-1][1] in ("look", "plan", "walk", "recover") and (self._ticks // 100) % 2 == 0:
            self.map.add(self.scanner.scan())
            self._remember(self.map.windows())

    def _remember(self, found: list[FoundWindow]) -> None:
        """Keep each window's latest good view: not a much smaller one, and none from behind once it is passed."""
        for window in found:
            for index, old in enumerate(self.known):
                if math.hypot(window.x - old.x, window.y - old.y) < 0.5:
                    if window.cells >= 0.7 * old.cells and index not in self.passed:
                        self.known[index] = window
                    break
            else:
                self.known.append(window)

    def _enter(self, state: str) -> None:
        if not self.states or self.states[-1][1] != state:
            self.states.append((self.sim.time, state))

    def _result(self) -> MissionResult:
        metrics, sim = self.metrics, self.sim
        metrics.time, metrics.contacts, metrics.energy = sim.time, sim.touch.obstacle, sim.energy
        if not math.isfinite(metrics.error):
            metrics.error = float(np.hypot(*(np.array(self.world.goal) - sim.data.qpos[:2])))
        weight = sim.robot.mass * 9.81
        metrics.cost_of_transport = metrics.energy / (weight * max(metrics.distance, 1e-6))
        return MissionResult(
            self.world, metrics, self.map, np.array([frame[0] for frame in self.frames]),
            np.array([frame[1] for frame in self.frames]), self.states, self.known, self.paths, self.done_jumps,
        )  # fmt: skip


class _End(Exception):
    def __init__(self, outcome: Outcome, cause: str) -> None:
        super().__init__(cause)
        self.outcome: Outcome = outcome
        self.cause = cause
