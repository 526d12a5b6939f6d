"""The examples in the docstrings run and print what they say."""

from __future__ import annotations

import doctest
import importlib

import pytest


@pytest.mark.parametrize(
    "module",
    [
        "",
        ".affinity",
        ".capri",
        ".examples",
        "._space_shapes",
        ".ligands",
        ".prepare",
        ".residues",
        ".restraints",
        ".rotations",
        ".space",
        ".structures",
        ".surface",
        ".tensor",
        ".tensor_data",
        ".voxels",
    ],
)
def test_docstrings(module: str) -> None:
    result = doctest.testmod(importlib.import_module(f"colonnade.structure{module}"), optionflags=doctest.ELLIPSIS)
    assert result.failed == 0
