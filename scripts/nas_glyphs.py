"""Tasks drawn from fonts: letters, styles, scripts and pictographs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

Labelled = tuple[np.ndarray, np.ndarray]
LATIN = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
SCRIPTS = {
    "Armenian": 0x0561, "Hebrew": 0x05D0, "Arabic": 0x0628, "Devanagari": 0x0915, "Bengali": 0x0995, "Tamil": 0x0B95,
    "Thai": 0x0E01, "Georgian": 0x10D0, "Ethiopic": 0x1200, "Cherokee": 0x13A0, "Khmer": 0x1780, "Runic": 0x16A0,
}  # fmt: skip
EMOJI = {
    "faces": (0x1F600, 0x1F637), "animals": (0x1F400, 0x1F43D), "food": (0x1F345, 0x1F370),
    "transport": (0x1F680, 0x1F6A4),
    "clocks": (0x1F550, 0x1F567), "hearts": (0x1F493, 0x1F49F),
}  # fmt: skip


def text_fonts(roots: list[Path]) -> list[Path]:
    """Fonts with Latin letters, one file for each style."""
    wanted = ("DejaVuSans", "DejaVuSerif", "LiberationSans", "LiberationSerif", "LiberationMono", "FreeSans",
              "FreeSerif", "FreeMono", "NotoSans-", "NotoSerif-", "NotoSansDisplay", "NotoSerifDisplay")  # fmt: skip
    found = sorted(path for root in roots for path in root.rglob("*.ttf"))
    return [path for path in found if path.name.startswith(wanted)]


def glyph(text: str, font: ImageFont.FreeTypeFont, rng: np.random.Generator, side: int = 32) -> np.ndarray:
    """A character, bright on dark, turned, scaled and moved a little."""
    canvas = Image.new("L", (96, 96), 0)
    ImageDraw.Draw(canvas).text((48, 48), text, fill=255, font=font, anchor="mm")
    return _moved(canvas, rng, side)[..., None]


def pictograph(code: int, font: ImageFont.FreeTypeFont, rng: np.random.Generator, side: int = 32) -> np.ndarray:
    """A coloured emoji on a random plain ground."""
    ground = tuple(int(v) for v in rng.integers(0, 256, 3))
    canvas = Image.new("RGB", (150, 150), ground)
    ImageDraw.Draw(canvas).text((75, 75), chr(code), font=font, embedded_color=True, anchor="mm")
    return _moved(canvas, rng, side, ground)


def _moved(canvas: Image.Image, rng: np.random.Generator, side: int, fill: tuple[int, ...] | int = 0) -> np.ndarray:
    shift = tuple(int(v) for v in rng.integers(-6, 7, 2))
    turned = canvas.rotate(rng.normal(0, 8), Image.Resampling.BILINEAR, translate=shift, fillcolor=fill)
    margin = int(rng.integers(0, canvas.width // 8))
    cut = turned.crop((margin, margin, canvas.width - margin, canvas.height - margin))
    array = np.asarray(cut.resize((side, side), Image.Resampling.BOX)).astype(np.float64)
    return np.clip(array * rng.uniform(0.7, 1) + rng.normal(0, 6, array.shape), 0, 255).astype(np.uint8)


def characters(letters: str, fonts: list[Path], each: int, rng: np.random.Generator) -> Labelled:
    """Which letter it is, in any font."""
    loaded = [ImageFont.truetype(str(path), 60) for path in fonts]
    x = [glyph(c, loaded[int(rng.integers(len(loaded)))], rng) for c in letters for _ in range(each)]
    return np.array(x), np.repeat(np.arange(len(letters)), each)


def styles(groups: list[list[Path]], each: int, rng: np.random.Generator) -> Labelled:
    """Which group of fonts a random letter is set in."""
    x, y = [], []
    for label, fonts in enumerate(groups):
        loaded = [ImageFont.truetype(str(path), 60) for path in fonts]
        for _ in range(each):
            letter = (LATIN + LATIN.lower())[int(rng.integers(52))]
            x.append(glyph(letter, loaded[int(rng.integers(len(loaded)))], rng))
            y.append(label)
    return np.array(x), np.array(y)


def scripts(folder: Path, each: int, rng: np.random.Generator) -> Labelled:
    """Which script one of its first twenty letters belongs to."""
    x, y = [], []
    for label, (name, start) in enumerate(SCRIPTS.items()):
        font = ImageFont.truetype(str(folder / f"NotoSans{name}-Regular.ttf"), 56)
        for _ in range(each):
            x.append(glyph(chr(start + int(rng.integers(20))), font, rng))
            y.append(label)
    return np.array(x), np.array(y)


def emoji(font: Path, codes: list[list[int]], each: int, rng: np.random.Generator) -> Labelled:
    """Which group of pictographs one belongs to."""
    loaded = ImageFont.truetype(str(font), 109)
    x = [pictograph(int(rng.choice(group)), loaded, rng) for group in codes for _ in range(each)]
    return np.array(x), np.repeat(np.arange(len(codes)), each)
