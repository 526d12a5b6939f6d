"""Measure and draw the figures of docs/lattice.md; the numbers go to docs/figures/lattice.json.

    python scripts/draw_lattice_figures.py [--redraw] [tunnelling] [remedies] [weights] [composite] [advice]

Every name is one figure; without names all are made, in about five minutes of CPU time. `--redraw` takes the numbers
of the last time. All but `advice`, which holds measured times, give the same numbers again.
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
    tau_int,
    torus,
    zoo,
)
from colonnade.lattice.advise import advise

FOLDER = Path(__file__).parents[1] / "docs/figures"
BLUE, RED, GREEN, GREY = "#4477AA", "#EE6677", "#228833", "#8a8a8a"
mpl.rcParams |= {"font.size": 9, "axes.spines.top": False, "axes.spines.right": False, "svg.hashsalt": "lattice"}


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
    return {"lambda": lams, **rates}


def draw_tunnelling(found: dict[str, Any]) -> Any:
    figure, axes = plt.subplots(figsize=(4.6, 3.0), layout="constrained")
    for name, colour in (("HMC", BLUE), ("HMC + flip", RED), ("Wolff + HMC", GREEN)):
        axes.semilogy(found["lambda"], found[name], "o-", color=colour, label=name)
    axes.set(xlabel="λ  (m² = -4, 8 × 8; broken below about 4.2)", ylabel="sign changes of M per call")
    axes.legend(frameon=False)
    return figure


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
        verdict = fit(build(config, 1), SMALL, TrainConfig(steps=200, batch=128, seed=1, **how)).verdict()
        numbers = verdict.numbers
        found[name] = {"verdict": verdict.status} | {k: numbers[k] for k in ("reverse_ess", "forward_ess")}
        found[name] |= {"log_z_minus_exact": numbers["log_z"] - exact, "error": numbers["log_z_error"]}
        print(name, found[name], flush=True)
    return found


def draw_remedies(found: dict[str, Any]) -> Any:
    figure, (left, right) = plt.subplots(
        1, 2, figsize=(7.4, 3.8), layout="constrained", sharey=True, width_ratios=[2, 1]
    )
    y = np.arange(len(found))
    for shift, key, colour in ((-0.2, "reverse_ess", BLUE), (0.2, "forward_ess", RED)):
        values = [max(f[key], 1.1e-3) for f in found.values()]
        left.barh(y + shift, values, 0.36, color=colour, label=key.replace("_ess", " ESS"))
    left.set(xscale="log", xlim=(1e-3, 1.1), xlabel="effective sample size")
    left.set_yticks(y, [f"{n}\n({f['verdict']})" for n, f in found.items()], fontsize=7)
    left.invert_yaxis()
    figure.legend(*left.get_legend_handles_labels(), frameon=False, fontsize=7, loc="outside upper center", ncols=2)
    gaps, errors = ([f[k] for f in found.values()] for k in ("log_z_minus_exact", "error"))
    right.errorbar(gaps, y, xerr=errors, fmt="o", color=BLUE, markersize=3)
    right.axvline(0, color=GREY, linewidth=0.8)
    right.axvline(-np.log(2), color=RED, linewidth=0.8, linestyle="--")
    right.set(xlabel="log Z - exact (dashed: -log 2)")
    right.xaxis.label.set_fontsize(7)
    return figure


EDGES = np.linspace(-6, 25, 81)


def weights() -> dict[str, Any]:
    """log w of a collapsed and of good flows, over their own fields and over the target's."""
    found: dict[str, Any] = {}
    for name in ("broken-4x4-collapsed", "broken-4x4-equivariant", "broken-8x8-equivariant"):
        loaded, rng = load_weights(zoo()[name]), np.random.default_rng(5)
        proposal = loaded.proposal()
        own = proposal.propose(8192, rng)[1]
        fields = reference_fields(loaded.action, loaded.config.shape, 8192, rng)
        target = proposal.weigh(fields)
        verdict = flow_verdict(own, target, fields.reshape(len(fields), -1).mean(1))
        counts = [np.histogram(np.clip(v - verdict.numbers["log_z"], -6, 25), EDGES)[0].tolist() for v in (own, target)]
        found[name] = {"verdict": verdict.status, **verdict.numbers, "own": counts[0], "target": counts[1]}
    return found


def draw_weights(found: dict[str, Any]) -> Any:
    figure, panels = plt.subplots(1, len(found), figsize=(7.6, 2.6), layout="constrained")
    for axes, (name, f) in zip(panels, found.items(), strict=True):
        for key, colour, label in (("own", BLUE, "flow's own fields"), ("target", RED, "target's fields")):
            axes.stairs(f[key], EDGES, color=colour, label=label)
        title = f"{name}\nESS reverse {f['reverse_ess']:.2f}, forward {f['forward_ess']:.1g}"
        axes.set(xlabel="log w - log Z of the flow", title=title, yscale="log")
        axes.title.set_fontsize(8)
    panels[0].legend(frameon=False, fontsize=7)
    return figure


