"""HADDOCK3 as an external engine: its configuration, its failures in words, its end, its results; and real runs."""

from __future__ import annotations

import gzip
import stat
import subprocess
import sys
import time
import tomllib
from pathlib import Path

import pytest

from colonnade.structure import haddock, haddock_install, read_restraints, read_structure
from colonnade.structure.examples import example
from colonnade.structure.haddock_config import (
    ParameterError,
    Protocol,
    Setting,
    checked,
    configuration,
    parameter_table,
    parse_settings,
)
from colonnade.structure.restraints import Restraint, crosslink
from colonnade.structure.services import docking_results
from colonnade.structure.structures import Structure, StructureError

EXAMPLES = example("E2A").parent
ENGINE = haddock_install.locate()
needs_engine = pytest.mark.skipif(
    ENGINE is None, reason="HADDOCK3 is not installed: colonnade engines install haddock3"
)


def bodies() -> tuple[Structure, Structure]:
    return read_structure(example("E2A")), read_structure(example("HPr"))


LINK = [crosslink("A 69", "B 49", 25.0)]


def test_the_configuration_is_toml_with_names_of_ours_only() -> None:
    settings = parse_settings("rigidbody.w_elec = 0.5\nflexref.temp_high = 1500\nrigidbody.dielec = cdie")
    text = configuration(
        Protocol(40, 10, settings=settings, cores=2), ["molecule_1.pdb", "molecule_2.pdb"],
        ambiguous=True, unambiguous=False, reference=False, seed=7,
    )  # fmt: skip
    once = tomllib.loads(text.replace("[caprieval]", "[first_caprieval]", 1))  # the engine allows repeated modules
    assert once["molecules"] == ["molecule_1.pdb", "molecule_2.pdb"]
    assert (once["ncores"], once["mode"], once["run_dir"]) == (2, "local", "run")
    assert once["rigidbody"]["sampling"] == 40
    assert once["rigidbody"]["w_elec"] == 0.5
    assert once["rigidbody"]["dielec"] == "cdie"
    assert once["flexref"]["temp_high"] == 1500
    assert once["emref"]["ambig_fname"] == "ambiguous.tbl"
    assert "unambig_fname" not in once["rigidbody"]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("rigidbody.sampling = many", "rigidbody.sampling: 'many' is not a whole number"),
        ("rigidbody.sampling = -3", "rigidbody.sampling: -3 is outside the range of"),
        ("rigidbody.dielec = water", "rigidbody.dielec: 'water' is not one of cdie, rdie"),
        ("rigidbody.cns_exec = /bin/sh", "'cns_exec' is not a parameter of rigidbody that can be set here"),
        ("rigidbody.ambig_fname = /etc/passwd", "'ambig_fname' is not a parameter"),
        ("topoaa.queue = x", "'queue' is not a parameter of topoaa"),
        ("shell.run = x", "'shell' is not one of the modules"),
        ("[rigidbody]", "is not of the form module.parameter = value"),
        ('caprieval.receptor_chain = A"\nmode = "batch', "is not of the form"),
        ("caprieval.receptor_chain = A$(id)", "holds other characters than letters and digits"),
    ],
)
def test_parameters_are_checked_against_the_tables_of_the_modules(line: str, message: str) -> None:
    with pytest.raises(ParameterError) as error:
        parse_settings(line)
    assert message in str(error.value)


def test_levels_nest_and_hold_real_parameters() -> None:
    levels = ("basic", "expert", "guru")
    names = {
        level: {(m, n) for m, rows in parameter_table().items() for n, row in rows.items()
                if levels.index(row["level"]) <= levels.index(level)}
        for level in levels
    }  # fmt: skip
    assert names["basic"] < names["expert"] < names["guru"]
    assert ("rigidbody", "sampling") in names["basic"]
    with pytest.raises(ParameterError, match="outside the range"):
        checked(Setting("clustfcc", "clust_cutoff", 7.0))


@needs_engine
def test_the_table_is_that_of_the_installed_engine() -> None:
    script = Path(__file__).parents[2] / "scripts" / "haddock3_parameters.py"
    made = subprocess.run([str(ENGINE), str(script)], capture_output=True, text=True, check=True).stdout
    assert made == (Path(haddock.__file__).parent / "data" / "haddock3_parameters.json").read_text()


def test_bodies_that_cns_cannot_take_are_refused() -> None:
    first, second = bodies()
    with pytest.raises(StructureError, match="share chain names"):
        haddock.check_bodies([first, first])
    with pytest.raises(StructureError, match="one chain a body"):
        haddock.check_bodies([read_structure(example("3BZD")), second])


def test_without_engine_or_restraint_it_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(haddock_install.VARIABLE, str(tmp_path / "nowhere"))
    assert haddock_install.locate() is None
    assert haddock_install.check(None) == ["HADDOCK3 is not installed."]
    with pytest.raises(haddock.HaddockError, match="engine not installed: run `colonnade engines install haddock3`"):
        haddock.dock(tmp_path / "a", bodies(), Protocol(), unambiguous=LINK)
    with pytest.raises(haddock.HaddockError, match="needs at least one"):
        haddock.dock(tmp_path / "b", bodies(), Protocol(), python=Path(sys.executable))


CNS_OUTPUT = """\
 NOE>assign (( resid 27 and segid A)) (( resid 32 and segid B and name O2) or ( resid 32 an
 %SELRPN-ERR: Unrecognized word RE
 ABORT MODE will terminate program execution.
"""
CNS_ATOM = """\
 CNSsolve> energy end
 %ATMCHK-ERR: unknown coordinates for atom "A   -90  -NEP -P   "
 %ATMCHK error encountered: Unknown coordinates
"""


