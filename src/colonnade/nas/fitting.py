"""Final training: the first networks of a search against each other, the winner against plain baselines.

The winner is chosen on a validation part of the training images; test images are looked at once, at the end, and every
figure on them carries its interval.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from scipy.stats import binomtest

from colonnade.nas import cells, spaces
from colonnade.nas.data import Images
from colonnade.nas.errors import NasError, between
from colonnade.nas.features import ENCODERS, encode
from colonnade.nas.searching import Search
from colonnade.nas.space import Architecture, macros, params
from colonnade.nas.spaces import Design
from colonnade.nas.training import Diverged, Schedule, Trained, train

RESNET_CELL = (
    "|nor_conv_3x3~0|+|none~0|nor_conv_3x3~1|+|skip_connect~0|none~1|none~2|"  # two convolutions and a shortcut
)
FULL_CELL = "|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_3x3~1|+|nor_conv_3x3~0|nor_conv_3x3~1|nor_conv_3x3~2|"
VALIDATION = 0.2  # of the training images

Progress = Callable[[str, float], None]


@dataclass(frozen=True)
class Row:
    """One line of the comparison.

    Attributes:
        name: what it is.
        architecture: or None for a linear layer on frozen features.
        accuracy, lower, upper: on the test images with the 95 % interval, in %.
        balanced: mean over the classes, in %.
        params, macs: of the network.
        seconds: of training, on one core.
    """

    name: str
    architecture: Design | None
    accuracy: float
    lower: float
    upper: float
    balanced: float
    params: int
    macs: int
    seconds: float


@dataclass(frozen=True)
class Fit:
    """A trained network with what it is worth.

    Attributes:
        trained: the winner.
        rows: the winner first, then the baselines.
        validation: accuracies in % of the networks it was chosen from, in the order of the search; NaN: failed.
        curves: training loss by step of each network.
        confusion: int64 [classes, classes], rows: truth.
    """

    trained: Trained
    rows: tuple[Row, ...]
    validation: tuple[float, ...]
    curves: dict[str, list[tuple[int, float]]]
    confusion: np.ndarray


def inner(data: Images, seed: int = 0) -> Images:
    """The training images alone, a fifth of each class (at least one) taking the place of the test."""
    training = np.flatnonzero(~data.test)
    rng = np.random.default_rng(seed)
    test = np.zeros(len(data), dtype=bool)
    for label in range(data.classes):
        own = training[data.y[training] == label]
        test[rng.choice(own, max(1, round(VALIDATION * len(own))), replace=False)] = True
    return Images(data.x[training], data.y[training], data.names, test[training], data.warnings)


def schedule_for(data: Images, epochs: int, flip: bool = False) -> Schedule:
    """As many steps as go `epochs` times through the training images."""
    between("epochs", epochs, 1, 200)
    images = int((~data.test).sum())
    batch = min(128, max(16, images // 8))
    return Schedule(steps=max(20, round(epochs * images / batch)), batch=batch, flip=flip)


def fit(
    found: Search | Sequence[Design],
    data: Images,
    *,
    train_top: int = 3,
    epochs: int = 30,
    baselines: Sequence[str] = ("resnet", "full", "linear"),
    flip: bool = False,
    seed: int = 0,
    halving: bool = False,
    progress: Progress | None = None,
) -> Fit:
    """Train the first networks of a search, keep the one that validates best, and set it beside baselines.

    Args:
        found: of a search, or networks.
        train_top: how many to train.
        epochs: of each training.
        baselines: `resnet`: a residual cell of about the same size; `full`: the largest cell of the space within that
            size; `linear`: a linear layer on the frozen features of the carried encoder; `lite0`: on those of
            EfficientNet-Lite0.
        flip: mirror images while training; wrong for letters and digits.
        halving: stop the weaker ones early (asynchronous successive halving).

    Raises:
        NasError: every training diverged.
    """
    between("train_top", train_top, 1, 20)
    listed = [c.architecture for c in found.ranked] if isinstance(found, Search) else list(found)
    listed = listed[:train_top]
    tell = progress or (lambda label, share: None)
    part, schedule = inner(data, seed), schedule_for(data, epochs, flip)
    curves: dict[str, list[tuple[int, float]]] = {}
    validation = [100.0]
    if halving and len(listed) > 1:
        from colonnade.nas.halving import successive_halving

        validation = successive_halving(listed, part, schedule, seed)
    elif len(listed) > 1:
        validation = []
        for place, architecture in enumerate(listed):
            shorter = replace(schedule, steps=max(20, round(schedule.steps * (1 - VALIDATION))))
            value, curve = _validated(
                architecture, part, shorter, seed, _share(tell, f"Candidate {place + 1}", shorter)
            )
            validation.append(value)
            curves[f"candidate {place + 1}"] = curve
    if np.isnan(validation).all():
        raise NasError("the loss of every network was no number; are the images scaled as they should be?")
    winner = listed[int(np.nanargmax(validation))]
    named: list[tuple[str, Design]] = [("found by the search", winner)]
    named += [(f"{name} cell", _baseline(name, winner, data)) for name in baselines if name in ("resnet", "full")]
    rows: list[Row] = []
    best: Trained | None = None
    for name, architecture in named:
        start = time.process_time()
        try:
            trained = train(architecture, data, schedule, seed, _share(tell, name.capitalize(), schedule))
        except Diverged:
            continue
        best = best or trained
        curves[name] = trained.curve
        rows.append(_row(name, architecture, trained.logits, trained.labels, data, time.process_time() - start))
    if best is None or best.network.architecture != winner:
        raise NasError("the loss of the winning network was no number when it was trained on all images.")
    rows += [_probe("small" if name == "linear" else name, data) for name in baselines if name in ("linear", "lite0")]
    guess = best.logits.argmax(1).numpy()
    confusion = np.zeros((data.classes, data.classes), dtype=np.int64)
    np.add.at(confusion, (best.labels.numpy(), guess), 1)
    return Fit(best, tuple(rows), tuple(validation), curves, confusion)


def _share(tell: Progress, label: str, schedule: Schedule) -> Callable[[int, float], None]:
    return lambda step, loss: tell(label, step / schedule.steps)


def _validated(
    architecture: Design, part: Images, schedule: Schedule, seed: int, progress: Callable[[int, float], None]
) -> tuple[float, list[tuple[int, float]]]:
    try:
        trained = train(architecture, part, schedule, seed, progress)
    except Diverged:
        return float("nan"), []
    return trained.accuracy, trained.curve


def _baseline(name: str, winner: Design, data: Images) -> Architecture:
    """A fixed cell with the macro network that brings its size nearest to the winner's, at the same resolution."""
    cell = cells.from_string(RESNET_CELL if name == "resnet" else FULL_CELL)
    aim = float(spaces.of(winner).sizes([winner], data.channels, data.classes)[0][0])
    choices = macros(tuple(range(2, 33)), (1, 2, 3), (winner.resolution,))
    sizes = np.array([float(params(cell, macro, data.channels, data.classes)) for macro in choices])
    return Architecture(cells.to_index(cell), choices[int(np.abs(np.log(sizes / aim)).argmin())])


