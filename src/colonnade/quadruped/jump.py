"""Optimised jumps: `optimise_jump` solves the programme of `jump_nlp` with IPOPT and says plainly how it ended."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import lru_cache
from typing import Any

import casadi as ca
import numpy as np

from colonnade.quadruped.errors import InputError
from colonnade.quadruped.jump_guess import best_lines, first_guess, guessed_length
from colonnade.quadruped.jump_nlp import DURATIONS, PARAMETERS, Layout, Programme, programme
from colonnade.quadruped.jump_spec import FEET_IN_PHASE, Array, JumpPlan, JumpSpec, Status, Window
from colonnade.quadruped.robot import Robot

FINEST = 1 / 32  # share of the way between two problems below which a homotopy gives up
FEASIBLE = 1e-5  # largest violation of a plan that counts as solved
STATUS: dict[str, Status] = {
    "Solve_Succeeded": "solved",
    "Solved_To_Acceptable_Level": "solved",
    "Feasible_Point_Found": "solved",
    "Infeasible_Problem_Detected": "infeasible",
    "Maximum_Iterations_Exceeded": "iterations",
    "Maximum_CpuTime_Exceeded": "timeout",
    "Maximum_WallTime_Exceeded": "timeout",
}


class Watch(ca.Callback):
    """Called by IPOPT at each iteration: stops it when the caller says so or a limit is passed.

    Limits are kept here, not in IPOPT's options, so that one compiled solver serves all of them.
    """

    def __init__(self, size: int, rows: int) -> None:
        ca.Callback.__init__(self)
        self.size, self.rows = size, rows
        self.begin(0, 0.0, None)
        self.construct("watch", {})

    def begin(self, iterations: int, seconds: float, stop: Callable[[], bool] | None) -> None:
        """Set the limits of the next solve."""
        self.reason: Status | None = None
        self.interrupted = False
        self._left, self._deadline, self._stop = iterations, time.perf_counter() + seconds, stop

    def get_n_in(self) -> int:
        return int(ca.nlpsol_n_out())

    def get_n_out(self) -> int:
        return 1

    def get_sparsity_in(self, index: int) -> Any:
        name = ca.nlpsol_out(index)
        count = {"f": 1, "x": self.size, "lam_x": self.size, "g": self.rows, "lam_g": self.rows}.get(name, 0)
        return ca.Sparsity.dense(count, 1) if count else ca.Sparsity(0, 0)

    def eval(self, _: Any) -> list[int]:
        self._left -= 1
        if self.interrupted or (self._stop is not None and self._stop()):
            self.reason = "cancelled"
        elif self._left < 0:
            self.reason = "iterations"
        elif time.perf_counter() > self._deadline:
            self.reason = "timeout"
        return [int(self.reason is not None)]


@contextmanager
def _interruptible(watch: Watch) -> Iterator[None]:
    """Let Ctrl-C stop the solver: CasADi swallows what is raised in a callback, so the signal is only noted there."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def note(*_: object) -> None:
        watch.interrupted = True

    before = signal.signal(signal.SIGINT, note)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
    if watch.interrupted:
        raise KeyboardInterrupt


@lru_cache(maxsize=16)
def _solver(
    robot: Robot, intervals: tuple[int, int, int, int], separated: bool, warm: bool
) -> tuple[Programme, Any, Watch]:
    problem = programme(robot, intervals, separated)
    watch = Watch(problem.layout.size, len(problem.low))
    options: dict[str, Any] = {
        "print_time": False,
        "iteration_callback": watch,
        "ipopt.print_level": 0,
        "ipopt.sb": "yes",
        "ipopt.tol": 1e-5,
        "ipopt.constr_viol_tol": 1e-6,
        "ipopt.acceptable_tol": 1e-3,
        "ipopt.acceptable_constr_viol_tol": 1e-6,
        "ipopt.acceptable_iter": 5,
        "ipopt.mu_strategy": "adaptive",
        "ipopt.linear_solver": "mumps",
    }
    if warm:
        options |= {
            "ipopt.warm_start_init_point": "yes",
            "ipopt.mu_strategy": "monotone",
            "ipopt.mu_init": 1e-4,
            "ipopt.warm_start_bound_push": 1e-6,
            "ipopt.warm_start_mult_bound_push": 1e-6,
        }
    nlp = {"x": problem.x, "p": problem.p, "f": problem.cost, "g": problem.g}
    return problem, ca.nlpsol("jump", "ipopt", nlp, options), watch


