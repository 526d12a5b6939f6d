"""'Can it jump this, and how': a stored plan, a solved one, or the constraint that forbids it and the largest sill."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Literal

from colonnade.quadruped.errors import InfeasibleJump
from colonnade.quadruped.jump import approach, optimise_jump
from colonnade.quadruped.jump_spec import JumpPlan, JumpSpec
from colonnade.quadruped.library import JumpLibrary, standard_library

Verdict = Literal["feasible", "impossible", "not found", "undecided", "cancelled"]
Stop = Callable[[], bool] | None


@dataclass(frozen=True)
class Answer:
    """What was found.

    Attributes:
        plan: the jump, or the last iterate of a failed search; None when geometry alone forbids.
        source: "library", "library start" (solved from a stored neighbour), "homotopy" (from a stored plan through the
            problems between), "solver" (from nothing), "geometry".
        feasible: whether `plan` may be used.
        verdict: "feasible"; "impossible" (proven); "not found" (from every start the solver converged to a point of
            local infeasibility, which is no proof); "undecided" (a limit of time or iterations was reached);
            "cancelled".
        binding: name of the constraint that was violated most.
        largest_sill: greatest sill for which a jump was found, everything else as asked, m; None if not asked for.
        sentence: the verdict in words.
    """

    plan: JumpPlan | None
    source: str
    feasible: bool
    verdict: Verdict
    binding: str = ""
    largest_sill: float | None = None
    sentence: str = ""


def find_jump(
    spec: JumpSpec,
    *,
    library: JumpLibrary | None = None,
    explain: bool = True,
    max_seconds: float = 60.0,
    cancelled: Stop = None,
    said: Callable[[str], None] = lambda _: None,
) -> Answer:
    """Answer a specification.

    The solver is local: from one start it may stray to a point of local infeasibility though a jump exists. So no
    refusal is given before every start (a stored neighbour, a homotopy from a stored plan, nothing) has failed.

    Args:
        library: where to look and to start from; the package's own by default.
        explain: for an infeasible sill, also search the largest feasible one (some more solves).
        max_seconds: for each start.
        said: is told how the search goes, in sentences.
    """
    library = library if library is not None else standard_library()
    try:
        spec.refuse_impossible()
    except InfeasibleJump as reason:
        return Answer(None, "geometry", False, "impossible", "geometry", None, str(reason))
    stored = library.covering(spec)
    if stored is not None:
        return Answer(stored, "library", True, "feasible", sentence=_success(stored, "A stored plan covers this"))
    failed: list[JumpPlan] = []
    for source, plan in _starts(spec, library, max_seconds, cancelled):
        said(f"{source}: {plan.status} after {plan.iterations} iterations")
        if plan.solved:
            return Answer(plan, source, True, "feasible", sentence=_success(plan, "Solved"))
        failed.append(plan)
        if plan.status == "cancelled":
            break
    return _refusal(spec, failed, explain, max_seconds, cancelled)


def _starts(spec: JumpSpec, library: JumpLibrary, seconds: float, cancelled: Stop) -> Iterator[tuple[str, JumpPlan]]:
    """One attempt after the other, each from another start."""
    guess = library.interpolated(spec)
    if guess is not None:
        yield (
            "library start",
            optimise_jump(spec, guess=guess, max_seconds=seconds, max_iterations=300, cancelled=cancelled),
        )
    near = library.nearest(spec)
    if near is not None:
        yield "homotopy", approach(spec, near, max_seconds=seconds, cancelled=cancelled)
    yield "solver", optimise_jump(spec, max_seconds=seconds, cancelled=cancelled)


def _success(plan: JumpPlan, how: str) -> str:
    return f"{how}: a jump of {plan.length:.2f} m in {plan.t[-1]:.2f} s, its trunk up to {plan.apex:.2f} m."


def _refusal(spec: JumpSpec, failed: list[JumpPlan], explain: bool, seconds: float, cancelled: Stop) -> Answer:
    plan = min(failed, key=lambda one: one.violation)
    ends = {one.status for one in failed}
    worst = f"violated most: {plan.binding} (by {plan.violation:.3g})"
    if "cancelled" in ends:
        return Answer(plan, "solver", False, "cancelled", plan.binding, None, "Cancelled before a verdict.")
    if ends & {"iterations", "timeout"}:
        verdict: Verdict = "undecided"
        text = f"No verdict: from {len(failed)} starts the solver found no jump before its limits; {worst}."
    else:
        verdict = "not found"
        text = f"No jump was found from {len(failed)} starts, which is no proof that there is none; {worst}."
    if not explain or spec.window is None:
        return Answer(plan, "solver", False, verdict, plan.binding, None, text)
    largest = largest_sill(spec, max_seconds=seconds, cancelled=cancelled)
    if largest is None:
        text += " No jump was found over a sill of 0 m either."
    else:
        text += f" The largest sill for which a jump was found is {largest:.2f} m; asked were {spec.window.sill:.2f} m."
    return Answer(plan, "solver", False, verdict, plan.binding, largest, text)


def largest_sill(
    spec: JumpSpec, *, tolerance: float = 0.01, max_seconds: float = 30.0, cancelled: Stop = None
) -> float | None:
    """Greatest sill, up to the asked one, for which the solver finds a jump; bisection by warm starts, m.

    Returns:
        None when even a sill of zero fails.
    """
    window = spec.window
    if window is None:
        return None
    library = standard_library()

    def attempt(sill: float, near: JumpPlan | None) -> JumpPlan | None:
        """From the stored neighbours, then from the last jump found, or from nothing when there is none."""
        trial = replace(spec, window=replace(window, sill=sill))
        stored = library.interpolated(trial)
        starts: list[JumpPlan | None] = [start for start in (stored, near) if start is not None]
        for guess in [*starts, None] if near is None else starts:
            try:
                plan = optimise_jump(
                    trial, guess=guess, max_iterations=200, max_seconds=max_seconds, cancelled=cancelled
                )
            except InfeasibleJump:
                return None
            if plan.solved:
                return plan
        return None

    best = attempt(0.0, None)
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
