"""`python -m colonnade.lattice` compiles all kernels ahead of the first run, into numba's cache."""

from __future__ import annotations

import time


def compile_kernels() -> float:
    """Call every compiled function once; returns the seconds it took (a second time: only those of loading)."""
    from colonnade.lattice import (
        HMC,
        Annealing,
        Composite,
        FlowConfig,
        FlowProposal,
        FourierHMC,
        Independence,
        Metropolis,
        ScalarAction,
        Wolff,
        build,
        sample,
    )

    start = time.perf_counter()
    action = ScalarAction.from_albergo(-4, 6.0)
    path, flow = Annealing(action, (4, 4), stages=2), FlowProposal(build(FlowConfig((4, 4), couplings=2)), action)
    proposals = [Independence(action, source, 1) for source in (path, flow)]
    kernels = [HMC(action), FourierHMC(action), Wolff(action), Metropolis(action), *proposals]
    sample(action, (4, 4), Composite(kernels), 10, chains=2, burn_in=1, tune=False)
    return time.perf_counter() - start


if __name__ == "__main__":
    print(f"The kernels are compiled; it took {compile_kernels():.0f} s.")
