"""Own speed: jump solves from the library's neighbours or from nothing, library hits, walking against real time.

python benchmarks/quadruped_speed.py [--cold 0]
"""

import argparse
import time

import numpy as np

from colonnade.quadruped import JumpSpec, Window, optimise_jump, standard_library
from colonnade.quadruped.gait import CONTROL_STEPS, Command, Walker
from colonnade.quadruped.simulation import Simulation


def jumps() -> None:
    """Windows off the library's grid, each solved from the blend of its neighbours."""
    library = standard_library()
    rng = np.random.default_rng(3)
    times, iterations, failed = [], [], []
    for _ in range(15):
        window = Window(float(rng.uniform(0.02, 0.29)), 1.5, 0.05)
        spec = JumpSpec(window, distance=float(rng.uniform(0.12, 0.22)), margin=0.045, torque_reserve=0.2)
        optimise_jump(spec, guess=library.interpolated(spec), max_iterations=1)  # builds the programme once
        used = time.process_time()
        plan = optimise_jump(spec, guess=library.interpolated(spec), max_iterations=300)
        times.append(time.process_time() - used)
        iterations.append(plan.iterations)
        if not plan.solved:
            failed.append((round(window.sill, 3), plan.status))
    print(
        f"jump solve with window: median {np.median(times):.2f} s, 90 % {np.quantile(times, 0.9):.2f} s, "
        f"median {np.median(iterations):.0f} iterations, not solved: {failed}"
    )
    spec = JumpSpec(Window(0.13, 0.75), distance=0.12, margin=0.04, torque_reserve=0.15)
    used = time.process_time()
    for _ in range(100):
        library.covering(spec)
    print(f"library hit: {10 * (time.process_time() - used):.2f} ms")


def cold(count: int) -> None:
    """The same kind of windows, solved from nothing: all starts and homotopies that this takes together."""
    rng = np.random.default_rng(4)
    times, ends = [], []
    for _ in range(count):
        window = Window(float(rng.uniform(0.02, 0.29)), 1.5, 0.05)
        spec = JumpSpec(window, distance=float(rng.uniform(0.12, 0.22)), margin=0.045, torque_reserve=0.2)
        if not times:
            optimise_jump(spec, max_iterations=1, max_seconds=1e-3)  # builds the programme once
        used = time.process_time()
        ends.append(optimise_jump(spec, max_seconds=60.0).status)
        times.append(time.process_time() - used)
    print(f"from nothing: median {np.median(times):.2f} s, longest {max(times):.1f} s, {ends}")


def walk(seconds: float = 10.0) -> None:
    """A trot at 0.6 m/s: simulated seconds a processor second."""
    sim = Simulation()
    walker = Walker(sim.robot)
    walker.command = Command(0.6)
    for _ in range(100):
        sim.step(walker.torque(sim.state), CONTROL_STEPS)
    used = time.process_time()
    for _ in range(int(1000 * seconds / CONTROL_STEPS)):
        sim.step(walker.torque(sim.state), CONTROL_STEPS)
    print(f"walking: {seconds / (time.process_time() - used):.1f} times real time")


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--cold", type=int, default=0, help="solves from nothing")
    options = parser.parse_args()
    walk()
    jumps()
    if options.cold:
        cold(options.cold)
