"""`multilingual.similarity`: how alike languages are inside an encoder."""

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
from colonnade.results import Artifact, Figure, Outputs, Table
from colonnade.service import Resources


class SimilarityInputs(AlignedInputs):
    """Aligned sentences, an encoder, and the measure."""

    sentences: int = Param(500, title="Sentences", ge=20, le=5000, help="The first so many are taken.")
    measure: Literal["cka", "anc"] = Param(
        "cka",
        title="Measure",
        help="cka: debiased linear CKA, blind to rotation and scale; anc: correlation neuron by neuron.",
    )
    layers: str = Param("all", title="Layers", max_length=100, help="all, last, or numbers such as 0,6,12.")


class SimilarityOutputs(Outputs):
    """Similarity of languages, the tree it makes, and what marks the language."""

    verdict: str = Param(title="Verdict")
    matrix: Figure
    tree: Figure | None = None
    curve: Figure
    neutral: Table
    newick: Artifact | None = None
    notes: str = Param(title="Notes")


@multilingual_service(
    "multilingual.similarity",
    title="Similarity of languages inside an encoder",
    summary="CKA or ANC between languages by layer, their tree beside the family tree, and language-neutral spaces.",
    resources=Resources(cores=2, memory="6 GiB", walltime=timedelta(hours=2)),
    examples={
        "Twelve languages of FLORES, two layers": {
            "text": "example:multilingual.similarity/flores12.tsv",
            "layers": "6,12",
        },
        "Five languages, all layers": {"text": "example:multilingual.similarity/flores5.tsv"},
    },
    software=(*SOFTWARE, "lang2vec"),
)
def similarity(inputs: SimilarityInputs, job: Job) -> SimilarityOutputs:
    """Compare the vectors of the same sentences between languages, layer by layer.

    The tree joins languages that the encoder represents alike; its agreement with URIEL's family and syntactic
    distances is a rank correlation with a permutation test. The table shows what taking out the language does: accuracy
    of a linear probe of it, and P@1 of retrieval, before and after centring, LSAR, LIR and erasure. All four are
    fitted on the first half of the sentences, without their alignment, and judged on the other.
    """
    import numpy as np

    from colonnade.multilingual import MultilingualError, plots
    from colonnade.multilingual.analyse import anc, cka_matrix, distances, family_agreement, language_tree

    text = inputs.aligned().head(inputs.sentences)
    encoder = inputs.encoder(job)
    layers = chosen_layers(inputs.layers, encoder)
    codes = text.codes
    vectors = {code: encoder.sentences(text.sentences[code], layers) for code in job.track(codes, "Encoding")}

    def measured(layer: int):  # type: ignore[no-untyped-def]
        at = [vectors[code][layer] for code in codes]
        return cka_matrix(at) if inputs.measure == "cka" else np.array([[anc(a, b) for b in at] for a in at])

    by_layer = {layer: measured(layer) for layer in layers}
    off = ~np.eye(len(codes), dtype=bool)
    means = [float(by_layer[layer][off].mean()) for layer in layers]
    best = layers[int(np.argmax(means))]
    name = inputs.measure.upper()
    said = f"Languages are most alike at layer {best}: mean {name} {max(means):.3f} over {len(text)} sentences."
    notes, tree, newick = [*text.notes, *encoder.notes], None, None
    apart = np.clip(1 - by_layer[best], 0, None)
    if len(codes) >= 3:
        found = language_tree(apart, codes)
        tree = Figure.of(plots.tree(found, f"1 - {name}"), title=f"Tree of languages, layer {best}")
        newick = job.artifact("tree.nwk", found.newick + "\n", title="Tree in Newick's format", media_type="text/plain")
    if len(codes) >= 4:
        for kind in ("genetic", "syntactic"):
            try:
                agreement, p = family_agreement(apart, distances(codes, kind), seed=job.seed % 2**31)
                said += f" Agreement with {kind} distances: rank correlation {agreement:.2f} (p = {p:.3f})."
            except MultilingualError as error:
                notes.append(f"no comparison with {kind} distances: {error}")
    return SimilarityOutputs(
        verdict=said,
        matrix=Figure.of(plots.heat_map(by_layer[best], codes), title=f"{name} between languages, layer {best}"),
        tree=tree,
        curve=Figure.of(plots.curves(layers, {encoder.name: means}, f"mean {name}"), title=f"{name} by layer"),
        neutral=_neutral({code: vectors[code][best] for code in codes}, best),
        newick=newick,
        notes=told(notes),
    )


def _neutral(vectors, layer: int) -> Table:  # type: ignore[no-untyped-def]
    """Language probe and retrieval before and after each way to take the language out."""
    import numpy as np

    from colonnade.multilingual.align import retrieve
    from colonnade.multilingual.analyse import LIR, LSAR, Centring, Erasure, language_probe

    codes = list(vectors)
    half = len(vectors[codes[0]]) // 2
    fit, judged = ({code: one[part] for code, one in vectors.items()} for part in (slice(half), slice(half, None)))
    ways = {"as it is": None, "centring": Centring, "LSAR": LSAR, "LIR": LIR, "erasure": Erasure}
    rows: dict[str, list[object]] = {"space": [], "language probe": [], "chance": [], "P@1": []}
    for name, way in ways.items():
        fitted = way.fit(fit) if way else None
        now = {code: fitted.transform(one, code) if fitted else one for code, one in judged.items()}
        probe, chance = language_probe(now)
        hits = [(retrieve(now[a], now[b])[0] == np.arange(len(now[a]))).mean() for a in codes for b in codes if a != b]
        for column, value in zip(rows, (name, rounded(probe), rounded(chance), rounded(np.mean(hits))), strict=True):
            rows[column].append(value)
    return Table.of(
        rows,
        title=f"Taking the language out, layer {layer}",
        caption="language probe: held-out accuracy of a linear classifier of it; P@1: mean of all directions."
        " Fitted on the first half of the sentences, judged on the other.",
    )
