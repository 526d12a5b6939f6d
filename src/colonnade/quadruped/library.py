"""A library of solved jumps: answers at once when a stored plan covers what is asked, else where to start the solver.

The stored plans are made by `python -m colonnade.quadruped.library` and carried by the package.
"""

from __future__ import annotations

import io
import sys
from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np

from colonnade.quadruped.errors import InputError
from colonnade.quadruped.jump_spec import Array, JumpPlan, JumpSpec, Window
from colonnade.quadruped.robot import MINI_CHEETAH

FILE = "library.npz"
SILLS = (0.0, 0.04, 0.07, 0.1, 0.13, 0.16, 0.2, 0.24, 0.27, 0.3)
DISTANCES = (0.12, 0.15, 0.2)
OPEN = 1.5  # lintel of the stored problems: no limit; `top` says what each plan really needs
MARGIN, RESERVE, FRICTION, DEPTH = 0.045, 0.2, 0.45, 0.05
MAX_BYTES = 20_000_000


class JumpLibrary:
    """Solved plans of one robot, in order of distance and sill."""

    def __init__(self, plans: Iterable[JumpPlan]) -> None:
        self.plans = sorted(plans, key=lambda plan: (plan.spec.distance, _sill(plan)))
        self.tops = [top(plan) for plan in self.plans]

    def __len__(self) -> int:
        return len(self.plans)

    def covering(self, spec: JumpSpec) -> JumpPlan | None:
        """The cheapest stored plan that meets `spec` as it is, or None.

        A plan past a higher sill and a thicker wall, below a lower lintel, within less friction and with more
        reserve, from the same distance, is a plan for `spec` too.
        """
        found = [plan for plan, height in zip(self.plans, self.tops, strict=True) if _covers(plan, height, spec)]
        return min(found, key=lambda plan: plan.cost, default=None)

    def interpolated(self, spec: JumpSpec) -> JumpPlan | None:
        """The blend of the stored plans below and above the asked sill at the nearest distance, on its intervals.

        Outside the stored sills it is the nearest plan; None without a window or for a robot of another size. It is a
        guess, marked "failed" until solved: blends of solutions obey the dynamics only nearly.
        """
        row = self._row(spec)
        if not row or spec.window is None:
            return None
        below = [plan for plan in row if _sill(plan) <= spec.window.sill]
        above = [plan for plan in row if _sill(plan) >= spec.window.sill]
        if not below or not above:
            return resampled(replace(above[0] if above else below[-1], status="failed"), spec.intervals)
        low, high = below[-1], above[0]
        gap = _sill(high) - _sill(low)
        share = 0.0 if gap == 0 else (spec.window.sill - _sill(low)) / gap
        return resampled(blend(low, high, share), spec.intervals)

    def nearest(self, spec: JumpSpec) -> JumpPlan | None:
        """The stored plan of nearest distance and, in its row, nearest sill, on the asked intervals."""
        window = spec.window
        row = self._row(spec)
        if not row or window is None:
            return None
        return resampled(min(row, key=lambda plan: abs(_sill(plan) - window.sill)), spec.intervals)

    def _row(self, spec: JumpSpec) -> list[JumpPlan]:
        """Plans of the nearest distance; none for a robot so much larger or smaller that they would mislead."""
        if not self.plans or not 0.7 < spec.robot.hip_x / self.plans[0].spec.robot.hip_x < 1.4:
            return []
        distance = min((plan.spec.distance for plan in self.plans), key=lambda value: abs(value - spec.distance))
        return [plan for plan in self.plans if plan.spec.distance == distance and plan.spec.window]

    def save(self, path: Path) -> None:
        """Write all plans into one compressed file, in single precision."""
        path.write_bytes(_pack(self.plans))

    @classmethod
    def load(cls, path: Path) -> JumpLibrary:
        """Read what `save` wrote.

        Raises:
            InputError: too large, or not such a file.
        """
        if path.stat().st_size > MAX_BYTES:
            raise InputError(f"library must be at most {MAX_BYTES} bytes, but has {path.stat().st_size}.")
        return cls(_unpack(path.read_bytes()))


def _sill(plan: JumpPlan) -> float:
    return plan.spec.window.sill if plan.spec.window else 0.0


def top(plan: JumpPlan) -> float:
    """The lowest lintel that keeps the plan's margin: greatest height of trunk or knee while they pass the wall, m."""
    from colonnade.quadruped.certificate import capsule_ends

    ends = capsule_ends(plan.spec.robot, plan.q)
    radii = np.array([plan.spec.robot.trunk_half[2], *[plan.spec.robot.thigh_radius] * 4])
    reach = plan.spec.margin + radii[:, None]
    near = (ends[..., 0].min(axis=2) < plan.spec.far + reach.T) & (ends[..., 0].max(axis=2) > plan.spec.near - reach.T)
    heights = np.where(near, ends[..., 1].max(axis=2) + reach.T, 0.0)
    return float(heights.max()) + 0.005


def _covers(plan: JumpPlan, height: float, spec: JumpSpec) -> bool:
    has, wants = plan.spec, spec
    if has.robot != wants.robot or wants.window is None or has.window is None:
        return False
    return bool(
        abs(has.distance - wants.distance) < 1e-9
        and has.window.sill >= wants.window.sill - 1e-9
        and has.window.depth >= wants.window.depth - 1e-9
        and height <= wants.window.lintel
        and has.margin >= wants.margin - 1e-9
        and has.friction <= wants.friction + 1e-9
        and has.torque_reserve >= wants.torque_reserve - 1e-9
        and abs(has.start_height - wants.start_height) < 1e-9
        and abs(has.end_height - wants.end_height) < 1e-9
        and (wants.length is None or abs(plan.length - wants.length) < 1e-3)
    )


