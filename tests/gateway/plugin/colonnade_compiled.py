"""A function that numba compiles, and keeps compiled where it may write."""

from __future__ import annotations

import numba


@numba.njit(cache=True)
def twice(number: int) -> int:
    return 2 * number
