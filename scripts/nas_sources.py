"""Readers of the public image sets that the meta-database of `colonnade.nas` is made from, as they are published."""

from __future__ import annotations

import gzip
import io
import pickletools
import struct
import wave
import zipfile
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
from PIL import Image

Labelled = tuple[np.ndarray, np.ndarray]  # uint8 [n, h, w, c], int64 [n]


def idx(path: Path) -> np.ndarray:
    """An array in MNIST's own format, gzipped."""
    raw = gzip.decompress(path.read_bytes())
    dimensions = raw[3]
    shape = struct.unpack(f">{dimensions}I", raw[4 : 4 + 4 * dimensions])
    return np.frombuffer(raw, np.uint8, offset=4 + 4 * dimensions).reshape(shape)


def idx_pair(images: Path, labels: Path) -> Labelled:
    return idx(images)[..., None], idx(labels).astype(np.int64)


def folders(root: Path, side: int, mode: str = "RGB", limit: int = 400) -> Labelled:
    """One folder for each class, the first `limit` images of each by name."""
    x, y = [], []
    for label, folder in enumerate(sorted(p for p in root.iterdir() if p.is_dir())):
        for file in sorted(folder.iterdir())[:limit]:
            x.append(as_array(Image.open(file), side, mode))
            y.append(label)
    return np.array(x), np.array(y)


def as_array(image: Image.Image, side: int, mode: str) -> np.ndarray:
    array = np.asarray(image.convert(mode).resize((side, side), Image.Resampling.BOX))
    return array if array.ndim == 3 else array[..., None]


def omniglot(archives: list[Path], side: int = 32) -> dict[str, Labelled]:
    """Handwritten characters by alphabet; strokes bright on dark."""
    found: dict[str, dict[str, list[np.ndarray]]] = {}
    for archive in archives:
        with zipfile.ZipFile(archive) as packed:
            for name in sorted(packed.namelist()):
                if name.endswith(".png"):
                    _, alphabet, character, _ = name.split("/")
                    image = Image.open(io.BytesIO(packed.read(name))).convert("L")
                    drawn = 255 - as_array(image, side, "L")
                    found.setdefault(alphabet, {}).setdefault(character, []).append(drawn)
    return {
        alphabet: (
            np.array([x for images in characters.values() for x in images]),
            np.array([i for i, images in enumerate(characters.values()) for _ in images]),
        )
        for alphabet, characters in found.items()
    }


def hoda(path: Path, side: int = 28) -> Labelled:
    """Farsi digits, run-length coded: lengths of dark and bright runs in turn, row by row."""
    raw = path.read_bytes()
    height, width, total = raw[4], raw[5], struct.unpack_from("<I", raw, 6)[0]
    place, fixed = 1024, raw[4] > 0 and raw[5] > 0
    x, y = [], []
    for _ in range(total):
        y.append(raw[place + 1])
        place += 2
        if not fixed:
            width, height = raw[place], raw[place + 1]
            place += 2
        place += 2
        image = np.zeros((height, width), np.uint8)
        for row in range(height):
            column, bright = 0, False
            while column < width:
                run = raw[place]
                place += 1
                image[row, column : column + run] = 255 * bright
                column, bright = column + run, not bright
        x.append(_centred(image, side))
    return np.array(x)[..., None], np.array(y, np.int64)


def _centred(image: np.ndarray, side: int) -> np.ndarray:
    scale = min(1.0, (side - 2) / max(image.shape))
    size = (max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale)))
    small = np.asarray(Image.fromarray(image).resize(size, Image.Resampling.BOX))
    canvas = np.zeros((side, side), np.uint8)
    top, left = (side - small.shape[0]) // 2, (side - small.shape[1]) // 2
    canvas[top : top + small.shape[0], left : left + small.shape[1]] = small
    return canvas


def animals(folder: Path) -> Labelled:
    """Silhouettes out of the `animal-mnist` package: the arrays' bytes are read, its pickles are not executed."""

    def payload(name: str) -> bytes:
        raw = gzip.decompress((folder / name).read_bytes())
        return max((a for _, a, _ in pickletools.genops(raw) if isinstance(a, bytes)), key=len)

    x = np.frombuffer(payload("animal_data_version_3.gz"), np.uint8).reshape(-1, 28, 28, 1)
    y = np.frombuffer(payload("animal_label_version_3.gz"), "<i8")
    return x, y.astype(np.int64)


def spoken(folder: Path, side: int = 32) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Log spectrograms of spoken digits: pixels, digits, speakers."""
    x, digits, speakers = [], [], []
    files = sorted(folder.glob("*.wav"))
    names = sorted({file.stem.split("_")[1] for file in files})
    for file in files:
        with wave.open(str(file)) as sound:
            signal = np.frombuffer(sound.readframes(sound.getnframes()), "<i2").astype(np.float64)
        window = np.hanning(256)
        starts = np.arange(0, max(1, len(signal) - 256), 64)
        signal = np.pad(signal, (0, 512))
        power = np.abs(np.fft.rfft([signal[s : s + 256] * window for s in starts])) ** 2
        level = np.log10(power.T[::-1] + 1)
        x.append(as_array(Image.fromarray((level / level.max() * 255).astype(np.uint8)), side, "L"))
        digit, speaker, _ = file.stem.split("_")
        digits.append(int(digit))
        speakers.append(names.index(speaker))
    return np.array(x), np.array(digits), np.array(speakers)


def blood(folder: Path, side: int = 32) -> Labelled:
    """Crops of red cells, white cells and platelets out of micrographs."""
    kinds = {"RBC": 0, "WBC": 1, "Platelets": 2}
    x, y = [], []
    count = [0, 0, 0]
    for file in sorted((folder / "Annotations").glob("*.xml")):
        image = Image.open(folder / "JPEGImages" / f"{file.stem}.jpg")
        for item in ElementTree.parse(file).getroot().iter("object"):
            label = kinds[item.findtext("name", "")]
            box = [int(item.findtext(f"bndbox/{side}", "0")) for side in ("xmin", "ymin", "xmax", "ymax")]
            if count[label] < 600 and min(box[2] - box[0], box[3] - box[1]) >= 10:
                count[label] += 1
                x.append(as_array(image.crop((box[0], box[1], box[2], box[3])), side, "RGB"))
                y.append(label)
    return np.array(x), np.array(y)


def patches(images: list[np.ndarray], size: int, each: int, rng: np.random.Generator, side: int = 32) -> Labelled:
    """Random square pieces of large pictures; the picture is the label."""
    x, y = [], []
    for label, image in enumerate(images):
        for _ in range(each):
            top, left = (int(rng.integers(0, limit - size)) for limit in image.shape[:2])
            piece = Image.fromarray(image[top : top + size, left : left + size])
            x.append(as_array(piece, side, "L" if image.ndim == 2 else "RGB"))
            y.append(label)
    return np.array(x), np.array(y)


def batches(data: Labelled, rng: np.random.Generator) -> Iterator[int]:
    """Indices of a labelled set in random order, for ever."""
    while True:
        yield from rng.permutation(len(data[1])).tolist()
