"""Which sampler for this action and size: independent samples a second, side by side, with and without training."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from colonnade.lattice._types import FloatArray
from colonnade.lattice.action import ScalarAction
from colonnade.lattice.annealed import Annealing
from colonnade.lattice.diagnostics import Verdict, log_z, reverse_ess, tau_int
from colonnade.lattice.ensemble import Ensemble, sample
from colonnade.lattice.errors import LatticeError
from colonnade.lattice.exact import Exact, chain1d, free_field, torus
from colonnade.lattice.flow import FlowConfig, FlowProposal, build
from colonnade.lattice.geometry import Shape, checked_shape
from colonnade.lattice.hotrg import hotrg
from colonnade.lattice.mcmc import HMC, Composite, Flip, FourierHMC, Independence, Kernel, Metropolis, Wolff
from colonnade.lattice.train import TrainConfig, Trainer

WANTED = 10_000  # independent samples for the rate with training


@dataclass(frozen=True)
class Entry:
    """One sampler: its speed and whether its result can be believed.

    rate : independent samples a second, chains / (2 tau_int) per call, with the slowest of M^2 and the sign of M
    with_training : the same for 10 000 independent samples when the training time is paid too
    """

    name: str
    rate: float
    with_training: float
    tau_int: float
    tunnelling: float
    chi2: float
    chi2_error: float
    seconds: float
    training: float
    verdict: Verdict


@dataclass(frozen=True)
class Advice:
    """All samplers, best first, the recommendation and log Z beside its exact value."""

    entries: list[Entry]
    recommendation: str
    exact: Exact | None
    log_z: dict[str, tuple[float, float]]
    trainer: Trainer | None = None


def exact_for(action: ScalarAction, shape: Sequence[int], bond: int = 20) -> Exact | None:
    """The best exact answer that there is for this action and shape, or None."""
    sides = checked_shape(shape)
    if action.w4 == 0:
        return free_field(action, sides) if action.h == 0 else None
    if action.components > 1 or action.w0 < 0 or action.d > 2:
        return None
    if action.d == 1:
        return chain1d(action, sides[0])
    if min(sides) <= 4 and max(sides) <= 64:
        return torus(action, sides)
    if all(n & (n - 1) == 0 for n in sides):
        return hotrg(action, sides, bond, moments=True)
    return None


def candidates(action: ScalarAction, shape: Shape) -> dict[str, Kernel]:
    """The classical samplers that apply."""
    hmc = HMC(action, steps=10)
    found: dict[str, Kernel] = {"HMC": hmc, "HMC + flip": Composite([hmc, Flip(action)])}
    if action.w0 > 0:
        found["Fourier HMC + flip"] = Composite([FourierHMC(action, steps=6), Flip(action)])
        found["Wolff + HMC"] = Composite([Wolff(action, clusters=4), hmc])
        found["Wolff + Metropolis"] = Composite([Wolff(action, clusters=4), Metropolis(action)])
    if action.w4 > 0 and action.components <= 2 and not (action.components == 2 and action.h):
        path = Annealing(action, shape, stages=40)
        found["annealed + HMC"] = Composite([Independence(action, path, 1, "annealed"), hmc])
    return found


def _slowest(run: Ensemble) -> float:
    """The largest of the autocorrelation times of M^2, of the link and, for a real field, of the sign of M."""
    series: list[FloatArray] = [run.m2, run.link]
    if run.action.components == 1:
        sign = np.sign(run.magnetisation[:, 0])
        if run.tunnelling == 0.0:
            return math.inf
        series.append(sign)
    return max(tau_int(s) for s in series)


def measure(
    name: str, kernel: Kernel, action: ScalarAction, shape: Shape, rng: np.random.Generator, seconds: float, chains: int
) -> Entry:
    """Run one sampler for about `seconds` and judge it."""
    trial = sample(action, shape, kernel, 10, chains=chains, seed=rng, burn_in=20)
    n = int(np.clip(seconds / max(trial.seconds / 10, 1e-6), 30, 20_000))
    run = sample(action, shape, trial.kernel, n, chains=chains, seed=rng, tune=False, burn_in=30, state=trial.state)
    tau = _slowest(run)
    rate = n * chains / (2 * tau) / run.seconds
    chi2 = run.estimates["chi2"]
    return Entry(
        name, rate, rate, tau, run.tunnelling, chi2.value, chi2.error, run.seconds / (n * chains), 0.0, run.verdict
    )


def advise(
    action: ScalarAction,
    shape: Sequence[int],
    seed: int = 0,
    *,
    seconds: float = 4.0,
    training_minutes: float = 0.75,
    chains: int = 64,
    say: Callable[[str], None] = lambda _: None,
) -> Advice:
    """Try every sampler that applies, train a flow, and compare.

    Parameters
    ----------
    seconds : measuring time of each sampler
    training_minutes : training time of the flow (0: no flow)
    say : receives a line before every step

    Raises
    ------
    LatticeError
        If the lattice is too large for a comparison of this kind (more than 16384 sites).
    """
    sides = checked_shape(shape)
    if math.prod(sides) > 16384:
        raise LatticeError(f"shape {list(sides)} has {math.prod(sides)} sites; advice is given for at most 16384")
    rng = np.random.default_rng(seed)
    say("Exact reference")
    exact = exact_for(action, sides)
    entries = []
    for name, kernel in candidates(action, sides).items():
        say(name)
        entries.append(measure(name, kernel, action, sides, rng, seconds, chains))
    free_energy: dict[str, tuple[float, float]] = {}
    if action.w4 > 0 and action.components <= 2 and not (action.components == 2 and action.h):
        say("Annealed log Z")
        _, log_w = Annealing(action, sides, stages=100).propose(1024, rng)
        free_energy[f"annealed (ESS {reverse_ess(log_w):.2g})"] = log_z(log_w)
    trainer = None
    if training_minutes > 0 and _flow_fits(action, sides):
        say("Training a flow")
        trainer, flow_entries = _with_flow(action, sides, rng, seed, seconds, training_minutes, chains)
        entries += flow_entries
        _, log_w = trainer.proposal.propose(16384, rng)
        free_energy[f"flow (ESS {reverse_ess(log_w):.2g})"] = log_z(log_w)
    entries.sort(key=lambda e: (e.verdict.status == "mode missed", -e.rate))
    return Advice(entries, _sentence(entries, trainer), exact, free_energy, trainer)


def _flow_fits(action: ScalarAction, shape: Shape) -> bool:
    even = all(n % 2 == 0 and n >= 4 for n in shape)
    return even and math.prod(shape) <= 1024 and len(shape) > 1 and action.components <= 2 and action.w4 > 0


def _with_flow(
    action: ScalarAction,
    shape: Shape,
    rng: np.random.Generator,
    seed: int,
    seconds: float,
    minutes: float,
    chains: int,
) -> tuple[Trainer, list[Entry]]:
    # without the symmetry an equivariant flow would be wrong by construction
    config = FlowConfig(shape, "equivariant" if action.h == 0 else "bimodal", components=action.components)
    began = time.perf_counter()
    trainer = Trainer(build(config, seed), action, TrainConfig("symmetric_kl", steps=2000, minutes=minutes, seed=seed))
    trainer.run()
    training = time.perf_counter() - began
    proposal: FlowProposal = trainer.proposal
    kernels: dict[str, Kernel] = {
        "flow": Independence(action, proposal, 4, "flow"),
        "flow + HMC": Composite([Independence(action, proposal, 2, "flow"), HMC(action, steps=10)]),
    }
    entries = []
    for name, kernel in kernels.items():
        e = measure(name, kernel, action, shape, rng, seconds, chains)
        paid = WANTED / (WANTED / e.rate + training) if e.rate > 0 else 0.0
        entries.append(Entry(**(e.__dict__ | {"with_training": paid, "training": training})))
    return trainer, entries


def _sentence(entries: list[Entry], trainer: Trainer | None) -> str:
    good = [e for e in entries if e.verdict.status == "ok" and math.isfinite(e.tau_int)]
    if not good:
        return "No sampler converged in the time given: ask for more seconds, or another action."
    best = good[0]
    text = f"Use {best.name}: {best.rate:.3g} independent samples a second (tau_int {best.tau_int:.2g})"
    hmc = next((e for e in entries if e.name == "HMC"), None)
    if hmc is not None and best.name != "HMC":
        if hmc.rate > 0:
            text += f", {best.rate / hmc.rate:.3g} times plain HMC"
        else:
            text += "; plain HMC did not change vacuum once"
    flows = [e for e in good if e.training > 0]
    if trainer is None or not flows:
        return text + "."
    flow = flows[0]
    if flow is best:
        return text + f". Training took {flow.training:.0f} s, so it pays off for long runs."
    text += (
        f". The best flow sampler gives {flow.rate:.3g} a second after {flow.training:.0f} s of training, so it does "
        "not pay off for averages here"
    )
    return text + "; it is the one that also gives log Z from the same samples."
