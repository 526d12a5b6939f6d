"""Binding affinity: PRODIGY's published numbers, the two engines against each other, and what is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from colonnade.structure import (
    StructureError,
    binding_affinity,
    contact_classes,
    contact_map,
    dissociation_constant,
    example,
    read_structure,
)
from colonnade.structure.affinity import CLASSES
from colonnade.structure.structures import Structure

from .conftest import alanine, atom_line, dimer

Write = Callable[..., Path]
Benchmark = dict[str, tuple[Structure, dict[str, Any]]]

ENGINES = ("prodigy", "fast")


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(
    ("name", "delta_g", "contacts"),
    [  # PRODIGY's README and examples/3BZD.ic_model; classes in the order of CLASSES
        ("3BZD", -9.373, (4, 7, 6, 7, 15, 12)),
        ("2OOB", -6.230, (3, 3, 13, 0, 2, 15)),
    ],
)
def test_published_values(name: str, delta_g: float, contacts: tuple[int, ...], engine: Any) -> None:
    result = binding_affinity(example(name), ["A", "B"], engine=engine)
    assert result.delta_g == pytest.approx(delta_g, abs=0.01)
    assert tuple(result.contacts[kind] for kind in CLASSES) == contacts
    assert result.n_contacts == sum(contacts)


def test_published_surface_and_kd_of_3bzd() -> None:
    result = binding_affinity(example("3BZD"))
    assert (result.nis_apolar, result.nis_charged) == pytest.approx((29.48, 29.48), abs=0.005)
    assert result.nis_apolar + result.nis_polar + result.nis_charged == pytest.approx(100.0)
    assert result.kd == pytest.approx(1.333e-7, rel=1e-3)
    assert result.kd_low < result.kd < result.kd_high
    assert np.log(result.kd_high / result.kd) == pytest.approx(1.9 / (0.0019858775 * 298.15))


def test_the_benchmark_of_81_complexes(benchmark81: Benchmark) -> None:
    """Contact classes equal, ΔG within 0.08 kcal/mol of the stored, correlation and error as published."""
    predicted, measured, stored = [], [], []
    for structure, values in benchmark81.values():
        result = binding_affinity(structure, ["A", "B"], engine="fast")
        assert result.contacts == {kind: values[kind] for kind in CLASSES}, structure.name
        predicted.append(result.delta_g)
        measured.append(values["DG"])
        stored.append(values["ba_val"])
    error = np.array(predicted) - np.array(measured)
    assert len(predicted) == 81
    assert np.abs(np.array(predicted) - np.array(stored)).max() <= 0.08
    assert np.corrcoef(predicted, measured)[0, 1] == pytest.approx(0.736, abs=5e-4)
    assert np.sqrt((error**2).mean()) == pytest.approx(1.883, abs=1e-3)
    assert np.abs(error).mean() == pytest.approx(1.406, abs=1e-3)


def same(a: Any, b: Any) -> bool:
    return (
        a.contact_list == b.contact_list
        and a.delta_g == pytest.approx(b.delta_g, abs=1e-9)
        and a.nis_apolar == pytest.approx(b.nis_apolar, abs=1e-9)
        and a.nis_charged == pytest.approx(b.nis_charged, abs=1e-9)
    )


@pytest.mark.parametrize("name", ["1EFN", "1GCQ", "1FC2", "1US7", "2OOB", "1PPE"])
def test_engines_agree(benchmark81: Benchmark, name: str) -> None:
    structure, _ = benchmark81[name]
    assert same(binding_affinity(structure), binding_affinity(structure, engine="fast"))


@pytest.mark.slow
def test_engines_agree_on_all(benchmark81: Benchmark) -> None:
    for structure, _ in benchmark81.values():
        assert same(binding_affinity(structure), binding_affinity(structure, engine="fast")), structure.name


@pytest.mark.parametrize("cutoff", [3.0, 4.0, 8.0])
def test_engines_agree_at_other_cutoffs_and_say_that_the_model_was_not_fitted_there(cutoff: float) -> None:
    a, b = (binding_affinity(example("2OOB"), distance_cutoff=cutoff, engine=e) for e in ENGINES)  # type: ignore[arg-type]
    assert same(a, b)
    assert any("fitted with a cutoff" in warning for warning in a.warnings)


@pytest.mark.parametrize("engine", ENGINES)
def test_pdb_and_mmcif_give_the_same(tmp_path: Path, engine: Any) -> None:
    structure = read_structure(example("2OOB"))
    (tmp_path / "x.pdb").write_text(structure.to_pdb())
    a = binding_affinity(structure, engine=engine)
    b = binding_affinity(tmp_path / "x.pdb", engine=engine)
    assert same(a, b)


def test_order_of_partners_and_chain_names_do_not_matter() -> None:
    structure = read_structure(example("3BZD"))
    a = binding_affinity(structure, ["A", "B"], engine="fast")
    b = binding_affinity(structure, ["B", "A"], engine="fast")
    assert a.delta_g == b.delta_g and a.contacts == b.contacts
    assert {(c.first, c.second) for c in a.contact_list} == {(c.second, c.first) for c in b.contact_list}
    long = replace(structure, chain=np.where(structure.chain == "A", "AAA", "B2"))
    for engine in ENGINES:
        c = binding_affinity(long, ["AAA", "B2"], engine=engine)  # type: ignore[arg-type]
        assert c.delta_g == pytest.approx(a.delta_g, abs=1e-9)
        assert c.contact_list[0].first.chain == "AAA"


@given(st.integers(0, 2**32 - 1), st.floats(-50, 50))
@settings(max_examples=10, deadline=None)
def test_rigid_motion_leaves_the_contacts(seed: int, shift: float) -> None:
    structure = read_structure(example("2OOB"))
    turn = Rotation.random(rng=np.random.default_rng(seed)).as_matrix()
    moved = structure.moved(turn, np.array([shift, -shift, 2.0]))
    a, b = (binding_affinity(s, engine="fast") for s in (structure, moved))
    # A pair at the very cutoff may tip over by rounding; the surface is cut in another direction.
    assert abs(a.n_contacts - b.n_contacts) <= 1
    assert a.delta_g == pytest.approx(b.delta_g, abs=0.6)


def test_temperature_changes_kd_and_not_delta_g() -> None:
    cold, warm = (binding_affinity(example("2OOB"), temperature=t, engine="fast") for t in (4.0, 37.0))
    assert cold.delta_g == warm.delta_g and cold.kd < warm.kd
    assert warm.kd == pytest.approx(dissociation_constant(warm.delta_g, 37.0))


def test_groups_of_chains(benchmark81: Benchmark) -> None:
    structure, _ = benchmark81["2OOB"]
    third = structure.select(structure.chain == "B")
    joined = {
        key: np.concatenate([getattr(structure, key), getattr(third, key)])
        for key in ("xyz", "element", "resid", "icode", "resname", "atom", "occupancy", "b_factor", "kind")
    }
    joined["xyz"][len(structure) :] += [60.0, 0.0, 0.0]
    chain = np.concatenate([structure.chain, np.full(len(third), "C")])
    residue = np.concatenate([structure.residue, third.residue + structure.n_residues])
    trimer = Structure(name="trimer", chain=chain, residue=residue, **joined)
    pair = binding_affinity(structure, ["A", "B"], engine="fast")
    for engine in ENGINES:
        grouped = binding_affinity(trimer, ["A", "B,C"], engine=engine)  # type: ignore[arg-type]
        assert grouped.contacts == pair.contacts
        assert grouped.delta_g != pair.delta_g  # the far chain has a surface
        alone = binding_affinity(trimer, ["A", "B"], engine=engine)  # type: ignore[arg-type]
        assert alone.delta_g == pytest.approx(pair.delta_g, abs=1e-9)
        assert any("outside the selection" in w and "C" in w for w in alone.warnings)


def test_interface_and_contacts_tell_the_same() -> None:
    result = binding_affinity(example("3BZD"), engine="fast")
    assert sum(row.contacts for row in result.interface if row.group == 0) == result.n_contacts
    assert sum(row.contacts for row in result.interface if row.group == 1) == result.n_contacts
    assert all(contact.distance <= 5.5 for contact in result.contact_list)
    assert min(row.closest for row in result.interface) == min(c.distance for c in result.contact_list)


def test_figures_hold_every_contact() -> None:
    result = binding_affinity(example("3BZD"), engine="fast")
    squares = json.loads(contact_map(result).to_json())["data"]
    assert sum(len(trace["x"]) for trace in squares) == 51
    assert {"A 28 ASN"} <= {y for trace in squares for y in trace["y"]}
    bars = json.loads(contact_classes(result).to_json())["data"][0]
    assert dict(zip(bars["x"], bars["text"], strict=True))["apolar-apolar"] == "12"


@pytest.mark.parametrize("engine", ENGINES)
def test_waters_hydrogens_ligands_and_nucleic_acids_change_nothing_and_are_said(write: Write, engine: Any) -> None:
    plain = binding_affinity(write(dimer()), engine=engine)
    lines = dimer()[:-1]
    lines += [atom_line(900, "H", "ALA", "A", 1, (0, 3.4, 0))]
    lines += [atom_line(901, "O", "HOH", "A", 301, (3, 4, 0), record="HETATM")]
    lines += [atom_line(902, "C1", "GOL", "B", 302, (6, 4, 1), record="HETATM")]
    lines += [atom_line(903 + k, n, "DA", "C", 1, (9 + k, 4, 0)) for k, n in enumerate(("P", "C4'", "N9"))]
    result = binding_affinity(write([*lines, "END"], "more.pdb"), engine=engine)
    assert same(plain, result)
    text = " ".join(result.warnings)
    for word in ("waters", "ligands and ions", "nucleic acids", "Hydrogen"):
        assert word in text
    with pytest.raises(StructureError, match=r"chain C is not a protein chain .*C holds no protein.*: A, B"):
        binding_affinity(write([*lines, "END"], "more.pdb"), ["A", "C"], engine=engine)


@pytest.mark.parametrize("engine", ENGINES)
def test_a_modified_residue_counts_as_its_parent(write: Write, engine: Any) -> None:
    lines = dimer()
    changed = [
        ("HETATM" + line[6:]).replace("ALA A   3", "NEP A   3") if "ALA A   3" in line else line for line in lines
    ]
    his = [line.replace("ALA A   3", "HIS A   3") for line in lines]
    a, b = (
        binding_affinity(write(changed), engine=engine),
        binding_affinity(write(his, "h.pdb"), engine=engine),
    )
    assert a.contacts == b.contacts and a.delta_g == pytest.approx(b.delta_g)
    assert any("NEP A 3 as HIS" in warning for warning in a.warnings)


@pytest.mark.parametrize("engine", ENGINES)
def test_insertion_codes_stay_apart(write: Write, engine: Any) -> None:
    """Residues 82, 82A, 82B count as three: renumbering them 1, 2, 3 changes nothing."""
    plain = dimer(length=6)
    codes = {2: "  82 ", 3: "  82A", 4: "  82B", 5: "  82C"}
    inserted = [
        line[:22] + codes[int(line[22:26])] + line[27:] if line[:4] == "ATOM" and int(line[22:26]) in codes else line
        for line in plain
    ]
    a, b = (
        binding_affinity(write(plain), engine=engine),
        binding_affinity(write(inserted, "i.pdb"), engine=engine),
    )
    assert a.contacts == b.contacts and a.delta_g == b.delta_g
    assert "A 82B ALA" in {str(row.residue) for row in b.interface}


def test_alternate_locations_several_models_and_missing_atoms_are_said(write: Write) -> None:
    lines = dimer()[:-1]
    lines[4] = lines[4][:16] + "A" + lines[4][17:]
    del lines[9]
    text = ["MODEL        1", *lines, "ENDMDL", "MODEL        2", *dimer(6.0)[:-1], "ENDMDL", "END"]
    first = binding_affinity(write(text), engine="fast")
    joined = " ".join(first.warnings)
    assert "2 models; model 1" in joined and "alternate locations" in joined and "lack heavy atoms" in joined
    second = binding_affinity(write(text), model=2, engine="fast", distance_cutoff=8.0)
    assert second.structure.model == 2


def test_warnings_of_applicability(write: Write) -> None:
    result = binding_affinity(write(dimer()), engine="fast")
    text = " ".join(result.warnings)
    assert "peptides: A (8 residues), B (8 residues)" in text and "the complexes of the benchmark have" in text
    assert "overlap" in " ".join(binding_affinity(write(dimer(-2.0)), engine="fast").warnings)
    assert binding_affinity(example("3BZD"), engine="fast").warnings == ()


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"selection": ["A", "Z"]}, r"selection: chain Z is not a protein chain of 3BZD; .*: A, B\."),
        ({"selection": ["A", "A"]}, "selection: chain A is named more than once"),
        ({"selection": ["A,B", "B"]}, "selection: chain B is named more than once"),
        ({"selection": ["A"]}, "at least two partners"),
        ({"selection": ["A", ""]}, "at least two partners"),
        ({"selection": []}, "at least two partners"),
        ({"selection": "AB"}, "expected a list of partners"),
        ({"temperature": 200.0}, r"temperature: 200 °C is outside -20 to 80 °C\."),
        ({"temperature": float("nan")}, "temperature: nan °C is outside"),
        ({"distance_cutoff": 0.0}, r"distance_cutoff: 0 Å is outside 2 to 20 Å\."),
        ({"distance_cutoff": float("inf")}, "distance_cutoff: inf Å is outside"),
        ({"accessibility": -0.1}, r"accessibility: -0.1 is outside 0 to 1\."),
        ({"model": 2}, "model: 2 is outside the range of 1 to 1"),
    ],
)
def test_wrong_arguments(arguments: dict[str, Any], message: str, engine: Any) -> None:
    with pytest.raises(StructureError, match=message):
        binding_affinity(example("3BZD"), engine=engine, **arguments)


def test_an_unknown_engine() -> None:
    with pytest.raises(StructureError, match="engine: 'haddock' is not one of 'prodigy', 'fast'"):
        binding_affinity(example("3BZD"), engine="haddock")  # type: ignore[arg-type]


@pytest.mark.parametrize("engine", ENGINES)
def test_partners_without_contact(write: Write, engine: Any) -> None:
    with pytest.raises(StructureError, match=r"no contacts found between A and B: no heavy atoms are within 5.5 Å"):
        binding_affinity(write(dimer(gap=40.0)), engine=engine)


def test_a_ca_only_model_is_refused(write: Write) -> None:
    lines = [line for line in example("3BZD").read_text().splitlines() if line[12:16] == " CA "]
    with pytest.raises(StructureError, match="CA-only"):
        binding_affinity(write(lines))


def test_a_single_chain_is_refused(write: Write) -> None:
    with pytest.raises(StructureError, match=r"at least two partners .* got 1; protein chains in one: A"):
        binding_affinity(write([*alanine("A", 1, (0, 0, 0)), "END"], "one.pdb"))