def interval(right: int, n: int) -> tuple[float, float]:
    """Wilson's 95 % interval of a share, in %."""
    low, high = binomtest(right, n).proportion_ci(0.95, method="wilson")
    return 100 * float(low), 100 * float(high)


def _row(
    name: str, architecture: Design, logits: torch.Tensor, labels: torch.Tensor, data: Images, seconds: float
) -> Row:
    made = Trained(None, logits, labels)  # type: ignore[arg-type]
    low, high = interval(int((logits.argmax(1) == labels).sum()), len(labels))
    sizes = [int(size[0]) for size in spaces.of(architecture).sizes([architecture], data.channels, data.classes)]
    return Row(name, architecture, made.accuracy, low, high, made.balanced_accuracy, sizes[0], sizes[1], seconds)


def _probe(encoder: str, data: Images) -> Row:
    """Multinomial regression on frozen features."""
    from scipy.optimize import minimize

    if encoder not in ENCODERS:
        raise NasError(f"encoder must be one of {', '.join(ENCODERS)}, but is {encoder!r}.")
    start = time.process_time()
    features = encode(data.x, encoder).double().numpy()
    known = features[~data.test]
    features = (features - known.mean(0)) / (known.std(0) + 1e-6)
    x, y = np.column_stack([features, np.ones(len(features))]), np.eye(data.classes)[data.y]
    x_in, y_in = x[~data.test], y[~data.test]

    def loss(flat: np.ndarray) -> tuple[float, np.ndarray]:
        weights = flat.reshape(x.shape[1], -1)
        scores = x_in @ weights
        scores -= scores.max(1, keepdims=True)
        log_sum = np.log(np.exp(scores).sum(1, keepdims=True))
        value = -((scores - log_sum) * y_in).sum() / len(x_in) + 0.5e-3 * (weights**2).sum()
        gradient = x_in.T @ (np.exp(scores - log_sum) - y_in) / len(x_in) + 1e-3 * weights
        return float(value), gradient.ravel()

    found = minimize(loss, np.zeros(x.shape[1] * data.classes), jac=True, method="L-BFGS-B", options={"maxiter": 200})
    logits = torch.from_numpy(x[data.test] @ found.x.reshape(x.shape[1], -1))
    labels = torch.from_numpy(data.y[data.test])
    made = Trained(None, logits, labels)  # type: ignore[arg-type]
    low, high = interval(int((logits.argmax(1) == labels).sum()), len(labels))
    title = "linear layer on the carried encoder" if encoder == "small" else "linear layer on EfficientNet-Lite0"
    return Row(
        title, None, made.accuracy, low, high, made.balanced_accuracy, int(found.x.size), 0, time.process_time() - start
    )
