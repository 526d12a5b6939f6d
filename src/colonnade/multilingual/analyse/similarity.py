"""How alike two representations of the same sentences are.

Linear CKA: Kornblith et al. 2019 (arXiv:1905.00414); debiased by the unbiased estimator of HSIC of Song et al. 2012,
as Nguyen et al. 2021 (arXiv:2010.15327) use it; ANC: Del and Fishel 2022 (arXiv:2109.01207 for its predecessor);
SVCCA: Raghu et al. 2017 (arXiv:1706.05806). Everything costs O(n d^2): no n x n kernel is formed.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from colonnade.multilingual._types import FloatArray
from colonnade.multilingual.errors import MultilingualError, between, enough


def cka(x: FloatArray, y: FloatArray, *, debiased: bool = True) -> float:
    """Linear centred kernel alignment of x (n, d) and y (n, e): 1 for a rotation and scale, near 0 for independence.

    Args:
        x, y: row i of both is sentence i.
        debiased: by the unbiased HSIC, which is centred on 0 for independent data of any width and may fall below it;
            the plain estimate tends to 1 as d grows past n.

    Raises:
        MultilingualError: unequal numbers of rows, fewer than 4, or a representation that is the same everywhere.
    """
    x, y = _centred(x, y)
    cross, own, other = _hsic(x, y, debiased), _hsic(x, x, debiased), _hsic(y, y, debiased)
    if own <= 0 or other <= 0:
        raise MultilingualError("one representation does not vary between these sentences, so CKA is undefined")
    return float(cross / np.sqrt(own * other))


def cka_matrix(representations: Sequence[FloatArray], *, debiased: bool = True) -> FloatArray:
    """CKA of every pair, (N, N), each self-term computed once."""
    centred = [_centred(one, representations[0])[0] for one in representations]
    n = len(centred)
    hsic = np.zeros((n, n))
    for i in range(n):
        for j in range(i, n):
            hsic[i, j] = hsic[j, i] = _hsic(centred[i], centred[j], debiased)
    own = np.diag(hsic)
    if (own <= 0).any():
        raise MultilingualError("one representation does not vary between these sentences, so CKA is undefined")
    return np.asarray(hsic / np.sqrt(own[:, None] * own[None, :]))


def anc(x: FloatArray, y: FloatArray) -> float:
    """Average neuron-wise correlation: the mean over j of |corr(x_j, y_j)|; for one model on two languages.

    Neurons that are constant in either are left out.

    Raises:
        MultilingualError: the shapes differ, there are fewer than 4 rows, or every neuron is constant.
    """
    if x.shape != y.shape:
        raise MultilingualError(f"ANC compares neuron by neuron, but the shapes are {x.shape} and {y.shape}")
    x, y = _centred(x, y)
    norms = np.linalg.norm(x, axis=0) * np.linalg.norm(y, axis=0)
    varies = norms > 0
    if not varies.any():
        raise MultilingualError("no neuron varies in both representations, so ANC is undefined")
    return float(np.abs((x * y).sum(axis=0)[varies] / norms[varies]).mean())


def svcca(x: FloatArray, y: FloatArray, variance: float = 0.99) -> float:
    """Mean canonical correlation of the leading directions that hold `variance` of each representation.

    Raises:
        MultilingualError: fewer sentences than directions, where any two representations correlate perfectly.
    """
    between("variance", variance, 0.01, 1)
    x, y = _centred(x, y)
    bases = [_leading(one, variance) for one in (x, y)]
    directions = sum(base.shape[1] for base in bases)
    enough("sentences", len(x), directions + 1, f"SVCCA of {directions} directions")
    return float(np.linalg.svd(bases[0].T @ bases[1], compute_uv=False).clip(0, 1).mean())


def _leading(x: FloatArray, variance: float) -> FloatArray:
    left, values, _ = np.linalg.svd(x, full_matrices=False)
    share = np.cumsum(values**2) / (values**2).sum()
    return np.asarray(left[:, : int(np.searchsorted(share, variance - 1e-12)) + 1])


def _centred(x: FloatArray, y: FloatArray) -> tuple[FloatArray, FloatArray]:
    if len(x) != len(y):
        raise MultilingualError(f"representations of {len(x)} and {len(y)} sentences cannot be compared")
    enough("sentences", len(x), 4, "comparing representations")
    x, y = x.astype(np.float64), y.astype(np.float64)
    return x - x.mean(axis=0), y - y.mean(axis=0)


def _hsic(x: FloatArray, y: FloatArray, debiased: bool) -> float:
    """HSIC of centred x and y with linear kernels, up to a constant factor that CKA cancels."""
    total = float(((x.T @ y) ** 2).sum())
    if not debiased:
        return total
    n = len(x)
    # The kernels K = x x', L = y y' without their diagonals; columns are centred, so K and L have rows that sum to 0,
    # and without the diagonal they sum to minus the diagonal.
    k, m = (x**2).sum(axis=1), (y**2).sum(axis=1)
    trace = total - float(k @ m)
    return trace + float(k.sum() * m.sum()) / ((n - 1) * (n - 2)) - 2 * float(k @ m) / (n - 2)
