"""Many independent calls at once: on a Dask cluster when the job runs on one, else on local processes."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")

SCHEDULER_VARIABLE = "COLONNADE_SCHEDULER"  # set by the gateway's engine for jobs that may use the cluster


def fan_out(function: Callable[[T], R], items: Sequence[T], cores: int) -> Iterator[R]:
    """Results of `function` over `items`, in order, as they become known."""
    scheduler = os.environ.get(SCHEDULER_VARIABLE)
    if scheduler:
        yield from _on_cluster(function, items, scheduler)
    elif min(cores, len(items)) > 1:
        context = multiprocessing.get_context("forkserver")
        with ProcessPoolExecutor(min(cores, len(items)), mp_context=context) as pool:
            yield from pool.map(function, items)
    else:
        yield from map(function, items)


def _on_cluster(function: Callable[[T], R], items: Sequence[T], scheduler: str) -> Iterator[R]:
    from distributed import Client

    with Client(scheduler, set_as_default=False) as client:  # type: ignore[no-untyped-call]
        for future in client.map(function, items, pure=False):
            yield future.result()
