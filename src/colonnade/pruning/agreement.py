"""When to ask the dense model again: a promise on how often the pruned one disagrees with it.

The pruned model's margin, its best probability minus its second, is small where it errs. A text whose margin is below
`threshold` is run again dense. The threshold is the smallest for which an upper confidence bound on the share of texts
that are accepted and yet disagree stays below the wanted one; the bound is exact (Clopper and Pearson) and the search
goes from the safest threshold down and stops at the first that fails, so that no correction for many tests is needed
(fixed-sequence testing; Angelopoulos et al., Learn then Test, arXiv:2110.01052). Held-out texts must be like those to
come.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from colonnade.pruning.errors import PruningError, between
from colonnade.pruning.prediction import predict
from colonnade.pruning.texts import Encoded

GRID = np.linspace(1.0, 0.0, 201)


@dataclass(frozen=True)
class Guarantee:
    """A margin below which the dense model is asked.

    Attributes:
        margin: texts of at least this margin keep the pruned answer.
        disagreement: the promised bound on the share of answers that differ from the dense model's.
        confidence: of the promise.
        asked: share of the held-out texts that the dense model is asked about.
        seen: share of the held-out texts whose final answer differs.
        texts: held-out texts it rests on.
    """

    margin: float
    disagreement: float
    confidence: float
    asked: float
    seen: float
    texts: int


def margins(logits: Tensor) -> NDArray[np.float64]:
    """Best probability minus second best of each text."""
    top = logits.softmax(-1).topk(2, dim=-1).values
    found: NDArray[np.float64] = (top[:, 0] - top[:, 1]).double().numpy()
    return found


def guarantee(pruned: Tensor, dense: Tensor, disagreement: float = 0.01, confidence: float = 0.95) -> Guarantee:
    """Find the margin from logits of both on held-out texts [texts, classes].

    Raises:
        PruningError: a share is out of range, or too few texts are given for any promise of that kind.
    """
    from scipy.stats import beta

    between("disagreement", disagreement, 1e-6, 0.5)
    between("confidence", confidence, 0.5, 0.9999)
    n = len(pruned)
    needed = int(np.ceil(np.log(1 - confidence) / np.log1p(-disagreement)))
    if n < needed:
        raise PruningError(
            f"{n} held-out texts are too few to promise at most {disagreement:.2%} disagreement with {confidence:.0%} "
            f"confidence; at least {needed} are needed."
        )
    margin, differs = margins(pruned), (pruned.argmax(1) != dense.argmax(1)).numpy()
    best = 1.0 + 1e-9  # the dense model is asked always
    for threshold in GRID:
        wrong = int((differs & (margin >= threshold)).sum())
        bound = float(beta.ppf(confidence, wrong + 1, n - wrong)) if wrong < n else 1.0
        if bound > disagreement:
            break
        best = float(threshold)
    accepted = margin >= best
    return Guarantee(best, disagreement, confidence, float((~accepted).mean()), float((differs & accepted).mean()), n)


def answer(
    model: Any, texts: Encoded, margin: float, progress: Callable[[int], object] = lambda done: None
) -> tuple[Tensor, NDArray[np.bool_]]:
    """Logits of the pruned model, and of the dense one where the margin is too small; and which those are."""
    logits = predict(model, texts, progress=progress)
    asked: NDArray[np.bool_] = margins(logits) < margin
    chosen = np.flatnonzero(asked).tolist()
    if chosen:
        with model.encoder.set(dial=0):
            logits[torch.tensor(chosen)] = predict(model, texts.take(chosen))
    return logits, asked
