"""Shared by the tests of this column: plans are looked up or solved once."""

import pytest

from colonnade.quadruped.jump import optimise_jump
from colonnade.quadruped.jump_spec import JumpSpec, Window
from colonnade.quadruped.library import standard_library

COARSE = (10, 4, 10, 6)


@pytest.fixture(scope="session")
def library():
    return standard_library()


@pytest.fixture(scope="session")
def stored(library):
    """The stored plan over a sill of 13 cm from 12 cm away."""
    return next(p for p in library.plans if p.spec.distance == 0.12 and abs(p.spec.window.sill - 0.13) < 1e-9)


@pytest.fixture(scope="session")
def free():
    """A coarse jump without a window."""
    return optimise_jump(JumpSpec(length=0.5, intervals=COARSE))


@pytest.fixture(scope="session")
def coarse(free):
    """A coarse jump of fixed length over a low sill."""
    return optimise_jump(JumpSpec(Window(0.06, 1.2), 0.85, distance=0.15, intervals=COARSE))
