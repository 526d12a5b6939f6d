"""Answers: `lattice.exact`, `lattice.free_energy` and `lattice.advise`."""

from __future__ import annotations

import math
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Literal

from pydantic import model_validator

from colonnade.inputs import Param
from colonnade.job import Job
from colonnade.lattice.services.common import (
    PAPER,
    SOFTWARE,
    ActionInputs,
    WeightsFile,
    concise,
    exact_table,
    rounded,
)
from colonnade.results import Estimate, Figure, Outputs, Table
from colonnade.service import Resources, service

if TYPE_CHECKING:
    from colonnade.lattice import Annealing, FlowProposal
    from colonnade.lattice.advise import Advice


class ExactInputs(ActionInputs):
    """What to compute exactly."""

    bond: int = Param(
        20, title="Bond dimension", ge=4, le=28, level="expert", help="Of HOTRG; time grows as its 7th power."
    )

    @model_validator(mode="after")
    def _computable(self) -> ExactInputs:
        even = all(n >= 2 and n & (n - 1) == 0 for n in self.shape)
        small = len(self.shape) == 2 and min(self.shape) <= 4 and max(self.shape) <= 64
        interacting = (
            self.lam > 0 and self.components == 1 and (len(self.shape) == 1 or small or (len(self.shape) == 2 and even))
        )
        if not (self.action().w4 == 0 and self.h == 0) and not interacting:
            raise ValueError(
                f"shape {self.shape} with {self.components} component(s) has no exact method here: use one dimension, "
                "a shorter side of at most 4, two sides that are powers of two, or the free field (λ = 0, h = 0)"
            )
        return self


class ExactOutputs(Outputs):
    """Exact numbers."""

    log_z: Estimate
    values: Table
    two_point: Table | None
    plot: Figure | None


@service(
    "lattice.exact",
    title="Exact values of a lattice scalar field",
    summary="log Z, moments and G(x) by closed form, transfer matrix or tensor network, with an error.",
    paper=PAPER,
    resources=Resources(cores=1, memory="4 GiB", walltime=timedelta(minutes=20)),
    examples={
        "4 x 4 torus": {"m2": -4, "lam": 6.975, "shape": [4, 4]},
        "8 x 8 by HOTRG": {"m2": -4, "lam": 4.0, "shape": [8, 8]},
    },
    software=("numpy", "scipy"),
)
def exact(inputs: ExactInputs, job: Job) -> ExactOutputs:
    """Give exact answers that any sampler of the same action can be held against."""
    from colonnade.lattice import plots
    from colonnade.lattice.advise import exact_for

    job.log("Contracting")
    found = exact_for(inputs.action(), inputs.shape, inputs.bond)
    values = exact_table(found)
    assert found is not None and values is not None
    table = plot = None
    if found.two_point is not None:
        import numpy as np

        grid = np.indices(found.two_point.shape).reshape(found.two_point.ndim, -1)
        columns: dict[str, Any] = {f"x{k + 1}": row for k, row in enumerate(grid)}
        table = Table.of(columns | {"G": found.two_point.ravel()}, title="Two-point function")
        line = found.two_point.reshape(found.two_point.shape[0], -1)[:, 0]
        curve = plots.scan(list(range(len(line))), {"G": [(float(v), 0.0) for v in line]}, "distance", "G(x)")
        plot = Figure.of(curve, title="Two-point function along the first axis")
    return ExactOutputs(
        log_z=Estimate(value=found.log_z, error=found.log_z_error, title="log Z", caption=f"By {found.method}."),
        values=values,
        two_point=table,
        plot=plot,
    )


class FreeEnergyInputs(ActionInputs):
    """log Z by a sampler, beside its exact value where there is one."""

    method: Literal["annealed", "integration", "flow"] = Param(
        "annealed",
        title="Method",
        help="Annealed importance sampling, thermodynamic integration over the hopping, or a trained flow.",
    )
    weights: WeightsFile | None = Param(None, title="Weights", help="For the method flow: a file from lattice.train.")
    n: int = Param(2048, title="Samples", ge=100, le=200_000, help="Paths, measurements a point, or flow samples.")
    stages: int = Param(
        100, title="Stages", ge=4, le=5000, level="expert", help="Of annealing, or points of integration."
    )

    @model_validator(mode="after")
    def _method_fits(self) -> FreeEnergyInputs:
        if (self.method == "flow") != (self.weights is not None):
            raise ValueError(f"method is {self.method}; weights are needed for the method flow and only there")
        if self.method != "flow" and self.lam == 0:
            raise ValueError(f"lam is 0; method {self.method} starts from single sites and needs λ above 0")
        if self.components == 2 and self.h:
            raise ValueError(f"h is {self.h}; annealing a complex field needs h = 0")
        return self


class FreeEnergyOutputs(Outputs):
    """log Z, its error and how far it is from the exact value."""

    log_z: Estimate
    ess: Estimate | None
    exact: Table | None
    distance: Estimate | None


