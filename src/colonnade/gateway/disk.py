"""What a full disk or a store that is away means for a request."""

from __future__ import annotations

import errno
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from colonnade.gateway.storage import Unreachable
from colonnade.gateway.store import Unavailable


@contextmanager
def plain_errors(directory: Path | None = None) -> Iterator[None]:
    """Say in a sentence that the disk is full, and leave nothing of `directory` behind on any error."""
    try:
        yield
    except BaseException as error:
        if directory is not None:
            shutil.rmtree(directory, ignore_errors=True)
        if isinstance(error, Unreachable):
            raise Unavailable(str(error)) from error
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise Unavailable("There is no space left on the gateway's disk.") from error
        raise
