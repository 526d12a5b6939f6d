"""One language brought into one encoder by one method, judged on held-out translations before and after."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from colonnade.multilingual._types import FloatArray
from colonnade.multilingual.adapt.adapters import Adapted
from colonnade.multilingual.adapt.aligning import align_by_contrast, align_by_procrustes
from colonnade.multilingual.adapt.continued import continue_pretraining, masked_loss
from colonnade.multilingual.adapt.lora import add_lora
from colonnade.multilingual.adapt.static import static_vectors
from colonnade.multilingual.adapt.vocabulary import renew_embeddings, replace_vocabulary
from colonnade.multilingual.align.sentences import retrieve
from colonnade.multilingual.encoders.base import Encoder
from colonnade.multilingual.encoders.transformer import TransformerEncoder
from colonnade.multilingual.errors import MultilingualError, enough, one_of
from colonnade.multilingual.pretrain.corpus import Specials

ALIGNING = ("procrustes", "contrast", "lora")
LEARNING = ("adapter", "continued", "vocabulary")  # by masked language modelling: the model needs its head

Progress = Callable[[int, float], None]


@dataclass(frozen=True)
class Outcome:
    """What a method changed.

    Attributes:
        method: its name.
        before, after: (n,) for each held-out sentence the share of both directions in which its translation was found.
        loss: masked-language-model loss before and after, nats a character of held-out text; None without a head.
        weights: what was learnt, by name.
        losses: of the training's steps.
        notes: what should be known.
    """

    method: str
    before: FloatArray
    after: FloatArray
    loss: tuple[float, float] | None
    weights: dict[str, FloatArray]
    losses: Sequence[float]
    notes: tuple[str, ...] = ()


def hits(reference: FloatArray, vectors: FloatArray) -> FloatArray:
    """For each pair of rows the share of both directions in which they are each other's nearest."""
    right = np.arange(len(reference))
    forward, backward = retrieve(reference, vectors)[0] == right, retrieve(vectors, reference)[0] == right
    return np.asarray((forward.astype(float) + backward) / 2)


def align_language(
    encoder: Encoder,
    train: tuple[Sequence[str], Sequence[str]],
    held: tuple[Sequence[str], Sequence[str]],
    method: str = "procrustes",
    *,
    epochs: int = 3,
    rate: float = 1e-3,
    seed: int = 0,
    progress: Progress = lambda step, loss: None,
) -> Outcome:
    """Bring a language onto a reference: by a rotation, or by contrast through an adapter or LoRA.

    Args:
        encoder: a transformer, for all but "procrustes".
        train, held: (reference, language) sentences, translations of each other.
        method: one of `ALIGNING`.
        epochs, rate, seed: of the training.
        progress: told step and loss.

    Raises:
        MultilingualError: the encoder has no layers to train, or there are too few sentences.
    """
    one_of("method", method, ALIGNING)
    enough("held-out pairs of sentences", len(held[0]), 2, "an evaluation")
    reference = encoder.sentences(held[0])[encoder.depth]
    before = hits(reference, encoder.sentences(held[1])[encoder.depth])
    losses: list[float] = []
    if method == "procrustes":
        mapped = align_by_procrustes(encoder, train[1], train[0])
        after = hits(_lengths(reference), mapped.sentences(held[1])[encoder.depth])
        ours, w, theirs = mapped.maps[encoder.depth]
        weights = {"mean": ours, "rotation": w, "reference_mean": theirs}
        return Outcome(method, before, after, None, weights, losses)
    if not isinstance(encoder, TransformerEncoder):
        raise MultilingualError(f"encoder {encoder.name!r} has no weights to train; take procrustes, or a transformer")
    if method == "contrast":
        hung = Adapted(encoder.model)
        hung.add("language", reduction=8, seed=seed)
        parameters: list[Any] = hung.train_only("language")
    else:
        encoder.model = add_lora(encoder.model, seed=seed)
        parameters = [value for value in encoder.model.parameters() if value.requires_grad]
    with_reference = (train[1], train[0])
    losses = align_by_contrast(
        encoder, *with_reference, parameters, epochs=epochs, rate=rate, seed=seed, progress=progress
    )
    after = hits(reference, encoder.sentences(held[1])[encoder.depth])
    if method == "contrast":
        weights = {name: value.numpy().copy() for name, value in hung.adapters["language"].state_dict().items()}
        hung.close()
    else:
        named = encoder.model.named_parameters()
        weights = {name: value.detach().numpy().copy() for name, value in named if value.requires_grad}
        encoder.model = encoder.model.unload()
    return Outcome(method, before, after, None, weights, losses)