@service(
    "lattice.free_energy",
    title="Free energy of a lattice field",
    summary="log Z by annealing, thermodynamic integration or a flow, held against the exact value.",
    paper=PAPER,
    resources=Resources(cores=1, memory="4 GiB", walltime=timedelta(hours=1)),
    examples={"Symmetric phase by annealing": {"m2": -4, "lam": 6.008, "shape": [8, 8]}},
    software=SOFTWARE,
)
def free_energy(inputs: FreeEnergyInputs, job: Job) -> FreeEnergyOutputs:
    """Estimate log Z = -F and say how far it is from the exact value where there is one."""
    from colonnade.lattice import Annealing, load_weights, log_z, reverse_ess, thermodynamic_integration
    from colonnade.lattice.advise import exact_for

    action, rng = inputs.action(), job.rng()
    ess = None
    if inputs.method == "integration":
        points = min(inputs.stages, 64)
        value, error = thermodynamic_integration(action, inputs.shape, inputs.n, rng, points=points)
    else:
        if inputs.weights is not None:
            loaded = load_weights(inputs.weights.path)
            source: FlowProposal | Annealing = loaded.proposal(action, tuple(inputs.shape))
        else:
            source = Annealing(action, tuple(inputs.shape), inputs.stages)
        _, log_w = source.propose(inputs.n, rng)
        value, error = log_z(log_w)
        ess = Estimate(value=reverse_ess(log_w), title="Effective sample size", caption="Reverse, 1 is perfect.")
    exact = exact_for(action, inputs.shape)
    distance = None
    if exact is not None:
        distance = Estimate(value=value - exact.log_z, error=math.hypot(error, exact.log_z_error), title="Minus exact")
    return FreeEnergyOutputs(
        log_z=Estimate(value=value, error=error, title="log Z", caption=f"By {inputs.method}."),
        ess=ess,
        exact=exact_table(exact),
        distance=distance,
    )


class AdviseInputs(ActionInputs):
    """An action and a size for which a sampler is wanted."""

    seconds: float = Param(4.0, title="Seconds a sampler", unit="s", gt=0, le=120, level="expert")
    training_minutes: float = Param(
        0.75, title="Training time of the flow", unit="min", ge=0, le=60, level="expert", help="0: no flow."
    )

    @model_validator(mode="after")
    def _small_enough(self) -> AdviseInputs:
        if self.sites > 16384:
            raise ValueError(f"shape {self.shape} has {self.sites} sites; advice is given for at most 16384")
        return self


class AdviseOutputs(Outputs):
    """The comparison."""

    recommendation: str = Param(title="Recommendation")
    samplers: Table
    rates: Figure
    log_z: Table
    exact: Table | None
    training: Figure | None


@service(
    "lattice.advise",
    title="Which sampler for my action?",
    summary="Independent samples per CPU-second of every sampler side by side, with and without training, and log Z.",
    paper=PAPER,
    resources=Resources(cores=1, memory="4 GiB", walltime=timedelta(minutes=30)),
    examples={"Broken phase": {"m2": -4, "lam": 4.0, "shape": [8, 8]}},
    software=SOFTWARE,
    repeatable=False,
)
def advise(inputs: AdviseInputs, job: Job) -> AdviseOutputs:
    """Measure, on this machine, which sampler to use. Rates are times of this run and differ from run to run."""
    from colonnade.lattice import plots
    from colonnade.lattice.advise import advise as compare

    found = compare(
        inputs.action(),
        inputs.shape,
        job.seed % 2**31,
        seconds=inputs.seconds,
        training_minutes=inputs.training_minutes,
        say=job.log,
    )
    job.log(found.recommendation)
    samplers = _samplers(found)
    finite = {e.name: e.rate for e in found.entries if e.rate > 0}
    curve = found.trainer and plots.training(found.trainer.history)
    return AdviseOutputs(
        recommendation=found.recommendation,
        samplers=samplers,
        rates=Figure.of(plots.bars(finite, "independent samples a CPU-second"), title="Rates without training"),
        log_z=_log_z(found),
        exact=exact_table(found.exact),
        training=Figure.of(curve, title="Training of the flow") if curve else None,
    )


def _samplers(found: Advice) -> Table:
    rows = found.entries
    columns: dict[str, list[Any]] = {
        "sampler": [e.name for e in rows],
        "rate": [float(f"{e.rate:.3g}") for e in rows],
        "trained": [float(f"{e.with_training:.3g}") for e in rows],
        "tau": [float(f"{e.tau_int:.3g}") if math.isfinite(e.tau_int) else None for e in rows],
        "flips": [float(f"{e.tunnelling:.2g}") for e in rows],
        "chi2": [concise(e.chi2, e.chi2_error) for e in rows],
    }
    if found.exact is not None and found.exact.chi2 is not None:
        exact = found.exact.chi2
        columns["off"] = [round((e.chi2 - exact) / e.chi2_error, 1) if e.chi2_error > 0 else None for e in rows]
    return Table.of(
        columns | {"verdict": [e.verdict.status for e in rows]},
        units={"rate": "1/s", "trained": "1/s", "off": "errors"},
        title="Samplers, best first",
        caption="rate: independent samples a CPU-second. trained: the same for 10 000 of them when the training of the "
        "flow is paid. tau: integrated autocorrelation time in sampler calls, the slowest of M², the link and the "
        "sign of M; none if M never changed its sign. flips: sign changes of M per call and chain. chi2: V⟨M²⟩ with "
        "the error of its last digits. off: its distance from the exact value in errors.",
    )


def _log_z(found: Advice) -> Table:
    rows: list[tuple[Any, ...]] = [
        (name, *rounded(z.value, z.error), float(f"{z.ess:.2g}"), "ok" if z.sound else "not to be trusted")
        for name, z in found.log_z.items()
    ]
    if found.exact is not None:
        value, error = rounded(found.exact.log_z, found.exact.log_z_error)
        rows.append((f"exact, {found.exact.method}", value, error, None, "ok"))
    names = ("method", "log Z", "error", "ESS", "verdict")
    return Table.of({name: [row[k] for row in rows] for k, name in enumerate(names)}, title="log Z")
