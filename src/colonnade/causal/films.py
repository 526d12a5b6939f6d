"""Films of episodes, side by side: GIF for papers and mails, MP4 for pages."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from colonnade.causal.errors import CausalError

Array = NDArray[Any]
GAP = 2  # grey pixels around each episode
RATE = 4  # steps a second


def sheet(frames: Array, columns: int = 3, zoom: int = 2) -> Array:
    """(steps, height, width, 3) uint8 pictures that show episodes beside each other.

    Args:
        frames: (episodes, steps, height, width, 3) uint8.
        columns: episodes in a row.
        zoom: pixels of the sheet along a side of a pixel.

    Raises:
        CausalError: frames have another shape or type.
    """
    if frames.ndim != 5 or frames.dtype != np.uint8 or frames.shape[-1] != 3:
        raise CausalError(
            f"frames must be uint8 (episodes, steps, height, width, 3), but are {frames.dtype} {frames.shape}."
        )
    tiles = np.pad(frames, ((0, 0), (0, 0), (GAP, GAP), (GAP, GAP), (0, 0)), constant_values=90)
    columns = min(columns, len(tiles))
    rows = -(-len(tiles) // columns)
    filled = np.concatenate([tiles, np.zeros((rows * columns - len(tiles), *tiles.shape[1:]), np.uint8)])
    steps, height, width = tiles.shape[1:4]
    grid = filled.reshape(rows, columns, steps, height, width, 3).transpose(2, 0, 3, 1, 4, 5)
    return grid.reshape(steps, rows * height, columns * width, 3).repeat(zoom, 1).repeat(zoom, 2)


def gif(frames: Array, path: Path, columns: int = 3, zoom: int = 2) -> None:
    """Write a sheet of episodes as a GIF that repeats."""
    from PIL import Image

    images = [Image.fromarray(picture) for picture in sheet(frames, columns, zoom)]
    images[0].save(path, save_all=True, append_images=images[1:], duration=1000 // RATE, loop=0)


def mp4(frames: Array, path: Path, columns: int = 3, zoom: int = 4) -> None:
    """Write a sheet of episodes as an MP4 (H.264); `zoom` is even, as the format wants even sides."""
    import imageio_ffmpeg

    pictures = np.ascontiguousarray(sheet(frames, columns, zoom))
    height, width = pictures.shape[1:3]
    options = ["-crf", "16", "-threads", "1", "-fflags", "+bitexact", "-flags:v", "+bitexact"]
    writer = imageio_ffmpeg.write_frames(
        str(path), (width, height), fps=RATE, codec="libx264", macro_block_size=2, output_params=options
    )
    writer.send(None)
    for picture in pictures:
        writer.send(picture)
    writer.close()
