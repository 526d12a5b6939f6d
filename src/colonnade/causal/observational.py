"""PC, GES, NOTEARS and PCMCI through causal-learn, gCastle and tigramite."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from colonnade.causal.errors import CausalError
from colonnade.causal.table import InterventionTable

Array = NDArray[Any]
MAX_GES = 30
NOTEARS_THRESHOLD = 0.3  # of the authors' own code (Zheng et al. 2018)


@dataclass(frozen=True)
class Found:
    """What a library found; matrices (n, n) at [cause, effect]."""

    adjacency: Array
    pvalue: Array
    strength: Array
    lag: Array


def _found(n: int) -> Found:
    return Found(np.zeros((n, n), bool), np.full((n, n), np.nan), np.full((n, n), np.nan), np.zeros((n, n), np.int64))


def _independent_rows(table: InterventionTable, method: str) -> Array:
    values = table.codes()[0].astype(np.float64) if not _continuous(table) else table.values
    if not _continuous(table) and method == "pc":
        return values.astype(np.int64)
    return values


def _continuous(table: InterventionTable) -> bool:
    return not any(table.levels)


def pc(table: InterventionTable, alpha: float, allowed: Array, needed: Array, max_lag: int) -> Found:
    """PC (Spirtes et al. 2000) by causal-learn: Fisher's z if all variables are continuous, else the G-square test."""
    from causallearn.search.ConstraintBased.PC import pc as run
    from causallearn.utils.cit import CIT

    values = _independent_rows(table, "pc")
    test = "fisherz" if _continuous(table) else "gsq"
    graph = run(
        values,
        alpha,
        test,
        background_knowledge=_background(table, allowed, needed),
        show_progress=False,
        verbose=False,
    )
    out = _found(len(table.names))
    _from_causal_learn(graph.G.graph, out.adjacency)
    cit = CIT(values, test)
    for i, j in np.argwhere(out.adjacency | out.adjacency.T):
        out.pvalue[i, j] = cit(int(i), int(j))
    return out


def ges(table: InterventionTable, alpha: float, allowed: Array, needed: Array, max_lag: int) -> Found:
    """GES (Chickering 2002) by causal-learn: BIC if all variables are continuous, else BDeu."""
    from causallearn.search.ScoreBased.GES import ges as run

    if len(table.names) > MAX_GES:
        raise CausalError(f"method 'ges' takes at most {MAX_GES} variables, but has {len(table.names)}; use 'pc'.")
    score = "local_score_BIC" if _continuous(table) else "local_score_BDeu"
    with contextlib.redirect_stdout(io.StringIO()):
        record = run(_independent_rows(table, "ges"), score)
    out = _found(len(table.names))
    _from_causal_learn(record["G"].graph, out.adjacency)
    return out


def notears(table: InterventionTable, alpha: float, allowed: Array, needed: Array, max_lag: int) -> Found:
    """Linear NOTEARS (Zheng et al. 2018) by gCastle, on standardised columns (its raw scale would leak the order)."""
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()), _own_precision():
        from castle.algorithms.gradient.notears.linear import Notears

        scaled = (table.values - table.values.mean(0)) / table.values.std(0)
        learner = Notears(lambda1=0.05, loss_type="l2", w_threshold=0.0)
        learner.learn(scaled)
    weight = np.asarray(learner.weight_causal_matrix, np.float64)
    out = _found(len(table.names))
    out.strength[:] = weight
    out.adjacency[:] = np.abs(weight) >= NOTEARS_THRESHOLD
    return out


@contextlib.contextmanager
def _own_precision() -> Iterator[None]:
    """gCastle makes float64 torch's default for the whole process; leave it as it was."""
    import torch

    before = torch.get_default_dtype()
    try:
        yield
    finally:
        torch.set_default_dtype(before)


def pcmci(table: InterventionTable, alpha: float, allowed: Array, needed: Array, max_lag: int) -> Found:
    """PCMCI (Runge et al. 2019) by tigramite on rows in time order; partial correlation, or G-square on categories."""
    if len(table.values) < 10 * max_lag + 20:
        raise CausalError(f"method 'pcmci' needs at least {10 * max_lag + 20} rows, but has {len(table.values)}.")
    with contextlib.redirect_stdout(io.StringIO()):
        from tigramite.data_processing import DataFrame
        from tigramite.pcmci import PCMCI

        discrete = table.discrete
        if discrete:
            from tigramite.independence_tests.gsquared import Gsquared as Test

            frame = DataFrame(table.values.astype(np.int64), data_type=np.ones(table.values.shape, np.int64))
        else:
            from tigramite.independence_tests.parcorr import ParCorr as Test

            frame = DataFrame(table.values)
        result = PCMCI(frame, Test(), verbosity=0).run_pcmci(
            tau_min=1, tau_max=max_lag, pc_alpha=None if not discrete else alpha
        )
    p, value = result["p_matrix"][:, :, 1:], np.abs(result["val_matrix"][:, :, 1:])
    best = p.argmin(2)
    n = len(table.names)
    out = _found(n)
    at = np.indices((n, n))
    out.pvalue[:], out.strength[:], out.lag[:] = p.min(2), value[at[0], at[1], best], best + 1
    out.adjacency[:] = np.minimum(1, p.min(2) * max_lag) < alpha
    np.fill_diagonal(out.adjacency, False)
    return out


def drift(table: InterventionTable) -> list[str]:
    """A sentence for each variable whose mean or spread differs between the halves of the series."""
    from scipy.stats import levene, ttest_ind

    half, notes = len(table.values) // 2, []
    for j, name in enumerate(table.names):
        # Every tenth row, so that what lingers from row to row does not count as evidence.
        a, b = table.values[:half:10, j], table.values[half::10, j]
        if len(a) > 5 and min(ttest_ind(a, b, equal_var=False).pvalue, levene(a, b).pvalue) < 1e-3:
            notes.append(f"{name} is not stationary: its halves differ; the graph may show the drift, not a cause.")
    return notes


def _from_causal_learn(marks: Array, adjacency: Array) -> None:
    """causal-learn's endpoint marks (-1 tail, 1 arrow, at [i, j] the mark at i) as a directed matrix."""
    for i in range(len(marks)):
        for j in range(len(marks)):
            if marks[i, j] == -1 and marks[j, i] == 1:
                adjacency[i, j] = True
            elif marks[i, j] == -1 and marks[j, i] == -1:
                adjacency[i, j] = adjacency[j, i] = True


def _background(table: InterventionTable, allowed: Array, needed: Array) -> Any:
    off = ~np.eye(len(allowed), dtype=bool)
    if allowed[off].all() and not needed.any():
        return None
    from causallearn.graph.GraphNode import GraphNode
    from causallearn.utils.PCUtils.BackgroundKnowledge import BackgroundKnowledge

    nodes = [GraphNode(f"X{i + 1}") for i in range(len(table.names))]  # the names causal-learn gives its own nodes
    knowledge = BackgroundKnowledge()
    for i, j in np.argwhere(~allowed & off):
        knowledge.add_forbidden_by_node(nodes[i], nodes[j])
    for i, j in np.argwhere(needed):
        knowledge.add_required_by_node(nodes[i], nodes[j])
    return knowledge
