"""Reading text as people have it: encodings, byte-order marks, line ends, huge lines."""

from __future__ import annotations

import unicodedata
from pathlib import Path

from colonnade.multilingual.errors import MultilingualError

MAX_LINE = 1_000_000  # characters; a longer line is no sentence, and would fill the memory of an encoder


def read_text(path: Path) -> str:
    """A file's text: UTF-8 with or without mark, UTF-16 with mark; line ends as "\\n"; composed (NFC).

    Raises:
        MultilingualError: it is in another encoding, empty, or no text at all.
    """
    raw = path.read_bytes()
    if raw.startswith((b"\xff\xfe", b"\xfe\xff")):
        encoding = "utf-16"
    elif b"\x00" in raw[:4096]:
        raise MultilingualError(f"{path.name!r} is no text: it holds zero bytes")
    else:
        encoding = "utf-8-sig"
    try:
        text = raw.decode(encoding)
    except UnicodeDecodeError as error:
        raise MultilingualError(
            f"{path.name!r} is not UTF-8 (byte {error.start}, line {raw.count(10, 0, error.start) + 1}); "
            "save it as UTF-8 first"
        ) from None
    if not text.strip():
        raise MultilingualError(f"{path.name!r} holds no text")
    return unicodedata.normalize("NFC", text.replace("\r\n", "\n").replace("\r", "\n"))


def read_lines(path: Path) -> list[str]:
    """A file's lines, stripped; blank ones are kept, as line numbers matter in parallel text.

    Raises:
        MultilingualError: as `read_text`, or a line has more than a million characters.
    """
    lines = [line.strip() for line in read_text(path).rstrip("\n").split("\n")]
    for number, line in enumerate(lines, 1):
        if len(line) > MAX_LINE:
            raise MultilingualError(
                f"line {number} of {path.name!r} has {len(line)} characters; at most {MAX_LINE} are taken"
            )
    return lines


def rows(path: Path, columns: int, what: str) -> list[list[str]]:
    """Tab-separated cells of every line that is not blank.

    Raises:
        MultilingualError: a line has fewer than `columns` cells.
    """
    found = []
    for number, line in enumerate(read_text(path).rstrip("\n").split("\n"), 1):
        if not line.strip():
            continue
        cells = line.split("\t")
        if len(cells) < columns:
            raise MultilingualError(
                f"line {number} of {path.name!r} has {len(cells)} tab-separated cells; {what} needs {columns}"
            )
        found.append([cell.strip() for cell in cells])
    return found
