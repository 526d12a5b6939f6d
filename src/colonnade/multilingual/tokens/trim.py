"""Leaving out of a vocabulary what some languages never use, and the same rows of a model's embeddings.

After Abdaoui et al. 2020 (arXiv:2010.05609). Only unigram vocabularies can lose pieces without changing how the rest is
cut; a text keeps its cut, and so its states, as long as its own pieces are kept.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from colonnade.multilingual.errors import MultilingualError, enough


@dataclass(frozen=True)
class Trimmed:
    """The smaller tokenizer; `kept[i]` is the old id of its piece i: embeddings are `old[list(kept)]`."""

    tokenizer: Any
    kept: tuple[int, ...]
    before: int

    @property
    def share(self) -> float:
        """What is left of the vocabulary."""
        return len(self.kept) / self.before


def trim(tokenizer: Any, texts: Iterable[str], least: int = 1) -> Trimmed:
    """Keep special and added pieces, single characters, and pieces that occur `least` times in the texts.

    Args:
        tokenizer: a `tokenizers.Tokenizer` with a unigram model.
        texts: of the languages to keep.
        least: occurrences for a piece to stay.

    Raises:
        MultilingualError: the vocabulary is not a unigram one, or there is no text.
    """
    from tokenizers import Tokenizer

    content = json.loads(tokenizer.to_str())
    if content["model"]["type"] != "Unigram":
        raise MultilingualError(f"the vocabulary is a {content['model']['type']} one; only unigram ones are trimmed")
    lines = [line for line in texts if line.strip()]
    enough("lines that are not blank", len(lines), 1, "trimming")
    used = Counter(index for one in tokenizer.encode_batch(lines) for index in one.ids)
    pieces = content["model"]["vocab"]
    added = {entry["id"] for entry in content["added_tokens"]}
    kept = [
        index
        for index, (piece, _) in enumerate(pieces)
        if index in added or index == content["model"]["unk_id"] or used[index] >= least or len(piece) == 1
    ]
    beyond = sorted(index for index in added if index >= len(pieces))  # added behind the model's own pieces
    kept += beyond
    new = {old: index for index, old in enumerate(kept)}
    content["model"]["vocab"] = [pieces[index] for index in kept if index < len(pieces)]
    content["model"]["unk_id"] = new[content["model"]["unk_id"]]
    for entry in content["added_tokens"]:
        entry["id"] = new[entry["id"]]
    _renumber(content.get("post_processor"), new)
    return Trimmed(Tokenizer.from_str(json.dumps(content)), tuple(kept), tokenizer.get_vocab_size())


def _renumber(node: Any, new: dict[int, int]) -> None:
    """Ids inside a template of special pieces: {"id": "<s>", "ids": [0]}, or pairs such as ["</s>", 2]."""
    if isinstance(node, dict):
        if isinstance(node.get("ids"), list):
            node["ids"] = [new[index] for index in node["ids"]]
        for name, value in node.items():
            if name in ("sep", "cls") and isinstance(value, list) and len(value) == 2:
                value[1] = new[value[1]]
            else:
                _renumber(value, new)
    elif isinstance(node, list):
        for value in node:
            _renumber(value, new)
