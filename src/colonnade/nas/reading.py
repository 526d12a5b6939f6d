"""Images from where people keep them: a folder with one folder for each class, a zip of such, an npz of arrays."""

from __future__ import annotations

import math
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from colonnade.archives import unpack
from colonnade.errors import ColonnadeError
from colonnade.nas.data import MAX_IMAGES, MAX_SIDE, MIN_SIDE, Images, images
from colonnade.nas.errors import NasError

ENDINGS = {".png", ".jpg", ".jpeg", ".gif", ".bmp", ".tif", ".tiff", ".webp", ".pgm", ".ppm"}
MAX_PIXELS = 50_000_000  # of one image
MAX_UNPACKED = 1_000_000_000  # bytes
MAX_CORRUPT = 0.01  # share of the files
_PAIRS = (("x", "y"), ("X", "y"), ("images", "labels"), ("data", "labels"), ("x_train", "y_train"))


def load_images(path: Path | str, *, resolution: int | None = None, seed: int = 0) -> Images:
    """Read labelled images.

    Args:
        path: a folder that holds one folder of images for each class, a zip or tar of such a folder, or an npz file
            with `x` [n, h, w(, c)] and `y` [n].
        resolution: side at which they are kept; by default the median of the longer sides, at most 96.
        seed: of the split into training and test.

    Raises:
        NasError: one sentence on what is wrong.
    """
    path = Path(path)
    if path.is_dir():
        return _folder(path, resolution, seed)
    if not path.is_file():
        raise NasError(f"images: there is no file or folder {path.name!r}.")
    if path.suffix.lower() in (".npz", ".npy"):
        return _arrays(path, seed)
    if path.suffix.lower() in (".pkl", ".pickle", ".pt", ".pth"):
        raise NasError(
            f"images: {path.name!r} is a pickle, which could run code when read; save x and y as npz instead."
        )
    with tempfile.TemporaryDirectory() as folder:
        try:
            unpack(path, Path(folder), max_bytes=MAX_UNPACKED)
        except ColonnadeError as error:
            raise NasError(f"images: {error}") from None
        return _folder(Path(folder), resolution, seed)


def _arrays(path: Path, seed: int) -> Images:
    try:
        with np.load(path, allow_pickle=False) as file:
            if not isinstance(file, np.lib.npyio.NpzFile):
                raise NasError(f"images: {path.name!r} must be an npz file with x and y.")
            names = next((pair for pair in _PAIRS if set(pair) <= set(file.files)), None)
            if names is None:
                raise NasError(f"images: {path.name!r} must hold x and y, but holds {', '.join(file.files[:9])}.")
            x, y = (np.asarray(file[name]) for name in names)
    except NasError:
        raise
    except Exception as error:  # zipfile, numpy and zlib each have their own
        reason = "it holds pickled objects, which could run code" if "pickle" in str(error) else str(error)[:200]
        raise NasError(f"images: {path.name!r} cannot be read as npz: {reason}.") from None
    return images(x, y, seed=seed)


