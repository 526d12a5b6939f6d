"""The remembered list of services: what changes it, and what does not hurt it."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from colonnade import catalogue as module
from colonnade.catalogue import BrokenPlugin, Catalogue, Entry, catalogue, forget

ENTRY = Entry("a.b", "Title", "Summary.", "arXiv:1", None)


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch) -> Callable[[Catalogue], list[int]]:
    """Replace what is installed; the answer grows with every real look at it."""

    def replace(found: Catalogue) -> list[int]:
        counted: list[int] = []
        monkeypatch.setattr(module, "_look", lambda: counted.append(1) or found)
        return counted

    return replace


def test_the_installed_services_are_those_of_the_registry() -> None:
    from colonnade.service import services

    for _ in range(2):
        assert [entry.name for entry in catalogue().services] == list(services())


def test_a_second_look_is_remembered(looks: Callable[[Catalogue], list[int]]) -> None:
    counted = looks(Catalogue((ENTRY,)))
    assert catalogue() == catalogue() == Catalogue((ENTRY,))
    assert len(counted) == 1
    forget()
    catalogue()
    assert len(counted) == 2


def test_what_is_broken_is_looked_at_again(looks: Callable[[Catalogue], list[int]]) -> None:
    found = Catalogue((ENTRY,), (BrokenPlugin("x", "why"),))
    counted = looks(found)
    assert catalogue() == catalogue() == found
    assert len(counted) == 2


def test_an_installed_package_and_a_changed_module_are_seen(
    looks: Callable[[Catalogue], list[int]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    counted = looks(Catalogue((ENTRY,)))
    monkeypatch.setattr(sys, "path", [*sys.path, str(tmp_path)])
    catalogue()
    os.utime(tmp_path, ns=(1, 1))
    catalogue()
    assert len(counted) == 2
    changed = tmp_path / "services.py"
    changed.touch()
    monkeypatch.setattr(module, "_files", lambda name: [changed])
    os.utime(tmp_path, ns=(1, 1))
    catalogue()
    os.utime(changed, ns=(2, 2))
    catalogue()
    catalogue()
    assert len(counted) == 4


@pytest.mark.parametrize("content", ["", "{", "[]", '{"state": 1}', "\0"])
def test_a_damaged_list_is_made_again(looks: Callable[[Catalogue], list[int]], content: str) -> None:
    looks(Catalogue((ENTRY,)))
    catalogue()
    module._path().write_text(content)
    assert catalogue() == Catalogue((ENTRY,))


def test_without_a_place_to_remember_it_works(
    looks: Callable[[Catalogue], list[int]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks(Catalogue((ENTRY,)))
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert catalogue() == Catalogue((ENTRY,))
