"""The benchmark: worlds x models x losses x seeds, each an independent cell, and the leaderboard they make."""

from __future__ import annotations

import html
import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from colonnade.causal.errors import CausalError, check_choice
from colonnade.causal.world import ChemistryWorld, PhysicsWorld, World, graph_of

Array = NDArray[Any]
STEPS = (1, 5, 10)
PRESETS = ("quick", "structure", "paper")
# Seconds of one core a gradient step of 256 transitions takes (measured, 5 objects), for the estimate shown first.
SECONDS = {"flat": 0.025, "modular": 0.03, "gnn": 0.06, "csgnn": 0.05, "lstm": 0.09, "rim": 0.12, "scoff": 0.12}


class Cell(BaseModel):
    """One training and its evaluation; a cell decides its result wholly.

    Args:
        world: `physics` or a chemistry graph such as `chain5`.
        objects: of physics.
        colors, min_edge_tv, positions: of chemistry.
        transition, loss: of the model.
        balance: share of interactions in a batch.
        updates, batch, dim, hidden: of the training.
        episodes: training episodes of 100 steps.
        test_rows: ranked candidates.
        seed: of world, data, model and batches.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    world: str = "physics"
    objects: int = 5
    colors: int = 5
    min_edge_tv: float = 0.2
    positions: str = "static"
    transition: str = "gnn"
    loss: Literal["infonce", "contrastive", "ae", "vae"] = "infonce"
    balance: float = 0.5
    updates: int = Field(1000, ge=1)
    batch: int = 256
    dim: int = 16
    hidden: int = 128
    episodes: int = 1000
    test_rows: int = 1000
    seed: int = 0

    def make_world(self) -> World:
        if self.world == "physics":
            return PhysicsWorld(objects=self.objects)
        options: dict[str, Any] = {"positions": self.positions, "min_edge_tv": self.min_edge_tv}
        return ChemistryWorld(graph=self.world, colors=self.colors, seed=self.seed, **options)

    @property
    def world_name(self) -> str:
        return f"physics{self.objects}" if self.world == "physics" else f"{self.world} {self.positions}"

    @property
    def model_name(self) -> str:
        return f"{self.transition} {self.loss}" + (" balanced" if self.balance and self.world == "physics" else "")

    @property
    def seconds(self) -> float:
        """Rough cost in seconds of one core."""
        return 15 + self.updates * self.batch / 256 * SECONDS[self.transition]


@dataclass(frozen=True)
class CellResult:
    """What a cell gave: rows for the leaderboard (its model, and the baselines), and what the model believes.

    Attributes:
        cell: which.
        rows: one dict of scores a predictor.
        influence: (n, n) of the trained model.
        truth: (n, n) bool, what acting on a variable can change at once: descendants, or lighter blocks.
        auroc: of influence against truth.
        parameters, seconds: of the model, of its training (wall clock).
        loss: its curve.
    """

    cell: Cell
    rows: list[dict[str, Any]]
    influence: list[list[float]]
    truth: list[list[bool]]
    auroc: float
    parameters: int
    seconds: float
    loss: list[float] = field(default_factory=list)


def preset(name: str, seeds: Sequence[int] = (0,)) -> list[Cell]:
    """The cells of a preset.

    `quick`: two worlds, the recipe beside ordinary training, minutes. `structure`: flat against modular and GNN, with
    the plain contrastive loss, at 3 and 5 objects. `paper`: every world family with every model, hours.
    """
    check_choice("preset", name, PRESETS)
    cells: list[Cell] = []
    for seed in seeds:
        if name == "quick":
            plain: dict[str, Any] = {"loss": "contrastive", "balance": 0.0, "updates": 300, "seed": seed}
            cells += [Cell(transition=t, **plain) for t in ("flat", "modular", "csgnn")]
            cells += [Cell(updates=1000, seed=seed)]
            cells += [Cell(world="chain5", transition=t, updates=300, seed=seed) for t in ("flat", "gnn")]
        elif name == "structure":
            both = itertools.product((3, 5), ("flat", "modular", "csgnn"))
            cells += [
                Cell(objects=n, transition=t, loss="contrastive", balance=0.0, updates=600, seed=seed) for n, t in both
            ]
        else:
            worlds: list[dict[str, Any]] = [{"objects": n} for n in (3, 4, 5)]
            graphs = ("chain3", "chain5", "full3", "full5", "collider3", "collider5", "jungle5", "bidiag5")
            worlds += [{"world": g, "positions": p} for g in graphs for p in ("static", "dynamic")]
            models = itertools.product(("flat", "modular", "csgnn", "gnn"), (("contrastive", 0.0), ("infonce", 0.5)))
            cells += [
                Cell(transition=t, loss=loss, balance=balance, updates=3000, test_rows=10_000, seed=seed, **w)
                for (t, (loss, balance)), w in itertools.product(list(models), worlds)
            ]
    return cells


def run_cell(cell: Cell) -> CellResult:
    """Train and evaluate one cell, on one core."""
    import torch

    from colonnade.causal.evaluation import evaluate
    from colonnade.causal.influence import auroc, influence_matrix
    from colonnade.causal.models import WorldModel
    from colonnade.causal.training import fit

    torch.set_num_threads(1)
    world = cell.make_world()
    train = world.collect(cell.episodes, 100, seed=3 * cell.seed + 1)
    test = world.collect(max(cell.test_rows, 1000), max(STEPS), seed=3 * cell.seed + 2)
    model = WorldModel.of(world, seed=cell.seed, transition=cell.transition, dim=cell.dim, hidden=cell.hidden)
    curve = fit(
        model,
        train,
        loss=cell.loss,
        updates=cell.updates,
        batch=cell.batch,
        balance=cell.balance,
        seed=cell.seed,
    )
    scores = evaluate({cell.model_name: model}, test, train=train, steps=STEPS, rows=cell.test_rows, seed=cell.seed)
    influence = influence_matrix(model, train, seed=cell.seed).matrix
    truth = graph_of(world).reach
    off = ~np.eye(len(truth), dtype=bool)
    return CellResult(
        cell,
        [score_row(one) for one in scores],
        influence.tolist(),
        truth.tolist(),
        auroc(influence[off], truth[off])[0],
        model.parameters_count,
        curve.seconds,
        curve.loss,
    )


COLUMNS = {
    "H@1": "Own prediction nearest to the true next state among all predictions, ties in favour: the paper's metric",
    "strict": "The same, ties against",
    "MRR": "Mean reciprocal rank",
    "interaction": "Nearer to what happened than to what would have happened had objects not acted on each other",
    "restraint": "On blocked pushes: nearer to what happened than to the push that weights forbid",
    "counterfactual": "Nearer to what happened than to what any of 8 other actions would have done, noise kept",
    "excess nats": "Log-likelihood lost against the exact law",
    "MCC": "How well slots hold the true variables",
}


def score_row(score: Any) -> dict[str, Any]:
    """A `Scores` as a flat row; NaN becomes None."""
    row: dict[str, Any] = {"predictor": score.name}
    for k in score.hits:
        row |= {f"H@1 at {k}": score.hits[k], f"strict at {k}": score.strict_hits[k], f"MRR at {k}": score.mrr[k]}
    row |= {
        "interaction": score.interaction, "restraint": score.restraint, "counterfactual": score.counterfactual,
        "excess nats": score.excess_nats, "MCC": score.mcc, "distinct states": score.distinct,
    }  # fmt: skip
    return {key: None if isinstance(value, float) and np.isnan(value) else value for key, value in row.items()}


@dataclass(frozen=True)
class Leaderboard:
    """All cells' rows, averaged over seeds with bootstrap intervals."""

    results: list[CellResult]

    def rows(self) -> list[dict[str, Any]]:
        """One row for each world and predictor: means over seeds, `low`/`high` intervals of H@1 at 1 and interaction.

        Raises:
            CausalError: there is no result.
        """
        from colonnade.causal.metrics import bootstrap_interval

        if not self.results:
            raise CausalError("a leaderboard needs at least one result.")
        groups: dict[tuple[str, str], list[dict[str, Any]]] = {}
        for result in self.results:
            for row in result.rows:
                own = row["predictor"] == result.cell.model_name
                key = (result.cell.world_name, row["predictor"])
                seen = groups.setdefault(key, [])
                if own or all(other["seed"] != result.cell.seed for other in seen):  # baselines once a seed
                    extra = {"seed": result.cell.seed, "AUROC": 100 * result.auroc if own else None}
                    seen.append(row | extra)
        out = []
        for (world, predictor), rows in groups.items():
            merged: dict[str, Any] = {"world": world, "predictor": predictor, "seeds": len(rows)}
            for name in rows[0]:
                values = [row[name] for row in rows if row[name] is not None]
                if name not in ("predictor", "seed"):
                    merged[name] = float(np.mean(values)) if values else None
            for name in ("H@1 at 1", "interaction"):
                values = [row[name] for row in rows if row[name] is not None]
                low, high = bootstrap_interval(np.array(values)) if values else (None, None)
                merged |= {f"{name} low": low, f"{name} high": high}
            out.append(merged)
        return sorted(out, key=lambda row: (row["world"], row["predictor"] in BASELINES, row["predictor"]))

    def to_html(self) -> str:
        """A self-contained page: the table, curves, and true beside inferred graphs."""
        import plotly.io as pio

        rows = self.rows()
        names = [name for name in rows[0] if not name.endswith((" low", " high"))]
        head = "".join(f'<th title="{html.escape(_meaning(name))}">{html.escape(name)}</th>' for name in names)
        body = "".join(
            f'<tr class="{"base" if row["predictor"] in BASELINES else ""}">'
            + "".join(f"<td>{_cell(row[name])}</td>" for name in names)
            + "</tr>"
            for row in rows
        )
        plots: list[str] = []
        for title, figure in self.figures().items():
            code = pio.to_html(figure, full_html=False, include_plotlyjs=not plots)
            plots.append(f"<h2>{html.escape(title)}</h2>{code}")
        notes = "".join(f"<dt>{html.escape(k)}</dt><dd>{html.escape(v)}.</dd>" for k, v in COLUMNS.items())
        return (
            "<!doctype html><html lang=en><meta charset=utf-8><title>Causal benchmark</title><style>"
            "body{font:15px system-ui;margin:2em;max-width:80em}td,th{padding:.25em .6em;text-align:right}"
            "td:nth-child(-n+2),th:nth-child(-n+2){text-align:left}.base{color:#666;font-style:italic}"
            "table{border-collapse:collapse;display:block;overflow:auto}tr{border-bottom:1px solid #ddd}</style>"
            "<h1>Leaderboard</h1><p>Percentages, but nats. In italics: the oracle's ceiling, and predictors that know "
            f"nothing of causes.</p><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
            f"<dl>{notes}</dl>{''.join(plots)}</html>"
        )

    def figures(self) -> dict[str, Any]:
        """Plotly figures by title."""
        from colonnade.causal.plots import bars, curve_figure, graph_figure

        rows, out = self.rows(), {}
        for world in dict.fromkeys(row["world"] for row in rows):
            here = [row for row in rows if row["world"] == world]
            lines = {row["predictor"]: (STEPS, [row[f"H@1 at {k}"] for k in STEPS]) for row in here}
            out[f"H@1 by steps, {world}"] = curve_figure(lines, "steps", "H@1 (%)")
            kinds = ("interaction", "restraint", "counterfactual")
            groups = {k: {row["predictor"]: row[k] for row in here if row[k] is not None} for k in kinds}
            out[f"What H@1 does not show, {world}"] = bars({k: v for k, v in groups.items() if v}, "%")
        for result in self.results:
            truth, matrix = np.array(result.truth), np.array(result.influence)
            count = int(truth.sum())
            cut = np.sort(matrix[~np.eye(len(matrix), dtype=bool)])[-count] if count else np.inf
            title = f"True and inferred, {result.cell.world_name}, {result.cell.model_name}, seed {result.cell.seed}"
            out[title] = graph_figure((matrix >= cut) & ~np.eye(len(matrix), dtype=bool), truth=truth, labels=matrix)
        return out


BASELINES = ("oracle", "no interaction", "identity", "marginal")


def _meaning(name: str) -> str:
    return next((text for key, text in COLUMNS.items() if name.startswith(key)), name)


def _cell(value: Any) -> str:
    if value is None:
        return "–"
    return f"{value:.1f}" if isinstance(value, float) else html.escape(str(value))
