"""Measure and draw the figures of docs/lattice.md; the numbers go to docs/figures/lattice.json.

python scripts/draw_lattice_figures.py [tunnelling] [weights] [advice]
"""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np

mpl.use("svg")
import matplotlib.pyplot as plt

from colonnade.lattice import (
    HMC,
    Composite,
    Flip,
    ScalarAction,
    Wolff,
    flow_verdict,
    load_weights,
    reference_fields,
    sample,
    zoo,
)
from colonnade.lattice.advise import advise

FOLDER = Path(__file__).parents[1] / "docs/figures"
INK, RED, GREEN = "#1f4e79", "#b5482a", "#3b7d4f"
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
    figure, axes = plt.subplots(figsize=(4.6, 3.0), layout="constrained")
    for (name, values), colour in zip(rates.items(), (INK, RED, GREEN), strict=True):
        axes.semilogy(lams, values, "o-", color=colour, label=name)
    axes.set(xlabel="λ  (m² = -4, 8 × 8)", ylabel="sign changes of M per call")
    axes.legend(frameon=False)
    figure.savefig(FOLDER / "lattice_tunnelling.svg", metadata={"Date": None})
    return {"lambda": lams, **rates}


def weights() -> dict[str, Any]:
    """log w of a collapsed and of a good flow, over their own fields and over the target's."""
    names = [n for n in ("broken-4x4-collapsed", "broken-4x4-equivariant", "broken-8x8-equivariant") if n in zoo()]
    figure, panels = plt.subplots(1, len(names), figsize=(2.9 * len(names), 2.8), layout="constrained", squeeze=False)
    found: dict[str, Any] = {}
    for axes, name in zip(panels[0], names, strict=True):
        loaded, rng = load_weights(zoo()[name]), np.random.default_rng(5)
        proposal = loaded.proposal()
        own = proposal.propose(8192, rng)[1]
        fields = reference_fields(loaded.action, loaded.config.shape, 4096, rng)
        target = proposal.weigh(fields)
        verdict = flow_verdict(own, target, fields.reshape(len(fields), -1).mean(1))
        for values, colour, label in ((own, INK, "flow's fields"), (target, RED, "target's fields")):
            shifted = np.clip(values - verdict.numbers["log_z"], -6, 20)
            axes.hist(shifted, 80, (-6, 20), histtype="step", color=colour, label=label, log=True)
        reverse, forward = verdict.numbers["reverse_ess"], verdict.numbers["forward_ess"]
        axes.set(xlabel="log w - log Z (flow)", title=f"{name}\nreverse {reverse:.2f}, forward {forward:.1g}")
        axes.title.set_fontsize(8)
        found[name] = {"verdict": verdict.status, **verdict.numbers}
    panels[0][0].legend(frameon=False, fontsize=7)
    figure.savefig(FOLDER / "lattice_weights.svg", metadata={"Date": None})
    return found


def advice() -> dict[str, Any]:
    """Independent samples a second of every sampler, broken phase, 8 x 8, lambda = 4."""
    found = advise(ScalarAction.from_albergo(-4, 4.0), (8, 8), 1, seconds=3.0, training_minutes=1.0)
    entries = [e for e in found.entries if e.rate > 0 and math.isfinite(e.tau_int)]
    figure, axes = plt.subplots(figsize=(4.8, 3.0), layout="constrained")
    axes.barh([e.name for e in entries], [e.rate for e in entries], color=[RED if e.training else INK for e in entries])
    axes.invert_yaxis()
    axes.set(xscale="log", xlabel="independent samples a second (red: after training)")
    figure.savefig(FOLDER / "lattice_advice.svg", metadata={"Date": None})
    table = [{k: getattr(e, k) for k in ("name", "rate", "with_training", "tunnelling", "training")} for e in entries]
    exact = found.exact.log_z if found.exact else None
    return {"entries": table, "recommendation": found.recommendation, "log_z": found.log_z, "exact": exact}


if __name__ == "__main__":
    path = FOLDER / "lattice.json"
    numbers = json.loads(path.read_text()) if path.exists() else {}
    FOLDER.mkdir(parents=True, exist_ok=True)
    for wanted in sys.argv[1:] or ["tunnelling", "weights", "advice"]:
        numbers[wanted] = {"tunnelling": tunnelling, "weights": weights, "advice": advice}[wanted]()
        path.write_text(json.dumps(numbers, indent=1) + "\n")
        print(json.dumps(numbers[wanted], indent=1), flush=True)
