"""Measure and draw the figures of docs/lattice.md; the numbers go to docs/figures/lattice.json.

    python scripts/draw_lattice_figures.py [tunnelling] [remedies] [weights] [composite] [advice]

Every name is one figure; without names all are made, in about four minutes of CPU time. All but `advice`, which holds
measured times, give the same numbers again.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import torch

mpl.use("svg")
import matplotlib.pyplot as plt

from colonnade.lattice import (
    HMC,
    Composite,
    Flip,
    FlowConfig,
    Independence,
    ScalarAction,
    TrainConfig,
    Trainer,
    Wolff,
    build,
    fit,
    flow_verdict,
    load_weights,
    reference_fields,
    sample,
    torus,
    zoo,
)
from colonnade.lattice.advise import advise

FOLDER = Path(__file__).parents[1] / "docs/figures"
BLUE, RED, GREEN, GREY = "#4477AA", "#EE6677", "#228833", "#8a8a8a"
mpl.rcParams |= {"font.size": 9, "axes.spines.top": False, "axes.spines.right": False, "svg.hashsalt": "lattice"}


def save(figure: Any, name: str) -> None:
    figure.savefig(FOLDER / f"lattice_{name}.svg", metadata={"Date": None}, facecolor="white")


def tunnelling() -> dict[str, Any]:
    """Sign changes of M per call on 8 x 8 along m2 = -4: HMC alone, with flips, with clusters."""
    lams = [5.0, 4.5, 4.25, 4.0, 3.75, 3.5]
    rates: dict[str, list[float]] = {"HMC": [], "HMC + flip": [], "Wolff + HMC": []}
    for lam in lams:
        action = ScalarAction.from_albergo(-4, lam)
        hmc = HMC(action, steps=12, dt=0.08)
        for name, kernel in (
            ("HMC", hmc),
            ("HMC + flip", Composite([hmc, Flip(action)])),
            ("Wolff + HMC", Composite([Wolff(action), hmc])),
        ):
            n = 3000 if name == "HMC" else 300
            rates[name].append(sample(action, (8, 8), kernel, n, chains=64, seed=1, tune=False).tunnelling)
    figure, axes = plt.subplots(figsize=(4.6, 3.0), layout="constrained")
    for (name, values), colour in zip(rates.items(), (BLUE, RED, GREEN), strict=True):
        axes.semilogy(lams, values, "o-", color=colour, label=name)
    axes.set(xlabel="λ  (m² = -4, 8 × 8; broken below about 4.2)", ylabel="sign changes of M per call")
    axes.legend(frameon=False)
    save(figure, "tunnelling")
    return {"lambda": lams, **rates}


REMEDIES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "none: plain flow, reverse KL": ({"recipe": "plain", "shift": 0.5}, {}),
    "flow-distance penalty": ({"recipe": "plain", "shift": 0.5}, {"distance": 0.05}),
    "adiabatic retraining": ({"recipe": "plain", "shift": 0.05}, {"adiabatic": 8}),
    "self-training": ({"recipe": "plain", "shift": 0.5}, {"loss": "self_training"}),
    "forward KL": ({"recipe": "plain", "shift": 0.5}, {"loss": "forward_kl"}),
    "bimodal base": ({"recipe": "bimodal"}, {}),
    "mixture of two": ({"recipe": "mixture"}, {}),
    "symmetrised": ({"recipe": "symmetrised"}, {}),
    "equivariant": ({"recipe": "equivariant"}, {}),
    "equivariant, forward KL": ({"recipe": "equivariant"}, {"loss": "forward_kl"}),
    "equivariant, both KL": ({"recipe": "equivariant"}, {"loss": "symmetric_kl"}),
}
SMALL = ScalarAction.from_albergo(-4, 2.5)


def remedies() -> dict[str, Any]:
    """Both effective sample sizes after each remedy for several vacua, equal steps, 4 x 4, lambda = 2.5."""
    exact = torus(SMALL, (4, 4)).log_z
    found: dict[str, Any] = {}
    for name, (flow, how) in REMEDIES.items():
        config = FlowConfig((4, 4), couplings=4, hidden=8, **flow)
        verdict = fit(build(config, 1), SMALL, TrainConfig(steps=300, batch=128, seed=1, **how)).verdict()
        numbers = verdict.numbers
        found[name] = {"verdict": verdict.status} | {k: numbers[k] for k in ("reverse_ess", "forward_ess")}
        found[name] |= {"log_z_minus_exact": numbers["log_z"] - exact, "error": numbers["log_z_error"]}
        print(name, found[name], flush=True)
    figure, (left, right) = plt.subplots(
        1, 2, figsize=(7.4, 3.6), layout="constrained", sharey=True, width_ratios=[2, 1]
    )
    y = np.arange(len(found))
    for shift, key, colour in ((-0.2, "reverse_ess", BLUE), (0.2, "forward_ess", RED)):
        values = [max(f[key], 2e-4) for f in found.values()]
        left.barh(y + shift, values, 0.36, color=colour, label=key.replace("_ess", " ESS"))
    left.set(xscale="log", xlim=(1e-3, 1.1), xlabel="effective sample size")
    left.set_yticks(y, [f"{n}\n({f['verdict']})" for n, f in found.items()], fontsize=7)
    left.invert_yaxis()
    left.legend(frameon=False, fontsize=7, loc="upper left")
    gaps, errors = ([f[k] for f in found.values()] for k in ("log_z_minus_exact", "error"))
    right.errorbar(gaps, y, xerr=errors, fmt="o", color=BLUE, markersize=3)
    right.axvline(0, color=GREY, linewidth=0.8)
    right.axvline(-np.log(2), color=RED, linewidth=0.8, linestyle="--")
    right.set(xlabel="log Z - exact  (dashed: one vacuum missed)")
    right.xaxis.label.set_fontsize(7)
    save(figure, "remedies")
    return found


def weights() -> dict[str, Any]:
    """log w of a collapsed and of good flows, over their own fields and over the target's."""
    names = ["broken-4x4-collapsed", "broken-4x4-equivariant", "broken-8x8-equivariant"]
    figure, panels = plt.subplots(1, len(names), figsize=(7.6, 2.6), layout="constrained")
    found: dict[str, Any] = {}
    for axes, name in zip(panels, names, strict=True):
        loaded, rng = load_weights(zoo()[name]), np.random.default_rng(5)
        proposal = loaded.proposal()
        own = proposal.propose(8192, rng)[1]
        fields = reference_fields(loaded.action, loaded.config.shape, 4096, rng)
        target = proposal.weigh(fields)
        verdict = flow_verdict(own, target, fields.reshape(len(fields), -1).mean(1))
        for values, colour, label in ((own, BLUE, "flow's own fields"), (target, RED, "target's fields")):
            shifted = np.clip(values - verdict.numbers["log_z"], -6, 25)
            axes.hist(shifted, 80, (-6, 25), histtype="step", color=colour, label=label, log=True)
        reverse, forward = verdict.numbers["reverse_ess"], verdict.numbers["forward_ess"]
        axes.set(xlabel="log w - log Z of the flow", title=f"{name}\nESS reverse {reverse:.2f}, forward {forward:.1g}")
        axes.title.set_fontsize(8)
        found[name] = {"verdict": verdict.status, **verdict.numbers}
    panels[0].legend(frameon=False, fontsize=7)
    save(figure, "weights")
    return found


