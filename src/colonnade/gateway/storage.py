"""Files of jobs in an object store (S3, or whatever else fsspec reaches), for workers that share no folder with us.

    files/AB/SHA256          uploads, by content
    runs/XY/RUN/SHA256       files of a run, by content
    runs/XY/RUN/0002.json    what attempt 2 left: names, sizes and checksums; written last
    runs/XY/RUN/0002.part    the same of its last checkpoint

An object is there whole or not at all, and a run's files count only once a list names them: whatever is cut off is
never seen. Who sends reads the size back and lets the store check what arrived; who fetches checks SHA-256.
"""

from __future__ import annotations

import errno
import hashlib
import json
import logging
import os
import secrets
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any, TypeVar

from colonnade.errors import ColonnadeError
from colonnade.gateway.settings import Settings

log = logging.getLogger(__name__)

T = TypeVar("T")
PIECE = 1 << 20
FETCHED = ".fetched"  # in a run directory that holds all that the store has of the run
FIRST_WAIT, LONGEST_WAIT = 0.2, 10.0  # seconds between two tries to reach the store
WHOLE = ("s3", "s3a", "gs", "gcs", "abfs", "az")  # where an object appears only once it is complete
TIMEOUTS = {"connect_timeout": 5, "read_timeout": 60, "retries": {"max_attempts": 1}}


class Unreachable(ColonnadeError):
    """The store does not answer, or not as it should; trying again later may help."""


class Damaged(ColonnadeError):
    """What was fetched is not what was stored."""


@dataclass(frozen=True)
class Storage:
    """A place in an object store.

    Args:
        url: as fsspec writes it, e.g. "s3://bucket/folder".
        endpoint: address of the server, where it is not Amazon's.
        key: name of the access key.
        secret: the access key itself.
    """

    url: str
    endpoint: str = ""
    key: str = ""
    secret: str = field(default="", repr=False)

    @cached_property
    def _place(self) -> tuple[Any, str]:
        import fsspec

        options: dict[str, Any] = {"use_listings_cache": False}
        if self.url.startswith(("s3://", "s3a://")):
            options |= {"config_kwargs": TIMEOUTS, "key": self.key or None, "secret": self.secret or None}
            options |= {"endpoint_url": self.endpoint or None}
        fs, root = fsspec.core.url_to_fs(self.url, **options)
        return fs, str(root).rstrip("/")

    def _call(self, what: str, call: Callable[[Any, str], T]) -> T:
        try:
            fs, root = self._place
            return call(fs, root)
        except FileNotFoundError:
            raise
        except Exception as error:  # botocore, aiohttp and fsspec have many words for it
            if isinstance(error, OSError) and error.errno in _LOCAL:
                raise
            raise Unreachable(f"The file storage cannot be reached ({what}: {type(error).__name__}).") from error

    # --- objects ---------------------------------------------------------------------------------

    def put(self, source: Path, name: str) -> None:
        """Store a file under a name, whole or not at all."""

        def send(fs: Any, root: str) -> None:
            target = f"{root}/{name}"
            whole = self.url.partition(":")[0] in WHOLE
            draft = target if whole else f"{target}.{secrets.token_hex(8)}"
            if not whole:
                fs.makedirs(target.rpartition("/")[0], exist_ok=True)
            fs.put_file(str(source), draft)
            if not whole:
                fs.mv(draft, target)
            stored, size = int(fs.info(target)["size"]), source.stat().st_size
            if stored != size:
                raise OSError(f"{stored} bytes of {size} arrived")

        self._call("put", send)

    def get(self, name: str, target: Path, sha256: str) -> None:
        """Fetch an object of known content.

        Raises:
            Damaged: its content is another.
            FileNotFoundError: there is none of that name.
        """
        target.parent.mkdir(parents=True, exist_ok=True)
        draft = target.with_name(f".{secrets.token_hex(8)}")
        try:
            self._call("get", lambda fs, root: fs.get_file(f"{root}/{name}", str(draft)))
            if checksum(draft) != sha256:
                raise Damaged(f"The stored file {name} is damaged.")
            draft.replace(target)
        finally:
            draft.unlink(missing_ok=True)

    def has(self, name: str) -> bool:
        return bool(self._call("look", lambda fs, root: fs.exists(f"{root}/{name}")))

    def remove(self, name: str) -> None:
        """Remove an object, or all below a folder; nothing happens when there is none."""

        def take(fs: Any, root: str) -> None:
            with suppress(FileNotFoundError):
                fs.rm(f"{root}/{name}", recursive=True)

        self._call("remove", take)

    # --- runs ------------------------------------------------------------------------------------

    def keep(self, run: str, attempt: int, paths: dict[str, Path], *, part: bool = False) -> int:
        """Store the files of an attempt by their names in the run directory, and then the list of them.

        Files must not change meanwhile.

        Returns:
            Bytes in all.
        """
        listed: dict[str, tuple[str, int]] = {}
        for name, path in paths.items():
            sha256 = checksum(path)
            listed[name] = (sha256, path.stat().st_size)
            if not self.has(f"{_folder(run)}/{sha256}"):
                self.put(path, f"{_folder(run)}/{sha256}")
        with tempfile.NamedTemporaryFile() as draft:
            draft.write(json.dumps({"attempt": attempt, "files": listed}).encode())
            draft.flush()
            self.put(Path(draft.name), f"{_folder(run)}/{attempt:04d}.{'part' if part else 'json'}")
        return sum(size for _, size in listed.values())

    def fetch(self, run: str, target: Path, names: Callable[[list[str]], list[str]]) -> list[str]:
        """Fetch the files of some lists of a run into a folder; those of later lists win.

        Args:
            run: the run.
            target: where the files go; each appears there whole.
            names: picks the lists, from their names in order: "0000.json", "0001.part" ...

        Returns:
            The lists that were read.
        """
        found: dict[str, tuple[str, int]] = {}
        lists = names(self.lists(run))
        for name in lists:
            found |= json.loads(self._read(f"{_folder(run)}/{name}"))["files"]
        for name in sorted(found, key=lambda name: name == "result.json"):  # it says that the rest is there
            sha256, _ = found[name]
            if PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts:
                raise Damaged(f"The list of run {run} names {name!r}.")
            self.get(f"{_folder(run)}/{sha256}", target / name, sha256)
        return lists

    def fetch_results(self, run: str, directory: Path) -> None:
        """Bring a run's request and what its last ended attempt left to `directory`, once."""
        if (directory / FETCHED).exists():
            return
        lists = self.fetch(run, directory, lambda names: [*names[:1], *_ends(names)])
        if _ends(lists):
            (directory / FETCHED).touch()

    def _read(self, name: str) -> bytes:
        found: bytes = self._call("get", lambda fs, root: fs.cat_file(f"{root}/{name}"))
        return found

    def lists(self, run: str) -> list[str]:
        """Names of the lists of a run, in the order in which they were written."""

        def look(fs: Any, root: str) -> list[str]:
            try:
                found = fs.ls(f"{root}/{_folder(run)}", detail=False, refresh=True)
            except FileNotFoundError:
                return []
            names = (str(path).rpartition("/")[2] for path in found)
            return sorted((name for name in names if name.endswith((".json", ".part"))), key=_turn)

        return self._call("list", look)

    def forget(self, run: str) -> None:
        """Remove all of a run."""
        self.remove(_folder(run))


