"""Labelled images as the column uses them: checked, in an order of their own, split once into training and test.

The order follows from the pixels, not from file names or their order on disk: the same images give the same result.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from colonnade.nas.errors import NasError

if TYPE_CHECKING:
    from torch import Tensor

MIN_PER_CLASS, MIN_IMAGES, MAX_IMAGES = 5, 20, 20_000
MIN_SIDE, MAX_SIDE, MAX_CHANNELS, MAX_CLASSES = 8, 96, 4, 500
TEST_SHARE = 0.25


@dataclass(frozen=True)
class Images:
    """Labelled images of one size.

    Attributes:
        x: pixels, uint8 [n, side, side, channels].
        y: labels, int64 [n], 0 to classes - 1.
        names: of the classes.
        test: which images are kept for the test, bool [n].
        warnings: what was changed on the way in, one sentence each.
    """

    x: np.ndarray
    y: np.ndarray
    names: tuple[str, ...]
    test: np.ndarray
    warnings: tuple[str, ...] = field(default=())

    def __len__(self) -> int:
        return len(self.y)

    @property
    def classes(self) -> int:
        return len(self.names)

    @property
    def channels(self) -> int:
        return int(self.x.shape[3])

    @property
    def side(self) -> int:
        return int(self.x.shape[1])

    @cached_property
    def balance(self) -> float:
        """Images of the smallest class over those of the largest."""
        counts = np.bincount(self.y, minlength=self.classes)
        return float(counts.min() / counts.max())

    @cached_property
    def scale(self) -> tuple[np.ndarray, np.ndarray]:
        """Mean and spread of the training pixels by channel, of values from 0 to 1."""
        training = self.x[~self.test].astype(np.float32) / 255
        return training.mean((0, 1, 2)), training.std((0, 1, 2)) + 1e-3

    def tensors(self, resolution: int, test: bool) -> tuple[Tensor, Tensor]:
        """One side of the split at a resolution: float32 [n, channels, r, r] in units of the training pixels' spread.

        Images are averaged down, or interpolated up.
        """
        import torch

        chosen = self.test == test
        return self.prepare(self.x[chosen], resolution), torch.from_numpy(self.y[chosen])

    def prepare(self, pixels: np.ndarray, resolution: int) -> Tensor:
        """Pixels uint8 [n, h, w, channels] as a network of this data reads them."""
        import torch
        import torch.nn.functional as F

        mean, spread = self.scale
        x = torch.from_numpy(np.ascontiguousarray((pixels.astype(np.float32) / 255 - mean) / spread))
        x = x.permute(0, 3, 1, 2)
        if resolution < x.shape[-1]:
            x = F.interpolate(x, (resolution, resolution), mode="area")
        elif resolution > x.shape[-1]:
            x = F.interpolate(x, (resolution, resolution), mode="bilinear", align_corners=False)
        return x.contiguous(memory_format=torch.channels_last)

    def sample(self, per_class: int, rng: np.random.Generator) -> np.ndarray:
        """Training images by class, int64 [classes, per_class]: indices; a small class repeats its own."""
        training = np.flatnonzero(~self.test)
        rows = []
        for label in range(self.classes):
            own = training[self.y[training] == label]
            rows.append(rng.choice(own, per_class, replace=len(own) < per_class))
        return np.array(rows)


def images(
    x: Any, y: Any, names: Sequence[str] | None = None, *, seed: int = 0, warnings: Sequence[str] = ()
) -> Images:
    """Check labelled images and split them: a quarter of each class is kept for the test.

    Args:
        x: pixels [n, h, w] or [n, h, w, c], uint8, or floats from 0 to 1.
        y: labels [n]: whole numbers or strings.
        names: of the classes, when `y` counts them.

    Raises:
        NasError: one sentence on what is wrong with them.
    """
    pixels, notes = _pixels(np.asarray(x)), list(warnings)
    labels, found = _labels(np.asarray(y), names)
    if len(labels) != len(pixels):
        raise NasError(f"y must have one label for each of the {len(pixels)} images, but has {len(labels)}.")
    _enough(labels, found)
    pixels = _square(pixels, notes)
    if (pixels.reshape(len(pixels), -1).std(0) == 0).all():
        raise NasError("the images are all the same: there is nothing to tell the classes apart by.")
    hashes = [hashlib.sha256(image.tobytes()).digest() for image in pixels]
    order = sorted(range(len(labels)), key=lambda i: (labels[i], hashes[i]))
    pixels, labels, hashes = pixels[order], labels[order], [hashes[i] for i in order]
    test = _split(labels, hashes, found, seed, notes)
    balance = np.bincount(labels, minlength=len(found))
    if balance.max() > 10 * balance.min():
        few, many = found[int(balance.argmin())], found[int(balance.argmax())]
        notes.append(
            f"Classes are unbalanced: {few!r} has {balance.min()} images, {many!r} has {balance.max()}; "
            "read the balanced accuracy."
        )
    return Images(pixels, labels, found, test, tuple(notes))


def _pixels(x: np.ndarray) -> np.ndarray:
    if x.ndim == 3:
        x = x[..., None]
    if x.ndim != 4 or not len(x):
        raise NasError(f"x must be images [n, h, w] or [n, h, w, c], but has the shape {list(x.shape)}.")
    if not 1 <= x.shape[3] <= MAX_CHANNELS:
        raise NasError(f"images must have 1 to {MAX_CHANNELS} channels, but have {x.shape[3]}.")
    if min(x.shape[1:3]) < 2:
        raise NasError(f"images must be at least 2 pixels wide and high, but are {x.shape[1]} x {x.shape[2]}.")
    if x.dtype == np.uint8:
        return x
    if x.dtype.kind not in "fiub":
        raise NasError(f"x must hold numbers, but its type is {x.dtype}.")
    values = x.astype(np.float64)
    if not np.isfinite(values).all():
        raise NasError("x holds values that are not finite.")
    top = 1.0 if values.max() <= 1 and x.dtype.kind in "fb" else 255.0
    if values.min() < 0 or values.max() > top:
        raise NasError(f"x must lie from 0 to 255, or as fractions from 0 to 1, but reaches {values.min():g} to "
                       f"{values.max():g}.")  # fmt: skip
    return np.round(values * (255 / top)).astype(np.uint8)


def _labels(y: np.ndarray, names: Sequence[str] | None) -> tuple[np.ndarray, tuple[str, ...]]:
    if y.ndim != 1:
        raise NasError(f"y must be one label for each image, but has the shape {list(y.shape)}.")
    if y.dtype.kind == "f":
        if not np.isfinite(y).all() or (y != np.round(y)).any():
            raise NasError("y holds labels that are not whole numbers.")
        y = y.astype(np.int64)
    if y.dtype.kind not in "iubUS":
        raise NasError(f"y must hold whole numbers or strings, but its type is {y.dtype}.")
    if names is not None:
        if y.dtype.kind not in "iub" or (len(y) and (y.min() < 0 or y.max() >= len(names))):
            raise NasError(f"y must count the {len(names)} named classes from 0.")
        return y.astype(np.int64), tuple(map(str, names))
    found, labels = np.unique(y, return_inverse=True)
    return labels.astype(np.int64), tuple(n.decode() if isinstance(n, bytes) else str(n) for n in found.tolist())


def _enough(labels: np.ndarray, names: tuple[str, ...]) -> None:
    if len(names) < 2:
        only = f" ({names[0]!r})" if names else ""
        raise NasError(f"there must be at least 2 classes, but there is {len(names)}{only}.")
    if len(names) > MAX_CLASSES:
        raise NasError(f"there may be at most {MAX_CLASSES} classes, but there are {len(names)}.")
    counts = np.bincount(labels, minlength=len(names))
    if counts.min() < MIN_PER_CLASS:
        poor = names[int(counts.argmin())]
        raise NasError(
            f"each class needs at least {MIN_PER_CLASS} images, but class {poor!r} has {counts.min() or 'none'}."
        )
    if not MIN_IMAGES <= len(labels) <= MAX_IMAGES:
        raise NasError(f"there must be from {MIN_IMAGES} to {MAX_IMAGES:,} images, but there are {len(labels):,}.")


def _square(x: np.ndarray, notes: list[str]) -> np.ndarray:
    """Square images with sides from `MIN_SIDE` to `MAX_SIDE`."""
    height, width = x.shape[1:3]
    side = min(max(height, width, MIN_SIDE), MAX_SIDE)
    if (height, width) == (side, side):
        return x
    import torch
    import torch.nn.functional as F

    if max(height, width) > MAX_SIDE or height != width:
        notes.append(f"Images of {width} x {height} pixels are used at {side} x {side}.")
    planes = torch.from_numpy(x).permute(0, 3, 1, 2).float()
    larger = F.interpolate(planes, (side, side), mode="bilinear", antialias=True, align_corners=False)
    return larger.round().clamp(0, 255).byte().permute(0, 2, 3, 1).contiguous().numpy()


def _split(labels: np.ndarray, hashes: list[bytes], names: tuple[str, ...], seed: int, notes: list[str]) -> np.ndarray:
    """A quarter of each class for the test; an image that occurs twice is never among them."""
    count: dict[bytes, int] = {}
    for key in hashes:
        count[key] = count.get(key, 0) + 1
    single = np.array([count[key] == 1 for key in hashes])
    copies = int((~single).sum())
    if copies:
        notes.append(f"{copies} images occur more than once; they are used for training only, never for the test.")
    test = np.zeros(len(labels), dtype=bool)
    rng = np.random.default_rng(seed)
    for label, name in enumerate(names):
        own = np.flatnonzero((labels == label) & single)
        wanted = max(1, round(TEST_SHARE * int((labels == label).sum())))
        if len(own) < 1 or (labels == label).sum() - min(wanted, len(own)) < 2:
            raise NasError(f"class {name!r} has too few different images to keep some for the test.")
        test[rng.choice(own, min(wanted, len(own)), replace=False)] = True
    return test
