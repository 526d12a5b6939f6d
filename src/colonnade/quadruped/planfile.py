"""Plans as files: the 22-column binary of MIT's Cheetah-Software (`DataReader.hpp`), CSV, and npz.

A row of the 22 columns, in single precision at 1 kHz: q (x, z, pitch, front hip, front knee, rear hip, rear knee), the
seven rates, four torques and four forces (x, z of front and rear), all of leg pairs. There forces are those that the
robot exerts: z is negative on the ground. Elsewhere here forces are those of the ground, upwards positive.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from colonnade.quadruped.errors import InputError
from colonnade.quadruped.jump_spec import Array, JumpPlan
from colonnade.quadruped.track import sample

COLUMNS = 22
RATE = 1000.0  # rows a second
MAX_BYTES = 2_000_000
LARGEST = 1e4  # no coordinate, torque or force of a small robot is larger
HEADER = (
    "x,z,pitch,q_front_hip,q_front_knee,q_rear_hip,q_rear_knee,vx,vz,pitch_rate,qd_front_hip,qd_front_knee,"
    "qd_rear_hip,qd_rear_knee,tau_front_hip,tau_front_knee,tau_rear_hip,tau_rear_knee,"
    "fx_front,fz_front,fx_rear,fz_rear"
)


@dataclass(frozen=True)
class PlanRows:
    """A plan at 1 kHz: q, v (T, 7), tau, f (T, 4), forces of the ground, upwards positive."""

    q: Array
    v: Array
    tau: Array
    f: Array

    @property
    def t(self) -> Array:
        """(T,) s."""
        times: Array = np.arange(len(self.q)) / RATE
        return times

    @property
    def flight(self) -> NDArray[np.bool_]:
        """(T,) where no foot presses."""
        return np.asarray((np.abs(self.f) < 1e-6).all(axis=1))


def to_mit(plan: JumpPlan | PlanRows) -> bytes:
    """The plan as MIT's jump controllers read it; x and z start at zero as theirs do."""
    rows = plan if isinstance(plan, PlanRows) else rows_of(plan)
    table = np.hstack([rows.q, rows.v, rows.tau, -rows.f])
    return table.astype("<f4").tobytes()


def rows_of(plan: JumpPlan) -> PlanRows:
    """A plan resampled at 1 kHz."""
    reference = sample(plan, 1 / RATE)
    return PlanRows(reference.q, reference.v, reference.tau, reference.f)


def from_mit(content: bytes) -> PlanRows:
    """Read a 22-column plan.

    Raises:
        InputError: too large, not whole rows, not finite, or out of any robot's range.
    """
    if len(content) > MAX_BYTES:
        raise InputError(f"plan must be at most {MAX_BYTES} bytes, but has {len(content)}.")
    if not content or len(content) % (4 * COLUMNS):
        raise InputError(
            f"plan must be whole rows of {COLUMNS} single-precision numbers, but has {len(content)} bytes."
        )
    table = np.frombuffer(content, "<f4").reshape(-1, COLUMNS).astype(float)
    if not np.isfinite(table).all() or np.abs(table).max() > LARGEST:
        raise InputError(f"plan must hold finite numbers up to {LARGEST:g}, but holds others.")
    return PlanRows(table[:, :7], table[:, 7:14], table[:, 14:18], -table[:, 18:])


def read_mit(path: Path) -> PlanRows:
    """`from_mit` of a file, its size checked before it is read."""
    if path.stat().st_size > MAX_BYTES:
        raise InputError(f"plan must be at most {MAX_BYTES} bytes, but has {path.stat().st_size}.")
    return from_mit(path.read_bytes())


def to_csv(plan: JumpPlan) -> str:
    """Time and the 22 columns with a header line; forces of the ground."""
    rows = rows_of(plan)
    stream = io.StringIO()
    table = np.hstack([rows.t[:, None], rows.q, rows.v, rows.tau, rows.f])
    np.savetxt(stream, table, fmt="%.6g", delimiter=",", header=f"t,{HEADER}", comments="")
    return stream.getvalue()


def to_npz(plan: JumpPlan) -> bytes:
    """The plan's own nodes: t, q, v, tau, f, phase."""
    stream = io.BytesIO()
    arrays = {name: getattr(plan, name) for name in ("t", "q", "v", "tau", "f", "phase")}
    np.savez_compressed(stream, allow_pickle=False, **arrays)
    return stream.getvalue()
