"""HADDOCK3 in an environment of its own.

Its package is a source distribution whose set-up compiles two small programs and downloads a third from where
releases are kept, and gives up when that is refused. The download serves only its command line for restraints, so
here the distribution is unpacked, its requirements installed, the two programs compiled, and the download left
out. The docking engine proper, CNS, is inside the distribution; it is never part of this project, and its terms
are the user's to accept.
"""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
import tarfile
import tempfile
import tomllib
from collections.abc import Callable, Sequence
from pathlib import Path

VERSION = "2026.10.1"
SHA256 = "2edf1f7efef5d9d76217f0c378c14781461a5f729c56ad4b91b1926f0d15421c"
"""Of the source distribution."""

VARIABLE = "COLONNADE_HADDOCK3"
"""Names the Python of an environment that has HADDOCK3, when it is neither on PATH nor installed by us."""

LICENCE = "Apache-2.0, with CNS, which is free for non-profit use only"

TERMS = """HADDOCK3 (Apache-2.0) computes with CNS, the Crystallography & NMR System, which comes inside its package.
CNS is free for non-profit users only. Commercial use needs a licence for CNS/CNX from its distributor, BIOVIA;
having it is the responsibility of whoever runs the engine. The modules concerned are topoaa, rigidbody, flexref,
emref, mdref, emscoring and mdscoring. Publications cite HADDOCK (Dominguez, Boelens & Bonvin,
J. Am. Chem. Soc. 125:1731, 2003) and CNS (Brunger et al., Acta Cryst. D54:905, 1998). Colonnade
neither contains nor passes on CNS."""

PROGRAMS = {
    "contact_fcc": ("c++", "contact_fcc.cpp", ("-O2",)),
    "fast-rmsdmatrix": ("cc", "fast-rmsdmatrix.c", ("-O3", "-std=c99")),
}
"""Helper programs: compiler, source in haddock/deps, flags."""

Say = Callable[[str], None]


class InstallError(ValueError):
    """A step of the installation failed; the message is one plain sentence."""


def locate(folder: Path | None = None) -> Path | None:
    """The Python interpreter that has HADDOCK3: of the variable, of our own environment, or of the one on PATH."""
    if named := os.environ.get(VARIABLE):
        return Path(named) if Path(named).is_file() else None
    own = (folder or default_folder()) / "venv" / "bin" / "python"
    if own.is_file() and any(own.parent.parent.glob("lib/python3*/site-packages/haddock3.pth")):
        return own
    script = shutil.which("haddock3")
    python = Path(script).resolve().parent / "python" if script else None
    return python if python and python.is_file() else None


def default_folder() -> Path:
    """Where `colonnade engines install haddock3` puts it."""
    import platformdirs

    return Path(platformdirs.user_data_dir("colonnade", appauthor=False)) / "engines" / "haddock3"


def install(folder: Path, say: Say) -> None:
    """Put HADDOCK3 into `folder`.

    Raises:
        InstallError: a step failed; the sentence says which, and what the step's program printed last.
    """
    if missing := [compiler for compiler, _, _ in PROGRAMS.values() if shutil.which(compiler) is None]:
        raise InstallError(f"Two small programs have to be compiled, but there is no compiler {' nor '.join(missing)}.")
    if cns_name() is None:
        raise InstallError(f"HADDOCK3 carries no CNS for {platform.machine()} {platform.system()}.")
    environment, source = folder / "venv", folder / "source"
    python = environment / "bin" / "python"
    if not python.is_file():
        say("Making an environment for HADDOCK3")
        _run([sys.executable, "-m", "venv", str(environment)], "making the environment")
    say(f"Fetching the source distribution of HADDOCK3 {VERSION}")
    _fetch(python, source)
    say("Installing what it needs")
    needed = tomllib.loads((source / "pyproject.toml").read_text())["project"]["dependencies"]
    _run([str(python), "-m", "pip", "install", "--quiet", *needed], "installing its requirements")
    say("Compiling two helper programs")
    programs = source / "src" / "haddock" / "bin"
    programs.mkdir(exist_ok=True)
    for name, (compiler, code, flags) in PROGRAMS.items():
        target = source / "src" / "haddock" / "deps" / code
        _run([compiler, *flags, "-o", str(programs / name), str(target), "-lm"], f"compiling {name}")
    cns = source / "src" / "haddock" / "cns" / "bin" / str(cns_name())
    cns.chmod(0o755)
    packages = next(environment.glob("lib/python3*/site-packages"))
    (packages / "haddock3.pth").write_text(f"{source / 'src'}\n")
    _tell_what_is_left_out(say)


def cns_name() -> str | None:
    """File name of the CNS program for this machine, None when the distribution has none."""
    name = f"{platform.machine().lower()}-{platform.system().lower()}.bin"
    return name if name in ("x86_64-linux.bin", "aarch64-linux.bin", "x86_64-darwin.bin", "arm64-darwin.bin") else None


def check(python: Path | None) -> list[str]:
    """What is wrong with the HADDOCK3 of this interpreter, a sentence each: the package, CNS, the helper programs."""
    if python is None:
        return ["HADDOCK3 is not installed."]
    asked = "import haddock, importlib.resources as r; print(r.files('haddock'))"
    answer = subprocess.run([python, "-c", asked], capture_output=True, text=True, timeout=120, check=False)
    if answer.returncode:
        return [f"The package cannot be loaded: {_last_line(answer.stderr)}"]
    package = Path(answer.stdout.strip())
    faults = [
        f"The helper program {name} is missing." for name in PROGRAMS if not os.access(package / "bin" / name, os.X_OK)
    ]
    cns = package / "cns" / "bin" / str(cns_name())
    try:
        ran = subprocess.run([cns], input="stop\n", capture_output=True, text=True, timeout=60, check=False)
    except OSError as error:
        return [*faults, f"CNS cannot be run: {error.strerror}."]
    return faults if ran.returncode == 0 else [*faults, f"CNS ends with code {ran.returncode}."]


def _fetch(python: Path, source: Path) -> None:
    """Download the pinned source distribution, check its digest, unpack it."""
    with tempfile.TemporaryDirectory() as name:
        pinned = Path(name) / "requirements.txt"
        pinned.write_text(f"haddock3=={VERSION} --hash=sha256:{SHA256}\n")
        command = [str(python), "-m", "pip", "download", "--quiet", "--no-deps", "--no-binary=haddock3"]
        _run([*command, "--require-hashes", "-r", str(pinned), "-d", name], "fetching the source distribution")
        archive = next(Path(name).glob("haddock3-*.tar.gz"))
        shutil.rmtree(source, ignore_errors=True)
        with tarfile.open(archive) as packed:
            packed.extractall(Path(name) / "unpacked", filter="data")
        shutil.move(str(next((Path(name) / "unpacked").iterdir())), source)


def _tell_what_is_left_out(say: Say) -> None:
    say(
        "Left out: haddock-restraints, a program for the command line that is downloaded from the project's releases; "
        "docking does not use it, and restraints are written by Colonnade."
    )


def _run(command: Sequence[str], doing: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, timeout=1800, check=False)
    if done.returncode:
        raise InstallError(f"HADDOCK3: {doing} failed: {_last_line(done.stderr or done.stdout)}")


def _last_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    errors = [line for line in lines if "error" in line.lower()]
    return (errors or lines or ["it gave no reason"])[-1][:400]
