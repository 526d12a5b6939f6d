"""Getting the official files: resumed after a cut, checked after the download, from the first mirror that is right."""

from __future__ import annotations

import hashlib
import logging
import os
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from colonnade.physics.errors import PhysicsError, engine
from colonnade.physics.schema import Spec

MIRRORS_VARIABLE = "COLONNADE_PHYSICS_MIRRORS"  # folders of other servers, separated by blanks
PATIENCE = 4.0  # seconds for all servers together to answer at all
STALL = 30.0  # seconds without a byte after which a transfer counts as cut
CHUNK = 1 << 16
Progress = Callable[[int, int], None]


def fetch(spec: Spec, folder: Path, mirrors: Sequence[str] | None = None, progress: Progress | None = None) -> Path:
    """The official file of a data set, downloaded into `folder` unless it is there already.

    Args:
        spec: the data set.
        folder: where the file is kept, and where a cut download is continued.
        mirrors: full addresses to try, in order; by default the official one, then those of the variable
            COLONNADE_PHYSICS_MIRRORS.
        progress: called with bytes so far and in all (0: unknown).

    Raises:
        PhysicsError: no server has it, or what came is not the file; says which, and leaves nothing wrong behind.
    """
    target = folder / spec.file
    if target.exists() and md5(target) == spec.md5:
        return target
    addresses = list(mirrors) if mirrors is not None else [spec.url, *_own_mirrors(spec)]
    folder.mkdir(parents=True, exist_ok=True)
    reasons = []
    for address in addresses:
        try:
            return _retrieve(address, spec, folder, PATIENCE / len(addresses), progress)
        except PhysicsError as error:
            reasons.append(f"{address}: {error}")
    raise PhysicsError(
        f"The official file {spec.file} could not be had. {' '.join(reasons)} If this machine is offline, put your own "
        f"copy into {str(folder)!r}, or make events of the same schema with generate({spec.name!r}, n, seed)."
    )


def md5(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "md5").hexdigest()


def _own_mirrors(spec: Spec) -> list[str]:
    return [f"{base.rstrip('/')}/{spec.file}" for base in os.environ.get(MIRRORS_VARIABLE, "").split()]


def _retrieve(address: str, spec: Spec, folder: Path, patience: float, progress: Progress | None) -> Path:
    pooch = engine("pooch")
    pooch.get_logger().setLevel(logging.WARNING)
    partial = folder / f".{spec.file}.part"
    try:
        found = pooch.retrieve(
            address,
            known_hash=f"md5:{spec.md5}",
            fname=spec.file,
            path=folder,
            downloader=_Resuming(partial, patience, progress),
        )
    except ValueError as error:
        partial.unlink(missing_ok=True)
        if isinstance(error, PhysicsError):
            raise
        raise PhysicsError(f"what came is not the file: its md5 is not {spec.md5}.") from None
    return Path(found)


class _Resuming:
    """A downloader for pooch that keeps what has arrived and asks for the rest next time."""

    def __init__(self, partial: Path, patience: float, progress: Progress | None) -> None:
        self.partial, self.patience, self.progress = partial, patience, progress

    def __call__(self, url: str, output_file: Any, pooch: Any, check_only: bool = False) -> None:
        requests = engine("requests")
        try:
            self._fill(requests, url)
        except requests.exceptions.RequestException as error:
            kept = self.partial.stat().st_size if self.partial.exists() else 0
            again = f"; {kept} bytes are kept, and the next call continues" if kept else ""
            raise _Cut(f"the server could not be reached or broke off ({type(error).__name__}){again}.") from None
        self.partial.replace(output_file)

    def _fill(self, requests: Any, url: str, attempts: int = 3) -> None:
        """Ask for what is missing until the length that the server announced is there."""
        for attempt in range(attempts):
            have = self.partial.stat().st_size if self.partial.exists() else 0
            headers = {"Range": f"bytes={have}-"} if have else {}
            try:
                with requests.get(url, headers=headers, stream=True, timeout=(self.patience, STALL)) as answer:
                    if self._receive(requests, answer, have):
                        return
            except (requests.exceptions.ConnectionError, requests.exceptions.ChunkedEncodingError):
                if attempt + 1 == attempts or not self.partial.exists():
                    raise
        raise _Cut("the server broke off three times; what has arrived is kept, and the next call continues.")

    def _receive(self, requests: Any, answer: Any, have: int) -> bool:
        """Write one answer; whether the file is as long as the server said."""
        if answer.status_code == 416:  # nothing is left to send: the file is whole, or longer than the server's
            return True
        if answer.status_code not in (200, 206):
            raise _Cut(f"the server answered {answer.status_code}.")
        if "text/html" in answer.headers.get("Content-Type", ""):
            raise _Cut("the server sent a web page (a login or error page), not the file.")
        begin, total = _extent(answer)
        if begin not in (0, have):
            raise _Cut(f"the server sent bytes from {begin} on where those from {have} on were asked for.")
        with self.partial.open("ab" if begin else "wb") as stream:
            for chunk in answer.iter_content(CHUNK):
                stream.write(chunk)
                if self.progress is not None:
                    self.progress(stream.tell(), total)
        return not total or self.partial.stat().st_size >= total


class _Cut(PhysicsError):
    """A transfer that did not end well; what arrived may be worth keeping."""


def _extent(answer: Any) -> tuple[int, int]:
    """First byte of an answer, and the length of the whole file (0: the server does not say)."""
    if answer.status_code == 206:
        span = re.fullmatch(r"bytes (\d+)-\d+/(\d+|\*)", answer.headers.get("Content-Range", ""))
        if span is None:
            raise _Cut("the server sent a part of the file without saying which.")
        return int(span[1]), int(span[2]) if span[2] != "*" else 0
    return 0, int(answer.headers.get("Content-Length", 0))
