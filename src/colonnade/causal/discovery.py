"""Causal discovery from a table: by interventions, or by the field's own methods through their libraries."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations, pairwise
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from colonnade.causal import observational
from colonnade.causal.errors import CausalError, check_choice, check_range
from colonnade.causal.knowledge import Knowledge
from colonnade.causal.oracle import rows_needed
from colonnade.causal.table import InterventionTable

Array = NDArray[Any]
Method = Literal["interventional", "pc", "ges", "notears", "pcmci"]
METHODS = ("interventional", "pc", "ges", "notears", "pcmci")
LEAST_INFORMATION = 0.02  # nats; an absent edge is called absent only if one this weak would have been seen
MAX_CONDITION = 3  # variables conditioned on together
MAX_INTERVENTIONAL = 40
MAX_CELLS = 2_000_000  # counts of one block of strata


@dataclass(frozen=True)
class Discovery:
    """A graph and how sure it is. All matrices are (n, n) at [cause, effect].

    Attributes:
        names: variables.
        adjacency: bool; an edge whose direction the method leaves open is there both ways.
        pvalue: of each edge; NaN where the method gives none.
        strength: effect size where the method gives one (interventional: total variation), else the score or weight.
        undecided: bool; no edge was found, but with this many rows a real one could have been missed.
        stability: share of half-samples of the rows that have the edge; NaN without `bootstrap`.
        lag: of each edge in a time series; 0 elsewhere.
        method: which.
        notes: sentences for the reader.
        samples: the half-samples' graphs.
    """

    names: tuple[str, ...]
    adjacency: Array
    pvalue: Array
    strength: Array
    undecided: Array
    stability: Array
    lag: Array
    method: str
    notes: tuple[str, ...] = field(default=())
    samples: tuple[Array, ...] = field(default=())

    def edges(self) -> list[tuple[str, str]]:
        """(cause, effect) of every edge."""
        return [(self.names[i], self.names[j]) for i, j in np.argwhere(self.adjacency)]


def discover(
    table: InterventionTable,
    method: Method = "interventional",
    *,
    alpha: float = 0.01,
    knowledge: Knowledge | None = None,
    bootstrap: int = 0,
    max_lag: int = 3,
    seed: int = 0,
    progress: Callable[[Sequence[int]], Iterable[int]] = iter,
) -> Discovery:
    """Find the causal graph of a table.

    Args:
        table: see `make_table` and `read_table`.
        method: `interventional` (needs rows in which variables were set), or `pc`, `ges`, `notears`, `pcmci` (a time
            series, rows in order), which take all rows as they come.
        alpha: level of the tests.
        knowledge: background knowledge; NOTEARS and GES use it only to drop edges afterwards.
        bootstrap: how many half-samples of the rows for `stability`.
        max_lag: of PCMCI.
        seed: of the resampling.
        progress: goes through the bootstrap's numbers, e.g. a progress bar.

    Raises:
        CausalError: an argument out of range, or a table the method cannot take.
    """
    check_choice("method", method, METHODS)
    check_range("alpha", alpha, 1e-6, 0.2)
    check_range("bootstrap", bootstrap, 0, 1000)
    check_range("max_lag", max_lag, 1, 20)
    allowed, needed = (knowledge or Knowledge()).masks(table.names)
    found = _once(table, method, alpha, allowed, needed, max_lag)
    if bootstrap:
        rng = np.random.default_rng(seed)
        samples = []
        for _ in progress(range(bootstrap)):
            again = table.rows(_half(table, method, rng))
            samples.append(_once(again, method, alpha, allowed, needed, max_lag).adjacency)
        found = replace(found, stability=np.mean(samples, axis=0), samples=tuple(samples))
    notes = list(table.notes)
    if method != "interventional" and (table.target >= 0).any():
        notes.append(f"{method} does not use which variable was set; its independence tests see all rows alike.")
    if method == "pcmci":
        notes += observational.drift(table)
    return replace(found, notes=(*notes, *found.notes))


def _half(table: InterventionTable, method: str, rng: np.random.Generator) -> Array:
    """Half of the rows of each intervention, or of the blocks of a series, drawn without replacement.

    Rows drawn with replacement come up twice, and doubled rows make independent variables look dependent; half-samples
    vary as much as those of the bootstrap (Friedman & Hall 2007) and keep the level of the tests.
    """
    rows = len(table.values)
    if method == "pcmci":
        blocks = np.array_split(np.arange(rows), max(2, rows // max(10, int(rows**0.5))))
        return np.concatenate([blocks[k] for k in np.sort(rng.permutation(len(blocks))[: -(-len(blocks) // 2)])])
    groups = [np.flatnonzero(table.target == t) for t in np.unique(table.target)]
    return np.concatenate([rng.permutation(group)[: -(-len(group) // 2)] for group in groups])


def _once(
    table: InterventionTable, method: str, alpha: float, allowed: Array, needed: Array, max_lag: int
) -> Discovery:
    if method == "interventional":
        return interventional(table, alpha, allowed, needed)
    run = getattr(observational, method)
    result = run(table, alpha, allowed, needed, max_lag)
    adjacency = (result.adjacency & allowed) | needed
    blank = np.full(adjacency.shape, np.nan)
    return Discovery(
        table.names, adjacency, result.pvalue, result.strength, np.zeros_like(adjacency), blank, result.lag, method
    )


def interventional(table: InterventionTable, alpha: float, allowed: Array, needed: Array) -> Discovery:
    """Ancestors from what reacts to being set, then direct causes among them from conditional independence.

    1. In the rows where X was set, X owes its value to nobody, so whatever depends on it there is its effect; if X
       was set to one value only, its rows are compared with the others instead. Likelihood-ratio (G) tests, corrected
       by Holm over all pairs.
    2. X is a direct cause of Y unless, in the rows where Y was not set, some few other causes of Y make them
       independent (the skeleton step of PC, Spirtes et al. 2000, kept to known ancestors).

    Variables that were never set can be effects, not causes.

    Raises:
        CausalError: no row has a target, or there are more than 40 variables.
    """
    n = len(table.names)
    if not (table.target >= 0).any():
        raise CausalError("method 'interventional' needs rows in which a variable was set; name the target column.")
    if n > MAX_INTERVENTIONAL:
        raise CausalError(
            f"method 'interventional' takes at most {MAX_INTERVENTIONAL} variables, but has {n}; use 'pc'."
        )
    codes, levels = table.codes()
    pvalue, strength, undecided = _effects(table, codes, levels, allowed, alpha)
    total = _holm(pvalue) < alpha
    _break_cycles(total, pvalue)
    direct = total.copy()
    direct_p = pvalue.copy()
    for effect in range(n):
        causes = np.flatnonzero(total[:, effect])
        rows = table.target != effect
        for cause in causes:
            worst = _worst_condition(codes[rows], levels, int(cause), effect, causes, alpha)
            if worst is not None:
                direct_p[cause, effect] = max(direct_p[cause, effect], worst)
                direct[cause, effect] = worst < alpha
    notes = [
        f"{table.names[j]} was never set, so that it cannot be found as a cause."
        for j in range(n)
        if not (table.target == j).any()
    ]
    blank = np.full((n, n), np.nan)
    adjacency = direct | needed
    return Discovery(
        table.names, adjacency, direct_p, strength, undecided & ~adjacency, blank, np.zeros((n, n), np.int64),
        "interventional", tuple(notes),
    )  # fmt: skip


def _effects(
    table: InterventionTable, codes: Array, levels: Array, allowed: Array, alpha: float
) -> tuple[Array, Array, Array]:
    n = len(table.names)
    pvalue, strength = np.ones((n, n)), np.zeros((n, n))
    undecided = allowed.copy()
    for cause in range(n):
        set_rows = table.target == cause
        if not set_rows.any():
            continue
        for effect in np.flatnonzero(allowed[cause]):
            if len(np.unique(codes[set_rows, cause])) > 1:
                x, y = codes[set_rows, cause], codes[set_rows, effect]
            else:
                rows = table.target != effect
                x, y = set_rows[rows].astype(np.int64), codes[rows, effect]
            statistic, degrees, tv = g_test(x, y)
            pvalue[cause, effect], strength[cause, effect] = _tail(statistic, degrees), tv
            undecided[cause, effect] = len(x) < rows_needed(LEAST_INFORMATION, max(degrees, 1), alpha)
    return pvalue, strength, undecided


def g_test(x: Array, y: Array) -> tuple[float, int, float]:
    """Likelihood-ratio statistic of independence, its degrees of freedom, and the mean total variation."""
    counts = _counts(np.zeros(len(x), np.int64), x, y)
    statistic, degrees = _g(counts)
    table = counts[0][counts[0].sum(1) > 0]
    by_row = table.sum(1, keepdims=True)
    variation = np.abs(table / by_row - table.sum(0) / by_row.sum()).sum(1) / 2
    return float(statistic[0]), int(degrees[0]), float((variation * by_row[:, 0]).sum() / by_row.sum())


def conditional_g_test(x: Array, y: Array, strata: Array) -> float:
    """p-value of x independent of y within strata; NaN when most rows lie in strata too thin to tell.

    A stratum counts when it has at least five rows a degree of freedom, the test when such strata hold a quarter of
    the rows.
    """
    order = np.argsort(strata, kind="stable")
    x, y, stratum = x[order], y[order], np.unique(strata[order], return_inverse=True)[1]
    block = max(1, MAX_CELLS // ((int(x.max()) + 1) * (int(y.max()) + 1)))
    ends = np.searchsorted(stratum, np.arange(0, int(stratum[-1]) + 1 + block, block))
    statistic, degrees, used = 0.0, 0, 0
    for rows in (slice(a, b) for a, b in pairwise(ends)):
        counts = _counts(stratum[rows] - stratum[rows.start], x[rows], y[rows])
        part, free = _g(counts)
        size = counts.sum((1, 2))
        counted = (free > 0) & (size >= 5 * free)
        statistic += float(part[counted].sum())
        degrees, used = degrees + int(free[counted].sum()), used + int(size[counted].sum())
    return _tail(statistic, degrees) if degrees and used >= len(x) / 4 else float("nan")


def _counts(stratum: Array, x: Array, y: Array) -> Array:
    """(strata, values of x, values of y) how many rows."""
    shape = int(stratum.max()) + 1, int(x.max()) + 1, int(y.max()) + 1
    flat = np.bincount((stratum * shape[1] + x) * shape[2] + y, minlength=shape[0] * shape[1] * shape[2])
    return flat.reshape(shape).astype(np.float64)


def _g(counts: Array) -> tuple[Array, Array]:
    """(strata,) likelihood-ratio statistics and degrees of freedom; values that no row has do not count."""
    by_row, by_column = counts.sum(2, keepdims=True), counts.sum(1, keepdims=True)
    expected = by_row * by_column / np.maximum(counts.sum((1, 2), keepdims=True), 1)
    ratio = np.divide(counts, expected, out=np.ones_like(counts), where=counts > 0)
    degrees = ((by_row > 0).sum((1, 2)) - 1) * ((by_column > 0).sum((1, 2)) - 1)
    return 2 * (counts * np.log(ratio)).sum((1, 2)), degrees


def _worst_condition(codes: Array, levels: Array, cause: int, effect: int, causes: Array, alpha: float) -> float | None:
    """The largest p-value of an edge over small sets of other causes; None if nothing could be tested."""
    others = [int(c) for c in causes if c != cause]
    worst = None
    for size in range(1, min(MAX_CONDITION, len(others)) + 1):
        for chosen in combinations(others, size):
            strata = np.zeros(len(codes), np.int64)
            for variable in chosen:
                strata = strata * levels[variable] + codes[:, variable]
            p = conditional_g_test(codes[:, cause], codes[:, effect], strata)
            if np.isnan(p):
                continue
            worst = p if worst is None else max(worst, p)
            if p >= alpha:
                return worst
    return worst


def _tail(statistic: float, degrees: int) -> float:
    from scipy.stats import chi2

    return float(chi2.sf(statistic, degrees)) if degrees else 1.0


def _holm(pvalue: Array) -> Array:
    """Holm's adjusted p-values over all tested pairs (those below 1)."""
    flat = pvalue.ravel()
    tested = np.flatnonzero(flat < 1)
    order = tested[np.argsort(flat[tested])]
    adjusted = np.ones_like(flat)
    adjusted[order] = np.minimum(1, np.maximum.accumulate(flat[order] * np.arange(len(order), 0, -1)))
    return np.asarray(adjusted.reshape(pvalue.shape))


def _break_cycles(total: Array, pvalue: Array) -> None:
    """Where two variables seem to cause each other, keep the surer direction (in place)."""
    for i, j in np.argwhere(total & total.T):
        if i < j:
            loser = (i, j) if pvalue[i, j] > pvalue[j, i] else (j, i)
            total[loser] = False
