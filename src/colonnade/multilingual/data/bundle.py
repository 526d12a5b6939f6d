"""Several languages in one file: a table with a column a language, or a zip of files named by their language."""

from __future__ import annotations

import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import TypeVar

from colonnade.multilingual.data.lines import MAX_LINE, read_lines, rows
from colonnade.multilingual.data.parallel import Parallel, language_of, read_parallel
from colonnade.multilingual.errors import MultilingualError, enough
from colonnade.multilingual.languages import language

MAX_UNPACKED = 500_000_000  # bytes

T = TypeVar("T")


def read_aligned(path: Path) -> Parallel:
    """Aligned sentences: a .tsv whose header names the languages, or a .zip of files of lines (`deu.txt`, ...).

    Raises:
        MultilingualError: unequal numbers of lines, an unknown language, or a file that is neither.
    """
    if zipfile.is_zipfile(path):  # by content: an uploaded file is stored without its ending
        return from_zip(path, read_parallel)
    found = _table(path)
    return Parallel(found).clean()


def read_texts(path: Path) -> dict[str, list[str]]:
    """Lines by language of the same two layouts, aligned or not; blank lines are left out.

    Raises:
        MultilingualError: an unknown language, or a file that is neither.
    """
    if zipfile.is_zipfile(path):  # by content: an uploaded file is stored without its ending
        found = from_zip(path, lambda files: {code: read_lines(file) for code, file in files.items()})
    else:
        found = _table(path)
    return {code: [line for line in lines if line.strip()] for code, lines in found.items()}


def from_zip(path: Path, read: Callable[[dict[str, Path]], T]) -> T:
    """Unpack a zip, name its files by language, and read them before they are gone.

    Raises:
        MultilingualError: it is no zip, too large, holds no file, or two of one language.
    """
    with tempfile.TemporaryDirectory() as folder:
        files: dict[str, Path] = {}
        try:
            with zipfile.ZipFile(path) as archive:
                entries = [entry for entry in archive.infolist() if _plain(entry)]
                if sum(entry.file_size for entry in entries) > MAX_UNPACKED:
                    raise MultilingualError(f"{path.name!r} unpacks to more than {MAX_UNPACKED // 10**6} MB")
                for entry in entries:
                    name = PurePosixPath(entry.filename).name
                    code = language_of(name)
                    if code in files:
                        raise MultilingualError(f"{path.name!r} has {files[code].name!r} and {name!r}, both {code}")
                    files[code] = Path(folder) / name
                    files[code].write_bytes(archive.read(entry))
        except (zipfile.BadZipFile, OSError, RuntimeError, EOFError) as error:
            raise MultilingualError(f"{path.name!r} is no zip, or is cut: {error}") from None
        enough("files", len(files), 1, f"the archive {path.name!r}")
        return read(files)


def _plain(entry: zipfile.ZipInfo) -> bool:
    parts = PurePosixPath(entry.filename).parts
    return not entry.is_dir() and not any(part.startswith((".", "__")) for part in parts)


def _table(path: Path) -> dict[str, list[str]]:
    cells = rows(path, 2, "a table of languages")
    codes = [str(language(name)) for name in cells[0]]
    if len(set(codes)) < len(codes):
        raise MultilingualError(f"the header of {path.name!r} names a language twice: {', '.join(codes)}")
    for number, row in enumerate(cells[1:], 2):
        if len(row) != len(codes):
            raise MultilingualError(
                f"row {number} of {path.name!r} has {len(row)} cells but the header {len(codes)} languages"
            )
        if any(len(cell) > MAX_LINE for cell in row):
            raise MultilingualError(f"row {number} of {path.name!r} has a cell of more than {MAX_LINE} characters")
    enough("rows below the header", len(cells) - 1, 1, "a table of languages")
    return {code: [row[i] for row in cells[1:]] for i, code in enumerate(codes)}