def composite() -> dict[str, Any]:
    """A flow with thin tails (equivariant, reverse KL, lambda = 2 on 4 x 4) alone, in a composite, and HMC."""
    action = ScalarAction.from_albergo(-4, 2.0)
    config = FlowConfig((4, 4), couplings=4, hidden=8)
    trainer: Trainer = fit(build(config, 1), action, TrainConfig(steps=300, batch=128, seed=1))
    verdict = trainer.verdict()
    flow, hmc = Independence(action, trainer.proposal, 4, "flow"), HMC(action)
    kernels = {
        "HMC": hmc,
        "flow": flow,
        "flow + HMC": Composite([flow, hmc]),
        "HMC + flip": Composite([hmc, Flip(action)]),
    }
    found: dict[str, Any] = {"flow": verdict.numbers | {"verdict": verdict.status}, "runs": {}}
    figure, (left, right) = plt.subplots(1, 2, figsize=(7.4, 2.8), layout="constrained")
    edges = np.linspace(-1.25, 1.25, 51)
    for (name, kernel), colour in zip(kernels.items(), (GREY, RED, BLUE, GREEN), strict=True):
        run = sample(action, (4, 4), kernel, 1500, chains=64, seed=3, start="plus")
        m = run.magnetisation[:, 0]
        counts, _ = np.histogram(m, edges, density=True)
        left.step(edges[:-1], np.where(counts > 0, counts, np.nan), where="post", color=colour, label=name)
        phi2, sign = run.estimates["phi2"], np.sign(m).mean()
        found["runs"][name] = {
            "phi2": phi2.value,
            "error": phi2.error,
            "tau_int": phi2.tau_int,
            "sign": float(sign),
            "between": float((np.abs(m) < 0.4).mean()),
            "verdict": run.verdict.status,
        }
        print(name, found["runs"][name], flush=True)
    left.set(yscale="log", xlabel="magnetisation M, all chains started at +", ylabel="density")
    left.legend(frameon=False, fontsize=7)
    names = list(found["runs"])
    between = [found["runs"][n]["between"] for n in names]
    right.barh(names, between, color=[GREY, RED, BLUE, GREEN])
    right.set(xlabel="share of fields between the vacua, |M| < 0.4")
    right.invert_yaxis()
    save(figure, "composite")
    return found


