"""What a trained world model believes causes what, and how near a found graph is to the true one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from colonnade.causal.data import Transitions
from colonnade.causal.errors import CausalError, check_range
from colonnade.causal.models import WorldModel

Array = NDArray[Any]


@dataclass(frozen=True)
class Influence:
    """How strongly acting on one slot changes the prediction of another.

    Attributes:
        matrix: (n, n) at [acted on, predicted]: spread of the predicted slot over the actor's actions, as a share of
            the slot's spread over states; the diagonal is zero.
        low, high: (n, n) 95 % bootstrap interval over states.
    """

    matrix: Array
    low: Array
    high: Array


@torch.no_grad()
def influence_matrix(model: WorldModel, data: Transitions, rows: int = 512, seed: int = 0) -> Influence:
    """Intervene on each object in the model and see which slots' predictions move.

    In chemistry an action reaches all descendants within the step, so entries estimate total effects.

    Args:
        model: trained.
        data: where the states come from; in physics half of them are states with a contact.
        rows: how many states.
        seed: which.
    """
    check_range("rows", rows, 2, 100_000)
    n, per = model.config.slots, model.config.per_object
    rng = np.random.default_rng(seed)
    pool = np.flatnonzero(data.contact) if data.contact.any() else np.arange(len(data))
    at = np.concatenate([rng.choice(pool, rows // 2), rng.integers(len(data), size=rows - rows // 2)])
    z = model.encode(data.frames(at)[0])
    scale = z.std(0).pow(2).sum(1).sqrt() + 1e-9
    effects = np.zeros((rows, n, n))
    for actor in range(n):
        ahead = torch.stack([model.predict(z, torch.full((rows,), actor * per + a)) for a in range(per)])
        effects[:, actor] = ((ahead - ahead.mean(0)).pow(2).sum(3).mean(0).sqrt() / scale).numpy()
    effects[:, np.arange(n), np.arange(n)] = 0
    draws = np.stack([effects[rng.integers(rows, size=rows)].mean(0) for _ in range(200)])
    low, high = np.quantile(draws, [0.025, 0.975], axis=0)
    return Influence(effects.mean(0), low, high)


@dataclass(frozen=True)
class Comparison:
    """A found graph against the true one.

    Attributes:
        shd: structural Hamming distance: pairs of variables whose connection differs.
        sid, aid: structural intervention distance and parent-adjustment distance, as shares of all pairs (gadjid);
            NaN where the found graph is not acyclic.
        auroc: chance that a true edge scores above an absent one; with its 95 % bootstrap interval. NaN when there is
            no edge, or nothing but edges.
        precision, recall: of directed edges.
    """

    shd: int
    sid: float
    aid: float
    auroc: float
    auroc_low: float
    auroc_high: float
    precision: float
    recall: float


def compare(found: Array, truth: Array, score: Array | None = None, seed: int = 0) -> Comparison:
    """Compare adjacency matrices (n, n) at [cause, effect].

    Args:
        found: bool.
        truth: bool, acyclic.
        score: strength of each possible edge, for the AUROC; by default `found` itself.
        seed: of the bootstrap.

    Raises:
        CausalError: the matrices have different shapes.
    """
    a, b = np.asarray(found, bool), np.asarray(truth, bool)
    if a.shape != b.shape or a.ndim != 2 or a.shape[0] != a.shape[1]:
        raise CausalError(f"graphs must be square matrices of one size, but have shapes {a.shape} and {b.shape}.")
    upper = np.triu_indices(len(a), 1)
    shd = int(((a != b) | (a != b).T)[upper].sum())
    sid, aid = _distances(a, b)
    off = ~np.eye(len(a), dtype=bool)
    values, labels = (a.astype(float) if score is None else np.asarray(score, float))[off], b[off]
    area, low, high = auroc(values, labels, seed)
    hit = int((a & b).sum())
    return Comparison(
        shd, sid, aid, area, low, high,
        hit / a.sum() if a.any() else float("nan"), hit / b.sum() if b.any() else float("nan"),
    )  # fmt: skip


def _distances(found: Array, truth: Array) -> tuple[float, float]:
    import gadjid
    import networkx as nx

    if not nx.is_directed_acyclic_graph(nx.from_numpy_array(found.astype(int), create_using=nx.DiGraph)):
        return float("nan"), float("nan")
    a, b = np.ascontiguousarray(truth, np.int8), np.ascontiguousarray(found, np.int8)
    options = {"edge_direction": "from row to column"}
    return float(gadjid.sid(a, b, **options)[0]), float(gadjid.parent_aid(a, b, **options)[0])


def auroc(score: Array, label: Array, seed: int = 0) -> tuple[float, float, float]:
    """Area under the ROC curve (ties count half) with a 95 % bootstrap interval; NaN when one class is empty."""
    from scipy.stats import rankdata

    def area(s: Array, y: Array) -> float:
        positive, negative = int(y.sum()), int((~y).sum())
        if not positive or not negative:
            return float("nan")
        return float((rankdata(s)[y].sum() - positive * (positive + 1) / 2) / (positive * negative))

    score, label = np.asarray(score, np.float64), np.asarray(label, bool)
    rng = np.random.default_rng(seed)
    draws = [area(score[k], label[k]) for k in rng.integers(len(score), size=(500, len(score)))]
    kept = np.array([d for d in draws if not np.isnan(d)])
    if not len(kept):
        return area(score, label), float("nan"), float("nan")
    return area(score, label), float(np.quantile(kept, 0.025)), float(np.quantile(kept, 0.975))


def next_intervention(graphs: Sequence[Array], rows: int = 100, flip: float = 0.05, seed: int = 0) -> tuple[int, Array]:
    """Which variable to set next, by the expected information about which of several graphs is true.

    Setting a variable shows which others react. Each graph predicts that pattern (its descendants); each reaction is
    misread with probability `flip`. The information is the entropy of the pattern under the mixture less that under
    each graph (Tong & Koller 2001; Murphy 2001).

    Args:
        graphs: equally likely adjacency matrices (n, n), e.g. bootstrap graphs.
        rows: noisy patterns drawn for each graph.
        flip: chance of misreading one reaction.
        seed: of those.

    Returns:
        The variable, and (n,) expected nats for each.
    """
    check_range("flip", flip, 1e-6, 0.5)
    if not len(graphs):
        raise CausalError("next_intervention needs at least one graph.")
    reach = np.stack([_closure(np.asarray(g, bool)) for g in graphs])
    rng, (count, n, _) = np.random.default_rng(seed), reach.shape
    information = np.zeros(n)
    for variable in range(n):
        expected = np.delete(reach[:, variable], variable, 1)
        seen = expected[:, None] ^ (rng.random((count, rows, n - 1)) < flip)
        wrong = (seen[:, :, None] ^ expected).sum(3)  # (true graph, draw, candidate graph)
        log = wrong * np.log(flip) + (n - 1 - wrong) * np.log1p(-flip)
        own = log[np.arange(count), :, np.arange(count)]
        top = log.max(2)
        mixture = top + np.log(np.exp(log - top[:, :, None]).mean(2))
        information[variable] = (own - mixture).mean()
    return int(information.argmax()), information


def _closure(adjacency: Array) -> Array:
    reach = adjacency.copy()
    for node in range(len(reach)):
        reach |= np.outer(reach[:, node], reach[node])
    return reach
