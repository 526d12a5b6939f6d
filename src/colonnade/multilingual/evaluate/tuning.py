"""Training an encoder for a task: an adapter in it, or the whole of it, with a linear head that begins as the probe.

Fine-tuning moves everything but the word vectors, of which few texts touch few; a head that begins where the probe
ended keeps the encoder from moving more than the task asks (Kumar et al. 2022, arXiv:2202.10054). The adapter is
that of MAD-X for tasks (Pfeiffer et al. 2020). Either way the encoder is what it was afterwards, to the bit.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from colonnade.multilingual.data.classes import Labelled
from colonnade.multilingual.data.tagged import TaggedSentence
from colonnade.multilingual.encoders.base import Encoder
from colonnade.multilingual.encoders.transformer import TransformerEncoder, cut, means, padded
from colonnade.multilingual.errors import MultilingualError, between, one_of
from colonnade.multilingual.evaluate.probe import Probe

MODES = ("probe", "adapter", "fine-tune")
RATES = {"probe": 0.0, "adapter": 1e-3, "fine-tune": 1e-4}
HEAD_RATE = 1e-3

Progress = Callable[[int, float], None]


@dataclass(frozen=True)
class Tuning:
    """How a task is learnt.

    Attributes:
        mode: "adapter" or "fine-tune"; for questions "probe" too, a head on a frozen encoder.
        epochs: over the training sentences.
        rate: highest learning rate of the encoder; 0: the mode's (1e-3 for adapters, 1e-4 for fine-tuning).
        batch: sentences a step.
        longest: pieces of a training sentence; longer ones are cut.
        seed: of order, dropout and the adapter's weights.
    """

    mode: str = "adapter"
    epochs: int = 3
    rate: float = 0.0
    batch: int = 16
    longest: int = 128
    seed: int = 0

    def __post_init__(self) -> None:
        one_of("mode", self.mode, MODES)
        between("epochs", self.epochs, 1, 1000)
        between("rate", self.rate, 0, 1)
        between("batch", self.batch, 1, 4096)
        between("longest", self.longest, 8, 512)


@dataclass(frozen=True)
class Example:
    """One text's pieces, or those of the two texts of a pair; places that are classified (None: the mean); labels."""

    ids: Sequence[Sequence[int]]
    places: Sequence[int] | None
    labels: Sequence[str]


def tag_examples(encoder: TransformerEncoder, train: Sequence[TaggedSentence], longest: int) -> list[Example]:
    """Each word by its first piece."""
    encoded = encoder.tokenizer.encode_batch([list(s.words) for s in train], is_pretokenized=True)
    found = []
    for one, sentence in zip(encoded, train, strict=True):
        ids = cut(one.ids, min(longest, encoder.longest))
        first: dict[int, int] = {}
        for place, word in enumerate(one.word_ids[: len(ids) - 1]):
            if word is not None:
                first.setdefault(word, place)
        found.append(Example([ids], list(first.values()), [sentence.tags[word] for word in first]))
    return found


def class_examples(encoder: TransformerEncoder, train: Labelled, longest: int) -> list[Example]:
    """Each text, or pair of texts."""
    sides = [train.texts] if train.pairs is None else [train.texts, train.pairs]
    ids = [[cut(one.ids, min(longest, encoder.longest)) for one in encoder.encode(side)] for side in sides]
    return [Example(both, None, (label,)) for both, label in zip(zip(*ids, strict=True), train.labels, strict=True)]


@contextmanager
def tuned(
    encoder: Encoder,
    train: Any,
    examples: Callable[..., Any],
    start: Probe,
    tuning: Tuning,
    progress: Progress = lambda step, loss: None,
) -> Iterator[tuple[Probe, list[float]]]:
    """The encoder trained for a task, with its head as a probe, and the losses; it is what it was afterwards.

    Args:
        encoder: a transformer.
        train: what `examples` reads.
        examples: `tag_examples` or `class_examples`.
        start: the probe of the last layer, at which the head begins.
        tuning: how.
        progress: told step and loss.

    Raises:
        MultilingualError: the encoder is no transformer, or the loss is no number.
    """
    import torch

    with unlocked(encoder, tuning) as (opened, parameters):
        given = examples(opened, train, tuning.longest)
        place = {label: index for index, label in enumerate(start.labels)}
        weight = torch.tensor(start.weight, dtype=torch.float32, requires_grad=True)
        mean, deviation = (torch.tensor(one, dtype=torch.float32) for one in (start.mean, start.deviation))

        def loss(chosen: Sequence[int]) -> Any:
            batch = [given[i] for i in chosen]
            x = (_features(opened, batch) - mean) / deviation
            labels = torch.tensor([place[label] for one in batch for label in one.labels])
            return torch.nn.functional.cross_entropy(x @ weight[:-1] + weight[-1], labels)

        lengths = [max(map(len, one.ids)) for one in given]
        losses = descend(opened, parameters, [weight], lengths, loss, tuning, progress)
        yield replace(start, weight=weight.detach().numpy().astype(np.float64)), losses


