"""Windows as ways: for each found window and direction, the jump that passes it, its places and its price."""

from __future__ import annotations

import math
from dataclasses import dataclass

from colonnade.quadruped.jump_spec import JumpPlan, JumpSpec, Window
from colonnade.quadruped.library import DEPTH, MARGIN, RESERVE, JumpLibrary
from colonnade.quadruped.mapping import FoundWindow

DISTANCE = 0.12  # m from the front feet to the wall at take-off
WIDEST_BODY = 0.3  # m, outside to outside of the legs
SIDE_ROOM = 0.06  # m kept on either side
WALK = 0.6  # m/s, the speed by which time becomes length
ALIGN_TIME, EXTRA_TIME = 5.0, 2.5  # s for facing the window; for crouch and recovery
RISK = 20.0  # m of walking that one failed jump is worth


@dataclass(frozen=True)
class Passage:
    """One way through one window.

    Attributes:
        key: index of the window and direction (+1, -1).
        yaw: direction of the jump; takeoff, stage, landing: places of the trunk (x, y).
        price: what the jump costs, in metres of walking.
    """

    key: tuple[int, int]
    plan: JumpPlan
    yaw: float
    takeoff: tuple[float, float]
    stage: tuple[float, float]
    landing: tuple[float, float]
    price: float


def passages(windows: list[FoundWindow], library: JumpLibrary, stage: float) -> list[Passage]:
    """All ways through the found windows for which the library has a jump, in both directions."""
    out = []
    for index, window in enumerate(windows):
        plan = jump_for(window, library)
        if plan is None:
            continue
        for direction in (1, -1):
            out.append(_passage(index, window, plan, direction, stage))
    return out


def jump_for(window: FoundWindow, library: JumpLibrary) -> JumpPlan | None:
    """The library's jump through a found window; None when it is too narrow, too high or too low."""
    if window.width < WIDEST_BODY + 2 * SIDE_ROOM or window.depth > 2 * DEPTH:
        return None
    real = Window(min(window.sill, 0.8), min(window.lintel, 5.0), min(max(window.depth, 0.005), DEPTH))
    spec = JumpSpec(real, None, DISTANCE, margin=MARGIN, torque_reserve=RESERVE)
    return library.covering(spec)


def price(plan: JumpPlan, failure: float = 0.05) -> float:
    """Cost of a jump in metres of walking: its time at walking speed, and its risk.

    Args:
        failure: probability of failing; the default is a round upper figure for the stored jumps up to 0.2 m (see the
            success rates in the documentation).
    """
    sill = plan.spec.window.sill if plan.spec.window else 0.0
    return WALK * (ALIGN_TIME + EXTRA_TIME + float(plan.t[-1])) + RISK * failure * (1 + max(sill - 0.2, 0.0) / 0.05)


def _passage(index: int, window: FoundWindow, plan: JumpPlan, direction: int, stage: float) -> Passage:
    yaw = window.yaw if direction > 0 else window.yaw + math.pi
    c, s = math.cos(yaw), math.sin(yaw)
    # From behind, the near face is the other one.
    face = 0.0 if direction > 0 else -DEPTH

    def place(ahead: float) -> tuple[float, float]:
        return window.x + c * ahead, window.y + s * ahead

    off = plan.spec.near
    return Passage(
        (index, direction), plan, yaw, place(face - off), place(face - off - stage), place(face - off + plan.length),
        price(plan),
    )  # fmt: skip
