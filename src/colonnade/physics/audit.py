"""What a cut on a model's answer does to the events it keeps: sculpted masses, biased selections, errors by energy.

Mass sculpting: the Jensen-Shannon divergence of the background's mass before and after a cut (after Kasieczka & Shih,
Phys. Rev. Lett. 125 (2020) 122001, arXiv:2001.05310). Selection bias: the Kullback-Leibler divergence between all
events that would have passed and those that the network lets through (Kahn et al., EPJ Web Conf. 251 (2021) 03010).
Both are positive by chance alone in samples of finite size, so each comes with what chance gives.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from colonnade.physics import fourvectors as fv
from colonnade.physics import metrics
from colonnade.physics.errors import PhysicsError, between
from colonnade.physics.shards import Dataset
from colonnade.physics.tokens import identifiers
from colonnade.physics.training import Report

Array = NDArray[np.float64]

DRAWS = 200  # random subsets that say what chance gives
CHARGED = (11, 13, 211, 321, 2212)
Divergence = Callable[[Array, Array], float]


@dataclass(frozen=True)
class Audit:
    """One finding.

    Attributes:
        quantity: of the events.
        selection: what was selected.
        measure: what `value` is.
        value: the finding.
        chance: what 95 of 100 selections that look at nothing stay below.
    """

    quantity: str
    selection: str
    measure: str
    value: float
    chance: float


def sculpting(
    quantity: NDArray[Any], label: NDArray[Any], score: NDArray[Any], efficiency: float
) -> tuple[float, float]:
    """Jensen-Shannon divergence, bits, of the background's `quantity` before and after a cut, and its chance level.

    Args:
        quantity: (events,) such as the jet mass.
        label: (events,) 0 background, 1 signal.
        score: (events,) the model's answer.
        efficiency: share of the signal that the cut keeps.

    Raises:
        PhysicsError: an efficiency out of range, one class only, or no background above the cut.
    """
    between("efficiency", efficiency, 0, 1)
    metrics.roc(label, score)  # refuses what has no cut
    background = np.asarray(quantity, float)[np.asarray(label) == 0]
    kept = score[np.asarray(label) == 0] >= np.quantile(score[np.asarray(label) == 1], 1 - efficiency)
    return _against_chance(background, kept, metrics.divergence)


def selection_bias(
    quantity: NDArray[Any], label: NDArray[Any], score: NDArray[Any], efficiency: float
) -> tuple[float, float]:
    """Kullback-Leibler divergence, nats, of the passing events that a filter keeps from all passing ones, and chance.

    Args:
        quantity: (events,) such as the number of charged particles.
        label: (events,) 1 for events that pass the selection.
        score: (events,) the filter's answer.
        efficiency: share of the passing events that the filter keeps.

    Raises:
        PhysicsError: an efficiency out of range, or no event passes.
    """
    between("efficiency", efficiency, 0, 1)
    passing = np.asarray(label) == 1
    if not passing.any():
        raise PhysicsError("label must hold passing events (1), but holds none.")
    kept = score[passing] >= np.quantile(score[passing], 1 - efficiency)
    return _against_chance(np.asarray(quantity, float)[passing], kept, _relative_entropy)


def _against_chance(values: Array, kept: NDArray[np.bool_], measure: Divergence) -> tuple[float, float]:
    if not kept.any():
        raise PhysicsError("No event is left above the cut: take a higher efficiency, or more events.")
    rng = np.random.default_rng(0)
    random = [measure(values, values[rng.permutation(kept)]) for _ in range(DRAWS)]
    return measure(values, values[kept]), float(np.quantile(random, 0.95))


def _relative_entropy(everything: Array, part: Array, bins: int = 20) -> float:
    """KL(part || everything), nats, in bins of equally many of all the events."""
    edges = np.unique(np.quantile(everything, np.linspace(0, 1, bins + 1)[1:-1]))
    p, q = (np.bincount(np.searchsorted(edges, v, side="right"), minlength=len(edges) + 1) for v in (part, everything))
    p, q = p / p.sum(), q / q.sum()
    used = p > 0
    return float((p[used] * np.log(p[used] / q[used])).sum())


def worst_bias(truth: NDArray[Any], predicted: NDArray[Any], variable: NDArray[Any]) -> tuple[float, float]:
    """Largest |bias| of a regression in six bins of a variable after its mean bias is taken off, and chance."""
    rows = metrics.against(truth, predicted, variable)
    shift = np.array(rows["bias"]) - metrics.bias(truth, predicted)
    # Of six independent normal deviates the largest stays below 2.63 sigma in 95 of 100 cases.
    return float(np.abs(shift).max()), float(2.63 * np.max(rows["error"]))


def audit(report: Report, data: Dataset, start: int = 0) -> list[Audit]:
    """All findings on the test events of a report.

    Args:
        report: of `training.evaluate`.
        data: holds the test events.
        start: the first of them.
    """
    name = data.spec.name
    arrays = data.arrays(start=start)
    quantities = _quantities(name, arrays)
    found = []
    for quantity, values in quantities.items():
        if data.spec.task == "regression":
            value, chance = worst_bias(report.truth, report.predicted, values)
            found.append(Audit(quantity, "bins of it", f"worst bias, {data.spec.column('xmax').unit}", value, chance))
        elif name == "belle":
            value, chance = selection_bias(values, report.truth, report.predicted, 0.9)
            found.append(Audit(quantity, "passing events, ε = 0.9", "KL divergence, nats", value, chance))
        else:
            for efficiency in (0.5, 0.3):
                value, chance = _or_nan(values, report, efficiency)
                words = f"background, ε_S = {efficiency:g}"
                found.append(Audit(quantity, words, "JS divergence, bits", value, chance))
    return found


def _or_nan(values: Array, report: Report, efficiency: float) -> tuple[float, float]:
    try:
        return sculpting(values, report.truth, report.predicted, efficiency)
    except PhysicsError:  # no background is left, which is what one hopes for
        return float("nan"), float("nan")


def _quantities(name: str, arrays: dict[str, NDArray[Any]]) -> dict[str, Array]:
    """What a selection should not change, of each event."""
    if name == "top":
        jet = arrays["p4"].astype(float).sum(axis=1)
        return {"jet mass": fv.mass(jet), "jet pT": fv.pt(jet)}
    if name == "belle":
        pdg = np.abs(identifiers(arrays["particles"][..., 8]))
        energy = arrays["particles"][..., 1].astype(float)
        return {
            "particles": (pdg > 0).sum(axis=1).astype(float),
            "charged particles": np.isin(pdg, CHARGED).sum(axis=1).astype(float),
            "energy of photons": np.where(pdg == 22, energy, 0).sum(axis=1),
        }
    if name == "airshower":
        known = {"lg(E/eV)": "lgE", "mass number": "mass", "Xmax": "xmax"}
        return {title: arrays[column].astype(float) for title, column in known.items() if column in arrays}
    return {"pions": arrays["image"].sum(axis=(1, 2)).astype(float)}
