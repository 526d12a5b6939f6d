"""Drawing of frames, compiled by numba.

A row of an object is 33 bytes (11 pixels), or 30 at the right border. Such rows are combined as whole vectors by
intrinsics of LLVM: a loop over bytes would be compiled with tests of the arrays' overlap and of the row's length, which
take longer than the row. No part of a row is written twice, because a load that follows an overlapping store waits for
it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numba
import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic
from numpy.typing import NDArray

U8 = NDArray[np.uint8]
WIDE = ((0, 32), (32, 1))  # (offset, bytes) of the parts of a row
NARROW = ((0, 16), (16, 8), (24, 4), (28, 2))


def _row(parts: tuple[tuple[int, int], ...], blend: bool) -> Callable[..., None]:
    """An intrinsic that paints a row: `ink & mask`, or (blend) the ink where the mask is set, else what is there."""

    @intrinsic
    def paint(context: Any, frame: Any, at: Any, ink: Any, tint: Any, mask: Any, row: Any) -> Any:
        signature = types.void(frame, types.uint64, ink, types.uint64, mask, types.uint64)

        def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            def pointer(k: int, offset: int, kind: Any) -> Any:
                data = context.make_array(signature.args[k])(context, builder, args[k]).data
                place = builder.add(args[k + 1], ir.Constant(args[k + 1].type, offset))
                return builder.bitcast(builder.gep(data, [place]), kind.as_pointer())

            for offset, width in parts:
                kind = ir.VectorType(ir.IntType(8), width) if width >= 16 else ir.IntType(8 * width)
                target = pointer(0, offset, kind)
                new, kept = (builder.load(pointer(k, offset, kind), align=1) for k in (2, 4))
                if blend:
                    old = builder.load(target, align=1)
                    new = builder.xor(old, builder.and_(builder.xor(old, new), kept))
                else:
                    new = builder.and_(new, kept)
                builder.store(new, target, align=1)
            return context.get_dummy_value()

        return signature, generate

    return paint


_blend_wide, _blend_narrow = _row(WIDE, True), _row(NARROW, True)
_store_wide, _store_narrow = _row(WIDE, False), _row(NARROW, False)


@numba.njit(cache=True, nogil=True, forceinline=True)
def _tile(frame: U8, base: Any, cell: Any, tint: Any, form: Any, blend: bool, ink: U8, canvas: Any) -> None:
    """Paint one object; without `blend` the rest of its tile turns black.

    That is the faster way: it needs not wait for what the frame holds, which is seldom in a cache.
    """
    at, rows, stride = base + canvas.corner[cell], canvas.rows[cell], canvas.stride
    colour, row = np.uint64(tint) * np.uint64(33), np.uint64(form) * np.uint64(363)
    if canvas.wide[cell]:
        for _ in range(rows):
            if blend:
                _blend_wide(frame, at, ink, colour, canvas.masks, row)
            else:
                _store_wide(frame, at, ink, colour, canvas.masks, row)
            at += stride
            row += np.uint64(33)
    else:
        for _ in range(rows):
            if blend:
                _blend_narrow(frame, at, ink, colour, canvas.masks, row)
            else:
                _store_narrow(frame, at, ink, colour, canvas.masks, row)
            at += stride
            row += np.uint64(33)


@numba.njit(cache=True, nogil=True, forceinline=True)
def _stale(b: int, cell: U8, colour: U8, drawn: U8, tinted: U8, near: Any) -> int:
    """Which objects (bits) must be painted again: those that changed, and those that share pixels with such a one."""
    n = cell.shape[1]
    changed = 0
    for i in range(n):
        changed |= ((drawn[b, i] != cell[b, i]) | (tinted[b, i] != colour[b, i])) << i
    if changed == 0:
        return 0
    stale = changed
    for i in range(n):
        for j in range(n):
            wiped = (changed >> j) & near[drawn[b, j], cell[b, i]]
            covered = (stale >> j) & (j < i) & near[cell[b, j], cell[b, i]]
            stale |= (wiped | covered) << i
    return stale


@numba.njit(cache=True, nogil=True)
def draw(
    lo: int,
    hi: int,
    cell: U8,
    colour: U8,
    shape: U8,
    ink: U8,
    canvas: Any,
    frame: U8,
    drawn: U8,
    tinted: U8,
    whole: Any,
) -> None:
    """Paint the frames of sub-environments lo to hi - 1; later objects over earlier ones.

    Where `whole` is false, `drawn` and `tinted` hold the cells and colours that `frame` shows, and only objects that
    changed, and what they touch, are painted: the pixels are those of a whole redraw.

    Args:
        cell, colour, shape: (batch, n) of every object.
        ink: flat, 33 bytes (a row's RGB) for each colour number.
        canvas: see `sprites.Canvas`.
        frame: flat, batch * 3 * (10 grid)^2 bytes.
        drawn, tinted: (batch, n), brought up to date.
        whole: (batch,) bool.
    """
    n, size = cell.shape[1], canvas.size
    for b in range(lo, hi):
        base = np.uint64(b) * size
        stale = (1 << n) - 1
        if whole[b]:
            for q in range(size):
                frame[base + q] = 0
        else:
            stale = _stale(b, cell, colour, drawn, tinted, canvas.near)
            if stale == 0:
                continue
            for i in range(n):
                if drawn[b, i] != cell[b, i]:
                    _tile(frame, base, drawn[b, i], 0, canvas.nothing, False, ink, canvas)
        for i in range(n):
            if (stale >> i) & 1:
                touches = 0  # an earlier object, whose pixels are to be kept; later ones are painted again
                for j in range(i):
                    touches |= canvas.near[cell[b, j], cell[b, i]]
                _tile(frame, base, cell[b, i], colour[b, i], shape[b, i], touches != 0, ink, canvas)
            drawn[b, i], tinted[b, i] = cell[b, i], colour[b, i]
