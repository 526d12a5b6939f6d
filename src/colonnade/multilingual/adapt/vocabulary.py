"""A new vocabulary for an old model: vectors for pieces that it never saw.

FOCUS: Dobler and de Melo 2023 (arXiv:2305.14481); WECHSEL: Minixhofer et al. 2022 (arXiv:2112.06598).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from colonnade.multilingual._types import BoolArray, FloatArray
from colonnade.multilingual.align.maps import procrustes
from colonnade.multilingual.align.sentences import unit
from colonnade.multilingual.errors import MultilingualError, between, enough, one_of

METHODS = ("focus", "wechsel", "mean", "copy")


@dataclass(frozen=True)
class Renewed:
    """Vectors (new vocabulary, d), which of them are copies of the old, and what should be known."""

    vectors: FloatArray
    copied: BoolArray
    notes: tuple[str, ...]


def sparsemax(scores: FloatArray) -> FloatArray:
    """Projection of each row onto the simplex (Martins and Astudillo 2016, arXiv:1602.02068): mostly zeros."""
    ordered = -np.sort(-scores, axis=1)
    sums = np.cumsum(ordered, axis=1)
    ranks = np.arange(1, scores.shape[1] + 1)
    support = (1 + ranks * ordered > sums).sum(axis=1)
    threshold = (sums[np.arange(len(scores)), support - 1] - 1) / support
    return np.asarray(np.maximum(scores - threshold[:, None], 0))


def renew_embeddings(
    old_pieces: Sequence[str],
    old: FloatArray,
    new_pieces: Sequence[str],
    method: str = "focus",
    *,
    auxiliary: FloatArray | None = None,
    old_auxiliary: FloatArray | None = None,
    dictionary: Sequence[tuple[str, str]] = (),
    seed: int = 0,
) -> Renewed:
    """Vectors for a new vocabulary. Pieces that both have are copied exactly by every method but WECHSEL.

    Args:
        old_pieces, old: the model's vocabulary and embeddings (n, d).
        new_pieces: the new one.
        method: "focus": combinations of the copied pieces that are alike in the auxiliary space; "wechsel": of the old
            pieces whose auxiliary vectors, rotated by a dictionary, are nearest; "mean": the mean of the old vectors;
            "copy": draws from a normal of their mean and variance.
        auxiliary: static vectors of the new pieces (m, k); zeros where a piece was never seen.
        old_auxiliary: of the old pieces (n, k), for WECHSEL.
        dictionary: pairs (old piece, new piece), for WECHSEL.
        seed: of the draws.

    Raises:
        MultilingualError: what the method needs is absent, or sizes do not fit.
    """
    one_of("method", method, METHODS)
    if len(old) != len(old_pieces):
        raise MultilingualError(
            f"there are {len(old)} vectors but {len(old_pieces)} pieces; one tokenizer is another model's"
        )
    place = {piece: index for index, piece in enumerate(old_pieces)}
    pairs = [(i, place[piece]) for i, piece in enumerate(new_pieces) if piece in place]
    copied = np.zeros(len(new_pieces), bool)
    mean = old.mean(axis=0)
    vectors = np.tile(mean, (len(new_pieces), 1)).astype(old.dtype)
    mine, theirs = (np.array([pair[k] for pair in pairs], np.int64) for k in (0, 1))
    notes: list[str] = []
    if method == "copy":
        drawn = np.random.default_rng(seed).normal(mean, old.std(axis=0), vectors.shape)
        vectors = drawn.astype(old.dtype)
    if method == "focus":
        if auxiliary is None or len(auxiliary) != len(new_pieces):
            raise MultilingualError("focus needs auxiliary vectors, one for each new piece")
        enough("pieces that both vocabularies have", len(pairs), 1, "focus")
        notes += _focus(vectors, old, auxiliary, mine, theirs)
    if method == "wechsel":
        if auxiliary is None or old_auxiliary is None:
            raise MultilingualError("wechsel needs auxiliary vectors of both vocabularies")
        notes += _wechsel(vectors, old, (old_pieces, old_auxiliary), (new_pieces, auxiliary), dictionary)
    else:
        vectors[mine] = old[theirs]
        copied[mine] = True
    if not pairs:
        notes.append("no piece of the new vocabulary is in the old one")
    return Renewed(vectors, copied, tuple(notes))


def _focus(vectors: FloatArray, old: FloatArray, auxiliary: FloatArray, mine: Any, theirs: Any) -> list[str]:
    """Weights are the sparsemax of cosines with the copied pieces that have an auxiliary vector."""
    near = unit(auxiliary)
    known = np.abs(near).sum(axis=1) > 0
    anchors, sources = mine[known[mine]], theirs[known[mine]]
    todo = np.flatnonzero(known & ~np.isin(np.arange(len(vectors)), mine))
    unseen = len(vectors) - len(mine) - len(todo)
    if len(anchors):
        for start in range(0, len(todo), 512):
            rows = todo[start : start + 512]
            vectors[rows] = sparsemax(near[rows] @ near[anchors].T) @ old[sources]
    return [f"{unseen} new pieces never occur in the text; they have the mean vector"] if unseen else []


def _wechsel(
    vectors: FloatArray,
    old: FloatArray,
    source: tuple[Sequence[str], FloatArray],
    target: tuple[Sequence[str], FloatArray],
    dictionary: Sequence[tuple[str, str]],
    k: int = 10,
    temperature: float = 0.1,
) -> list[str]:
    """Softmax over the k old pieces that are nearest after the rotation that the dictionary gives."""
    ours, theirs = ({piece: i for i, piece in enumerate(pieces)} for pieces in (source[0], target[0]))
    a, b = unit(source[1]), unit(target[1])
    if a.shape[1] != b.shape[1]:
        raise MultilingualError(f"auxiliary vectors have {a.shape[1]} and {b.shape[1]} dimensions; both need the same")
    known = [(ours[x], theirs[y]) for x, y in dictionary if x in ours and y in theirs]
    known = [(x, y) for x, y in known if a[x].any() and b[y].any()]
    enough("dictionary pairs found in both vocabularies", len(known), 2, "wechsel")
    w = procrustes(a[[x for x, _ in known]], b[[y for _, y in known]])
    there = np.flatnonzero(a.any(axis=1))
    rotated, k = a[there] @ w, min(k, len(there))
    todo = np.flatnonzero(b.any(axis=1))
    for start in range(0, len(todo), 512):
        rows = todo[start : start + 512]
        cosines = b[rows] @ rotated.T
        nearest = np.argpartition(-cosines, k - 1, axis=1)[:, :k]
        best = np.take_along_axis(cosines, nearest, axis=1) / temperature
        weights = np.exp(best - best.max(axis=1, keepdims=True))
        weights /= weights.sum(axis=1, keepdims=True)
        vectors[rows] = np.einsum("nk,nkd->nd", weights, old[there[nearest]])
    return [f"{len(known)} dictionary pairs were used"]


def replace_vocabulary(model: Any, vectors: FloatArray, old_rows: Mapping[int, int] | None = None) -> Any:
    """Give a transformers model new embeddings (in place): its output is tied to them; its output bias follows.

    Args:
        model: with `resize_token_embeddings`.
        vectors: (m, d).
        old_rows: old id of each new id that is a copy: its output bias is kept.

    Raises:
        MultilingualError: the vectors have another width.
    """
    import torch

    table = model.get_input_embeddings()
    if vectors.shape[1] != table.embedding_dim:
        raise MultilingualError(f"vectors have {vectors.shape[1]} dimensions but the model {table.embedding_dim}")
    name, before = next(((n, p.detach().clone()) for n, p in model.named_parameters() if _is_bias(n)), (None, None))
    model.resize_token_embeddings(len(vectors), mean_resizing=False)
    with torch.no_grad():
        model.get_input_embeddings().weight.copy_(torch.from_numpy(np.asarray(vectors, np.float32)))
        if name is not None and before is not None:
            bias = dict(model.named_parameters())[name]
            bias.fill_(float(before.mean()))
            for new, old in (old_rows or {}).items():
                bias[new] = before[old]
    if hasattr(model, "tie_weights"):
        model.tie_weights()
    return model


def _is_bias(name: str) -> bool:
    return name in ("cls.predictions.bias", "lm_head.bias")


def extend(tokenizer: Any, lines: Sequence[str], count: int = 500, least: int = 3) -> tuple[Any, list[list[int]]]:
    """Add whole words that the vocabulary cuts into many pieces; the rest of the text is cut as before.

    Args:
        tokenizer: a `tokenizers.Tokenizer`; it is not changed.
        lines: of the new language.
        count: most words to add, those first that save most pieces.
        least: occurrences for a word to be added.

    Returns:
        The larger tokenizer, and for each added word the old ids it was cut into (their mean is a first vector).
    """
    from tokenizers import AddedToken, Tokenizer

    between("count", count, 1, 100_000)
    found = Counter(word for line in lines for word in line.split() if word.isalpha())
    words = [word for word, times in found.items() if times >= least]
    cut = {
        word: one.ids for word, one in zip(words, tokenizer.encode_batch(words, add_special_tokens=False), strict=True)
    }
    saved = {word: found[word] * (len(ids) - 1) for word, ids in cut.items() if len(ids) > 1}
    chosen = sorted(saved, key=lambda word: (-saved[word], word))[:count]
    larger = Tokenizer.from_str(tokenizer.to_str())
    larger.add_tokens([AddedToken(word, single_word=True, lstrip=True, normalized=False) for word in chosen])
    return larger, [cut[word] for word in chosen]
