"""Restraint files in and out, and what is wrong with them said with the line."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from colonnade.structure import (
    AtomId,
    Restraint,
    RestraintError,
    crosslink,
    distances,
    example,
    format_disvis,
    format_tbl,
    interface_restraints,
    parse_restraints,
    read_restraints,
    read_structure,
)
from colonnade.structure.restraints import resolve

atoms = st.builds(
    AtomId,
    st.sampled_from("ABXYZ"),
    st.integers(-50, 2000),
    st.sampled_from(["CA", "CB", "NZ"]),
    st.sampled_from(["", "A", "B"]),
)
bounds = st.tuples(st.integers(0, 90_000), st.integers(0, 90_000)).map(lambda b: tuple(x / 1000 for x in sorted(b)))
single = st.builds(lambda a, b, d: Restraint((a,), (b,), *d), atoms, atoms, bounds)
side = st.lists(atoms, min_size=1, max_size=4, unique=True).map(tuple)
many = st.builds(lambda a, b, d: Restraint(a, b, *d), side, side, bounds)


def test_the_disvis_example() -> None:
    restraints = read_restraints(example("PRE5").with_name("PRE5-PUP2.dat"))
    assert len(restraints) == 7
    assert restraints[0] == Restraint((AtomId("A", 27, "CA"),), (AtomId("A", 18, "CA"),), 0.0, 23.0)
    assert [r.upper for r in restraints] == [23.0] * 4 + [26.0] * 3


def test_a_comment_starts_at_a_blank() -> None:
    first, second = parse_restraints("# all\nB 4 HB# B 35 HB# 1.8 6.0 # methyls\nA 1 CA B 2 CA 0 9\n")
    assert first.first[0].atom == first.second[0].atom == "HB#" and second.upper == 9.0


def test_a_haddock_table() -> None:
    text = """
    ! active residues of one partner
    assign ( resid 38  and segid A)
       (
        ( resid 16  and segid B) or {a comment
        over two lines} ( resid 10  and segid B)
       )  2.0 2.0 0.0
    ASSI (resi 27 and segid "A" and name ca) (resi 18A and name CB and segid B) 10.0 4.0 2.5 # unambiguous
    """
    air, link = parse_restraints(text)
    assert air == Restraint((AtomId("A", 38),), (AtomId("B", 16), AtomId("B", 10)), 0.0, 2.0)
    assert air.ambiguous and not link.ambiguous
    assert link == Restraint((AtomId("A", 27, "CA"),), (AtomId("B", 18, "CB", "A"),), 6.0, 12.5)


def test_and_over_or_gives_every_alternative() -> None:
    (r,) = parse_restraints("assign (resid 1 and segid A) ((resid 2 or resid 3) and segid B) 5 5 0")
    assert r.second == (AtomId("B", 2), AtomId("B", 3))


@given(st.lists(single, min_size=1, max_size=5))
def test_disvis_round_trip(restraints: list[Restraint]) -> None:
    assert parse_restraints(format_disvis(restraints)) == restraints


@given(st.lists(many, min_size=1, max_size=5))
def test_tbl_round_trip(restraints: list[Restraint]) -> None:
    again = parse_restraints(format_tbl(restraints))
    for a, b in zip(again, restraints, strict=True):
        assert (a.first, a.second) == (b.first, b.second)
        assert (a.lower, a.upper) == pytest.approx((b.lower, b.upper), abs=1.1e-3)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("A 1 CA B 2 CA 0", "line 1: expected chain, residue, atom twice and two distances, got 7 words"),
        ("A 1 CA B 2 CA 0 far", "line 1: distances '0' and 'far' are not both numbers"),
        ("A 1 CA B 2 CA 20 10", "line 1: .*lower bound 20 Å is above the upper bound 10 Å"),
        ("A 1 CA B 2 CA 0 -3", "line 1: .*upper bound -3 Å is outside the range of 0 to 200 Å"),
        ("A 1 CA B 2 CA nan 9", "line 1: .*lower bound nan Å is outside"),
        ("A x CA B 2 CA 0 9", "line 1: 'A x CA' is not a residue"),
        ("# nothing\n\n", "holds no restraints"),
        ("A 1 CA B 2 CA 5 1\nA 1 CA B 2 CA 0 9\nB 3", "line 1: .*line 3: "),
        ("assign (resid 1) (resid 2) 5 5", "expected a distance|expected more"),
        ("assign (resid 1) (resid 2) 5 5 x", "line 1: expected a distance, got 'x'"),
        ("assign (resid 1 (resid 2) 5 5 0", r"line 1: expected '\)'"),
        ("assign (chain A) (resid 2) 5 5 0", "'chain' is not one of resid, segid, name, resname"),
        ("assign (segid A) (resid 2) 5 5 0", "needs one residue number, got 'none'"),
        ("assign (resid 1 and resid 3) (resid 2) 5 5 0", "two values of one kind"),
        ("assign (resid 1) (resid 2) 500 0 0", "line 1: .*lower bound 500 Å is outside"),
        ("assign (resid 1) (resid 2) 5 5 0\nnonsense", "line 2: expected 'assign', got 'nonsense'"),
    ],
)
def test_faults_are_named_with_their_line(text: str, message: str) -> None:
    with pytest.raises(RestraintError, match=message):
        parse_restraints(text)


def test_no_such_file(tmp_path: Path) -> None:
    with pytest.raises(RestraintError, match="no such file"):
        read_restraints(tmp_path / "x.tbl")


def test_byte_order_mark_and_carriage_returns(tmp_path: Path) -> None:
    (tmp_path / "a.dat").write_bytes(b"\xef\xbb\xbfA 1 CA B 2 CA 0 9\r\nA 3 CA B 4 CA 0 9\r\n")
    assert len(read_restraints(tmp_path / "a.dat")) == 2


def test_crosslinks() -> None:
    assert crosslink("A 27", "B 18", "adh").upper == 23.0
    assert crosslink("A 27", "B 18 CB", 12.5).second == (AtomId("B", 18, "CB"),)
    with pytest.raises(RestraintError, match="linker: 'XYZ' is not one of DSS"):
        crosslink("A 1", "B 2", "XYZ")


def test_interface_restraints_go_both_ways() -> None:
    restraints = interface_restraints(["A 1", "A 2"], ["A 3"], ["B 7"], ["B 8"])
    assert len(restraints) == 3
    assert restraints[0].second == (AtomId("B", 7), AtomId("B", 8))
    assert restraints[2].first == (AtomId("A", 1), AtomId("A", 2), AtomId("A", 3))
    with pytest.raises(RestraintError, match="need active or passive residues on the other"):
        interface_restraints(["A 1"], [], [], [])


def test_distances_in_a_complex_and_turned_sides() -> None:
    structure = read_structure(example("3BZD"))
    a, b = structure.in_chains("A"), structure.in_chains("B")
    links = [crosslink("A 28", "B 102", 30.0), crosslink("B 102", "A 28", 30.0)]
    ca = [s.xyz[(s.resid == n) & (s.atom == "CA")][0] for s, n in ((a, 28), (b, 102))]
    assert distances(links, a, b) == pytest.approx([np.linalg.norm(ca[0] - ca[1])] * 2)
    ambiguous = Restraint((AtomId("A", 28), AtomId("A", 60)), (AtomId("B", 102),), 0.0, 2.0)
    assert distances([ambiguous], a, b)[0] <= distances(links, a, b)[0]


def test_absent_atoms_are_all_named() -> None:
    structure = read_structure(example("3BZD"))
    a, b = structure.in_chains("A"), structure.in_chains("B")
    with pytest.raises(RestraintError, match=r"A 999 CA in 3BZD, B 5000 CA in 3BZD, A 28 XX in 3BZD"):
        resolve([crosslink("A 999", "B 5000"), crosslink("A 28 XX", "B 102")], a, b)
