"""Clusters of models by the contacts that they share.

The fraction of common contacts and its clustering: Rodrigues et al., Proteins 80:1810 (2012).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

CUTOFF = 0.60
"""Fraction of common contacts from which two models are neighbours."""

STRICTNESS = 0.75
"""The same the other way round, as a share of the cutoff."""

CONTACT_DISTANCE = 5.0
"""Of heavy atoms, Å."""


def common_contacts(contacts: Sequence[NDArray[np.int64]]) -> NDArray[np.float64]:
    """(M, M) share of the contacts of model i that model j has too.

    Arguments:
        contacts: of each model, (C, 2) indices of residues in contact. A model without contacts shares none.
    """
    from scipy.sparse import csr_matrix

    width = 1 + max((int(pairs[:, 1].max()) for pairs in contacts if len(pairs)), default=0)
    keys = [pairs[:, 0] * width + pairs[:, 1] for pairs in contacts]
    if not any(len(key) for key in keys):
        return np.zeros((len(keys), len(keys)))
    _, column = np.unique(np.concatenate(keys), return_inverse=True)
    ends = np.cumsum([0, *map(len, keys)])
    table = csr_matrix((np.ones(len(column)), column, ends), shape=(len(keys), int(column.max()) + 1))
    shared = (table @ table.T).toarray()
    own = shared.diagonal()[:, None]
    result: NDArray[np.float64] = np.divide(shared, own, out=np.zeros_like(shared), where=own > 0)
    return result


def cluster(
    fractions: NDArray[np.float64], *, cutoff: float = CUTOFF, strictness: float = STRICTNESS, least: int = 1
) -> list[list[int]]:
    """Groups of models, the largest first; models of groups smaller than `least` are in none.

    The model with most neighbours and its neighbours are a cluster; they are taken out; and so on.

    Arguments:
        fractions: (M, M) of `common_contacts`.
        cutoff: model j is a neighbour of i from this share of i's contacts on,
        strictness: when i has at least this much times `cutoff` of j's.
        least: members of the smallest cluster.

    Returns:
        Indices of models, the centre of each cluster first, the others ascending.
    """
    near = (fractions >= cutoff) & (cutoff * strictness <= fractions.T)
    np.fill_diagonal(near, True)
    left = np.ones(len(near), dtype=bool)
    found: list[list[int]] = []
    while left.any():
        counts = np.where(left, (near & left[None, :]).sum(axis=1), 0)
        centre = int(counts.argmax())
        if counts[centre] < least:
            break
        members = np.flatnonzero(near[centre] & left)
        found.append([centre, *(int(i) for i in members if i != centre)])
        left[members] = False
    return found
