"""`multilingual.catalogue`: the survey's tables, filtered."""

from __future__ import annotations

from datetime import timedelta
from typing import Literal

from colonnade.inputs import Inputs, Param
from colonnade.job import Job
from colonnade.multilingual.services.common import (
    multilingual_service,
)
from colonnade.results import Figure, Outputs, Table
from colonnade.service import Resources


class CatalogueInputs(Inputs):
    """What to look for; everything left as it is, all rows come."""

    text: str = Param("", title="Text", max_length=100, help="A part of name, corpus, tokenizer or metric.")
    covers: str = Param("", title="Benchmarks that cover", max_length=60, help="A language: a code, or its name.")
    objective: str = Param("", title="Models trained by", max_length=60, help="For example MLM, TLM, XLCO.")
    parallel_text: Literal["any", "with", "without"] = Param("any", title="Models trained on parallel text")
    least_languages: int = Param(0, title="Models of at least", unit="languages", ge=0, le=10_000)
    task: Literal["any", "classification", "tagging", "question answering", "retrieval"] = Param(
        "any", title="Benchmarks of task"
    )


class CatalogueOutputs(Outputs):
    """Rows with their sources."""

    models: Table
    benchmarks: Table
    sizes: Figure


@multilingual_service(
    "multilingual.catalogue",
    title="Multilingual models and benchmarks",
    summary="The survey's kinds of tables, models and benchmarks, as data with their sources.",
    resources=Resources(walltime=timedelta(minutes=5)),
    examples={
        "All": {},
        "Models trained on parallel text, benchmarks with Swahili": {"parallel_text": "with", "covers": "Swahili"},
    },
)
def catalogue(inputs: CatalogueInputs, job: Job) -> CatalogueOutputs:
    """Look up pretrained models (layers, parameters, vocabulary, languages, corpora, objectives) and benchmarks (task,
    metric, languages).

    Each row names the publication its figures are from, and whether they were read there or written down from the
    literature.
    """
    import plotly.graph_objects as go

    from colonnade.multilingual.catalogue import benchmarks, models

    parallel = {"any": None, "with": True, "without": False}[inputs.parallel_text]
    rows = models(
        text=inputs.text, objective=inputs.objective, parallel=parallel, least_languages=inputs.least_languages
    )
    sets = benchmarks(text=inputs.text, task="" if inputs.task == "any" else inputs.task, covers=inputs.covers)
    sized = [row for row in rows if row.parameters]
    figure = go.Figure(
        go.Scatter(
            x=[row.languages for row in sized],
            y=[row.parameters for row in sized],
            text=[row.name for row in sized],
            mode="markers",
            marker={"size": 11, "color": "#4477AA"},
        )
    )
    figure.update_layout(xaxis_title="languages", yaxis_title="parameters (millions)", yaxis_type="log")
    return CatalogueOutputs(
        models=Table.of(
            {
                "model": [r.name for r in rows],
                "family": [r.family for r in rows],
                "layers": [r.layers for r in rows],
                "hidden": [r.hidden for r in rows],
                "parameters": [r.parameters for r in rows],
                "vocabulary": [r.vocabulary for r in rows],
                "languages": [r.languages for r in rows],
                "corpora": [", ".join(r.corpora) for r in rows],
                "alpha": [r.alpha for r in rows],
                "objectives": [", ".join(r.objectives) for r in rows],
                "runs here": [r.runs_here for r in rows],
                "source": [r.source for r in rows],
                "checked": [r.checked for r in rows],
            },
            units={"parameters": "millions"},
            title="Models",
            caption="alpha: exponent of the language sampling. checked: 'published' read at the source, 'literature' "
            "not compared with the source's table.",
        ),
        benchmarks=Table.of(
            {
                "benchmark": [r.name for r in sets],
                "task": [r.task for r in sets],
                "metric": [r.metric for r in sets],
                "languages": [r.covers for r in sets],
                "in": [", ".join(r.collection) for r in sets],
                "read by": [r.reader for r in sets],
                "source": [r.source for r in sets],
                "checked": [r.checked for r in sets],
            },
            title="Benchmarks",
            caption="read by: the reader of colonnade.multilingual.data for its published files.",
        ),
        sizes=Figure.of(figure, title="Languages and parameters"),
    )
