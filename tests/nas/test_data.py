"""Images: what is taken, what is refused and how."""

from __future__ import annotations

import io
import pickle
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from colonnade.nas import NasError, images, load_images


def some(n: int = 40, classes: int = 2, side: int = 12, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return rng.integers(0, 256, (n, side, side, 3), dtype=np.uint8), np.arange(n) % classes


def write(root: Path, n: int = 12, names: tuple[str, ...] = ("cat", "dog"), side: int = 20) -> Path:
    rng = np.random.default_rng(1)
    for name in names:
        (root / name).mkdir(parents=True)
        for i in range(n):
            Image.fromarray(rng.integers(0, 256, (side, side, 3), dtype=np.uint8)).save(root / name / f"{i}.png")
    return root


def zipped(root: Path) -> Path:
    path = root.with_suffix(".zip")
    with zipfile.ZipFile(path, "w") as packed:
        for file in sorted(root.rglob("*.*")):
            packed.write(file, Path(root.name) / file.relative_to(root))
    return path


def test_order_does_not_matter() -> None:
    x, y = some()
    one = images(x, y)
    turn = np.random.default_rng(3).permutation(len(y))
    two = images(x[turn], y[turn])
    assert np.array_equal(one.x, two.x) and np.array_equal(one.y, two.y) and np.array_equal(one.test, two.test)


def test_a_quarter_of_each_class_is_the_test() -> None:
    data = images(*some(80, 4))
    assert np.bincount(data.y[data.test]).tolist() == [5, 5, 5, 5]
    x, y = data.tensors(8, test=False)
    assert x.shape == (60, 3, 8, 8) and len(y) == 60
    assert abs(float(data.tensors(12, test=False)[0].mean())) < 1e-4
    assert data.tensors(24, test=True)[0].shape == (20, 3, 24, 24)


def test_copies_are_never_in_the_test() -> None:
    x, y = some(60)
    x[:20:2] = x[0]
    data = images(x, y)
    assert any("occur more than once" in warning for warning in data.warnings)
    hashes = [image.tobytes() for image in data.x]
    assert not {h for h, t in zip(hashes, data.test, strict=True) if t} & {
        h for h, t in zip(hashes, data.test, strict=True) if not t
    }


@pytest.mark.parametrize(
    ("x", "y", "message"),
    [
        (some()[0], np.zeros(40, int), "at least 2 classes, but there is 1"),
        (some()[0], [0] * 37 + [1] * 3, "class '1' has 3"),
        (some()[0][:10], [0, 1] * 5, "from 20 to 20,000 images, but there are 10"),
        (np.full((40, 9, 9), 7, np.uint8), [0, 1] * 20, "all the same"),
        (some()[0], [0.5] * 40, "not whole numbers"),
        (some()[0], [float("nan")] * 40, "not whole numbers"),
        (some()[0], [0, 1] * 19, "one label for each of the 40"),
        (np.full((40, 9, 9), np.nan), [0, 1] * 20, "not finite"),
        (np.full((40, 9, 9), 300.0), [0, 1] * 20, "reaches 300"),
        (some()[0][..., None], [0, 1] * 20, "has the shape"),
        (np.zeros((40, 9, 9, 7), np.uint8), [0, 1] * 20, "1 to 4 channels, but have 7"),
        (np.zeros((40, 9, 9), "U3"), [0, 1] * 20, "must hold numbers"),
    ],
)
def test_bad_arrays_are_refused(x: np.ndarray, y: object, message: str) -> None:
    with pytest.raises(NasError, match=message):
        images(x, y)


def test_labels_may_be_words_and_an_empty_class_is_named() -> None:
    x, y = some()
    assert images(x, np.where(y == 0, "cat", "dog")).names == ("cat", "dog")
    with pytest.raises(NasError, match="class 'cow' has none"):
        images(x, y, names=["cat", "dog", "cow"])


def test_large_and_long_images_are_made_square_with_a_word() -> None:
    x = np.random.default_rng(0).integers(0, 256, (24, 120, 60, 1), dtype=np.uint8)
    data = images(x, [0, 1] * 12)
    assert data.x.shape == (24, 96, 96, 1)
    assert "60 x 120 pixels are used at 96 x 96" in data.warnings[0]


def test_unbalanced_classes_are_told() -> None:
    x, _ = some(120)
    assert "balanced accuracy" in images(x, [0] * 112 + [1] * 8).warnings[-1]


def test_folder_zip_and_npz_are_the_same_data(tmp_path: Path) -> None:
    root = write(tmp_path / "pets")
    one, two = load_images(root), load_images(zipped(root))
    np.savez(tmp_path / "pets.npz", x=one.x, y=one.y)
    three = load_images(tmp_path / "pets.npz")
    assert np.array_equal(one.x, two.x) and np.array_equal(one.x, three.x) and one.names == ("cat", "dog")


def test_mixed_modes_are_brought_together_with_a_word(tmp_path: Path) -> None:
    root = write(tmp_path / "pets", side=16)
    rng = np.random.default_rng(2)
    grey = Image.fromarray(rng.integers(0, 256, (16, 16), dtype=np.uint8))
    grey.convert("LA").save(root / "cat" / "la.png")
    grey.convert("P").save(root / "cat" / "p.png")
    grey.convert("RGBA").save(root / "cat" / "rgba.png")
    grey.convert("CMYK").save(root / "dog" / "cmyk.jpg")
    Image.fromarray(rng.integers(0, 65536, (16, 16), dtype=np.uint16)).save(root / "dog" / "sixteen.png")
    frames = [Image.fromarray(rng.integers(0, 256, (16, 16), dtype=np.uint8)) for _ in range(3)]
    frames[0].save(root / "dog" / "moving.gif", save_all=True, append_images=frames[1:])
    turned = Image.fromarray(rng.integers(0, 256, (16, 10, 3), dtype=np.uint8))
    exif = Image.Exif()
    exif[0x0112] = 6
    turned.save(root / "dog" / "turned.jpg", exif=exif)
    data = load_images(root)
    assert data.x.shape == (31, 16, 16, 3)
    said = " ".join(data.warnings)
    for word in ("mode LA", "mode CMYK", "mode RGBA", "16 bits", "animated", "EXIF", "2 different sizes"):
        assert word in said, word


def test_one_corrupt_file_is_left_out_and_many_are_refused(tmp_path: Path) -> None:
    root = write(tmp_path / "pets")
    whole = (root / "cat" / "0.png").read_bytes()
    (root / "cat" / "0.png").write_bytes(whole[: len(whole) // 2])
    data = load_images(root)
    assert len(data) == 23 and "cat/0.png" in data.warnings[0]
    (root / "dog" / "1.png").write_bytes(b"no image")
    with pytest.raises(NasError, match="2 of 24 files cannot be read, at most 1 % may be"):
        load_images(root)


def test_an_image_that_is_too_large_is_not_decoded(tmp_path: Path) -> None:
    root = write(tmp_path / "pets")
    buffer = io.BytesIO()
    Image.new("1", (10_000, 9_000)).save(buffer, "PNG")
    for i in range(2):
        (root / "cat" / f"{i}.png").write_bytes(buffer.getvalue())
    with pytest.raises(NasError, match="pixels are too many"):
        load_images(root)


def test_a_class_without_images_is_named_and_strangers_are_left_out(tmp_path: Path) -> None:
    root = write(tmp_path / "pets")
    (root / "cat" / "notes.txt").write_text("hello")
    (root / "cat" / "link.png").symlink_to(root / "dog" / "1.png")
    assert "2 files that are no images or are links (1)" in load_images(root).warnings[0]
    (root / "cow").mkdir()
    with pytest.raises(NasError, match="class 'cow' holds no image"):
        load_images(root)


def test_archives_that_lead_out_or_explode_are_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "evil.zip", "w") as packed:
        packed.writestr("../cat/1.png", b"x")
    with pytest.raises(NasError, match="leads out of the folder"):
        load_images(tmp_path / "evil.zip")
    with zipfile.ZipFile(tmp_path / "bomb.zip", "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr("cat/1.png", bytes(300_000_000))
    with pytest.raises(NasError, match="larger inside than is allowed"):
        load_images(tmp_path / "bomb.zip")


def test_pickles_are_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "evil.npz", x=np.array([{"a": 1}], dtype=object), y=np.zeros(1))
    with pytest.raises(NasError, match="could run code"):
        load_images(tmp_path / "evil.npz")
    (tmp_path / "evil.pkl").write_bytes(pickle.dumps([1]))
    with pytest.raises(NasError, match="is a pickle"):
        load_images(tmp_path / "evil.pkl")
    with pytest.raises(NasError, match="no file or folder"):
        load_images(tmp_path / "absent")
    np.savez(tmp_path / "other.npz", a=np.zeros(3))
    with pytest.raises(NasError, match="must hold x and y, but holds a"):
        load_images(tmp_path / "other.npz")


def test_channels_of_any_number_reach_a_network() -> None:
    from colonnade.nas.features import coloured

    rng = np.random.default_rng(0)
    for channels in (1, 2, 4):
        x = rng.integers(0, 256, (24, 9, 9, channels), dtype=np.uint8)
        data = images(x, [0, 1] * 12)
        assert data.channels == channels
        assert coloured(x).shape == (24, 3, 9, 9)
        assert torch.isfinite(data.tensors(8, test=True)[0]).all()
