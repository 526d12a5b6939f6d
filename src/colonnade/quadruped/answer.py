"""'Can it jump this, and how': a stored plan, a solved one, or the constraint that forbids it and the largest sill."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from colonnade.quadruped.errors import InfeasibleJump
from colonnade.quadruped.jump import optimise_jump
from colonnade.quadruped.jump_spec import JumpPlan, JumpSpec
from colonnade.quadruped.library import JumpLibrary, standard_library
from colonnade.quadruped.robot import MINI_CHEETAH


@dataclass(frozen=True)
class Answer:
    """What was found.

    Attributes:
        plan: the jump, or the last iterate of a failed search; None when geometry alone forbids.
        source: "library", "library start" (solved from a stored neighbour), "solver" (from nothing), "geometry".
        feasible: whether `plan` may be used.
        binding: name of the constraint that was violated most.
        largest_sill: greatest sill for which a jump was found, everything else as asked, m; None if not asked for.
        sentence: the verdict in words.
    """

    plan: JumpPlan | None
    source: str
    feasible: bool
    binding: str = ""
    largest_sill: float | None = None
    sentence: str = ""


def find_jump(
    spec: JumpSpec,
    *,
    library: JumpLibrary | None = None,
    explain: bool = True,
    max_seconds: float = 60.0,
    cancelled: Callable[[], bool] | None = None,
) -> Answer:
    """Answer a specification.

    Args:
        library: where to look and to start from; the package's own by default.
        explain: for an infeasible sill, also search the largest feasible one (some more solves).
        max_seconds: for each solve.
    """
    library = library if library is not None else standard_library()
    try:
        spec.refuse_impossible()
    except InfeasibleJump as reason:
        return Answer(None, "geometry", False, "geometry", None, str(reason))
    stored = library.covering(spec)
    if stored is not None:
        return Answer(stored, "library", True, sentence=_success(stored, "A stored plan covers this"))
    guess = library.interpolated(spec) if spec.length is None else None
    source = "solver" if guess is None else "library start"
    plan = optimise_jump(spec, guess=guess, max_seconds=max_seconds, max_iterations=300, cancelled=cancelled)
    if not plan.solved and guess is not None and plan.status != "cancelled":
        retried = optimise_jump(spec, max_seconds=max_seconds, cancelled=cancelled)
        if retried.solved:
            plan, source = retried, "solver"
    if plan.solved:
        return Answer(plan, source, True, sentence=_success(plan, "Solved"))
    return _refusal(spec, plan, source, explain and plan.status != "cancelled", max_seconds, cancelled)


def _success(plan: JumpPlan, how: str) -> str:
    return f"{how}: a jump of {plan.length:.2f} m in {plan.t[-1]:.2f} s, its trunk up to {plan.apex:.2f} m."


def _refusal(
    spec: JumpSpec, plan: JumpPlan, source: str, explain: bool, seconds: float, cancelled: Callable[[], bool] | None
) -> Answer:
    verdicts = {
        "infeasible": "No jump was found: the solver converged to a point of local infeasibility",
        "iterations": "No verdict: the solver reached its iteration limit",
        "timeout": "No verdict: the solver reached its time limit",
        "cancelled": "Cancelled before a verdict",
        "failed": "No jump was found: the solver failed",
    }
    text = f"{verdicts[plan.status]}; violated most: {plan.binding} (by {plan.violation:.3g})."
    largest = largest_sill(spec, max_seconds=seconds, cancelled=cancelled) if explain and spec.window else None
    if largest is not None and spec.window is not None:
        text += f" The largest sill for which a jump was found is {largest:.2f} m; asked were {spec.window.sill:.2f} m."
    elif explain and spec.window is not None:
        text += " No jump was found over a sill of 0 m either."
    return Answer(plan, source, False, plan.binding, largest, text)


def largest_sill(
    spec: JumpSpec,
    *,
    tolerance: float = 0.01,
    max_seconds: float = 30.0,
    cancelled: Callable[[], bool] | None = None,
) -> float | None:
    """Greatest sill, up to the asked one, for which the solver finds a jump; bisection by warm starts, m.

    Returns:
        None when even a sill of zero fails.
    """
    window = spec.window
    if window is None:
        return None
    lintel = window.lintel

    def attempt(sill: float, guess: JumpPlan | None) -> JumpPlan | None:
        trial = replace(spec, window=replace(window, sill=sill, lintel=lintel))
        try:
            plan = optimise_jump(trial, guess=guess, max_iterations=200, max_seconds=max_seconds, cancelled=cancelled)
        except InfeasibleJump:
            return None
        return plan if plan.solved else None

    # A cold start over a low wall may stray into local infeasibility, so a stored neighbour is tried first.
    low_spec = replace(spec, window=replace(window, sill=0.0), robot=MINI_CHEETAH)
    guess = standard_library().interpolated(low_spec)
    best = (attempt(0.0, guess) if guess is not None else None) or attempt(0.0, None)
    if best is None:
        return None
    low, high, step = 0.0, window.sill, 0.25 * window.sill
    while high - low > tolerance and not (cancelled is not None and cancelled()):
        sill = min(low + step, 0.5 * (low + high)) if high < window.sill else min(low + step, window.sill)
        plan = attempt(sill, best)
        if plan is None:
            high = sill
            step = max(0.5 * (high - low), tolerance / 2)
            continue
        best, low = plan, sill
        if sill >= window.sill:
            break
    return low
