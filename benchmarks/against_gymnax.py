"""Frames a second against gymnax's Breakout-MinAtar on one thread (wall clock); needs `gymnax` installed.

XLA_FLAGS=--xla_cpu_multi_thread_eigen=false keeps jax to one thread. A frame there has 400 values, here 7,500.
"""

import os
import sys
import time

os.environ.setdefault("XLA_FLAGS", "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1")

import numpy as np

from colonnade.causal import PhysicsWorld

BATCH, STEPS = 1024, 100


def theirs():
    import gymnax
    import jax

    env, params = gymnax.make("Breakout-MinAtar")
    keys = jax.random.split(jax.random.PRNGKey(0), BATCH)
    _, state = jax.vmap(env.reset, in_axes=(0, None))(keys, params)
    step = jax.vmap(env.step, in_axes=(0, 0, 0, None))

    @jax.jit
    def roll(state):
        def one(state, key):
            actions = jax.random.randint(key, (BATCH,), 0, env.num_actions)
            observation, state, _, _, _ = step(jax.random.split(key, BATCH), state, actions, params)
            return state, observation.sum()

        return jax.lax.scan(one, state, jax.random.split(jax.random.PRNGKey(1), STEPS))

    jax.block_until_ready(roll(state))
    return best(lambda: jax.block_until_ready(roll(state)))


def best(function):
    times = []
    for _ in range(5):
        start = time.perf_counter()
        function()
        times.append(time.perf_counter() - start)
    return BATCH * STEPS / min(times)


def main():
    try:
        import gymnax  # noqa: F401
    except ImportError:
        print("gymnax is not installed: nothing to compare with")
        sys.exit(0)
    envs = PhysicsWorld(objects=5).vector_env(BATCH, copy=False, max_steps=10**6)
    envs.reset(seed=0)
    actions = np.random.default_rng(0).integers(25, size=(STEPS, BATCH))
    ours, peer = best(lambda: [envs.step(action) for action in actions]), theirs()
    print(f"gymnax {peer:.3g} frames/s, ours {ours:.3g} frames/s: {ours / peer:.2f} in frames, ", end="")
    print(f"{ours * 7500 / (peer * 400 * 4):.1f} in bytes (float32 there, uint8 here)")


if __name__ == "__main__":
    main()