def learn_language(
    folder: Path,
    train: Sequence[str],
    held: tuple[Sequence[str], Sequence[str]],
    method: str = "adapter",
    *,
    steps: int = 200,
    rate: float = 1e-3,
    size: int = 0,
    seed: int = 0,
    out: Path | None = None,
    progress: Progress = lambda step, loss: None,
) -> Outcome:
    """Learn a language by masked language modelling: a MAD-X adapter, all weights, or a new vocabulary by FOCUS.

    Args:
        folder: of a masked language model.
        train: lines of the language.
        held: (reference, language) sentences, translations of each other.
        method: one of `LEARNING`.
        steps, rate, seed: of the training.
        size: of the new vocabulary; 0: as many pieces as the old.
        out: a folder for the model, when all weights or the vocabulary change.
        progress: told step and loss.

    Raises:
        MultilingualError: the model has no head, or there are too few lines.
    """
    from transformers import AutoModelForMaskedLM

    one_of("method", method, LEARNING)
    encoder = TransformerEncoder.from_folder(folder)
    model: Any = AutoModelForMaskedLM.from_pretrained(str(folder), local_files_only=True, use_safetensors=True).eval()
    encoder.model = model.base_model
    tokenizer = encoder.tokenizer
    notes: tuple[str, ...] = ()
    specials = Specials.of(tokenizer)
    reference = encoder.sentences(held[0])[encoder.depth]
    before = hits(reference, encoder.sentences(held[1])[encoder.depth])
    loss = _a_character(model, tokenizer, held[1], encoder.longest)
    parameters: list[Any] | None = None
    hung = None
    if method == "adapter":
        hung = Adapted(model)
        hung.add("language", seed=seed)
        parameters = hung.train_only("language")
    elif method == "vocabulary":
        tokenizer, notes = _new_vocabulary(model, tokenizer, train, size)
        specials = Specials.of(tokenizer)
        encoder.tokenizer = tokenizer
    cut = [one.ids for one in tokenizer.encode_batch(list(train), add_special_tokens=False)]
    losses = continue_pretraining(
        model, cut, specials, steps=steps, rate=rate, parameters=parameters, seed=seed, progress=progress,
        longest=encoder.longest,
    )  # fmt: skip
    # the reference stays as the old model sees it: is the language found from there?
    after = hits(reference, encoder.sentences(held[1])[encoder.depth])
    now = _a_character(model, tokenizer, held[1], encoder.longest)
    weights = {}
    if hung is not None:
        weights = {name: value.numpy().copy() for name, value in hung.adapters["language"].state_dict().items()}
        hung.close()
    elif out is not None:
        model.save_pretrained(out)
        tokenizer.save(str(out / "tokenizer.json"))
    return Outcome(method, before, after, (loss, now), weights, losses.tolist(), notes)


def _new_vocabulary(model: Any, old: Any, train: Sequence[str], size: int) -> tuple[Any, tuple[str, ...]]:
    """Train a vocabulary on the language, and give the model vectors for it by FOCUS."""
    from tokenizers.processors import TemplateProcessing

    from colonnade.multilingual.pretrain.corpus import Specials
    from colonnade.multilingual.tokens.train import train_bpe

    specials = [old.id_to_token(index) for index in vars(Specials.of(old)).values()]
    new = train_bpe(train, size or old.get_vocab_size(), specials)
    begin, end = specials[2], specials[3]
    new.post_processor = TemplateProcessing(
        single=f"{begin} $A {end}",
        special_tokens=[(begin, new.token_to_id(begin)), (end, new.token_to_id(end))],
    )
    vectors = model.get_input_embeddings().weight.detach().numpy()
    old_pieces = [old.id_to_token(index) or f"<{index}>" for index in range(len(vectors))]
    new_pieces = [new.id_to_token(index) for index in range(new.get_vocab_size())]
    ids = [one.ids for one in new.encode_batch(list(train), add_special_tokens=False)]
    auxiliary = static_vectors(ids, len(new_pieces))
    found = renew_embeddings(old_pieces, vectors, new_pieces, "focus", auxiliary=auxiliary)
    place = {piece: index for index, piece in enumerate(old_pieces)}
    kept = {index: place[piece] for index, piece in enumerate(new_pieces) if piece in place}
    replace_vocabulary(model, found.vectors, kept)
    return new, (f"{int(found.copied.sum())} of {len(new_pieces)} pieces are copies", *found.notes)


def _a_character(model: Any, tokenizer: Any, lines: Sequence[str], longest: int) -> float:
    """Loss a character: vocabularies of different size are comparable by it."""
    cut = [one.ids for one in tokenizer.encode_batch(list(lines), add_special_tokens=False)]
    return masked_loss(model, cut, Specials.of(tokenizer), longest) * sum(map(len, cut)) / max(sum(map(len, lines)), 1)


def _lengths(vectors: FloatArray) -> FloatArray:
    from colonnade.multilingual.align.sentences import unit

    return unit(vectors)
