"""HMC against blackjax 1.7.1 (JAX): vmap over chains, scan over trajectories, jit, x64.

Both samplers run in this process on one thread (XLA restricted to one thread as well), in turn, with the same action,
lattice, step size, number of steps, chains and float64 precision. blackjax's compilation is not counted.

    pip install blackjax && taskset -c 0 python benchmarks/against_blackjax.py
"""

from __future__ import annotations

import os

os.environ.setdefault("XLA_FLAGS", "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1")

import blackjax
import jax
import jax.numpy as jnp
import numpy as np
from hmc_race import BATCH, Case, race

from colonnade.lattice import ScalarAction

jax.config.update("jax_enable_x64", True)


class BlackjaxHMC:
    """blackjax.hmc with a unit mass matrix; `BATCH` trajectories a compiled call, so its dispatch is not counted."""

    def __init__(self, action: ScalarAction, case: Case, start: np.ndarray) -> None:
        def log_density(phi: jax.Array) -> jax.Array:
            hop = phi * (jnp.roll(phi, -1, 0) + jnp.roll(phi, -1, 1))
            square = phi * phi
            return -jnp.sum(action.w2 * square + action.w4 * square * square - action.w0 * hop)

        kernel = blackjax.hmc(
            log_density,
            step_size=case.dt,
            inverse_mass_matrix=jnp.ones(case.side**2),
            num_integration_steps=case.steps,
        )

        @jax.jit
        def run(states, key):  # type: ignore[no-untyped-def]
            def step(states, key):  # type: ignore[no-untyped-def]
                states, info = jax.vmap(kernel.step)(jax.random.split(key, case.chains), states)
                return states, info.is_accepted.mean()

            states, accepted = jax.lax.scan(step, states, jax.random.split(key, BATCH))
            return states, accepted.mean()

        self.key = jax.random.key(1)
        self.states = jax.vmap(kernel.init)(jnp.asarray(start))
        self.run = run
        self.left, self.acceptance = 0, 0.0

    def trajectory(self) -> float:
        """One call in `BATCH` runs that many trajectories; the others return at once."""
        if self.left == 0:
            self.key, key = jax.random.split(self.key)
            self.states, accepted = self.run(self.states, key)
            self.acceptance = float(accepted)
            self.left = BATCH
        self.left -= 1
        return self.acceptance


if __name__ == "__main__":
    race(f"blackjax {blackjax.__version__}", BlackjaxHMC, bar=5.0)
