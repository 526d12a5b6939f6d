"""Many independent calls at once: on a Dask cluster when the job runs on one, else on local processes."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import ProcessPoolExecutor
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")

SCHEDULER_VARIABLE = "COLONNADE_SCHEDULER"  # set by the gateway's engine for jobs that may use the cluster


def fan_out(function: Callable[[T], R], items: Sequence[T], cores: int) -> Generator[R, None, None]:
    """Results of `function` over `items`, in order, as they become known."""
    scheduler = os.environ.get(SCHEDULER_VARIABLE)
    if scheduler:
        yield from _on_cluster(function, items, scheduler)
    elif min(cores, len(items)) > 1:
        context = multiprocessing.get_context("forkserver")
        with ProcessPoolExecutor(min(cores, len(items)), mp_context=context) as pool:
            try:
                yield from pool.map(function, items)
            except BaseException:  # also Ctrl-C, and a caller that wants no more
                _kill(pool)
                raise
    else:
        yield from map(function, items)


def _kill(pool: ProcessPoolExecutor) -> None:
    """End the pool's processes at once; leaving its block waits for what they were doing, however long that takes."""
    processes = list((pool._processes or {}).values())
    pool.shutdown(wait=False, cancel_futures=True)
    for process in processes:
        process.kill()


def _on_cluster(function: Callable[[T], R], items: Sequence[T], scheduler: str) -> Generator[R, None, None]:
    from distributed import Client

    with Client(scheduler, set_as_default=False) as client:  # type: ignore[no-untyped-call]
        for future in client.map(function, items, pure=False):
            yield future.result()