_LOCAL = frozenset({errno.ENOSPC, errno.EDQUOT})  # this machine's disk, not the store


def _turn(name: str) -> tuple[int, bool]:
    return int(name[:4]), name.endswith(".json")  # what an attempt left at its end counts more than its checkpoint


def _folder(run: str) -> str:
    return f"runs/{run[-2:].lower()}/{run}"


def checksum(path: Path) -> str:
    """SHA-256 of a file."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def tree(directory: Path, *tops: str) -> dict[str, Path]:
    """The regular files of a run directory, by name: of some entries only, when `tops` names them."""

    def walk() -> Iterator[Path]:
        for top in tops or sorted(os.listdir(directory)):  # noqa: PTH208
            path = directory / top
            yield from sorted(path.rglob("*")) if path.is_dir() and not path.is_symlink() else [path]

    found = {path.relative_to(directory).as_posix(): path for path in walk()}
    return {name: path for name, path in found.items() if path.is_file() and not path.is_symlink()}


def snapshot(directory: Path, target: Path, *tops: str) -> dict[str, Path]:
    """Copies of files that may still change."""
    made = {}
    for name, path in tree(directory, *tops).items():
        copy = target / name
        copy.parent.mkdir(parents=True, exist_ok=True)
        with suppress(FileNotFoundError):  # it was replaced or removed this moment
            shutil.copyfile(path, copy)
            made[name] = copy
    return made


def patiently(call: Callable[[], T], patience: float) -> T:
    """Call again while the store is away, for some seconds.

    Raises:
        Unreachable: it stayed away.
    """
    end, wait = time.monotonic() + patience, FIRST_WAIT
    while True:
        try:
            return call()
        except Unreachable:
            if time.monotonic() + wait > end:
                raise
            time.sleep(wait)
            wait = min(2 * wait, LONGEST_WAIT)


def storage_of(settings: Settings) -> Storage | None:
    """The object store of the settings; None when files lie in the data folder."""
    if not settings.storage:
        return None
    secret = settings.storage_secret.get_secret_value()
    return Storage(settings.storage, settings.storage_endpoint, settings.storage_key, secret)


def _ends(lists: list[str]) -> list[str]:
    """The list of what the last attempt left, when one has come to its end."""
    return [name for name in lists if name.endswith(".json") and name != "0000.json"][-1:]