def advice() -> dict[str, Any]:
    """Independent samples a CPU-second of every sampler, symmetric and broken phase, 8 x 8."""
    found: dict[str, Any] = {}
    figure, panels = plt.subplots(1, 2, figsize=(7.6, 2.8), layout="constrained", sharex=True)
    for axes, lam in zip(panels, (6.008, 4.0), strict=True):
        advised = advise(ScalarAction.from_albergo(-4, lam), (8, 8), 1, seconds=2.0, training_minutes=0.75)
        entries = [e for e in advised.entries if e.rate > 0]
        colours = [RED if e.training else BLUE for e in entries]
        axes.barh([e.name for e in entries], [e.rate for e in entries], color=colours)
        axes.invert_yaxis()
        axes.set(xscale="log", title=f"λ = {lam}", xlabel="independent samples a CPU-second\n(red: after training)")
        keys = ("name", "rate", "with_training", "tunnelling", "training")
        found[str(lam)] = {
            "entries": [{k: getattr(e, k) for k in keys} | {"verdict": e.verdict.status} for e in advised.entries],
            "recommendation": advised.recommendation,
            "log_z": {name: z._asdict() for name, z in advised.log_z.items()},
            "exact": advised.exact.log_z if advised.exact else None,
        }
    save(figure, "advice")
    return found


if __name__ == "__main__":
    torch.set_num_threads(1)
    FIGURES = {f.__name__: f for f in (tunnelling, remedies, weights, composite, advice)}
    path = FOLDER / "lattice.json"
    FOLDER.mkdir(parents=True, exist_ok=True)
    numbers = json.loads(path.read_text()) if path.exists() else {}
    for wanted in sys.argv[1:] or list(FIGURES):
        numbers[wanted] = FIGURES[wanted]()
        path.write_text(json.dumps(numbers, indent=1) + "\n")
        print(json.dumps(numbers[wanted], indent=1), flush=True)
