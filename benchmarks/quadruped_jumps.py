"""Disturbed jumps (mass ±5 %, friction 0.5-0.9, start ±1 cm and ±1°) over three sills, with Wilson intervals.

python benchmarks/quadruped_jumps.py [--trials 20] [--sill 0.13]
"""

import argparse
import time

import numpy as np

from colonnade.quadruped import Disturbance, Window, simulate_jump, standard_library, wilson

WINDOWS = (Window(0.13, 0.75, 0.05), Window(0.2, 0.85, 0.05), Window(0.3, 0.95, 0.05))
DISTANCE = 0.12


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--trials", type=int, default=20)
    parser.add_argument("--seed", type=int, default=2026)
    parser.add_argument("--sill", type=float, help="only this one")
    options = parser.parse_args()
    plans = [plan for plan in standard_library().plans if plan.spec.distance == DISTANCE and plan.spec.window]
    for window in WINDOWS:
        if options.sill is not None and abs(window.sill - options.sill) > 1e-9:
            continue
        plan = next(plan for plan in plans if abs(plan.spec.window.sill - window.sill) < 1e-9)
        rng = np.random.default_rng(options.seed)
        used = time.process_time()
        runs = [simulate_jump(plan, Disturbance.draw(rng), window=window) for _ in range(options.trials)]
        used = time.process_time() - used
        good = sum(run.success for run in runs)
        low, high = wilson(good, len(runs))
        print(
            f"sill {window.sill:.2f} m, lintel {window.lintel:.2f} m: {good}/{len(runs)} "
            f"(95 % interval {low:.2f}-{high:.2f}), {used / len(runs):.2f} processor s a trial "
            f"{sorted({run.cause for run in runs if run.cause})}",
            flush=True,
        )


if __name__ == "__main__":
    main()
