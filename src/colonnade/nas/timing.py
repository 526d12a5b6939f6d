"""How long a network takes for one image on this machine."""

from __future__ import annotations

import time

import numpy as np
import torch

from colonnade.nas.data import Images
from colonnade.nas.network import build
from colonnade.nas.spaces import Design
from colonnade.threads import one_thread


def latency(architecture: Design, data: Images, seconds: float = 0.03) -> float:
    """Median time in ms of one image through a network on one core of this machine."""
    with one_thread(), torch.inference_mode():
        network = build(architecture, data.channels, data.classes).eval().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        x = torch.zeros(1, data.channels, architecture.resolution, architecture.resolution)
        x = x.contiguous(memory_format=torch.channels_last)
        times: list[float] = []
        network(x)
        begin = time.perf_counter()
        while len(times) < 5 or time.perf_counter() - begin < seconds:
            start = time.perf_counter()
            network(x)
            times.append(time.perf_counter() - start)
    return float(np.median(times) * 1e3)