def blend(low: JumpPlan, high: JumpPlan, share: float) -> JumpPlan:
    """(1 - share) low + share high, node by node; a guess, not a plan."""

    def mix(first: Array, second: Array) -> Array:
        mixed: Array = (1 - share) * first + share * second
        return mixed

    spec = low.spec
    if low.spec.window and high.spec.window:
        sill = (1 - share) * low.spec.window.sill + share * high.spec.window.sill
        spec = replace(spec, window=replace(low.spec.window, sill=sill))
    return replace(
        low,
        spec=spec,
        t=mix(low.t, high.t),
        q=mix(low.q, high.q),
        v=mix(low.v, high.v),
        tau=mix(low.tau, high.tau),
        f=mix(low.f, high.f),
        cost=(1 - share) * low.cost + share * high.cost,
        status="failed",
        multipliers={},
    )


def resampled(plan: JumpPlan, intervals: tuple[int, int, int, int]) -> JumpPlan:
    """The plan on other collocation intervals, phase by phase; solved no more, unless they are its own."""
    if intervals == plan.spec.intervals:
        return plan
    edges, times, phase = plan.ends, [0.0], np.repeat(np.arange(4), intervals)
    for number, count in enumerate(intervals):
        times += np.linspace(edges[number], edges[number + 1], count + 1)[1:].tolist()
    t = np.array(times)
    middle = (t[1:] + t[:-1]) / 2
    source = np.clip(np.searchsorted(plan.t, middle, side="right") - 1, 0, len(plan.tau) - 1)

    def nodes(values: Array) -> Array:
        return np.stack([np.interp(t, plan.t, column) for column in values.T], axis=1)

    return replace(
        plan, spec=replace(plan.spec, intervals=intervals), t=t, q=nodes(plan.q), v=nodes(plan.v),
        tau=plan.tau[source], f=plan.f[source], phase=phase, status="failed", multipliers={},
    )  # fmt: skip


def _pack(plans: Sequence[JumpPlan]) -> bytes:
    buffer = io.BytesIO()
    specs = [
        [_sill(p), p.spec.window.lintel, p.spec.window.depth, p.spec.distance, p.cost] for p in plans if p.spec.window
    ]
    shared = plans[0].spec
    arrays: dict[str, Any] = {
        name: np.array([getattr(plan, name) for plan in plans], np.float32) for name in ("t", "q", "v", "tau", "f")
    }
    np.savez_compressed(
        buffer,
        specs=np.array(specs),
        shared=np.array(
            [shared.margin, shared.friction, shared.torque_reserve, shared.start_height, shared.end_height]
        ),
        intervals=np.array(shared.intervals),
        **arrays,
    )
    return buffer.getvalue()


def _unpack(content: bytes) -> list[JumpPlan]:
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as stored:
            arrays = {name: stored[name].astype(float) for name in ("t", "q", "v", "tau", "f")}
            specs, shared = stored["specs"], stored["shared"].tolist()
            one, two, three, four = (int(count) for count in stored["intervals"])
    except (ValueError, KeyError, OSError) as error:
        raise InputError(f"library must be a file written by this package, but could not be read ({error}).") from None
    margin, friction, reserve, start, end = shared
    plans = []
    for index, (sill, lintel, depth, distance, cost) in enumerate(specs.tolist()):
        spec = JumpSpec(
            Window(sill, lintel, depth), None, distance, friction, margin, MINI_CHEETAH, start, end, reserve,
            (one, two, three, four),
        )  # fmt: skip
        phase = np.repeat(np.arange(4), spec.intervals)
        fields = {name: array[index] for name, array in arrays.items()}
        plans.append(JumpPlan(spec=spec, phase=phase, cost=cost, **fields))
    return plans


@cache
def standard_library() -> JumpLibrary:
    """The library that the package carries (Mini Cheetah)."""
    content = resources.files("colonnade.quadruped").joinpath("data", FILE).read_bytes()
    return JumpLibrary(_unpack(content))


def build(
    sills: Sequence[float] = SILLS, distances: Sequence[float] = DISTANCES, known: Sequence[JumpPlan] = ()
) -> JumpLibrary:
    """Solve the library's problems, each by homotopy from the nearest solved one; `known` plans are kept as they are.

    The first of a row is solved from nothing, half way up, since over a low wall IPOPT strays from a cold start. What
    fails is left out.
    """
    plans = list(known)
    for distance in distances:
        for sill in sorted(sills, key=lambda value: abs(value - float(np.median(sills)))):
            row = [plan for plan in plans if plan.spec.distance == distance]
            if any(abs(_sill(plan) - sill) < 1e-9 for plan in row):
                continue
            plan = _built(sill, distance, row)
            print(
                f"{distance:g} {sill:g}: {plan.status}, {plan.iterations} iterations, {plan.seconds:.1f} s", flush=True
            )
            plans += [plan] if plan.solved else []
    return JumpLibrary(plans)


def _built(sill: float, distance: float, row: list[JumpPlan]) -> JumpPlan:
    from colonnade.quadruped.jump import approach, optimise_jump

    spec = JumpSpec(
        Window(sill, OPEN, DEPTH), distance=distance, margin=MARGIN, torque_reserve=RESERVE, friction=FRICTION
    )
    if not row:
        return optimise_jump(spec, max_iterations=1000)
    return approach(spec, min(row, key=lambda plan: abs(_sill(plan) - sill)), first=1.0)


if __name__ == "__main__":
    build().save(Path(sys.argv[1]))
