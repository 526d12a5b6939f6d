"""CPU-seconds of a search, one thread: 10 classes of 20 hand signs, from the zip to ranked networks.

python benchmarks/nas_seconds.py
"""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import torch

from colonnade import nas
from colonnade.nas import ensemble, plots  # noqa: F401  (what a service imports is not part of the time)

EXAMPLE = Path(nas.__file__).parent / "services" / "examples" / "signs.zip"


def main() -> None:
    torch.set_num_threads(1)
    whole = nas.load_images(EXAMPLE)
    keep = np.concatenate([np.flatnonzero(whole.y == label)[:20] for label in range(10)])
    for repeat in range(3):
        ensemble.carried.cache_clear()
        start = time.process_time()
        data = nas.images(whole.x[keep], whole.y[keep])
        model = nas.carried()
        description = nas.describe(data)
        described = time.process_time()
        model.predict_all([nas.Macro(8, 1, 16)], description)
        scored = time.process_time()
        nas.search(data, nas.Limits(params=300_000), top=10)
        searched = time.process_time()
        nas.search(data, nas.Limits(params=300_000), top=10, rerank="naswot")
        ended = time.process_time()
        if repeat:
            print(f"features {described - start:.2f} s; 15,625 cells in one macro network {scored - described:.2f} s")
            print(f"search with latencies {searched - scored:.2f} s; with NASWOT {ended - searched:.2f} s")


if __name__ == "__main__":
    main()
