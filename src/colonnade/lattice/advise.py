"""Which sampler for this action and size: independent samples a CPU-second, with and without training, side by side."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

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
MIN_ESS = 0.05  # below it a few weights decide log Z and its error alike


@dataclass(frozen=True)
class Entry:
    """One sampler: its speed and whether its result can be believed.

    rate : independent samples a CPU-second, chains / (2 tau_int) per call, with the slowest of M^2, the link and the
        sign of M; 0 if M never changed its sign
    with_training : the same for 10 000 independent samples when the training time is paid too
    training : CPU-seconds
    """

    name: str
    rate: float
    tau_int: float
    tunnelling: float
    chi2: float
    chi2_error: float
    verdict: Verdict
    training: float = 0.0

    @property
    def with_training(self) -> float:
        return WANTED / (WANTED / self.rate + self.training) if self.rate > 0 else 0.0


class FreeEnergy(NamedTuple):
    """log Z by one method, with its error; `ess` is the reverse one, and `sound` whether the number can be believed."""

    value: float
    error: float
    ess: float
    sound: bool


@dataclass(frozen=True)
class Advice:
    """All samplers, the believable ones first and the fastest of them on top; log Z beside its exact value."""

    entries: list[Entry]
    recommendation: str
    exact: Exact | None
    log_z: dict[str, FreeEnergy]
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
        found["Wolff + HMC"] = Composite([Wolff(action), hmc])
        found["Wolff + Metropolis"] = Composite([Wolff(action), Metropolis(action)])
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
    """Run one sampler for about `seconds` of CPU time and judge it."""
    trial = sample(action, shape, kernel, 10, chains=chains, seed=rng, burn_in=20)
    n = int(np.clip(seconds / max(trial.seconds / 10, 1e-6), 30, 20_000))
    run = sample(action, shape, trial.kernel, n, chains=chains, seed=rng, tune=False, burn_in=30, state=trial.state)
    tau = _slowest(run)
    chi2 = run.estimates["chi2"]
    rate = n * chains / (2 * tau) / run.seconds
    return Entry(name, rate, tau, run.tunnelling, chi2.value, chi2.error, run.verdict)


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
    seconds : CPU time for which each sampler is measured
    training_minutes : time for which the flow is trained (0: no flow)
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
    free_energy: dict[str, FreeEnergy] = {}
    if action.w4 > 0 and action.components <= 2 and not (action.components == 2 and action.h):
        say("Annealed log Z")
        _, log_w = Annealing(action, sides, stages=100).propose(1024, rng)
        free_energy["annealing"] = FreeEnergy(*log_z(log_w), reverse_ess(log_w), reverse_ess(log_w) > MIN_ESS)
    trainer = None
    if training_minutes > 0 and _flow_fits(action, sides):
        say("Training a flow")
        trainer, flow_entries = _with_flow(action, sides, rng, seed, seconds, training_minutes, chains)
        entries += flow_entries
        _, log_w = trainer.proposal.propose(16384, rng)
        sound = trainer.verdict().status != "mode missed" and reverse_ess(log_w) > MIN_ESS
        free_energy["flow"] = FreeEnergy(*log_z(log_w), reverse_ess(log_w), sound)
    entries.sort(key=lambda e: (("ok", "not converged", "mode missed").index(e.verdict.status), -e.rate))
    return Advice(entries, recommendation(entries, free_energy, exact), exact, free_energy, trainer)


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
    began = time.process_time()
    trainer = Trainer(build(config, seed), action, TrainConfig("symmetric_kl", steps=2000, minutes=minutes, seed=seed))
    trainer.run()
    training = time.process_time() - began
    proposal: FlowProposal = trainer.proposal
    kernels: dict[str, Kernel] = {
        "flow": Independence(action, proposal, 4, "flow"),
        "flow + HMC": Composite([Independence(action, proposal, 2, "flow"), HMC(action, steps=10)]),
    }
    entries = [
        replace(measure(name, kernel, action, shape, rng, seconds, chains), training=training)
        for name, kernel in kernels.items()
    ]
    return trainer, entries


def recommendation(entries: list[Entry], log_z: dict[str, FreeEnergy], exact: Exact | None) -> str:
    """Which sampler to use and why, in a few sentences."""
    good = [e for e in entries if e.verdict.status == "ok" and math.isfinite(e.tau_int)]
    if not good:
        return "No sampler converged in the time given: ask for more seconds a sampler."
    best = good[0]
    said = [f"Use {best.name}: {best.rate:.3g} independent samples a CPU-second (tau_int {best.tau_int:.2g} calls)."]
    said += _about_hmc(best, entries) + _about_flows(best, entries)
    sound = {name: found for name, found in log_z.items() if found.sound}
    if sound:
        name, found = min(sound.items(), key=lambda item: item[1].error)
        text = f"For log Z use the {name}: {found.value:.4f} +- {found.error:.4f}"
        if exact is not None:
            distance = abs(found.value - exact.log_z) / math.hypot(found.error, exact.log_z_error)
            text += f", {distance:.1f} errors from the exact {exact.log_z:.4f}"
        said.append(text + ".")
    return " ".join(said)


def _about_hmc(best: Entry, entries: list[Entry]) -> list[str]:
    hmc = next((e for e in entries if e.name == "HMC"), None)
    if hmc is None or best is hmc:
        return []
    if hmc.rate == 0:
        return ["Plain HMC did not change vacuum once."]
    why = f", as it changes the sign of M only {hmc.tunnelling:.1e} times a trajectory" if hmc.tunnelling < 0.02 else ""
    return [f"That is {best.rate / hmc.rate:.3g} times plain HMC{why}."]


def _about_flows(best: Entry, entries: list[Entry]) -> list[str]:
    flows = [e for e in entries if e.training > 0]
    if not flows:
        return []
    if best.training:
        return [f"Its flow took {best.training:.0f} CPU-seconds to train: it pays for long runs."]
    flow = flows[0]
    if flow.verdict.status != "ok":
        return [f"The flow is not to be trusted yet ({flow.verdict.status}); train it for longer."]
    return [
        f"The best flow sampler, {flow.name}, gives {flow.rate:.3g} after {flow.training:.0f} CPU-seconds of training, "
        f"so for averages it does not pay here; it would where no flip or cluster move is known."
    ]
