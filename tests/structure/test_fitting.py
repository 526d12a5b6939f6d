"""Fits into maps: rank 1 is where the structure is, maps are read as they are meant, and mistakes are said."""

from __future__ import annotations

from pathlib import Path

import gemmi
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from colonnade.errors import BadInput
from colonnade.runner import run
from colonnade.service import get
from colonnade.structure import DensityMap, StructureError, example, fit_map, read_map, read_structure, simulated_map

SERVICE = get("structure.map_fit")
MAP = example("3BZD").with_name("3BZD-10A.mrc.gz")


@pytest.mark.parametrize("chain", ["A", "B"])
def test_the_first_fit_is_where_the_structure_is(chain: str) -> None:
    """3BZD at 10 Å with noise, 648 rotations, from a random start: bar 2.5 Å."""
    body = read_structure(example("3BZD")).protein.in_chains([chain])
    start = body.moved(Rotation.random(rng=np.random.default_rng(4)).as_matrix(), np.array([40.0, -10.0, 25.0]))
    found = fit_map(read_map(MAP), start, 10.0, angle=20.83, refine=1)
    deviation = [np.sqrt(((fit.of(start).xyz - body.xyz) ** 2).sum(axis=1).mean()) for fit in found.fits]
    assert deviation[0] < 2.5 and min(deviation[1:]) > 15
    assert found.fits[0].relative_z > found.fits[1].relative_z + 0.5
    scores = [fit.correlation for fit in found.fits]
    assert scores == sorted(scores, reverse=True)
    assert found.fits[0].fisher_z == pytest.approx(np.arctanh(scores[0]))


def test_a_simulated_map_has_its_mass_where_the_atoms_are() -> None:
    body = read_structure(example("2OOB")).protein
    density = simulated_map(body, 8.0, 2.0)
    z, y, x = (np.arange(n) for n in density.values.shape)
    total = density.values.sum()
    centre = [
        (density.values.sum(axis=axes) * steps).sum() / total for axes, steps in (((0, 1), x), ((0, 2), y), ((1, 2), z))
    ]
    numbers = np.array([gemmi.Element(e).atomic_number for e in body.heavy.element.tolist()])
    mass = (body.heavy.xyz * numbers[:, None]).sum(axis=0) / numbers.sum()
    assert density.origin + density.spacing * np.array(centre) == pytest.approx(mass, abs=0.3)


def written(tmp_path: Path, change: object = None, name: str = "map.mrc") -> Path:
    rng = np.random.default_rng(2)
    DensityMap(rng.normal(size=(6, 8, 10)), 3.0, np.array([5.0, -6.0, 7.0])).to_mrc(tmp_path / name)
    data = bytearray((tmp_path / name).read_bytes())
    if callable(change):
        change(data)
    (tmp_path / name).write_bytes(data)
    return tmp_path / name


def put(word: int, value: int | float) -> object:
    kind = np.int32 if isinstance(value, int) else np.float32

    def change(data: bytearray) -> None:
        data[4 * (word - 1) : 4 * word] = kind(value).tobytes()

    return change


def test_maps_are_read_back(tmp_path: Path) -> None:
    density = read_map(written(tmp_path))
    assert density.values.shape == (6, 8, 10) and density.spacing == pytest.approx(3.0)
    assert density.origin == pytest.approx([5.0, -6.0, 7.0])
    rng = np.random.default_rng(2)
    assert density.values == pytest.approx(rng.normal(size=(6, 8, 10)), abs=1e-6)


def test_the_origin_may_be_in_the_start_words(tmp_path: Path) -> None:
    def change(data: bytearray) -> None:
        for word, value in ((50, 0.0), (51, 0.0), (52, 0.0), (5, 2), (6, -1), (7, 4)):
            put(word, value)(data)  # type: ignore[operator]

    assert read_map(written(tmp_path, change)).origin == pytest.approx([6.0, -3.0, 12.0])


def test_axes_in_another_order(tmp_path: Path) -> None:
    """With columns along z and sections along x the values come back in the order z, y, x all the same."""

    def change(data: bytearray) -> None:
        for word, value in ((17, 3), (18, 2), (19, 1), (8, 6), (10, 10), (11, 18.0), (13, 30.0)):
            put(word, value)(data)  # type: ignore[operator]

    swapped, plain = read_map(written(tmp_path, change, "zyx.mrc")), read_map(written(tmp_path))
    assert swapped.values == pytest.approx(plain.values.transpose(2, 1, 0))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (put(4, 4), "Mode 4 is not supported"),
        (put(11, 60.0), "voxels of 6.000, 3.000, 3.000 Å; only cubes"),
        (put(14, 80.0), "not rectangular"),
        (lambda data: data.__setitem__(slice(-4, None), np.float32("nan").tobytes()), "values that are not numbers"),
        (lambda data: data.__delitem__(slice(200, None)), "no CCP4 or MRC map"),
        (lambda data: data.__setitem__(slice(1024, None), bytes(len(data) - 1024)), "holds no density"),
    ],
)
def test_what_is_no_map_is_said(change: object, message: str, tmp_path: Path) -> None:
    with pytest.raises(StructureError, match=message):
        read_map(written(tmp_path, change))


def test_the_portal(tmp_path: Path) -> None:
    done = run(SERVICE, dict(SERVICE.example()) | {"refine": 1, "fits": 3}, tmp_path / "run")
    results = {path: value for path, _, value in done.results}
    placed, true = read_structure(done.files / "fit_1.pdb"), read_structure(example("3BZD")).in_chains(["B"])
    assert np.sqrt(((placed.xyz - true.xyz) ** 2).sum(axis=1).mean()) < 2.5
    assert 1 <= len(results["fits"].rows) <= 3 and results["lead"].value > 0.5
    assert [s.label for s in results["overlay"].selections] == ["chain B", "map"]
    assert gemmi.read_ccp4_map(str(done.files / "lcc.mrc")).grid.nu > 10
    assert len((done.files / "solutions.out").read_text().splitlines()) == len(results["fits"].rows) + 1


@pytest.mark.parametrize(
    ("values", "field", "words"),
    [
        ({"resolution": 5.0}, "resolution", "finer than two voxels of the map"),
        ({"resolution": 90}, "resolution", "from 2 to 60"),
        ({"chains": "Z"}, "structure", "has no chain Z"),
        ({"map": "example:structure.map_fit/3BZD.pdb"}, "map", "must end in"),
        ({"angle": 1}, "angle", "from 4.8 to 63"),
    ],
)
def test_a_mistake_gets_one_sentence(values: dict, field: str, words: str) -> None:
    with pytest.raises(BadInput) as refused:
        SERVICE.parse(dict(SERVICE.example()) | values)
    assert [problem.field for problem in refused.value.problems] == [field]
    assert words in str(refused.value)