def _folder(root: Path, resolution: int | None, seed: int) -> Images:
    notes: list[str] = []
    files, labels, names = _files(root, notes)
    decoded: list[np.ndarray | None] = []
    kinds: Counter[str] = Counter()
    bad: list[str] = []
    for file in files:
        try:
            decoded.append(_decode(file, kinds))
        except (UnidentifiedImageError, OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
            decoded.append(None)
            bad.append(f"{file.relative_to(root)} ({str(error)[:60] or type(error).__name__})".replace(str(root), ""))
    if len(bad) > math.ceil(MAX_CORRUPT * len(files)):
        raise NasError(
            f"images: {len(bad)} of {len(files)} files cannot be read, at most 1 % may be: {'; '.join(bad[:5])}."
        )
    if bad:
        notes.append(f"{len(bad)} files cannot be read and were left out: {'; '.join(bad)}.")
    notes += [f"{count} images {kind}." for kind, count in sorted(kinds.items())]
    kept = [(image, label) for image, label in zip(decoded, labels, strict=True) if image is not None]
    x = _stack([image for image, _ in kept], resolution, notes)
    return images(x, np.array([label for _, label in kept]), names, seed=seed, warnings=notes)


def _files(root: Path, notes: list[str]) -> tuple[list[Path], list[int], list[str]]:
    classes = sorted(p for p in root.iterdir() if p.is_dir() and not p.name.startswith((".", "__MACOSX")))
    if not classes:
        raise NasError("images: there must be one folder of images for each class, but there is no folder.")
    files: list[Path] = []
    labels: list[int] = []
    ignored = links = 0
    for label, folder in enumerate(classes):
        inside = sorted(p for p in folder.rglob("*") if not p.name.startswith(".") and not p.is_dir())
        links += sum(p.is_symlink() for p in inside)
        found = [p for p in inside if p.suffix.lower() in ENDINGS and not p.is_symlink()]
        ignored += len(inside) - len(found)
        if not found:
            raise NasError(f"images: class {folder.name!r} holds no image.")
        files += found
        labels += [label] * len(found)
    if len(files) > MAX_IMAGES:
        raise NasError(f"images: at most {MAX_IMAGES:,} images are taken, but there are {len(files):,}.")
    if ignored:
        notes.append(f"{ignored} files that are no images{f' or are links ({links})' if links else ''} were left out.")
    return files, labels, [folder.name for folder in classes]


def _decode(file: Path, kinds: Counter[str]) -> np.ndarray:
    """Pixels uint8 [h, w] or [h, w, 3]; what had to be changed is counted in `kinds`."""
    with Image.open(file) as opened:
        if opened.width * opened.height > MAX_PIXELS:
            raise ValueError(f"{opened.width} x {opened.height} pixels are too many")
        if getattr(opened, "n_frames", 1) > 1:
            kinds["are animated or have several pages: the first is used"] += 1
        opened.draft("RGB", (2 * MAX_SIDE, 2 * MAX_SIDE)) if opened.mode == "RGB" else None
        image = ImageOps.exif_transpose(opened)
        if opened.getexif().get(0x0112, 1) != 1:
            kinds["were turned as their EXIF data say"] += 1
        return _plain(image, kinds)


def _plain(image: Image.Image, kinds: Counter[str]) -> np.ndarray:
    if image.mode.startswith(("I", "F")):
        values = np.asarray(image).astype(np.float64)
        top = 65535.0 if values.max() > 255 else 255.0
        kinds["have 16 bits or more and were brought to 8"] += 1
        return np.clip(values * (255 / top), 0, 255).round().astype(np.uint8)
    if image.mode in ("1", "L"):
        return np.asarray(image.convert("L"))
    if image.mode != "RGB":
        kinds[f"of mode {image.mode} were converted"] += 1
    if image.mode in ("LA", "RGBA", "PA", "La", "RGBa") or "transparency" in image.info:
        clear = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", clear.size, "white"), clear)
    array = np.asarray(image.convert("RGB"))
    grey = (array[..., 0] == array[..., 1]).all() and (array[..., 1] == array[..., 2]).all()
    return array[..., 0] if grey else array


def _stack(found: list[np.ndarray], resolution: int | None, notes: list[str]) -> np.ndarray:
    """All images at one size, uint8 [n, side, side, 1 or 3]."""
    if not found:
        raise NasError("images: none could be read.")
    sizes = Counter(image.shape[:2] for image in found)
    side = resolution or int(np.clip(np.median([max(image.shape[:2]) for image in found]), MIN_SIDE, MAX_SIDE))
    if len(sizes) > 1:
        notes.append(f"Images of {len(sizes)} different sizes were brought to {side} x {side} pixels.")
    elif next(iter(sizes)) != (side, side):
        height, width = next(iter(sizes))
        notes.append(f"Images of {width} x {height} pixels are used at {side} x {side}.")
    colour = any(image.ndim == 3 for image in found)
    rows: list[Any] = []
    for array in found:
        image = Image.fromarray(array)
        image = image.convert("RGB") if colour else image
        if image.size != (side, side):
            image = image.resize((side, side), Image.Resampling.BILINEAR)
        rows.append(np.asarray(image))
    stacked = np.stack(rows)
    return stacked if colour else stacked[..., None]
