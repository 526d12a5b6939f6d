"""Our vector environment against gymnasium's SyncVectorEnv of our own single environment, at batch 64 (CPU time)."""

import time

import numpy as np
from gymnasium.vector import SyncVectorEnv

from colonnade.causal import ChemistryWorld, PhysicsWorld

BATCH, STEPS = 64, 100


def rate(envs, actions):
    envs.reset(seed=0)
    times = []
    for _ in range(3):
        start = time.process_time()
        for action in actions:
            envs.step(action)
        times.append(time.process_time() - start)
    return len(actions) * BATCH / min(times)


def main():
    print(f"{'world':20}{'SyncVectorEnv/s':>16}{'ours/s':>12}{'ratio':>8}{'without copy/s':>16}{'ratio':>8}")
    for world in (PhysicsWorld(objects=5), ChemistryWorld(graph="chain5")):
        actions = np.random.default_rng(0).integers(world.actions, size=(STEPS, BATCH))
        slow = rate(SyncVectorEnv([lambda w=world: w.env()] * BATCH), actions)
        fast, bare = (rate(world.vector_env(BATCH, copy=copy), actions) for copy in (True, False))
        print(f"{world.kind:20}{slow:16.0f}{fast:12.0f}{fast / slow:8.1f}{bare:16.0f}{bare / slow:8.1f}")


if __name__ == "__main__":
    main()
