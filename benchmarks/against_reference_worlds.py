"""Steps a second against the slow reference (plain Python, one environment), in one run, on one thread.

CPU time is compared, so that a busy machine changes little. The reference is that of the tests, written from the
paper's definitions; it paints with NumPy object by object and evaluates chemistry's network at each draw.
"""

import sys
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "causal"))
from reference_worlds import Blocks, Chemistry

from colonnade.causal import ChemistryWorld, PhysicsWorld, simulator

BATCH = 1024


def cpu(function, repeats=7):
    function()
    times = []
    for _ in range(repeats):
        start = time.process_time()
        function()
        times.append(time.process_time() - start)
    return min(times)


def started(world, batch=BATCH, threads=1):
    sim = simulator(world, batch, threads=threads)
    sim.seed(range(batch))
    sim.reset(sim.everywhere)
    return sim, np.random.default_rng(0).integers(world.actions, size=(32, batch))


def ours(world, whole, batch=BATCH, draw=True):
    sim, actions = started(world, batch)
    frames = sim.frame_buffer()

    def go():
        for action in actions:
            sim.step(action)
            sim.score()
            if draw:
                frames.draw(*sim.look(sim.state), whole=whole)

    return len(actions) * batch / cpu(go)


def reference(world):
    sim, _ = started(world, 1)
    if world.kind == "physics":
        one = Blocks(world.grid, sim.cell[0], sim.weight[0], sim.colour[0], sim.shape[0], world.lut)
    else:
        one = Chemistry(
            world.structure, world.mechanisms, world.colors, sim.colour[0], sim.cell[0], world.lut, sim.key[0], 0
        )
    steps = 300

    def go():
        for k in range(steps):
            one.step(k * 7 % world.actions)
            one.render()

    return steps / cpu(go, 5)


def main():
    print(f"{'world':24}{'reference/s':>12}{'ours/s':>12}{'ratio':>8}{'changes only/s':>16}{'ratio':>8}")
    worlds = {f"physics {n}": PhysicsWorld(objects=n) for n in (3, 5, 10)}
    worlds |= {f"chemistry {g}": ChemistryWorld(graph=g) for g in ("chain5", "full5")}
    for name, world in worlds.items():
        slow, full, changes = reference(world), ours(world, True), ours(world, False)
        print(f"{name:24}{slow:12.0f}{full:12.0f}{full / slow:8.0f}{changes:16.0f}{changes / slow:8.0f}")
    buffer = np.zeros((BATCH, 7500), np.uint8)
    print(f"filling frames with zeros: {BATCH / cpu(lambda: buffer.fill(0), 50):.3g} frames/s")
    world = PhysicsWorld(objects=5)
    for n in (3, 5):
        sim, _ = started(PhysicsWorld(objects=n))
        actions = np.random.default_rng(0).integers(5 * n, size=(256, BATCH))
        states, events = np.zeros((257, BATCH, n), np.uint8), np.zeros((256, BATCH), np.uint8)
        roll = cpu(
            lambda s=sim, a=actions, o=states, e=events: s.run(
                s.kernels.physics_roll, a, s.cell, s.weight, o, e, s.tables
            )
        )
        print(f"state only, physics {n}: {256 * BATCH / roll:.3g} steps/s")
    sizes = [256, 1024, 4096, 16384]
    for whole, name in ((False, "changes only"), (True, "whole redraw")):
        rates = [ours(world, whole, size) for size in sizes]
        cost = [size / rate for size, rate in zip(sizes, rates, strict=True)]
        slope = np.polyfit(np.log(sizes), np.log(cost), 1)[0]
        shown = ", ".join(f"{size}: {rate:.3g}/s" for size, rate in zip(sizes, rates, strict=True))
        print(f"{name}: cost grows as batch^{slope:.3f} ({shown})")
    wall = {}
    for threads in (1, 2):
        sim, actions = started(world, threads=threads)
        frames = sim.frame_buffer()
        best = np.inf
        for _ in range(30):
            start = time.perf_counter()
            for action in actions[:8]:
                sim.step(action)
                frames.draw(*sim.look(sim.state), whole=True)
            best = min(best, time.perf_counter() - start)
        wall[threads] = best
        sim.close()
    print(f"2 threads at batch {BATCH}: {wall[1] / wall[2]:.2f} times 1 thread (wall clock)")


if __name__ == "__main__":
    main()
