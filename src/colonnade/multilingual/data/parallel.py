"""N-way parallel sentences: line i of every language says the same."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from colonnade.multilingual.data.lines import read_lines, rows
from colonnade.multilingual.errors import MultilingualError, enough
from colonnade.multilingual.languages import language


@dataclass(frozen=True)
class Parallel:
    """Aligned sentences by language: `sentences[code][i]` is sentence i. `notes` says what was put right.

    Raises:
        MultilingualError: fewer than two languages, or languages of different length.
    """

    sentences: Mapping[str, Sequence[str]]
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        enough("languages", len(self.sentences), 2, "parallel text")
        counts = {name: len(lines) for name, lines in self.sentences.items()}
        first, reference = next(iter(counts.items()))
        for name, count in counts.items():
            if count != reference:
                raise MultilingualError(
                    f"{first} has {reference} lines but {name} has {count}: aligned files have as many lines each"
                )
        enough("aligned sentences", reference, 1, "parallel text")

    def __len__(self) -> int:
        return len(next(iter(self.sentences.values())))

    @property
    def codes(self) -> list[str]:
        """Languages in the order given."""
        return list(self.sentences)

    def head(self, n: int) -> Parallel:
        """The first `n` sentences."""
        return Parallel({code: list(lines[:n]) for code, lines in self.sentences.items()}, self.notes)

    def take(self, codes: Sequence[str]) -> Parallel:
        """Some of the languages.

        Raises:
            MultilingualError: one is not there.
        """
        for code in codes:
            if code not in self.sentences:
                raise MultilingualError(f"language {code!r} is not in this text; it has {', '.join(self.sentences)}")
        return Parallel({code: self.sentences[code] for code in codes}, self.notes)

    def clean(self) -> Parallel:
        """Without the rows in which some language is blank, and with a note on lines that occur twice."""
        codes = self.codes
        kept = [row for row in zip(*self.sentences.values(), strict=True) if all(cell.strip() for cell in row)]
        enough("rows without a blank line", len(kept), 1, "parallel text")
        notes = list(self.notes)
        if len(kept) < len(self):
            notes.append(f"{len(self) - len(kept)} of {len(self)} rows were left out: a line is blank in some language")
        columns = {code: [row[i] for row in kept] for i, code in enumerate(codes)}
        for code, lines in columns.items():
            extra = sum(count - 1 for count in Counter(lines).values())
            if extra:
                notes.append(f"{code} has {extra} lines that occur before; either of two equal lines counts as found")
        return Parallel(columns, tuple(notes))


def read_parallel(files: Mapping[str, Path]) -> Parallel:
    """One file of lines a language; languages as people write them.

    Raises:
        MultilingualError: unequal numbers of lines (both files are named), or a language unknown or twice.
    """
    found: dict[str, list[str]] = {}
    names: dict[str, str] = {}
    for text, path in files.items():
        code = str(language(text))
        if code in found:
            raise MultilingualError(f"{path.name!r} and {names[code]!r} are both {code}")
        found[code], names[code] = read_lines(path), path.name
    counts = {code: len(lines) for code, lines in found.items()}
    for code, count in counts.items():
        first = next(iter(counts))
        if count != counts[first]:
            raise MultilingualError(
                f"{names[first]!r} has {counts[first]} lines but {names[code]!r} has {count}: "
                "aligned files have as many lines each"
            )
    return Parallel(found).clean()


def language_of(name: str) -> str:
    """The language that a file's name tells: `deu.txt`, `corpus.de`, `newstest2019-ref.deu.txt`, `eng-GB`.

    Raises:
        MultilingualError: no part of the name is a language.
    """
    stem = re.sub(r"\.(txt|tsv|conllu|json|csv)$", "", name, flags=re.IGNORECASE)
    for part in [stem, *reversed(re.split(r"[.\s]+", stem)), *reversed(re.split(r"[.\s_-]+", stem))]:
        if not re.fullmatch(r"[A-Za-z]{2,3}([_-][A-Za-z]{2,4})*", part):
            continue
        try:
            return str(language(part))
        except MultilingualError:
            continue
    raise MultilingualError(f"the name {name!r} does not tell the language; name the file by its code, as deu.txt")


def read_ntrex(folder: Path, codes: Sequence[str] = ()) -> Parallel:
    """NTREX-128: `newstest2019-ref.CODE.txt`, 1,997 lines each; region variants under their language.

    Raises:
        MultilingualError: the folder has no such files, or none of a language asked for.
    """
    files: dict[str, Path] = {}
    for path in sorted(folder.glob("newstest2019-*.txt")):
        files.setdefault(str(language(path.name.split(".")[-2])), path)
    if not files:
        raise MultilingualError(f"folder {folder.name!r} holds no newstest2019-ref.CODE.txt")
    return read_parallel(_chosen(files, codes, "NTREX"))


def read_tatoeba(folder: Path, code: str) -> Parallel:
    """One language of the Tatoeba retrieval set: `tatoeba.CODE-eng.CODE` beside `tatoeba.CODE-eng.eng`.

    Raises:
        MultilingualError: the pair is not there.
    """
    for name in (code, language(code).code, {"arb": "ara", "cmn": "cmn", "zho": "cmn"}.get(language(code).code, "")):
        own, english = folder / f"tatoeba.{name}-eng.{name}", folder / f"tatoeba.{name}-eng.eng"
        if name and own.exists() and english.exists():
            return read_parallel({name: own, "eng": english})
    there = sorted({path.name.split(".")[1][:3] for path in folder.glob("tatoeba.*-eng.eng")})
    listed = ", ".join(there[:12]) + (" ..." if len(there) > 12 else "")
    raise MultilingualError(f"Tatoeba has no {code!r} in {folder.name!r}; it has {listed or 'no files'}")


def read_sib_parallel(folder: Path, codes: Sequence[str] = ()) -> Parallel:
    """SIB-200 as parallel text: its 1,004 FLORES sentences by `index_id`; languages without text are left out.

    Raises:
        MultilingualError: the folder has no such layout, or a language asked for is empty or absent.
    """
    folders = {path.name: path for path in sorted(folder.iterdir()) if (path / "test.tsv").exists()}
    wanted = _chosen(folders, codes, "SIB-200")
    by_code: dict[str, dict[str, str]] = {}
    empty = []
    for name, path in wanted.items():
        cells = [row for split in ("train", "dev", "test") for row in rows(path / f"{split}.tsv", 2, "SIB-200")]
        texts = {row[0]: row[2] for row in cells if row[0] != "index_id" and len(row) > 2 and row[2]}
        if texts:
            by_code[name] = texts
        else:
            empty.append(name)
    if not by_code or (codes and empty):
        raise MultilingualError(f"SIB-200 has no sentences for {', '.join(empty) or 'any language'}")
    shared = set.intersection(*(set(texts) for texts in by_code.values()))
    order = sorted(shared, key=int)
    notes = (f"left out, as they have no sentences: {', '.join(empty)}",) if empty else ()
    return Parallel({name: [texts[key] for key in order] for name, texts in by_code.items()}, notes)


def read_bible(files: Mapping[str, Path]) -> Parallel:
    """Bible verses joined on (book, chapter, verse), in the order of the first file; verses missing anywhere drop out.

    A file is JSON: a list of books, each {"chapters": [[verse, ...], ...]} (thiagobodruk/bible), or lines
    `BOOK<tab>CHAPTER<tab>VERSE<tab>text`.

    Raises:
        MultilingualError: a file has neither layout, or the files share no verse.
    """
    verses = {str(language(code)): _verses(path) for code, path in files.items()}
    first = next(iter(verses.values()))
    shared = [key for key in first if all(key in other for other in verses.values())]
    enough("verses that all files share", len(shared), 1, "parallel text")
    dropped = {code: len(found) - len(shared) for code, found in verses.items() if len(found) > len(shared)}
    notes = tuple(f"{code}: {count} verses have no counterpart in every file" for code, count in dropped.items())
    return Parallel({code: [found[key] for key in shared] for code, found in verses.items()}, notes).clean()


def _verses(path: Path) -> dict[tuple[str, int, int], str]:
    if path.suffix.lower() == ".json":
        try:
            books = json.loads(path.read_text(encoding="utf-8-sig"))
            return {
                (str(b), c, v): str(text).strip()
                for b, book in enumerate(books)
                for c, chapter in enumerate(book["chapters"])
                for v, text in enumerate(chapter)
            }
        except (ValueError, KeyError, TypeError):
            raise MultilingualError(f"{path.name!r} is no list of books with chapters of verses") from None
    try:
        return {(row[0], int(row[1]), int(row[2])): row[3] for row in rows(path, 4, "a verse")}
    except ValueError as error:
        if isinstance(error, MultilingualError):
            raise
        raise MultilingualError(f"{path.name!r}: chapter and verse must be whole numbers") from None


def _chosen(there: Mapping[str, Path], codes: Sequence[str], what: str) -> dict[str, Path]:
    """The files of the languages asked for, by code with or without script; all when none is asked for."""
    if not codes:
        return dict(there)
    found = {}
    for code in codes:
        wanted = language(code)
        fits = [name for name in there if name == str(wanted) or language(name).code == wanted.code]
        fits += [name for name in there if not fits and language(name).individual == wanted.individual]
        if not fits:
            raise MultilingualError(f"{what} has no {code!r} here; it has {', '.join(there)}")
        found[fits[0]] = there[fits[0]]
    return found