def optimise_jump(
    spec: JumpSpec,
    *,
    guess: JumpPlan | None = None,
    max_iterations: int = 600,
    max_seconds: float = 60.0,
    cancelled: Callable[[], bool] | None = None,
) -> JumpPlan:
    """The cheapest jump that meets `spec` (arXiv:2107.00773, section on jumping trajectories; see `jump_nlp`).

    Args:
        guess: a plan near the wanted one, from which the solver starts; its intervals must be those of `spec`.
        max_iterations, max_seconds: after which the solver gives up; the plan's `status` then says so.
        cancelled: asked at every iteration; True stops the solver.

    Returns:
        A plan; trust it only if `plan.solved`. Any other status keeps the last iterate, for the eye.

    Raises:
        InfeasibleJump: geometry alone rules the jump out.
        InputError: the guess has other intervals.
    """
    spec.refuse_impossible()
    plan = _first(spec, guess, max_iterations, max_seconds, cancelled)
    if plan.solved or plan.status == "cancelled" or spec.window is None or guess is not None:
        return plan
    left = max_seconds - plan.seconds
    lower = replace(spec, window=replace(spec.window, sill=0.5 * spec.window.sill))
    tries = [plan, _first(lower, None, max_iterations, left, cancelled)]
    if tries[1].solved:
        left -= tries[1].seconds
        tries.append(approach(spec, tries[1], max_iterations=max_iterations, max_seconds=left, cancelled=cancelled))
    # The first failure is the one to tell of, unless a later try did it or was stopped.
    found = next((one for one in tries[:0:-1] if one.status == "cancelled" or (one.solved and one.spec == spec)), plan)
    return replace(
        found, spec=spec, seconds=sum(one.seconds for one in tries), iterations=sum(one.iterations for one in tries)
    )


def approach(
    spec: JumpSpec,
    start: JumpPlan,
    *,
    first: float = 0.5,
    max_iterations: int = 300,
    max_seconds: float = 60.0,
    cancelled: Callable[[], bool] | None = None,
) -> JumpPlan:
    """Homotopy: from a solved jump to the asked one through the problems between, each started from the last.

    Args:
        first: share of the way that the first step tries; a step that fails is halved.

    Returns:
        The asked jump, or the last failure; `seconds` and `iterations` are of all solves.
    """
    began = time.perf_counter()
    best, share, step, iterations = start, 0.0, first, 0
    plan = replace(start, status="timeout", message="no time was left")
    while step >= FINEST and plan.status != "cancelled":
        left = began + max_seconds - time.perf_counter()
        if left <= 0:
            break
        ahead = min(share + step, 1.0)
        plan = _solve(spec if ahead == 1.0 else between(start, spec, ahead), best, max_iterations, left, cancelled)
        iterations += plan.iterations
        if plan.solved and ahead == 1.0:
            break
        best, share, step = (plan, ahead, step) if plan.solved else (best, share, step / 2)
    reached = plan.solved and plan.spec == spec
    status = "timeout" if plan.solved and not reached else plan.status
    return replace(plan, spec=spec, status=status, seconds=time.perf_counter() - began, iterations=iterations)


def between(start: JumpPlan, end: JumpSpec, share: float) -> JumpSpec:
    """The problem a `share` of the way from a plan's to another; the robot and the intervals are the other's."""

    def mix(first: float, second: float) -> float:
        return (1 - share) * first + share * second

    names = ("distance", "friction", "margin", "torque_reserve", "start_height", "end_height")
    values: dict[str, Any] = {name: mix(getattr(start.spec, name), getattr(end, name)) for name in names}
    mixed = replace(end, **values)
    if end.length is not None:
        mixed = replace(mixed, length=mix(start.length, end.length))
    here, there = start.spec.window, end.window
    if here is None or there is None:
        return mixed
    sizes = {name: mix(getattr(here, name), getattr(there, name)) for name in ("sill", "lintel", "depth")}
    return replace(mixed, window=Window(**sizes))


def _first(
    spec: JumpSpec,
    guess: JumpPlan | None,
    max_iterations: int,
    max_seconds: float,
    cancelled: Callable[[], bool] | None,
) -> JumpPlan:
    """Solve as asked; from nothing, a free length is first held at its guess, since IPOPT then strays less."""
    if guess is not None or spec.length is not None or spec.window is None:
        return _solve(spec, guess, max_iterations, max_seconds, cancelled)
    held = _solve(replace(spec, length=guessed_length(spec)), None, max_iterations, max_seconds, cancelled)
    if not held.solved:
        return held
    plan = _solve(spec, held, max_iterations, max(max_seconds - held.seconds, 0.1), cancelled)
    return replace(plan, seconds=plan.seconds + held.seconds, iterations=plan.iterations + held.iterations)


def _solve(
    spec: JumpSpec,
    guess: JumpPlan | None,
    max_iterations: int,
    max_seconds: float,
    cancelled: Callable[[], bool] | None,
) -> JumpPlan:
    problem, solver, watch = _solver(spec.robot, spec.intervals, spec.window is not None, guess is not None)
    layout = problem.layout
    arguments = _start(spec, layout, guess)
    low, high = _bounds(spec, layout)
    began = time.perf_counter()
    watch.begin(max_iterations, max_seconds, cancelled)
    with _interruptible(watch):
        result = solver(lbx=low, ubx=high, lbg=problem.low, ubg=problem.high, p=_parameters(spec), **arguments)
    seconds = time.perf_counter() - began
    return _plan(spec, problem, result, solver.stats(), seconds, watch.reason)


