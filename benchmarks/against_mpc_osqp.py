"""One convex-MPC step here against Google's C++ `mpc_osqp` (motion_imitation 0.0.6) with qpOASES and OSQP.

    python benchmarks/against_mpc_osqp.py PATH_TO_MODULE

The module `mpc_osqp` is compiled from the source distribution of motion_imitation 0.0.6 (its own build fails on Python
3.11): all sources that its setup.py names, with a current pybind11 and -O3 -DNDEBUG (Eigen's assertions cost a factor
of three). Both sides get the same horizon, step, weights, friction and feet; each builds its own reference trajectory,
so forces are not compared here (the tests compare the quadratic programme itself with OSQP and qpOASES).
"""

import importlib.util
import sys
import time

import numpy as np

from colonnade.quadruped import MINI_CHEETAH, ConvexMPC

STEPS, DT, FRICTION = 10, 0.03, 0.4
WEIGHTS = (0.25, 0.25, 10, 2, 2, 50, 0, 0, 0.3, 0.2, 0.2, 0.1, 0)
FEET = np.array([[0.19, -0.11, -0.28], [0.19, 0.11, -0.28], [-0.19, -0.11, -0.28], [-0.19, 0.11, -0.28]])


def interleaved(calls, rounds: int = 300) -> list[float]:
    """Median wall time of each call, ms; the calls take turns, so that all of them meet the same machine."""
    times = [[] for _ in calls]
    for _ in range(rounds):
        for call, spent in zip(calls, times, strict=True):
            began = time.perf_counter()
            call()
            spent.append(time.perf_counter() - began)
    return [1e3 * float(np.median(spent)) for spent in times]


def ours(contact: list[int]):
    """A step of this package."""
    mpc = ConvexMPC(MINI_CHEETAH, STEPS, DT, FRICTION)
    reference, rates = np.zeros((STEPS, 6)), np.zeros((STEPS, 6))
    reference[:, 5], rates[:, 3] = 0.28, 0.5
    reference[:, 3] = 0.5 * DT * np.arange(1, STEPS + 1)
    pose, rate = np.array([0.02, 0.03, 0.0, 0.0, 0.0, 0.27]), np.array([0.0, 0.1, 0.0, 0.4, 0.0, 0.0])
    arms, feet = np.repeat(FEET[None], STEPS, axis=0), np.tile(np.array(contact, bool), (STEPS, 1))
    return lambda: mpc.forces(pose, rate, reference, rates, arms, feet)


def theirs(module, contact: list[int], solver):
    """A step of mpc_osqp, its solver started afresh each time as qpOASES is."""
    mpc = module.ConvexMpc(
        MINI_CHEETAH.mass, ConvexMPC(MINI_CHEETAH).inertia.ravel().tolist(), 4, STEPS, DT, list(WEIGHTS), 4e-5, solver
    )

    def call():
        mpc.reset_solver()
        return mpc.compute_contact_forces(
            [0.0, 0.0, 0.27], [0.4, 0.0, 0.0], [0.02, 0.03, 0.0], [0.0, 0.1, 0.0], contact, FEET.ravel().tolist(),
            [FRICTION] * 4, [0.0, 0.0, 0.28], [0.5, 0.0, 0.0], [0.0, 0.0, 0.0], [0.0, 0.0, 0.0],
        )  # fmt: skip

    return call


def main() -> None:
    spec = importlib.util.spec_from_file_location("mpc_osqp", sys.argv[1])
    if spec is None or spec.loader is None:
        sys.exit(f"{sys.argv[1]} is not a Python module.")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    for name, contact in (("two feet", [1, 0, 0, 1]), ("four feet", [1, 1, 1, 1])):
        solvers = ("QPOASES", "OSQP")
        calls = [ours(contact), *(theirs(module, contact, getattr(module, solver)) for solver in solvers)]
        here, *there = interleaved(calls)
        for solver, spent in zip(solvers, there, strict=True):
            print(
                f"{name:9s} here {here:.3f} ms, mpc_osqp {solver:7s} {spent:.3f} ms, x {spent / here:.1f}", flush=True
            )


if __name__ == "__main__":
    main()
