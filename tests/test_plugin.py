"""A package of somebody else adds a service, with no change here."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Mapping
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
EXAMPLE = ROOT / "examples" / "hello-service"


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, str]:
    """The example, installed by pip as its README says, into a folder of its own; the environment that finds it."""
    folder = tmp_path_factory.mktemp("installed")
    source = folder / "source"
    shutil.copytree(EXAMPLE, source, ignore=shutil.ignore_patterns("__pycache__"))
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-build-isolation", "--no-deps", "--no-index"]
    subprocess.run([*command, "--target", folder / "site", source], check=True, timeout=120)
    paths = [str(folder / "site"), str(ROOT / "src")]
    return os.environ | {"PYTHONPATH": os.pathsep.join(paths)}


def colonnade(installed: Mapping[str, str], folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "colonnade.cli", *arguments],
        env=installed,
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )


def test_its_service_is_listed(installed: Mapping[str, str], tmp_path: Path) -> None:
    assert "hello.pendulum" in colonnade(installed, tmp_path, "services").stdout


def test_its_service_runs_and_is_right(installed: Mapping[str, str], tmp_path: Path) -> None:
    done = colonnade(installed, tmp_path, "run", "hello.pendulum", "--amplitude", "90", "--output", "run", "--json")
    answer = json.loads(done.stdout)
    assert answer["version"] == "1.0.0"
    # 1.18034 times the small-angle period: the complete elliptic integral K(sin 45°) / (π/2).
    assert answer["outputs"]["period"]["value"] == pytest.approx(2.0064092925 * 1.1803405990, rel=1e-8)
    assert (tmp_path / "run" / "report.html").exists()


def test_its_example_brings_its_file(installed: Mapping[str, str], tmp_path: Path) -> None:
    done = colonnade(installed, tmp_path, "run", "hello.pendulum", "--example", "measure gravity", "--json")
    gravity = json.loads(done.stdout)["outputs"]["gravity"]
    assert abs(gravity["value"] - 9.81) < 3 * gravity["error"] < 0.1


def test_the_example_package_is_whole(tmp_path: Path) -> None:
    """A wheel of it carries the module, its examples and its entry point."""
    source = tmp_path / "source"
    shutil.copytree(EXAMPLE, source, ignore=shutil.ignore_patterns("__pycache__"))
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-build-isolation", "--no-deps", "--no-index"]
    subprocess.run([*command, "--wheel-dir", tmp_path, source], check=True, timeout=120)
    with zipfile.ZipFile(next(tmp_path.glob("*.whl"))) as wheel:
        names = wheel.namelist()
    assert "hello_service/examples/periods.csv" in names
    assert any(name.endswith("entry_points.txt") for name in names)
