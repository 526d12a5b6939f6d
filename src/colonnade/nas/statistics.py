"""Numbers that describe a data set, from a sample of its training images: what a search knows of it for nothing."""

from __future__ import annotations

import numpy as np

from colonnade.nas.data import Images

PER_CLASS, MOST = 20, 600  # images looked at, of each class and in all
NAMES = (
    "log_images", "log_classes", "images_per_class", "balance", "colour", "log_side", "mean", "spread", "dark",
    "bright",
    "edges", "detail_8", "detail_16", "symmetry", "alignment", "between_classes", "nearest_8", "nearest_16",
    "nearest_features",
)  # fmt: skip
DESCRIPTIONS = {
    "log_images": "log10 of the training images",
    "log_classes": "log10 of the classes",
    "images_per_class": "log10 of the training images of a class",
    "balance": "images of the smallest class over those of the largest",
    "colour": "spread of the colours about grey, of all spread",
    "log_side": "log2 of the side in pixels",
    "mean": "mean brightness, 0 to 1",
    "spread": "standard deviation of the brightness",
    "dark": "share of pixels below 5 %",
    "bright": "share of pixels above 95 %",
    "edges": "difference of neighbouring pixels, of the spread",
    "detail_8": "share of the spread that is lost at 8 x 8 pixels",
    "detail_16": "share of the spread that is lost at 16 x 16 pixels",
    "symmetry": "correlation of an image with its mirror image",
    "alignment": "share of the spread that the mean image explains",
    "between_classes": "share of the spread at 8 x 8 pixels that the class means explain",
    "nearest_8": "accuracy of the nearest class mean at 8 x 8 pixels, above chance",
    "nearest_16": "accuracy of the nearest class mean at 16 x 16 pixels, above chance",
    "nearest_features": "accuracy of the nearest class mean in the encoder's features, above chance",
}


def statistics(data: Images, features: np.ndarray, chosen: np.ndarray) -> np.ndarray:
    """The numbers of `NAMES`, float32 [19].

    Args:
        features: of the chosen images, [classes, samples, d].
        chosen: indices of training images by class, [classes, samples].
    """
    count = np.bincount(data.y[~data.test], minlength=data.classes)
    x = data.x[chosen.ravel()].astype(np.float32) / 255
    labels = np.repeat(np.arange(len(chosen)), chosen.shape[1])
    grey = x.mean(3)
    spread = float(grey.std()) + 1e-6
    eight, sixteen = _shrunk(grey, 8), _shrunk(grey, 16)
    flat = eight.reshape(len(eight), -1)
    step = (np.abs(np.diff(grey, axis=1)).mean() + np.abs(np.diff(grey, axis=2)).mean()) / 2
    centred = grey - grey.mean((1, 2), keepdims=True)
    power = (centred**2).mean() + 1e-9
    between = ((_means(flat, labels) - flat.mean(0)) ** 2).mean() / (flat.var(0).mean() + 1e-9)
    return np.array(
        [
            np.log10(count.sum()), np.log10(data.classes), np.log10(count.mean()), data.balance,
            (x - x.mean(3, keepdims=True)).std() / (x.std() + 1e-6), np.log2(data.side), x.mean(), spread,
            (x < 0.05).mean(), (x > 0.95).mean(), step / spread, _lost(grey, 8), _lost(grey, 16),
            (centred * centred[:, :, ::-1]).mean() / power, grey.mean(0).var() / spread**2, between,
            _nearest(flat, labels), _nearest(sixteen.reshape(len(x), -1), labels),
            _nearest(features.reshape(len(x), -1), labels),
        ],
        dtype=np.float32,
    )  # fmt: skip


def _shrunk(grey: np.ndarray, side: int) -> np.ndarray:
    """Images [n, h, h] averaged down to a side, or as they are when they are not larger."""
    if grey.shape[1] <= side:
        return grey
    edges = np.linspace(0, grey.shape[1], side + 1).round().astype(int)[:-1]
    widths = np.diff([*edges, grey.shape[1]])
    summed = np.add.reduceat(np.add.reduceat(grey, edges, 1), edges, 2)
    return np.asarray(summed / (widths[:, None] * widths))


def _lost(grey: np.ndarray, side: int) -> float:
    whole = (grey - grey.mean((1, 2), keepdims=True)).var() + 1e-9
    small = _shrunk(grey, side)
    return float(max(0.0, 1 - (small - small.mean((1, 2), keepdims=True)).var() / whole))


def _means(flat: np.ndarray, labels: np.ndarray) -> np.ndarray:
    return np.array([flat[labels == label].mean(0) for label in np.unique(labels)])


def _nearest(flat: np.ndarray, labels: np.ndarray) -> float:
    """Accuracy of the nearest class mean, each half of the sample by the means of the other, above chance (0 to 1)."""
    flat = (flat - flat.mean(0)) / (flat.std(0) + 1e-3)
    half = np.arange(len(labels)) % 2 == 0
    right = 0.0
    for known, asked in ((half, ~half), (~half, half)):
        means = _means(flat[known], labels[known])
        distance = (means**2).sum(1) - 2 * flat[asked] @ means.T
        right += float((distance.argmin(1) == labels[asked]).sum())
    chance = 1 / (labels.max() + 1)
    return float((right / len(labels) - chance) / (1 - chance))
