"""The models that come along, bases to train from, and bundles: one zip that holds a model whole."""

from __future__ import annotations

import json
import tempfile
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from colonnade.archives import unpack
from colonnade.errors import ColonnadeError
from colonnade.pruning.errors import PruningError, one_of

DEMO = Path(__file__).parent / "demo"
ADAPTERS = {f"minilm-{path.stem}": path for path in sorted((Path(__file__).parent / "minilm").glob("*.safetensors"))}
NAMES = ("demo", *ADAPTERS)
FACTS = "facts.json"
MAX_BUNDLE = 2_000_000_000


@dataclass
class Opened:
    """A pruned classifier ready to run.

    Attributes:
        model: a `PrunedForSequenceClassification`.
        tokenizer: of transformers.
        name: as it was asked for.
        facts: what is remembered of it: `margin` of an agreement guarantee, figures of its tests.
    """

    model: Any
    tokenizer: Any
    name: str
    facts: dict[str, Any] = field(default_factory=dict)

    @property
    def classes(self) -> list[str]:
        """Names of the classes by number."""
        names = self.model.config.id2label
        return [names[number] for number in sorted(names)]


def open_named(name: str) -> Opened:
    """A carried model: "demo", or an adapter of all-MiniLM-L6-v2.

    Raises:
        PruningError: there is none of that name; MissingEngine: its base model is not installed.
    """
    from colonnade.pruning.adapters import load_adapter, minilm_folder, read_details
    from colonnade.pruning.texts import load_tokenizer

    one_of("model", name, NAMES)
    if name == "demo":
        return open_folder(DEMO, name)
    base = minilm_folder()
    return Opened(load_adapter(ADAPTERS[name], base), load_tokenizer(base), name, read_details(ADAPTERS[name]))


def open_folder(folder: str | Path, name: str = "") -> Opened:
    """A folder that `save_pretrained` of a pruned classifier and of its tokenizer wrote. Only safetensors are read.

    Raises:
        PruningError: it holds no such model.
    """
    import torch

    from colonnade.pruning.model import PrunedConfig, PrunedForSequenceClassification
    from colonnade.pruning.texts import load_tokenizer

    folder = Path(folder)
    try:
        kind = json.loads((folder / "config.json").read_text()).get("model_type")
    except (OSError, ValueError, AttributeError):
        raise PruningError("The model has no readable config.json.") from None
    if kind != PrunedConfig.model_type:
        raise PruningError(f"The model is a {str(kind)[:40]!r}, not a pruned one ({PrunedConfig.model_type!r}).")
    if not (folder / "model.safetensors").is_file():
        raise PruningError("The model has no model.safetensors.")
    try:
        model = PrunedForSequenceClassification.from_pretrained(
            str(folder), local_files_only=True, use_safetensors=True, dtype=torch.float32
        ).eval()
    except PruningError:
        raise
    except Exception as error:  # transformers raises many kinds for a file that is not what it says
        raise PruningError(f"The model cannot be loaded: {(str(error).splitlines() or ['?'])[0][:200]}") from None
    facts = folder / FACTS
    remembered = json.loads(facts.read_text()) if facts.is_file() else {}
    return Opened(model, load_tokenizer(folder), name or folder.name, remembered)


def fresh_classifier(base: str, classes: Sequence[str]) -> tuple[Any, Any]:
    """A pruned classifier to be trained, with a new head, and its tokenizer.

    Args:
        base: "demo" (the carried model's body) or "minilm" (all-MiniLM-L6-v2).
        classes: names of the classes.

    Raises:
        PruningError: the base is unknown; MissingEngine: it is not installed.
    """
    import torch
    from transformers import AutoModelForSequenceClassification

    from colonnade.pruning.adapters import minilm_folder, quiet_loading
    from colonnade.pruning.texts import load_tokenizer

    one_of("base", base, ("demo", "minilm"))
    names = dict(enumerate(classes))
    if base == "minilm":
        folder = minilm_folder()
        with quiet_loading():
            model = AutoModelForSequenceClassification.from_pretrained(
                str(folder), local_files_only=True, id2label=names, num_labels=len(names)
            )
        return _judging_words(model, load_tokenizer(folder))
    carried = open_named("demo")
    config = carried.model.config.inner()
    config.id2label, config.label2id = names, {name: number for number, name in names.items()}
    model = AutoModelForSequenceClassification.from_config(config)
    with torch.no_grad():
        getattr(model, model.base_model_prefix).load_state_dict(carried.model.encoder.body.state_dict())
    return _judging_words(model, carried.tokenizer)


def _judging_words(model: Any, tokenizer: Any) -> tuple[Any, Any]:
    """Words are compared with words: the special tokens stay, and scores are in units of the others' mean."""
    from colonnade.pruning.model import prune

    ends = [] if tokenizer.sep_token_id is None else [tokenizer.sep_token_id]
    return prune(model, score="relative", protect=ends), tokenizer


def save_bundle(path: str | Path, model: Any, tokenizer: Any, facts: Mapping[str, Any]) -> Path:
    """Write model, tokenizer and facts as one zip; the same model gives the same bytes."""
    path = Path(path)
    with tempfile.TemporaryDirectory() as held:
        folder = Path(held)
        model.save_pretrained(folder)
        tokenizer.save_pretrained(folder)
        (folder / FACTS).write_text(json.dumps(dict(facts), indent=1, sort_keys=True) + "\n")
        with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as packed:
            for file in sorted(folder.iterdir()):
                packed.writestr(zipfile.ZipInfo(file.name, (1980, 1, 1, 0, 0, 0)), file.read_bytes())
    return path


@contextmanager
def unpacked(path: str | Path) -> Iterator[Path]:
    """The folder inside a bundle, for as long as it is needed.

    Raises:
        PruningError: it is no archive, or a bad one.
    """
    with tempfile.TemporaryDirectory() as held:
        try:
            unpack(Path(path), Path(held) / "model", max_bytes=MAX_BUNDLE)
        except (ColonnadeError, OSError) as error:
            raise PruningError(str(error)) from None
        yield Path(held) / "model"


def open_bundle(path: str | Path, name: str = "") -> Opened:
    """A bundle that `save_bundle` wrote.

    Raises:
        PruningError: it is none.
    """
    with unpacked(path) as folder:
        return open_folder(folder, name or Path(path).name)