def _parameters(spec: JumpSpec) -> Array:
    window = spec.window
    values = {
        "near": spec.near,
        "far": spec.far if window else -1.0,
        "sill": window.sill if window else 0.0,
        "lintel": window.lintel if window else 10.0,
        "margin": spec.margin,
        "friction": spec.friction,
        "share": 1.0 - spec.torque_reserve,
        "end_height": spec.end_height,
        "foot_play": spec.foot_play,
    }
    return np.array([values[name] for name in PARAMETERS])


def _start(spec: JumpSpec, layout: Layout, guess: JumpPlan | None) -> dict[str, Array]:
    if guess is None:
        return {"x0": layout.join(*first_guess(spec, layout))}
    if guess.spec.intervals != spec.intervals:
        raise InputError(f"guess must have the intervals {spec.intervals}, but has {guess.spec.intervals}.")
    kept = guess.multipliers
    same = (guess.spec.window is None) == (spec.window is None)
    angles = kept["angles"] if same and "angles" in kept else best_lines(spec, layout, guess.q)
    start = {"x0": layout.join(np.diff(guess.ends), guess.q, guess.v, guess.tau, guess.f, angles)}
    if same and "lam_g" in kept:
        start |= {"lam_g0": kept["lam_g"], "lam_x0": kept["lam_x"]}
    return start


def _bounds(spec: JumpSpec, layout: Layout) -> tuple[Array, Array]:
    robot, n = spec.robot, layout.total
    size = robot.hip_x / 0.19
    times = np.array(DURATIONS) * np.array([[size**0.5]] * 4)
    inner = np.array([-0.01, 0.001])  # keep off the joints' stops
    legs_low, legs_high = (np.tile(np.array(side)[1:], 2) + inner[k] for k, side in enumerate((robot.high, robot.low)))
    low = np.concatenate([[-1.0 * size, 0.08 * size, -0.6], legs_high])
    high = np.concatenate([[3.0 * size, 1.5 * size, 0.6], legs_low])
    speed = np.concatenate([[8.0, 8.0, 15.0], np.tile(robot.speed_limit[1:], 2)])
    q_low, q_high = np.tile(low, (n + 1, 1)), np.tile(high, (n + 1, 1))
    v_low, v_high = np.tile(-speed, (n + 1, 1)), np.tile(speed, (n + 1, 1))
    q_low[0] = q_high[0] = spec.stand(spec.start_height)
    q_low[-1, 2] = q_high[-1, 2] = 0.0
    if spec.window is not None:
        q_low[-1, 0] = spec.shortest
    if spec.length is not None:
        q_low[-1, 0] = q_high[-1, 0] = spec.length
    v_low[[0, -1]] = v_high[[0, -1]] = 0.0
    tau = np.full((n, 4), 4 * robot.torque_limit.max())
    f_low, f_high = np.zeros((n, 4)), np.zeros((n, 4))
    for k, phase in enumerate(layout.phase):
        for foot in FEET_IN_PHASE[int(phase)]:
            f_high[k, 2 * foot : 2 * foot + 2] = 20 * robot.mass * 9.81
            f_low[k, 2 * foot] = -20 * robot.mass * 9.81
    angles = np.full(len(layout.lines), np.pi / 2)
    return (
        layout.join(times[:, 0], q_low, v_low, -tau, f_low, -angles),
        layout.join(times[:, 1], q_high, v_high, tau, f_high, angles),
    )


def _plan(
    spec: JumpSpec, problem: Programme, result: Any, stats: dict[str, Any], seconds: float, stopped: Status | None
) -> JumpPlan:
    layout = problem.layout
    durations, q, v, tau, f, angles = (np.array(part) for part in layout.split(result["x"]))
    steps = np.repeat(durations.ravel() / np.array(layout.intervals), layout.intervals)
    g = np.array(result["g"]).ravel()
    excess = np.maximum(np.maximum(problem.low - g, g - problem.high), 0.0)
    violation = float(excess.max(initial=0.0))
    status = stopped or STATUS.get(stats["return_status"], "failed")
    if status == "solved" and violation > FEASIBLE:
        status = "failed"
    return JumpPlan(
        spec=spec,
        t=np.concatenate([[0.0], np.cumsum(steps)]),
        q=q.T,
        v=v.T,
        tau=tau.T,
        f=f.T,
        phase=layout.phase.astype(np.int64),
        status=status,
        cost=float(result["f"]),
        iterations=int(stats["iter_count"]),
        seconds=seconds,
        message=str(stats["return_status"]).replace("_", " ").lower(),
        violation=violation,
        binding=problem.labels[int(excess.argmax())],
        multipliers={
            "lam_g": np.array(result["lam_g"]).ravel(),
            "lam_x": np.array(result["lam_x"]).ravel(),
            "angles": angles.ravel(),
        },
    )
