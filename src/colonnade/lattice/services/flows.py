"""Flows: `lattice.train` and `lattice.flow_sample`."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, Literal

from pydantic import model_validator

from colonnade.inputs import Inputs, Param
from colonnade.job import Job
from colonnade.lattice.services.common import (
    PAPER,
    SOFTWARE,
    FlowShape,
    RunOutputs,
    WeightsFile,
    exact_table,
    quality_table,
    run_results,
)
from colonnade.results import Estimate, Figure, Model, Outputs, Table
from colonnade.service import Resources, service

if TYPE_CHECKING:
    from colonnade.lattice import Trainer, Weights


class TrainInputs(FlowShape):
    """What to train and how."""

    recipe: Literal["equivariant", "bimodal", "symmetrised", "mixture", "plain"] = Param(
        "equivariant",
        title="Recipe",
        help="equivariant: the symmetry built in; mixture: several flows with learned weights, no symmetry needed; "
        "plain: one flow without any remedy, which collapses on one vacuum.",
    )
    loss: Literal["reverse_kl", "path_gradient", "forward_kl", "symmetric_kl", "self_training"] = Param(
        "reverse_kl",
        title="Loss",
        help="reverse_kl seeks modes; forward_kl learns from HMC fields of every vacuum; symmetric_kl is their mean.",
    )
    steps: int = Param(600, title="Steps", ge=10, le=100_000)
    batch: int = Param(256, title="Batch", ge=16, le=8192, level="expert")
    minutes: float = Param(
        30.0, title="Time limit", unit="min", gt=0, le=120, help="A run that ends by its steps is reproducible."
    )
    couplings: int = Param(6, title="Coupling layers", ge=0, le=32, level="expert")
    hidden: int = Param(16, title="Channels", ge=1, le=64, level="expert")
    adiabatic: int = Param(1, title="Adiabatic stages", ge=1, le=32, level="expert", help="1: train on the target.")
    distance: float = Param(0.0, title="Flow-distance penalty", ge=0, le=1000, level="guru")

    @model_validator(mode="after")
    def _recipe_fits(self) -> TrainInputs:
        if self.h and self.recipe in ("equivariant", "symmetrised"):
            raise ValueError(
                f"recipe {self.recipe} builds in the symmetry that h = {self.h} breaks; use bimodal or mixture"
            )
        if self.components > 1 and self.recipe == "symmetrised":
            raise ValueError("recipe symmetrised is for a real field; use equivariant for a complex one")
        return self


class TrainOutputs(Outputs):
    """A trained flow and how good it is."""

    verdict: str = Param(title="Verdict")
    weights: Model
    log_z: Estimate
    exact: Table | None
    quality: Table
    curves: Figure


@service(
    "lattice.train",
    title="Train a normalizing flow for a lattice field",
    summary="Trains a flow by one of the paper's remedies for several vacua and judges it by both ESS.",
    paper=PAPER,
    resources=Resources(cores=1, memory="4 GiB", walltime=timedelta(hours=3)),
    examples={
        "Symmetric phase": {"m2": -4, "lam": 6.008, "shape": [8, 8], "steps": 300},
        "Broken phase, equivariant flow": {"m2": -4, "lam": 4.0, "shape": [8, 8], "steps": 600},
        "Mode collapse of a plain flow": {"m2": -4, "lam": 2.0, "shape": [4, 4], "recipe": "plain", "steps": 200},
    },
    software=SOFTWARE,
)
def train(inputs: TrainInputs, job: Job) -> TrainOutputs:
    """Train a flow; resumes from the last checkpoint bit for bit after a crash."""
    from colonnade.lattice import FlowConfig, TrainConfig, Trainer, build, plots, save_weights
    from colonnade.lattice.advise import exact_for

    action = inputs.action()
    config = FlowConfig(tuple(inputs.shape), inputs.recipe, inputs.components, inputs.couplings, inputs.hidden, parts=2)
    if inputs.recipe == "plain":  # a plain flow starts from one vacuum, as any unimodal base near one does
        config = FlowConfig(**(config.to_dict() | {"shape": config.shape, "shift": 0.5}))
    settings = TrainConfig(
        loss=inputs.loss,
        steps=inputs.steps,
        batch=inputs.batch,
        seed=job.seed % 2**31,
        minutes=inputs.minutes,
        adiabatic=inputs.adiabatic,
        distance=inputs.distance,
    )
    trainer = Trainer(build(config, job.seed % 2**31), action, settings)
    _resume(trainer, job)
    report = job.bar("Training", inputs.steps)

    def progress(t: Trainer) -> None:
        report(t.step)
        job.checkpoint({name: value.numpy() for name, value in t.state_dict().items()})
        job.preview(plots.training(t.history), "training")

    trainer.run(progress)
    report(-1)
    if trainer.history.stopped:
        job.log(trainer.history.stopped)
    verdict = trainer.verdict()
    exact = exact_for(action, config.shape)
    notes = {"steps": trainer.step, "seed": settings.seed, "loss": inputs.loss, "verdict": verdict.status}
    save_weights(job.files / "flow.safetensors", trainer.flow, config, action, notes)
    curves = plots.training(trainer.history, exact.log_z if exact and inputs.loss in ("reverse_kl",) else None)
    parameters = sum(p.numel() for p in trainer.flow.parameters())
    return TrainOutputs(
        verdict=f"{verdict.status}: {verdict.reason}. {trainer.history.stopped}".strip(),
        weights=Model(file="flow.safetensors", title="Trained flow", parameters=parameters, details=notes),
        log_z=Estimate(
            value=verdict.numbers["log_z"],
            error=verdict.numbers["log_z_error"],
            title="log Z",
            caption="From 8192 fresh fields of the flow; wrong if a vacuum is missed.",
        ),
        exact=exact_table(exact),
        quality=quality_table(verdict.numbers),
        curves=Figure.of(curves, title="Training"),
    )


def _resume(trainer: Trainer, job: Job) -> None:
    state = job.resume()
    if state:
        import numpy as np
        import torch

        trainer.load_state_dict({k: torch.from_numpy(v) for k, v in state.items() if isinstance(v, np.ndarray)})
        job.log(f"Resumed at step {trainer.step}")


class FlowSampleInputs(Inputs):
    """Sampling with a trained flow, alone or in a composite with HMC."""

    weights: WeightsFile | None = Param(
        None, title="Weights", help="A file from lattice.train; or choose from the zoo."
    )
    zoo: str = Param("", title="Weights from the zoo", max_length=100, help="Name of weights that ship with Colonnade.")
    m2: float | None = Param(
        None, title="Mass squared m²", ge=-1000, le=1000, level="expert", help="Another action to reweight to."
    )
    lam: float | None = Param(None, title="Quartic coupling λ", ge=0, le=10_000, level="expert")
    hmc_every: int = Param(
        1, title="HMC trajectories after the proposals", ge=0, le=100, help="The composite sampler; 0: the flow alone."
    )
    proposals: int = Param(4, title="Flow proposals a call", ge=1, le=1000)
    n: int = Param(500, title="Measurements", ge=100, le=100_000)
    chains: int = Param(32, title="Chains", ge=1, le=1024)

    @model_validator(mode="after")
    def _one_source(self) -> FlowSampleInputs:
        from colonnade.lattice.shelf import zoo

        if (self.weights is None) == (not self.zoo):
            raise ValueError("weights and zoo: give exactly one of them")
        if self.zoo and self.zoo not in zoo():
            raise ValueError(f"zoo is {self.zoo!r}; it must be one of {', '.join(zoo())}")
        if (self.m2 is None) != (self.lam is None):
            raise ValueError("m2 and lam: give both to reweight to another action, or neither")
        return self

    def load(self) -> Weights:
        from colonnade.lattice.shelf import zoo
        from colonnade.lattice.weights import load_weights

        return load_weights(self.weights.path if self.weights else zoo()[self.zoo])


class FlowSampleOutputs(RunOutputs):
    """A run whose proposals come from a flow."""

    quality: Table
    log_z: Estimate
    log_weights: Figure


@service(
    "lattice.flow_sample",
    title="Sample with a trained flow",
    summary="Independence Metropolis over a flow, alone or composed with HMC, with both effective sample sizes.",
    paper=PAPER,
    resources=Resources(cores=1, memory="4 GiB", walltime=timedelta(hours=2)),
    examples={"Broken phase from the zoo": {"zoo": "broken-8x8-equivariant", "n": 200}},
    software=SOFTWARE,
)
def flow_sample(inputs: FlowSampleInputs, job: Job) -> FlowSampleOutputs:
    """Use trained weights as the proposal of the composite sampler of the paper (section VIII)."""
    from dataclasses import replace

    from colonnade.lattice import (
        HMC,
        Composite,
        Independence,
        ScalarAction,
        flow_verdict,
        log_z,
        plots,
        reference_fields,
        sample,
    )
    from colonnade.lattice.advise import exact_for

    loaded = inputs.load()
    action = loaded.action
    if inputs.m2 is not None and inputs.lam is not None:
        action = ScalarAction.from_albergo(inputs.m2, inputs.lam, d=action.d, components=action.components)
    stamp = loaded.stamp(action)
    if stamp:
        job.log(stamp)
    proposal = loaded.proposal(action)
    kernel: Any = Independence(action, proposal, inputs.proposals, "flow")
    if inputs.hmc_every:
        kernel = Composite([kernel, replace(HMC(action), repeat=inputs.hmc_every)])
    rng = job.rng()
    run = sample(
        action,
        loaded.config.shape,
        kernel,
        inputs.n,
        chains=inputs.chains,
        seed=rng,
        track=lambda items: job.track(items, "Sampling"),
    )
    fields = reference_fields(action, tuple(loaded.config.shape), 2048, rng)
    own, target = proposal.propose(8192, rng)[1], proposal.weigh(fields)
    mode = fields.reshape(len(fields), -1).mean(1) if action.components == 1 else None
    judged = flow_verdict(own, target, mode)
    value, error = log_z(own)
    shown = run_results(run, exact_for(action, loaded.config.shape))
    shown["verdict"] = f"Flow: {judged.status}: {judged.reason}. Chain: {shown['verdict']} {stamp or ''}".strip()
    return FlowSampleOutputs(
        quality=quality_table(judged.numbers),
        log_z=Estimate(value=value, error=error, title="log Z", caption="From 8192 fields of the flow."),
        log_weights=Figure.of(plots.weights({"flow's own fields": own, "target's fields": target}), title="log w"),
        **shown,
    )
