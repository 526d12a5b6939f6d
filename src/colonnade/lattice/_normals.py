"""Vectorised normal numbers for the compiled kernels.

A momentum refresh costs as much as the whole trajectory when each normal number takes 13 ns (numpy's ziggurat), so
the compiled kernels draw theirs from `STREAMS` interleaved xoshiro256++ streams (Blackman and Vigna, ACM TOMS 47, 36
(2021)) and the Box-Muller transform with polynomial logarithm and sine: straight-line loops that LLVM turns into SIMD
code. The streams are seeded from a `numpy.random.Generator` at every kernel call, so the generator of the caller stays
the only source of randomness.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from colonnade.lattice._types import FloatArray, IntArray

STREAMS = 32

_ONE = np.uint64(0x3FF0000000000000)
_MANTISSA = np.uint64(0x000FFFFFFFFFFFFF)
_MAGIC = np.uint64(0x4330000000000000)  # the bits of 2**52: turns a small integer into a double
_TWO52 = 4503599627370496.0
_LN2 = 0.6931471805599453
_SIN = tuple((-1) ** k * np.pi ** (2 * k + 1) / float(np.prod(np.arange(1.0, 2 * k + 2))) for k in range(11))
_COS = tuple((-1) ** k * np.pi ** (2 * k) / float(np.prod(np.arange(1.0, 2 * k + 1))) for k in range(11))


def seed_lanes(rng: np.random.Generator, blocks: int = 1) -> IntArray:
    """Return independent xoshiro256++ states, shape (blocks, 4, STREAMS), drawn from `rng`."""
    state: IntArray = rng.integers(1, 2**64 - 1, size=(blocks, 4, STREAMS), dtype=np.uint64)
    return state


@njit(cache=True, inline="always")
def _next_bits(s: IntArray, out: IntArray) -> None:
    """Advance every lane once and write 64 random bits per lane to `out`."""
    for i in range(STREAMS):
        a, b, c, d = s[0, i], s[1, i], s[2, i], s[3, i]
        x = a + d
        out[i] = ((x << np.uint64(23)) | (x >> np.uint64(41))) + a
        t = b << np.uint64(17)
        c ^= a
        d ^= b
        b ^= c
        a ^= d
        c ^= t
        s[0, i], s[1, i], s[2, i], s[3, i] = a, b, c, (d << np.uint64(45)) | (d >> np.uint64(19))


@njit(cache=True, fastmath={"contract"}, error_model="numpy")
def fill_normals(s: IntArray, out: FloatArray) -> None:
    """Fill the flat array `out` with standard normal numbers; `s` has shape (4, STREAMS) and advances."""
    bits = np.empty(STREAMS, np.uint64)
    number = bits.view(np.float64)
    power = np.empty(STREAMS, np.uint64)
    exponent = power.view(np.float64)
    radius = np.empty(STREAMS)
    pair = np.empty(2 * STREAMS)
    for at in range(0, out.size, 2 * STREAMS):
        _next_bits(s, bits)
        for i in range(STREAMS):
            bits[i] = (bits[i] >> np.uint64(12)) | _ONE
        for i in range(STREAMS):
            number[i] = 2.0 - number[i]  # uniform on (0, 1]
        for i in range(STREAMS):
            power[i] = (bits[i] >> np.uint64(52)) | _MAGIC
            bits[i] = (bits[i] & _MANTISSA) | _ONE
        for i in range(STREAMS):
            m = number[i]
            e = exponent[i] - (_TWO52 + 1023.0)
            high = m > 1.4142135623730951
            m = 0.5 * m if high else m
            e = e + 1.0 if high else e
            z = (m - 1.0) / (m + 1.0)
            y = z * z
            p = 1 / 19 + y * (1 / 21)
            for_13 = 1 / 15 + y * (1 / 17 + y * p)
            series = 1 / 7 + y * (1 / 9 + y * (1 / 11 + y * (1 / 13 + y * for_13)))
            log_m = 2.0 * z * (1.0 + y * (1 / 3 + y * (1 / 5 + y * series)))
            square = -2.0 * (e * _LN2 + log_m)
            radius[i] = np.sqrt(square if square > 0.0 else 0.0)
        _next_bits(s, bits)
        for i in range(STREAMS):
            power[i] = bits[i] << np.uint64(63)  # a random sign for the cosine
            bits[i] = (bits[i] >> np.uint64(12)) | _ONE
        for i in range(STREAMS):
            x = number[i] - 1.5  # uniform on [-1/2, 1/2): half a turn
            y = x * x
            c = _COS[10]
            q = _SIN[10]
            c = _COS[7] + y * (_COS[8] + y * (_COS[9] + y * c))
            q = _SIN[7] + y * (_SIN[8] + y * (_SIN[9] + y * q))
            c = _COS[4] + y * (_COS[5] + y * (_COS[6] + y * c))
            q = _SIN[4] + y * (_SIN[5] + y * (_SIN[6] + y * q))
            c = 1.0 + y * (_COS[1] + y * (_COS[2] + y * (_COS[3] + y * c)))
            q = _SIN[0] + y * (_SIN[1] + y * (_SIN[2] + y * (_SIN[3] + y * q)))
            pair[i] = radius[i] * x * q
            number[i] = radius[i] * c
        for i in range(STREAMS):
            bits[i] ^= power[i]
        for i in range(STREAMS):
            pair[STREAMS + i] = number[i]
        n = min(2 * STREAMS, out.size - at)
        out[at : at + n] = pair[:n]
