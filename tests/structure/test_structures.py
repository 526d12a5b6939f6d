"""Reading PDB and mmCIF: what is decided is said, and what is not a structure is refused in one sentence."""

from __future__ import annotations

import gzip
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import gemmi
import numpy as np
import pytest

from colonnade.structure import StructureError, check_structure_file, example, read_models, read_structure
from colonnade.structure.structures import ResidueId

from .conftest import alanine, atom_line, dimer

Write = Callable[..., Path]


def said(structure_issues: tuple[str, ...], *words: str) -> bool:
    return any(all(word in issue for word in words) for issue in structure_issues)


def test_importing_the_package_loads_no_engine() -> None:
    code = (
        "import sys, colonnade.structure;"
        "print([m for m in ('gemmi','Bio','freesasa','torch','numba','scipy','plotly') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_deposited_complex_is_read_as_gemmi_reads_it() -> None:
    structure = read_structure(example("3BZD"))
    reference = gemmi.read_structure(str(example("3BZD")))
    positions = [[a.pos.x, a.pos.y, a.pos.z] for c in reference[0] for r in c for a in r]
    assert np.array_equal(structure.xyz, np.array(positions))
    assert structure.chains == ("A", "B")
    assert structure.n_residues == 343  # as PRODIGY's own output for this file says
    assert structure.issues == ()
    assert structure.residue_id(0) == ResidueId("A", 2, "", "ALA")


def test_mmcif_and_pdb_of_one_structure_are_the_same(tmp_path: Path) -> None:
    structure = read_structure(example("2OOB"))
    for name, text in (("a.pdb", structure.to_pdb()), ("a.cif", structure.to_mmcif())):
        (tmp_path / name).write_text(text)
        again = read_structure(tmp_path / name)
        assert np.allclose(again.xyz, structure.xyz, atol=5e-4)
        for field in ("chain", "resid", "icode", "resname", "atom", "element", "kind"):
            assert np.array_equal(getattr(again, field), getattr(structure, field)), (name, field)


def test_waters_ligands_and_nucleic_acids_are_kept_apart_and_reported(write: Write) -> None:
    lines = dimer()[:-1]
    lines += [atom_line(900, "O", "HOH", "A", 301, (50, 50, 50), record="HETATM")]
    lines += [atom_line(901, "ZN", "ZN", "A", 302, (60, 50, 50), record="HETATM", element="ZN")]
    lines += [atom_line(902 + k, n, "DA", "C", 1, (70 + k, 50, 50)) for k, n in enumerate(("P", "C4'", "N9"))]
    structure = read_structure(write([*lines, "END"]))
    kinds = dict(zip(*np.unique(structure.kind, return_counts=True), strict=True))
    assert kinds == {"protein": 80, "water": 1, "ligand": 1, "nucleic": 3}
    assert structure.chains == ("A", "B")
    assert said(structure.issues, "1 waters") and said(structure.issues, "ZN (1)")
    assert said(structure.issues, "Nucleic acid in chain C")
    assert len(structure.protein) == 80


def test_alternate_locations_keep_the_highest_occupancy_and_the_first_of_equals(write: Write) -> None:
    lines = alanine("A", 1, (0, 0, 0))
    lines[4:5] = [
        atom_line(5, "CB", "ALA", "A", 1, (1, 1, 1), altloc="A", occupancy=0.3),
        atom_line(6, "CB", "ALA", "A", 1, (9, 9, 9), altloc="B", occupancy=0.7),
    ]
    lines += alanine("A", 2, (3.3, 0, 0))
    lines[-1:] = [
        atom_line(20, "CB", "ALA", "A", 2, (4, 4, 4), altloc="A", occupancy=0.5),
        atom_line(21, "CB", "ALA", "A", 2, (8, 8, 8), altloc="B", occupancy=0.5),
    ]
    structure = read_structure(write([*lines, "END"]))
    beta = structure.xyz[structure.atom == "CB"]
    assert np.array_equal(beta, [[9, 9, 9], [4, 4, 4]])
    assert said(structure.issues, "2 residues have alternate locations", "highest occupancy")


def test_a_point_mutation_keeps_the_residue_with_most_occupancy(write: Write) -> None:
    lines = alanine("A", 1, (0, 0, 0), altloc="A", occupancy=0.4)
    lines += alanine("A", 1, (0, 0, 0), altloc="B", occupancy=0.6, resname="SER")
    structure = read_structure(write([*lines, *alanine("A", 2, (3.3, 0, 0)), "END"]))
    assert [r.name for r in structure.residue_ids()] == ["SER", "ALA"]
    assert said(structure.issues, "A 1 holds ALA and SER", "SER is used")


def test_insertion_codes_are_residues_of_their_own(write: Write) -> None:
    lines = []
    for k, icode in enumerate((" ", "A", "B", "C")):
        lines += alanine("H", 82, (3.3 * k, 0, 0), icode=icode)
    structure = read_structure(write([*lines, "END"]))
    assert [str(r) for r in structure.residue_ids()] == ["H 82 ALA", "H 82A ALA", "H 82B ALA", "H 82C ALA"]
    assert said(structure.issues, "3 residues have insertion codes")
    assert not said(structure.issues, "gap")


@pytest.mark.parametrize(
    ("name", "extra", "parent"),
    [
        ("NEP", "P", "HIS"),
        ("SEP", "P", "SER"),
        ("TPO", "P", "THR"),
        ("PTR", "P", "TYR"),
        ("HIE", None, "HIS"),
    ],
)
def test_modified_residues_are_read_as_their_parent(write: Write, name: str, extra: str | None, parent: str) -> None:
    lines = alanine("A", 1, (0, 0, 0)) + alanine("A", 2, (3.3, 0, 0), resname=name, record="HETATM")
    if extra:
        lines.append(atom_line(40, extra, name, "A", 2, (5, 3, 3), record="HETATM"))
    structure = read_structure(write([*lines, "END"]))
    assert [r.name for r in structure.residue_ids()] == ["ALA", parent]
    assert (structure.kind == "protein").all()
    assert "P" not in structure.atom
    assert structure.modified == ((ResidueId("A", 2, "", parent), name),)
    assert said(structure.issues, f"{name} A 2 as {parent}")


def test_selenomethionine_becomes_methionine_with_its_sulphur(write: Write) -> None:
    lines = alanine("A", 1, (0, 0, 0)) + alanine("A", 2, (3.3, 0, 0), resname="MSE", record="HETATM")
    lines.append(atom_line(40, "SE", "MSE", "A", 2, (5, 3, 3), record="HETATM", element="SE"))
    structure = read_structure(write([*lines, "END"]))
    assert (structure.atom[-1], structure.element[-1], structure.resname[-1]) == ("SD", "S", "MET")


def test_a_free_amino_acid_is_a_ligand(write: Write) -> None:
    lines = alanine("A", 1, (0, 0, 0)) + alanine("A", 2, (3.3, 0, 0))
    lines += alanine("A", 301, (60, 0, 0), resname="GLU", record="HETATM")
    structure = read_structure(write([*lines, "END"]))
    assert structure.kind.tolist() == ["protein"] * 10 + ["ligand"] * 5


def test_gaps_and_missing_atoms_are_named(write: Write) -> None:
    lines = alanine("A", 1, (0, 0, 0)) + alanine("A", 2, (3.3, 0, 0)) + alanine("A", 9, (30, 0, 0))[:-1]
    structure = read_structure(write([*lines, "END"]))
    assert said(structure.issues, "1 gaps", "A 2-9")
    assert said(structure.issues, "lack heavy atoms", "A 9 ALA (1)")


def test_models(write: Write) -> None:
    first, second = alanine("A", 1, (0, 0, 0)), alanine("A", 1, (7, 0, 0))
    path = write(["MODEL        1", *first, "ENDMDL", "MODEL        2", *second, "ENDMDL", "END"])
    assert read_structure(path).xyz[0, 0] == 0.0
    assert read_structure(path, model=2).xyz[0, 0] == 7.0
    assert [s.model for s in read_models(path)] == [1, 2]
    assert said(read_structure(path).issues, "2 models", "model 1 is used")
    with pytest.raises(StructureError, match=r"model: 3 is outside the range of 1 to 2"):
        read_structure(path, model=3)


def test_author_numbering_of_mmcif(tmp_path: Path) -> None:
    rows = []
    for k, (label, author) in enumerate((("A", "X"), ("B", "Y"))):
        for n, (atom, x) in enumerate((("N", 0.0), ("CA", 1.5), ("C", 2.5), ("O", 3.0), ("CB", 1.5))):
            rows.append(
                f"ATOM {5 * k + n} {atom[0]} {atom} . ALA {label} 1 1 ? {x} {6.0 * k} {n} 1.0 9.0 {100 + k} {author} 1"
            )
    columns = (
        "group_PDB id type_symbol label_atom_id label_alt_id label_comp_id label_asym_id label_entity_id "
        "label_seq_id pdbx_PDB_ins_code Cartn_x Cartn_y Cartn_z occupancy B_iso_or_equiv auth_seq_id "
        "auth_asym_id pdbx_PDB_model_num"
    )
    path = tmp_path / "a.cif"
    path.write_text(
        "data_x\nloop_\n" + "\n".join(f"_atom_site.{c}" for c in columns.split()) + "\n" + "\n".join(rows) + "\n"
    )
    structure = read_structure(path)
    assert structure.chains == ("X", "Y")
    assert [str(r) for r in structure.residue_ids()] == ["X 100 ALA", "Y 101 ALA"]
    assert said(structure.issues, "author's", "A is X", "B is Y")


@pytest.mark.parametrize(
    "change", [lambda t: t.replace("\n", "\r\n"), lambda t: "﻿" + t, lambda t: t.replace("\n", "\r")]
)
def test_line_ends_and_byte_order_marks_change_nothing(write: Write, change: Callable[[str], str]) -> None:
    plain = example("3BZD").read_text()
    changed = read_structure(write(change(plain).encode()))
    assert np.array_equal(changed.xyz, read_structure(example("3BZD")).xyz)


def test_gzip_and_a_misleading_name_are_read_by_content(write: Write) -> None:
    text = example("2OOB").read_bytes()
    assert len(read_structure(write(gzip.compress(text), "a.cif.gz"))) == 1058
    structure = read_structure(write(text, "a.pdb"))
    assert said(structure.issues, "holds mmCIF in spite of its name")


def test_blank_chain_names_get_a_letter(write: Write) -> None:
    structure = read_structure(write([*alanine("A", 1, (0, 0, 0)), *alanine(" ", 1, (20, 0, 0)), "END"]))
    assert structure.chains == ("A", "B")
    assert said(structure.issues, "5 atoms have no chain name", "chain B")


@pytest.mark.parametrize(
    ("content", "name", "message"),
    [
        (b"", "a.pdb", "is empty"),
        (b"  \n\n", "a.pdb", "is empty"),
        (b"\x89PNG\r\n\x1a\n\x00\x00", "a.pdb", "not a text file"),
        (b"<html><body>ATOM not found</body></html>", "a.pdb", "neither PDB nor mmCIF"),
        (b"HEADER    NOTHING\nEND\n", "a.pdb", "no ATOM or HETATM"),
        (b"ATOM      1  N   ALA A   1      xx.xxx   0.000   0.000\n", "a.pdb", "broken PDB"),
        (b"ATOM  \n", "a.pdb", "broken PDB|no atoms"),
        (b"ATOM\t1\tCA\tALA\tA\t1\t1.0\t2.0\t3.0\n", "a.pdb", "line 1 has tabs, and PDB goes by columns"),
        (b"data_x\n_cell.length_a 10\n", "a.cif", "without atom coordinates"),
        (b"data_x\nloop_\n_atom_site.id\n_atom_site.Cartn_x\n1\n", "a.cif", "broken mmCIF"),
        (b"\x1f\x8b\x08\x00broken", "a.pdb.gz", "cannot be read"),
        (
            b"ATOM      1  N   ALA A   1       0.000   0.000   0.000\n",
            "a.doc",
            "not named like a structure file",
        ),
    ],
)
def test_what_is_no_structure_is_refused_in_one_sentence(write: Write, content: bytes, name: str, message: str) -> None:
    with pytest.raises(StructureError, match=message) as caught:
        check_structure_file(write(content, name))
    assert "\n" not in str(caught.value) and str(caught.value).endswith(".")


def test_missing_file_and_no_protein(tmp_path: Path, write: Write) -> None:
    with pytest.raises(StructureError, match="no such file"):
        check_structure_file(tmp_path / "none.pdb")
    water = write([atom_line(1, "O", "HOH", "A", 1, (0, 0, 0), record="HETATM"), "END"])
    with pytest.raises(StructureError, match="no protein atoms; it holds 1 waters"):
        check_structure_file(water)
    for name in ("3BZD", "2OOB"):
        check_structure_file(example(name))


def test_nan_coordinates_are_refused(tmp_path: Path) -> None:
    text = example("2OOB").read_text().replace("18.014 4.698 ", "nan    nan   ", 1)
    (tmp_path / "a.cif").write_text(text)
    with pytest.raises(StructureError, match="1 atoms without coordinates"):
        read_structure(tmp_path / "a.cif")


def test_bombs_and_giants_are_refused(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    """By what they unpack to, by their models, and by their atoms."""
    from colonnade.structure import _reading, structures
    from colonnade.structure.services.common import check_body

    monkeypatch.setattr(structures, "MAX_BYTES", 2**20)
    bomb = write(gzip.compress(b" " * 2**19 + b"ATOM" + b" " * 2**20), "bomb.pdb.gz")
    assert bomb.stat().st_size < 2**12
    with pytest.raises(StructureError, match="larger than 1 MiB"):
        read_structure(bomb)
    monkeypatch.setattr(_reading, "MAX_MODELS", 3)
    models = [[f"MODEL {k:8d}", *alanine("A", 1, (0, 0, 0)), "ENDMDL"] for k in range(1, 5)]
    with pytest.raises(StructureError, match="4 models, more than the 3"):
        read_structure(write([line for model in models for line in model]))
    monkeypatch.setattr(structures, "MAX_ATOMS", 9)
    path = write([*alanine("A", 1, (0, 0, 0)), *alanine("A", 2, (3.3, 0, 0)), "END"])
    with pytest.raises(StructureError, match="10 atoms, more than the 9"):
        check_structure_file(path)
    with pytest.raises(StructureError, match="10 atoms, more than the 9"):
        check_body(path)


def test_every_structure_among_the_examples_is_read() -> None:
    for path in sorted(example("E2A").parent.glob("*.pdb")):
        assert len(read_structure(path)) > 100
