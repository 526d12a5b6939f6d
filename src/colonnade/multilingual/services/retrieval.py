"""`multilingual.retrieval`: sentence retrieval between all pairs of languages."""

from __future__ import annotations

from datetime import timedelta
from typing import Literal

from colonnade.inputs import Param
from colonnade.job import Job
from colonnade.multilingual.services.common import (
    SOFTWARE,
    AlignedInputs,
    chosen_layers,
    multilingual_service,
    rounded,
    told,
)
from colonnade.results import Artifact, Estimate, Figure, Outputs, Table
from colonnade.service import Resources

FEWEST = 10  # sentences: with fewer, an interval of P@1 says nothing


class RetrievalInputs(AlignedInputs):
    """Aligned sentences, an encoder, and how to search."""

    sentences: int = Param(1000, title="Sentences", ge=FEWEST, le=5000, help="The first so many are taken.")
    metric: Literal["cosine", "csls", "margin"] = Param(
        "cosine", title="Score", help="csls and margin correct for sentences that are near to everything."
    )
    k: int = Param(4, title="Neighbourhood", ge=1, le=20, level="expert", help="Of csls and margin.")
    layers: str = Param("all", title="Layers", max_length=100, help="all, last, or numbers such as 0,6,12.")
    centred: bool = Param(False, title="Centre each language", level="expert", help="Subtract each language's mean.")


class RetrievalOutputs(Outputs):
    """P@1 between all pairs."""

    verdict: str = Param(title="Verdict")
    mean: Estimate
    matrix: Figure
    curve: Figure
    languages: Table
    pairs: Table
    scores: Artifact
    notes: str = Param(title="Notes")


@multilingual_service(
    "multilingual.retrieval",
    title="Sentence retrieval between all languages",
    summary="P@1 between all pairs of languages from one encode of each, by layer, beside a control.",
    resources=Resources(cores=2, memory="6 GiB", walltime=timedelta(hours=2)),
    examples={
        "Five languages of FLORES": {"text": "example:multilingual.retrieval/flores5.tsv"},
        "What shared n-grams alone retrieve": {
            "text": "example:multilingual.retrieval/flores12.tsv",
            "model": "ngrams",
        },
    },
    software=SOFTWARE,
)
def retrieval(inputs: RetrievalInputs, job: Job) -> RetrievalOutputs:
    """Encode each language once, and look for each sentence's translation among all sentences of every other language.

    P@1 is the share found. Chance, and a bag of hashed character n-grams on the same text, stand beside it: what names
    and cognates give away must not be taken for knowledge. A language that does no better than these is reported as
    not known to the encoder.
    """
    from colonnade.multilingual import plots
    from colonnade.multilingual.encoders import NgramEncoder
    from colonnade.multilingual.errors import enough
    from colonnade.multilingual.evaluate import control_verdict
    from colonnade.multilingual.evaluate import retrieval as run

    text = inputs.aligned().head(inputs.sentences)
    enough("aligned sentences", len(text), FEWEST, "retrieval")
    encoder = inputs.encoder(job)
    layers = chosen_layers(inputs.layers, encoder)
    found = run(
        encoder,
        text,
        layers=layers,
        metric=inputs.metric,
        k=inputs.k,
        centred=inputs.centred,
        progress=job.bar("Encoding", len(text.codes)),
    )
    control = run(NgramEncoder(), text)
    best = found.best
    codes = list(found.languages)
    means = {code: found.mean_to(code, best) for code in codes}
    verdicts = [control_verdict(found, control, code, best) for code in codes]
    matrix = found.p1[best]
    pairs = [(i, j) for i in range(len(codes)) for j in range(len(codes)) if i != j]
    intervals = [found.interval(codes[i], codes[j], best) for i, j in pairs[:2000]]
    lines = ["layer,source,target,p1"] + [
        f"{layer},{codes[i]},{codes[j]},{found.p1[x, i, j]:.4f}"
        for x, layer in enumerate(found.layers)
        for i, j in pairs
    ]
    curve = {encoder.name: found.curve, "control: n-grams": [control.curve[0]] * len(found.layers)}
    unknown = [code for code, verdict in zip(codes, verdicts, strict=True) if "not known" in verdict]
    said = f"Best layer {found.layers[best]}: mean P@1 {found.curve[best]:.3f} over {len(pairs)} directions "
    said += f"of {len(text)} sentences (n-grams {control.curve[0]:.3f}, chance {found.chance:.4f})."
    return RetrievalOutputs(
        verdict=said + (f" Not known to this encoder: {', '.join(unknown)}." if unknown else ""),
        mean=Estimate(value=rounded(found.curve[best]) or 0.0, title="Mean P@1"),
        matrix=Figure.of(
            plots.heat_map(matrix, codes, x="found in", y="searched from"), title=f"P@1, layer {found.layers[best]}"
        ),
        curve=Figure.of(plots.curves(found.layers, curve, "mean P@1"), title="P@1 by layer"),
        languages=Table.of(
            {
                "language": codes,
                "P@1": [rounded(means[code].value) for code in codes],
                "from": [rounded(means[code].low) for code in codes],
                "to": [rounded(means[code].high) for code in codes],
                "n-grams": [rounded(control.mean_to(code).value) for code in codes],
                "verdict": [verdict.partition(": ")[2] for verdict in verdicts],
            },
            title="Languages",
            caption="Mean over all other languages, both directions, with the 95 % bootstrap interval over sentences.",
        ),
        pairs=Table.of(
            {
                "source": [codes[i] for i, _ in pairs[:2000]],
                "target": [codes[j] for _, j in pairs[:2000]],
                "P@1": [rounded(one.value) for one in intervals],
                "from": [rounded(one.low) for one in intervals],
                "to": [rounded(one.high) for one in intervals],
            },
            title="Pairs",
        ),
        scores=job.artifact("scores.csv", "\n".join(lines) + "\n", title="P@1 of all layers", media_type="text/csv"),
        notes=told(found.notes),
    )
