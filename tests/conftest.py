"""What many tests share: the sample services, and an environment in which a fresh process finds them."""

from __future__ import annotations

import asyncio
import inspect
import os
import shutil
import sys
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
ENGINES = ("COLONNADE_HADDOCK3",)  # where external engines are, without which their tests are skipped


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Tests that await run in a thread of their own: a browser test may have left its event loop in this one."""
    if not inspect.iscoroutinefunction(pyfuncitem.obj):
        return None
    arguments = {name: pyfuncitem.funcargs[name] for name in pyfuncitem._fixtureinfo.argnames}
    with ThreadPoolExecutor(1) as thread:
        thread.submit(lambda: asyncio.run(pyfuncitem.obj(**arguments))).result()
    return True


# matplotlib looks through all fonts of the machine once and remembers; with a new home it would for every process.
os.environ.setdefault("MPLCONFIGDIR", str(Path.home() / ".cache" / "matplotlib"))


@pytest.fixture(autouse=True)
def private_folders(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test reads or writes the user's own folders, or obeys the user's own variables but those of ENGINES."""
    home = tmp_path_factory.mktemp("home")
    for name in [name for name in os.environ if name.startswith("COLONNADE_") and name not in ENGINES]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(home))
    for name in ("XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_CACHE_HOME"):
        monkeypatch.setenv(name, str(home / name.lower()))


@pytest.fixture(scope="session")
def plugin_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that, on PYTHONPATH, is an installed package with the sample services."""
    folder = tmp_path_factory.mktemp("plugins")
    shutil.copy(ROOT / "tests" / "samples.py", folder)
    offer(folder, "samples", "samples")
    return folder


@pytest.fixture(scope="session")
def broken_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that, on PYTHONPATH, is an installed package whose services cannot be loaded."""
    folder = tmp_path_factory.mktemp("broken")
    offer(folder, "broken", "no_such_engine")
    return folder


def offer(folder: Path, name: str, module: str) -> None:
    """Make it look as if a package that offers the services of a module were installed in a folder."""
    information = folder / f"{name}-1.0.dist-info"
    information.mkdir()
    (information / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (information / "entry_points.txt").write_text(f"[colonnade.services]\n{name} = {module}\n")
    (information / "top_level.txt").write_text(f"{module}\n")


@pytest.fixture
def environment(plugin_path: Path) -> Mapping[str, str]:
    """The environment for a fresh process that has the sample services."""
    return with_path(plugin_path)


@pytest.fixture
def broken_environment(plugin_path: Path, broken_path: Path) -> Mapping[str, str]:
    """The same with a package whose services cannot be loaded."""
    return with_path(plugin_path, broken_path)


def with_path(*folders: Path) -> Mapping[str, str]:
    paths = [str(ROOT / "src"), *map(str, folders), os.environ.get("PYTHONPATH", "")]
    return os.environ | {"PYTHONPATH": os.pathsep.join(path for path in paths if path), "PYTHONUNBUFFERED": "1"}


@pytest.fixture
def python() -> str:
    return sys.executable
