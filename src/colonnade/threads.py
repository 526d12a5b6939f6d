"""One thread for what must give the same bits on every machine's number of threads."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def one_thread() -> Iterator[None]:
    """Run torch on one thread; also a decorator.

    The order of summation in a matrix product depends on the number of threads, and with it the last bits of a
    training or of log w; times depend on it too. The networks are small: a second thread gains little, a second
    process all.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
