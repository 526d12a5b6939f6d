"""Any transformer encoder in a local folder as Hugging Face writes it: config.json, model.safetensors, tokenizer.json.

Sentences are sorted by length and batched by number of tokens, so that little is spent on padding.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np

from colonnade.multilingual._types import FloatArray
from colonnade.multilingual.encoders.base import Encoder, Pieces
from colonnade.multilingual.errors import MultilingualError

TOKENS = 512  # in one batch, padding counted; more no longer stays in the cache and takes half as long again


class TransformerEncoder(Encoder):
    """A torch module and a tokenizer. Sentence vectors are means over pieces, special ones included, as e5 is trained.

    Args:
        model: takes input_ids and attention_mask, gives hidden_states when asked.
        tokenizer: of the package tokenizers.
        name: shown to the user.
        prefix: written before each sentence (not before words), e.g. "query: ".
        longest: pieces; longer sentences are cut, and counted in `notes`.
        pad: id of the padding.
    """

    def __init__(
        self, model: Any, tokenizer: Any, *, name: str, prefix: str = "", longest: int = 512, pad: int = 0
    ) -> None:
        super().__init__()
        config = model.config
        self.model, self.tokenizer, self.name = model.eval(), tokenizer, name
        self.depth, self.dimension = int(config.num_hidden_layers), int(config.hidden_size)
        self.prefix, self.longest, self.pad = prefix, longest, pad
        vectors = model.get_input_embeddings().num_embeddings
        if tokenizer.get_vocab_size() > vectors:
            raise MultilingualError(
                f"the tokenizer of {name!r} has {tokenizer.get_vocab_size()} pieces but the model {vectors} vectors: "
                "it is the tokenizer of another model"
            )
        self.tokenizer.no_padding()
        self.tokenizer.no_truncation()

    @classmethod
    def from_folder(cls, folder: Path, *, prefix: str = "") -> TransformerEncoder:
        """Load from a folder; nothing is fetched, and pickled weights are refused.

        Raises:
            MultilingualError: a file is missing or cannot be read as what its name says.
        """
        from tokenizers import Tokenizer

        for file in ("config.json", "tokenizer.json"):
            if not (folder / file).is_file():
                raise MultilingualError(f"model folder {folder.name!r} has no {file}")
        if not any(folder.glob("*.safetensors")):
            raise MultilingualError(
                f"model folder {folder.name!r} has no .safetensors; pickled weights (.bin) are not read, save them anew"
            )
        try:
            config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
            tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
            model = _auto_model(folder)
        except Exception as error:  # the loaders raise whatever their parts do
            raise MultilingualError(f"model folder {folder.name!r} cannot be loaded: {error}") from None
        found = cls(
            model,
            tokenizer,
            name=folder.name,
            prefix=prefix,
            longest=_longest(config),
            pad=config.get("pad_token_id") or 0,
        )
        if not config.get("is_encoder_decoder") and "CausalLM" in str(config.get("architectures")):
            found.notes.append(
                "this model reads from left to right: the mean over its states is a weak sentence vector"
            )
        return found

    def encode(self, texts: Sequence[str]) -> list[Any]:
        """Texts as the tokenizer cuts them, with the prefix before each; long ones are not cut yet."""
        return list(self.tokenizer.encode_batch([self.prefix + text for text in texts]))

    def _sentences(self, texts: Sequence[str], layers: Sequence[int]) -> dict[int, FloatArray]:
        ids = self._cut([one.ids for one in self.encode(texts)])
        found = {layer: np.empty((len(texts), self.dimension), np.float32) for layer in layers}

        def keep(rows: Sequence[int], mask: Any, states: dict[int, Any]) -> None:
            for layer, state in states.items():
                found[layer][rows] = means(state, mask).numpy()

        self._run(ids, layers, keep)
        return found

    def _words(self, sentences: Sequence[Sequence[str]], layers: Sequence[int]) -> dict[int, list[Pieces]]:
        encoded = self.tokenizer.encode_batch([list(words) for words in sentences], is_pretokenized=True)
        ids = self._cut([one.ids for one in encoded])
        found: dict[int, list[Any]] = {layer: [None] * len(sentences) for layer in layers}
        owners = [
            [(place, word) for place, word in enumerate(one.word_ids[: len(mine)]) if word is not None]
            for one, mine in zip(encoded, ids, strict=True)
        ]

        def keep(rows: Sequence[int], mask: Any, states: dict[int, Any]) -> None:
            for layer, state in states.items():
                values = state.numpy()
                for row, index in enumerate(rows):
                    places = [place for place, _ in owners[index]]
                    found[layer][index] = Pieces(values[row, places].copy(), [word for _, word in owners[index]])

        self._run(ids, layers, keep)
        return found

    def _cut(self, ids: list[list[int]]) -> list[list[int]]:
        long = sum(len(one) > self.longest for one in ids)
        if long:
            self.notes.append(f"{long} sentences were cut to {self.longest} pieces")
        return [cut(one, self.longest) for one in ids]

    def _run(
        self,
        ids: Sequence[Sequence[int]],
        layers: Sequence[int],
        keep: Callable[[Sequence[int], Any, dict[int, Any]], None],
    ) -> None:
        import torch

        with torch.inference_mode(), _states(self.model, layers, self.depth) as compute:
            for rows in batches([len(one) for one in ids], TOKENS):
                block, mask = padded([ids[index] for index in rows], self.pad)
                states = compute(block, mask)
                keep(rows, mask, {layer: states[layer].float() for layer in layers})


class _Enough(Exception):
    """The highest layer that is asked for has been computed."""


@contextmanager
def _states(model: Any, layers: Sequence[int], depth: int) -> Iterator[Callable[[Any, Any], dict[int, Any]]]:
    """A function from ids and mask to states by layer; in models of the BERT family nothing above is computed."""
    stack = getattr(getattr(model, "encoder", None), "layer", None)
    if stack is None or len(stack) != depth or not hasattr(model, "embeddings"):

        def whole(ids: Any, mask: Any) -> dict[int, Any]:
            states = model(input_ids=ids, attention_mask=mask, output_hidden_states=True).hidden_states
            return {layer: states[layer] for layer in layers}

        yield whole
        return
    found: dict[int, Any] = {}

    def catch(layer: int) -> Callable[..., None]:
        def hook(module: Any, inputs: Any, output: Any) -> None:
            found[layer] = output[0] if isinstance(output, tuple) else output
            if layer == max(layers):
                raise _Enough

        return hook

    def part(ids: Any, mask: Any) -> dict[int, Any]:
        found.clear()
        with suppress(_Enough):
            model(input_ids=ids, attention_mask=mask)
        return dict(found)

    parts = [model.embeddings, *stack]
    hooks = [parts[layer].register_forward_hook(catch(layer)) for layer in set(layers)]
    try:
        yield part
    finally:
        for one in hooks:
            one.remove()


def padded(ids: Sequence[Sequence[int]], pad: int) -> tuple[Any, Any]:
    """Ids (n, longest) with padding behind, and where there is none."""
    import torch

    width = max(map(len, ids))
    block = torch.full((len(ids), width), pad)
    mask = torch.zeros((len(ids), width), dtype=torch.long)
    for row, one in enumerate(ids):
        block[row, : len(one)] = torch.tensor(one)
        mask[row, : len(one)] = 1
    return block, mask


def means(states: Any, mask: Any) -> Any:
    """Means (n, d) over the pieces that are no padding."""
    weight = mask.unsqueeze(-1).to(states.dtype)
    return (states * weight).sum(1) / weight.sum(1)


def cut(ids: Sequence[int], longest: int) -> list[int]:
    """At most so many pieces, the last one of them kept: it ends the text."""
    return list(ids) if len(ids) <= longest else [*ids[: longest - 1], ids[-1]]


def batches(lengths: Sequence[int], tokens: int) -> Iterator[list[int]]:
    """Indices by growing length, in groups of at most `tokens` after padding (a longer one alone)."""
    rows: list[int] = []
    for index in sorted(range(len(lengths)), key=lambda i: lengths[i]):
        if rows and lengths[index] * (len(rows) + 1) > tokens:
            yield rows
            rows = []
        rows.append(index)
    if rows:
        yield rows


def random_twin(encoder: TransformerEncoder, seed: int = 0) -> TransformerEncoder:
    """The same architecture and tokenizer with weights that were never trained: a mandatory control."""
    import torch

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = type(encoder.model)(encoder.model.config)
    return TransformerEncoder(
        model,
        encoder.tokenizer,
        name=f"{encoder.name}, untrained",
        prefix=encoder.prefix,
        longest=encoder.longest,
        pad=encoder.pad,
    )


def _auto_model(folder: Path) -> Any:
    import torch
    from transformers import AutoModel
    from transformers.utils import logging

    told, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()  # it lists the head, which an encoder has no use for
    logging.disable_progress_bar()
    try:
        model = AutoModel.from_pretrained(
            str(folder), local_files_only=True, use_safetensors=True, trust_remote_code=False, dtype=torch.float32
        )
    finally:
        logging.set_verbosity(told)
        if bars:
            logging.enable_progress_bar()
    return model.get_encoder() if getattr(model.config, "is_encoder_decoder", False) else model


def _longest(config: dict[str, Any]) -> int:
    """Positions less those that RoBERTa's numbering skips."""
    positions = int(config.get("max_position_embeddings", 512))
    skipped = 2 if "roberta" in str(config.get("model_type", "")) else 0
    return min(positions - skipped, 512)
