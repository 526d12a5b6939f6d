"""`multilingual.typology`: distances between languages, and where to transfer from."""

from __future__ import annotations

from datetime import timedelta
from typing import Literal

from pydantic import model_validator

from colonnade.inputs import Inputs, Param
from colonnade.job import Job
from colonnade.multilingual.services.common import (
    multilingual_service,
    rounded,
)
from colonnade.results import Artifact, Figure, Outputs, Table
from colonnade.service import Resources


class TypologyInputs(Inputs):
    """Languages, and the one to transfer to."""

    languages: str = Param(
        title="Languages", max_length=2000, help="Codes or names, separated by commas: deu, fin, Hindi."
    )
    target: str = Param(
        "", title="Transfer to", max_length=60, help="Ranks the languages above as sources for this one."
    )
    kind: Literal["genetic", "geographic", "syntactic", "phonological", "inventory", "featural"] = Param(
        "syntactic", title="Distance shown", help="The table of sources takes all six."
    )

    @model_validator(mode="after")
    def _known(self) -> TypologyInputs:
        from colonnade.multilingual.languages import language, languages

        found = languages(self.languages.replace("\n", ","), least=3)
        if len(found) > 60:
            raise ValueError(f"languages: languages names {len(found)}; at most 60 are compared")
        if self.target:
            language(self.target)
        return self


class TypologyOutputs(Outputs):
    """Distances, the tree they make, and sources by distance."""

    matrix: Figure
    tree: Figure
    families: Table
    sources: Table | None = None
    distances: Artifact


@multilingual_service(
    "multilingual.typology",
    title="Distances between languages",
    summary="URIEL's distances between languages, their tree, and the nearest sources for a transfer.",
    resources=Resources(memory="3 GiB", walltime=timedelta(minutes=10)),
    examples={
        "Where to transfer to Maltese from": {
            "languages": "eng deu spa ita arb heb fin hin tur swh",
            "target": "Maltese",
        },
        "Family distances of twelve languages": {
            "languages": "eng deu nld fra spa por ita rus pol fin hun hin",
            "kind": "genetic",
        },
    },
    software=("lang2vec", "langcodes", "scipy", "numpy"),
)
def typology(inputs: TypologyInputs, job: Job) -> TypologyOutputs:
    """Angular distances between URIEL's vectors: family tree, place, syntax, phonology, sound inventory, all features.

    Vectors of syntax, phonology and inventory are the ones that URIEL completes from a language's neighbours, so for
    little-described languages they say more about the neighbours. The advice on sources is the mean of six distances;
    how well it predicts transfer is for multilingual.transfer to say.
    """
    from colonnade.multilingual import plots
    from colonnade.multilingual.analyse import DISTANCES, distances, families, language_tree
    from colonnade.multilingual.languages import language
    from colonnade.multilingual.languages import languages as read

    found = read(inputs.languages)
    codes, names = [str(item) for item in found], [item.name for item in found]
    matrix = distances(codes, inputs.kind)
    lines = [
        "," + ",".join(codes),
        *(f"{c}," + ",".join(f"{v:.4f}" for v in r) for c, r in zip(codes, matrix, strict=True)),
    ]
    sources = None
    if inputs.target:
        target = language(inputs.target)
        others = [code for code in codes if code != str(target)]
        by_kind = {kind: distances([str(target), *others], kind)[0, 1:] for kind in DISTANCES}
        mean = sum(by_kind.values()) / len(DISTANCES)
        order = sorted(range(len(others)), key=lambda i: float(mean[i]))
        columns = {"source": [others[i] for i in order], "mean": [rounded(mean[i]) for i in order]}
        columns |= {kind: [rounded(one[i]) for i in order] for kind, one in by_kind.items()}
        sources = Table.of(columns, title=f"Sources for {target.name}, nearest first")
    groups = [families(code) for code in codes]
    return TypologyOutputs(
        matrix=Figure.of(plots.heat_map(matrix, names, scale="Blues_r"), title=f"{inputs.kind.title()} distance"),
        tree=Figure.of(
            plots.tree(language_tree(matrix, names), f"{inputs.kind} distance"), title="Tree of these distances"
        ),
        families=Table.of(
            {
                "language": names,
                "code": codes,
                "family": [group[0] if group else "" for group in groups],
                "groups": [" > ".join(group[1:]) for group in groups],
            },
            title="Families",
        ),
        sources=sources,
        distances=job.artifact(
            "distances.csv", "\n".join(lines) + "\n", title="Distances as CSV", media_type="text/csv"
        ),
    )
