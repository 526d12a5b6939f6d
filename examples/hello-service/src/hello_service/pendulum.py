"""The period of a pendulum by the arithmetic-geometric mean."""

from __future__ import annotations

import math
from collections.abc import Sequence

STANDARD_GRAVITY = 9.80665  # m/s²


def agm(a: float, b: float) -> float:
    """Arithmetic-geometric mean of two positive numbers; converges quadratically."""
    while abs(a - b) > 1e-15 * a:
        a, b = (a + b) / 2, math.sqrt(a * b)
    return a


def period(length: float, amplitude: float, gravity: float = STANDARD_GRAVITY) -> float:
    """Exact period of a pendulum.

    Args:
        length: in metres.
        amplitude: largest angle from the vertical in degrees, from 0 up to but not 180.
        gravity: in m/s².

    Returns:
        The period in seconds (Carvalhaes and Suppes 2008, equation 3).
    """
    return 2 * math.pi * math.sqrt(length / gravity) / agm(1.0, math.cos(math.radians(amplitude) / 2))


def fit_gravity(length: float, amplitudes: Sequence[float], periods: Sequence[float]) -> tuple[float, float]:
    """Gravity from measured periods of one pendulum, by least squares in 1/√g.

    Args:
        length: in metres.
        amplitudes: in degrees, one for each measurement.
        periods: in seconds; at least two.

    Returns:
        Gravity and its standard error in m/s².

    Raises:
        ValueError: there are fewer than two measurements.
    """
    if len(periods) < 2:
        raise ValueError("At least two measured periods are needed to fit gravity.")
    shapes = [period(length, amplitude, gravity=1.0) for amplitude in amplitudes]
    norm = sum(shape * shape for shape in shapes)
    slope = sum(shape * time for shape, time in zip(shapes, periods, strict=True)) / norm
    residual = sum((time - slope * shape) ** 2 for shape, time in zip(shapes, periods, strict=True))
    error = math.sqrt(residual / (len(periods) - 1) / norm)
    return 1 / slope**2, 2 * error / slope**3