def composite() -> dict[str, Any]:
    """tau_int of a flow alone and in a composite with HMC, for a flow trained more and more, 8 x 8, lambda = 4."""
    action = ScalarAction.from_albergo(-4, 4.0)
    config = TrainConfig("symmetric_kl", steps=160, batch=96, learning_rate=0.02, seed=1, evaluate=10**9)
    trainer = Trainer(build(FlowConfig((8, 8), couplings=2), 1), action, config)
    hmc = HMC(action)
    alone = sample(action, (8, 8), hmc, 4000, chains=32, seed=3)
    found: dict[str, Any] = {"HMC": {"sign": tau_int(np.sign(alone.magnetisation[:, 0])), "m2": tau_int(alone.m2)}}
    for until in (2, 10, 40, 160):
        trainer.run(until=until)
        flow = Independence(action, trainer.proposal, 2, "flow")
        row: dict[str, Any] = {"forward_ess": trainer.evaluate()[1]}
        for name, kernel in (("flow", flow), ("flow + HMC", Composite([flow, hmc]))):
            run = sample(action, (8, 8), kernel, 400, chains=32, seed=3)
            row[name] = {"sign": tau_int(np.sign(run.magnetisation[:, 0])), "m2": tau_int(run.m2)}
        found[f"{until} steps"] = row
        print(until, row, flush=True)
    return found


def draw_composite(found: dict[str, Any]) -> Any:
    figure, panels = plt.subplots(1, 2, figsize=(7.4, 2.8), layout="constrained")
    rows = {int(name.split()[0]): row for name, row in found.items() if "flow" in row}
    for axes, key, label in zip(panels, ("sign", "m2"), ("sign of M: hops", "M²: fields inside a vacuum"), strict=True):
        for name, colour in (("flow", RED), ("flow + HMC", BLUE)):
            axes.plot(list(rows), [r[name][key] for r in rows.values()], "o-", color=colour, label=name)
        axes.axhline(found["HMC"][key], color=GREY, linestyle="--", label="HMC alone")
        axes.set(xscale="log", yscale="log", xlabel="training steps of the flow", ylabel=f"tau_int of {label}")
        axes.yaxis.label.set_fontsize(8)
    panels[1].legend(frameon=False, fontsize=7)
    return figure


def advice() -> dict[str, Any]:
    """Independent samples a CPU-second of every sampler, symmetric and broken phase, 8 x 8."""
    found: dict[str, Any] = {}
    for lam in (6.008, 4.0):
        advised = advise(ScalarAction.from_albergo(-4, lam), (8, 8), 1, seconds=1.0, training_minutes=0.75)
        keys = ("name", "rate", "with_training", "tunnelling", "training")
        found[str(lam)] = {
            "entries": [{k: getattr(e, k) for k in keys} | {"verdict": e.verdict.status} for e in advised.entries],
            "recommendation": advised.recommendation,
            "log_z": {name: z._asdict() for name, z in advised.log_z.items()},
            "exact": advised.exact.log_z if advised.exact else None,
        }
    return found


def draw_advice(found: dict[str, Any]) -> Any:
    figure, panels = plt.subplots(1, 2, figsize=(7.6, 2.8), layout="constrained", sharex=True)
    for axes, (lam, advised) in zip(panels, found.items(), strict=True):
        entries = [e for e in advised["entries"] if e["rate"] > 0]
        colours = [RED if e["training"] else BLUE for e in entries]
        axes.barh([e["name"] for e in entries], [e["rate"] for e in entries], color=colours)
        axes.invert_yaxis()
        axes.set(xscale="log", title=f"λ = {lam}", xlabel="independent samples a CPU-second\n(red: after training)")
    return figure


FIGURES = {
    "tunnelling": (tunnelling, draw_tunnelling),
    "remedies": (remedies, draw_remedies),
    "weights": (weights, draw_weights),
    "composite": (composite, draw_composite),
    "advice": (advice, draw_advice),
}

if __name__ == "__main__":
    torch.set_num_threads(1)
    path = FOLDER / "lattice.json"
    FOLDER.mkdir(parents=True, exist_ok=True)
    numbers = json.loads(path.read_text()) if path.exists() else {}
    redraw = "--redraw" in sys.argv
    for wanted in [name for name in sys.argv[1:] if name != "--redraw"] or list(FIGURES):
        measure, draw = FIGURES[wanted]
        if not redraw:
            numbers[wanted] = measure()
            path.write_text(json.dumps(numbers, indent=1) + "\n")
        draw(numbers[wanted]).savefig(FOLDER / f"lattice_{wanted}.svg", metadata={"Date": None}, facecolor="white")
        print(f"{wanted}: drawn", flush=True)