def test_a_failure_of_cns_becomes_its_line_and_the_residue(tmp_path: Path) -> None:
    with gzip.open(tmp_path / "rigidbody_1.out.gz", "wt") as stream:
        stream.write("much output\n" * 1000 + CNS_OUTPUT)
    (tmp_path / "molecule_1.cnserr").write_text(CNS_ATOM)
    first, *rest = haddock.cns_failures(tmp_path)
    assert "at residue NEP 90 of A, atom P" in first
    assert any("Unrecognized word RE" in text and "assign (( resid 27" in text for text in rest)


def stand_in(folder: Path, code: str) -> Path:
    """A program in the place of the engine's Python."""
    program = folder / "python"
    program.write_text(f"#!{sys.executable}\nimport sys, os, time, subprocess\n{code}\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    return program


def test_an_engine_without_models_is_an_error_with_its_reason(tmp_path: Path) -> None:
    code = "os.makedirs('run/1_rigidbody'); open('run/1_rigidbody/a.out','w').write('%NOE-ERR: bad table'); sys.exit(1)"
    with pytest.raises(haddock.HaddockError, match=r"code 1 and made no model\. CNS stopped: %NOE-ERR: bad table"):
        haddock.dock(tmp_path / "job", bodies(), Protocol(), unambiguous=LINK, python=stand_in(tmp_path, code))
    written = sorted(path.name for path in (tmp_path / "job").iterdir())
    assert written == ["haddock3.log", "molecule_1.pdb", "molecule_2.pdb", "run", "run.cfg", "unambiguous.tbl"]


def test_whatever_ends_the_run_ends_the_processes_of_the_engine(tmp_path: Path) -> None:
    code = (
        "child = subprocess.Popen(['sleep', '600'])\n"
        "open('pid', 'w').write(str(child.pid))\n"
        "print('Running [rigidbody] module', flush=True)\n"
        "time.sleep(600)"
    )

    def cancelled(_: str) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        haddock.dock(
            tmp_path / "job", bodies(), Protocol(), unambiguous=LINK, python=stand_in(tmp_path, code), say=cancelled
        )
    pid = int((tmp_path / "job" / "pid").read_text())
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline and _alive(pid):
        time.sleep(0.05)
    assert not _alive(pid)


def test_what_was_made_before_the_time_is_over_is_kept_and_labelled(tmp_path: Path) -> None:
    code = (
        "os.makedirs('run/2_caprieval')\n"
        "text = ''.join(open(f'molecule_{k}.pdb').read().replace('END\\n', '') for k in (1, 2))\n"
        "open('run/2_caprieval/a.pdb', 'w').write(text + 'END\\n')\n"
        "open('run/2_caprieval/capri_ss.tsv', 'w').write('model\\tscore\\na.pdb\\t-3.5\\n')\n"
        "print('Running [flexref] module', flush=True)\n"
        "time.sleep(600)"
    )
    start = time.monotonic()
    found = haddock.dock(
        tmp_path / "job", bodies(), Protocol(), unambiguous=LINK, python=stand_in(tmp_path, code), limit=3.0
    )
    assert time.monotonic() - start < 60
    assert [model.score for model in found.models] == [-3.5] and not found.complete
    shown = docking_results.of_haddock(found, bodies(), LINK)
    assert shown.notes == ["HADDOCK3 did not come to its end; these are the models that it had made."]


def test_modified_residues_reach_the_engine_under_the_name_of_their_parents() -> None:
    """E2A holds a phosphohistidine (NEP)."""
    body = read_structure(example("E2A"))
    assert {str(residue.name): name for residue, name in body.modified} == {"HIS": "NEP"}
    written = [line for line in haddock.plain_pdb(body).splitlines() if line.startswith(("ATOM", "HETATM"))]
    assert not any(line[17:20] == "NEP" or line[12:16].strip() == "P" for line in written)
    assert all(line.startswith("ATOM") for line in written)


def _alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z" and Path(f"/proc/{pid}").exists()


def test_long_ambiguous_restraints_fit_the_lines_that_cns_reads(tmp_path: Path) -> None:
    first, second = read_structure(example("Cro")), read_structure(example("operator"))
    restraints: list[Restraint] = read_restraints(EXAMPLES / "Cro-operator.tbl")
    with pytest.raises(haddock.HaddockError):
        haddock.dock(tmp_path / "job", [first, second], Protocol(), ambiguous=restraints,
                     python=stand_in(tmp_path, "sys.exit(3)"))  # fmt: skip
    lines = (tmp_path / "job" / "ambiguous.tbl").read_text().splitlines()
    assert max(map(len, lines)) < 132
    assert len(read_restraints(tmp_path / "job" / "ambiguous.tbl")) == len(restraints)


@needs_engine
@pytest.mark.slow
@pytest.mark.timeout(1500)
def test_cro_and_its_operator(tmp_path: Path) -> None:
    """The quick docking of the engine's own examples reaches DockQ 0.5."""
    first, second, known = (read_structure(example(n)) for n in ("Cro", "operator", "Cro-operator"))
    settings = parse_settings(
        "\n".join(f"{m}.randremoval = false\n{m}.w_desolv = 0" for m in ("rigidbody", "flexref", "emref"))
        + "\nrigidbody.epsilon = 78\nrigidbody.dielec = cdie\nflexref.epsilon = 78\nflexref.dielec = cdie"
        + "\nflexref.dnarest_on = true\nemref.dnarest_on = true"
    )
    restraints = read_restraints(EXAMPLES / "Cro-operator.tbl")
    found = haddock.dock(tmp_path / "job", [first, second], Protocol(20, 2, min_population=1, settings=settings),
                         ambiguous=restraints, reference=known)  # fmt: skip
    assert found.complete and not found.failures
    assert max(model.measures["dockq"] for model in found.models) >= 0.5