@contextmanager
def unlocked(encoder: Encoder, tuning: Tuning) -> Iterator[tuple[TransformerEncoder, list[Any]]]:
    """The encoder, known to be a transformer, and what a mode trains of it; afterwards it is what it was, to the bit.

    Raises:
        MultilingualError: the encoder has no weights to train.
    """
    # not at the top: adapters are a way of adapting, which evaluates by this package
    from colonnade.multilingual.adapt.adapters import Adapted

    if not isinstance(encoder, TransformerEncoder):
        raise MultilingualError(f"encoder {encoder.name!r} has no weights to train; take mode probe, or a transformer")
    asked = [(value, value.requires_grad) for value in encoder.model.parameters()]
    chosen: list[Any] = []
    hung, before = None, []
    try:
        if tuning.mode == "adapter":
            hung = Adapted(encoder.model)
            hung.add("task", "task", seed=tuning.seed)
            chosen = hung.train_only("task")
        else:
            words = encoder.model.get_input_embeddings().weight
            for value, _ in asked:
                value.requires_grad_(tuning.mode == "fine-tune" and value is not words)
            chosen = [value for value, _ in asked if value.requires_grad]
            before = [value.detach().clone() for value in chosen]
        yield encoder, chosen
    finally:
        if hung is not None:
            hung.close()
        for value, kept in zip(chosen, before, strict=False):
            value.data.copy_(kept)
        for value, needed in asked:
            value.requires_grad_(needed)
            value.grad = None
        encoder.model.eval()


def descend(
    encoder: TransformerEncoder,
    parameters: Sequence[Any],
    head: Sequence[Any],
    lengths: Sequence[int],
    loss: Callable[[Sequence[int]], Any],
    tuning: Tuning,
    progress: Progress,
) -> list[float]:
    """AdamW over examples by their index, like lengths together; the rate rises and falls linearly."""
    import torch

    from colonnade.multilingual.pretrain.training import schedule

    groups = [{"params": list(head), "lr": HEAD_RATE}]
    if parameters:
        groups.append({"params": list(parameters), "lr": tuning.rate or RATES[tuning.mode]})
    optimiser = torch.optim.AdamW(groups, fused=True)
    tops = [group["lr"] for group in optimiser.param_groups]
    steps = [part for epoch in range(tuning.epochs) for part in _batches(lengths, tuning, epoch)]
    losses: list[float] = []
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(tuning.seed)
        encoder.model.train(bool(parameters))
        for step, chosen in enumerate(steps):
            for group, top in zip(optimiser.param_groups, tops, strict=True):
                group["lr"] = top * schedule(step, len(steps), 0.1)
            value = loss(chosen)
            optimiser.zero_grad(set_to_none=True)
            value.backward()
            torch.nn.utils.clip_grad_norm_([p for group in optimiser.param_groups for p in group["params"]], 1.0)
            optimiser.step()
            losses.append(value.item())
            if not np.isfinite(losses[-1]):
                encoder.model.eval()
                raise MultilingualError(f"the loss is no number at step {step + 1}; lower the learning rate")
            progress(step + 1, losses[-1])
    encoder.model.eval()
    return losses


def steps_of(count: int, tuning: Tuning) -> int:
    """How many steps `count` examples take."""
    return tuning.epochs * -(-count // tuning.batch)


def _batches(lengths: Sequence[int], tuning: Tuning, epoch: int) -> list[list[int]]:
    """All examples in a random order, in which those of like length stand together."""
    rng = np.random.default_rng([tuning.seed, 10, epoch])
    order = np.argsort(np.asarray(lengths) + 16 * rng.random(len(lengths)), kind="stable")
    parts = [order[start : start + tuning.batch].tolist() for start in range(0, len(order), tuning.batch)]
    return [parts[i] for i in rng.permutation(len(parts))]


def _features(encoder: TransformerEncoder, batch: Sequence[Example]) -> Any:
    """Rows that the head reads, as the probe had them."""
    import torch

    sides = []
    for side in range(len(batch[0].ids)):
        block, mask = padded([one.ids[side] for one in batch], encoder.pad)
        states = encoder.model(input_ids=block, attention_mask=mask).last_hidden_state
        if batch[0].places is not None:
            return torch.cat([states[row, list(one.places or ())] for row, one in enumerate(batch)])
        sides.append(means(states, mask))
    if len(sides) == 1:
        return sides[0]
    u, v = sides
    return torch.cat([u, v, (u - v).abs(), u * v], dim=1)
