"""The leaderboard: rows of all cells with intervals over seeds, and the page that shows them."""

from __future__ import annotations

import html
from dataclasses import dataclass
from typing import Any

import numpy as np

from colonnade.causal.bench import STEPS, CellResult
from colonnade.causal.errors import CausalError

BASELINES = ("oracle", "no interaction", "identity", "marginal")
COLUMNS = {
    "H@1": "Own prediction nearest to the true next state among all predictions, ties in favour: the paper's metric",
    "strict": "The same, ties against",
    "MRR": "Mean reciprocal rank",
    "interaction": "Nearer to what happened than to what would have happened had objects not acted on each other",
    "restraint": "On blocked pushes: nearer to what happened than to the push that weights forbid",
    "counterfactual": "Nearer to what happened than to what any of 8 other actions would have done, noise kept",
    "excess nats": "Log-likelihood lost against the exact law",
    "MCC": "How well slots hold the true variables",
    "plan reward": "Mean reward of greedy planning towards goals 5 random actions away, in 5 actions",
    "plan success": "How often the goal is reached exactly",
    "by reward head": "The same with a learned reward in place of the distance of slots",
    "reconstruction": "Binary cross-entropy of repainted frames (likelihood losses only)",
    "AUROC": "Of the model's influence matrix against what acting on a variable can change",
}


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
            f"<dl>{notes}</dl><p>Graphs: as many of the strongest influences as there are true ones; green is right, "
            f"red wrong, grey missed.</p>{''.join(plots)}</html>"
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


def _meaning(name: str) -> str:
    return next((text for key, text in COLUMNS.items() if name.startswith(key)), name)


def _cell(value: Any) -> str:
    if value is None:
        return "–"
    return f"{value:.1f}" if isinstance(value, float) else html.escape(str(value))
