"""Classical sampling: `lattice.ensemble`."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, Literal

from pydantic import model_validator

from colonnade.inputs import Param
from colonnade.job import Job
from colonnade.lattice.services.common import (
    MAX_UPDATES,
    PAPER,
    SOFTWARE,
    ActionInputs,
    RunOutputs,
    run_results,
)
from colonnade.results import Artifact
from colonnade.service import Resources, service

if TYPE_CHECKING:
    from colonnade.lattice import Ensemble

Algorithm = Literal["hmc", "hmc_flip", "fourier_hmc", "wolff", "metropolis", "annealed"]


def _configurations(run: Ensemble, job: Job) -> Artifact | None:
    import numpy as np

    if run.fields is None:
        return None
    np.savez_compressed(job.files / "configurations.npz", phi=run.fields.astype(np.float32))
    return job.artifact(
        "configurations.npz", title="Configurations (kept, chains, ...), float32", media_type="application/zip"
    )


def _kernel(algorithm: Algorithm, inputs: EnsembleInputs) -> Any:
    from colonnade.lattice import HMC, Annealing, Composite, Flip, FourierHMC, Independence, Metropolis, Wolff

    action = inputs.action()
    hmc = HMC(action, steps=inputs.steps, scheme=inputs.integrator)
    if algorithm == "hmc":
        return hmc
    if algorithm == "hmc_flip":
        return Composite([hmc, Flip(action)])
    if algorithm == "fourier_hmc":
        return Composite([FourierHMC(action, steps=inputs.steps, scheme=inputs.integrator), Flip(action)])
    if algorithm == "wolff":
        return Composite([Wolff(action), hmc])
    if algorithm == "metropolis":
        return Composite([Metropolis(action), Flip(action)])
    return Composite([Independence(action, Annealing(action, tuple(inputs.shape), stages=40), 1, "annealed"), hmc])


class EnsembleInputs(ActionInputs):
    """A run of a classical sampler."""

    algorithm: Algorithm = Param(
        "hmc_flip",
        title="Sampler",
        help="hmc alone cannot change vacuum in the broken phase; hmc_flip, wolff and annealed can.",
    )
    n: int = Param(2000, title="Measurements", ge=100, le=10_000_000, help="Per chain, one a sampler call.")
    chains: int = Param(32, title="Chains", ge=1, le=1024)
    steps: int = Param(10, title="Integrator steps", ge=1, le=1000, level="expert")
    integrator: Literal["leapfrog", "omf2", "omf4"] = Param("leapfrog", title="Integrator", level="expert")
    start: Literal["vacua", "plus", "hot"] = Param(
        "vacua", title="Start", level="expert", help="vacua: half of the chains near each vacuum."
    )
    keep: int = Param(0, title="Keep every", ge=0, level="expert", help="Store every k-th configuration; 0: none.")

    @model_validator(mode="after")
    def _affordable(self) -> EnsembleInputs:
        updates = float(self.sites) * self.n * self.chains * self.steps
        if updates > MAX_UPDATES:
            raise ValueError(
                f"n = {self.n} measurements of {self.chains} chains on {self.sites} sites are {updates:.1e} site "
                f"updates, about {updates / 5e8 / 3600:.1f} hours; at most {MAX_UPDATES:.0e} are allowed in one job"
            )
        if 8.0 * self.n * self.chains * (4 + self.shape[0] // 2) > 2**31:
            raise ValueError(f"n = {self.n} with {self.chains} chains records more than 2 GiB; lower one of them")
        if self.keep and 4.0 * self.sites * self.chains * self.components * self.n / self.keep > 2**29:
            raise ValueError(f"keep = {self.keep} would store more than 512 MiB of configurations; raise it")
        return self


@service(
    "lattice.ensemble",
    title="Sample a lattice scalar field",
    summary="Runs HMC, cluster, Metropolis or annealed chains and measures with Gamma-method errors and a verdict.",
    paper=PAPER,
    resources=Resources(cores=1, memory="6 GiB", walltime=timedelta(hours=2)),
    examples={
        "Symmetric phase, 8 x 8": {"m2": -4, "lam": 6.008, "shape": [8, 8]},
        "Broken phase, clusters": {"m2": -4, "lam": 4.0, "shape": [8, 8], "algorithm": "wolff"},
    },
    software=SOFTWARE,
)
def ensemble(inputs: EnsembleInputs, job: Job) -> RunOutputs:
    """Sample a scalar lattice field with a classical Markov chain and measure the standard observables."""
    from colonnade.lattice import sample
    from colonnade.lattice.advise import exact_for

    run = sample(
        inputs.action(),
        inputs.shape,
        _kernel(inputs.algorithm, inputs),
        inputs.n,
        chains=inputs.chains,
        seed=job.rng(),
        start=inputs.start,
        keep=inputs.keep,
        track=lambda items: job.track(items, "Sampling"),
    )
    job.log(f"{run.verdict.status}: {run.verdict.reason}")
    shown = run_results(run, exact_for(run.action, run.shape))
    return RunOutputs(configurations=_configurations(run, job), **shown)
