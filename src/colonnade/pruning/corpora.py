"""Labelled English texts as natural language toolkits pack them, read from a folder of the user's own.

| name | texts | classes | licence |
|---|---|---|---|
| reviews | 2,000 long film reviews (Pang and Lee 2004) | negative, positive | CC BY 4.0 |
| polarity | 10,662 sentences of film reviews (Pang and Lee 2005) | negative, positive | CC BY 4.0 |
| subjectivity | 10,000 sentences (Pang and Lee 2004) | objective, subjective | CC BY 4.0 |
| questions | 5,952 questions (Li and Roth 2002) | 6 kinds of answer | see its readme |
| imdb | 50,000 film reviews of all lengths (Maas et al. 2011) | negative, positive | for research |

The last is a folder `aclImdb` as its archive unpacks; of it, a part without the training texts will do.
"""

from __future__ import annotations

import hashlib
import re
import zipfile
from dataclasses import dataclass
from pathlib import Path

from colonnade.pruning.errors import PruningError, between, one_of

CORPORA = {
    "reviews": ("movie_reviews.zip", "a41211ae685019137410268134db6a1a14428c89b671eb83056151a878539008"),
    "polarity": ("sentence_polarity.zip", "6e1ed4405b65c7eabf1d199a7f7c437091ac21da0ea7467b410a74062574566b"),
    "subjectivity": ("subjectivity.zip", "741f3371e1a4375051b874fd82fd55857b90975473c91c19a3101cbe17fc4d8c"),
    "questions": ("qc.zip", "091fb01e50883014d150acb7d5013d787136968b3f955ae01725a65e7e80f304"),
}
IMDB = "imdb"
FOLDS = 5  # of sentences and reviews
_KINDS = ("ABBR", "DESC", "ENTY", "HUM", "LOC", "NUM")


@dataclass(frozen=True)
class Corpus:
    """Texts with the numbers of their classes, split as `load_corpus` says."""

    classes: tuple[str, ...]
    train: list[tuple[str, int]]
    test: list[tuple[str, int]]


def load_corpus(name: str, folder: str | Path, fold: int = FOLDS - 1) -> Corpus:
    """One of the corpora above. Test texts: two of the ten folds of the reviews or every fifth sentence (which ones,
    `fold` says, from 0 to 4), TREC-10 questions.

    Raises:
        PruningError: name or fold is unknown, or the folder does not hold the file as published.
    """
    one_of("corpus", name, (*CORPORA, IMDB))
    between("fold", fold, 0, FOLDS - 1)
    if name == IMDB:
        return _imdb(Path(folder).expanduser() / "aclImdb")
    file, checksum = CORPORA[name]
    path = Path(folder).expanduser() / file
    if not path.is_file():
        raise PruningError(f"There is no {file} in {str(folder)!r}.")
    if hashlib.sha256(path.read_bytes()).hexdigest() != checksum:
        raise PruningError(f"{file} is not the published file: its checksum differs.")
    with zipfile.ZipFile(path) as packed:
        if name == "reviews":
            return _reviews(packed, fold)
        if name == "questions":
            return _questions(packed)
        if name == "polarity":
            return _sentences(packed, ("negative", "rt-polarity.neg"), ("positive", "rt-polarity.pos"), fold=fold)
        objective, subjective = ("objective", "plot.tok.gt9.5000"), ("subjective", "quote.tok.gt9.5000")
        return _sentences(packed, objective, subjective, fold=fold)


def _reviews(packed: zipfile.ZipFile, fold: int) -> Corpus:
    found: dict[bool, list[tuple[str, int]]] = {False: [], True: []}
    for name in sorted(packed.namelist()):
        match = re.fullmatch(r"movie_reviews/(neg|pos)/cv(\d)\d\d_\d+\.txt", name)
        if match:
            found[int(match[2]) // 2 == fold].append((packed.read(name).decode("latin-1"), int(match[1] == "pos")))
    return Corpus(("negative", "positive"), found[False], found[True])


def _imdb(folder: Path) -> Corpus:
    def read(part: str) -> list[tuple[str, int]]:
        found = []
        for label, kind in enumerate(("neg", "pos")):
            for path in sorted((folder / part / kind).glob("*.txt"), key=lambda path: int(path.stem.partition("_")[0])):
                found.append((path.read_text(encoding="utf-8").replace("<br />", " "), label))
        return found

    test = read("test")
    if not test:
        raise PruningError(f"There are no reviews in {str(folder / 'test')!r}.")
    return Corpus(("negative", "positive"), read("train"), test)


def _sentences(packed: zipfile.ZipFile, *files: tuple[str, str], fold: int) -> Corpus:
    found: dict[bool, list[tuple[str, int]]] = {False: [], True: []}
    for label, (_, ending) in enumerate(files):
        name = next(entry for entry in packed.namelist() if entry.endswith(ending))
        for number, line in enumerate(packed.read(name).decode("latin-1").splitlines()):
            if line.strip():
                found[number % FOLDS == fold].append((line.strip(), label))
    return Corpus(tuple(label for label, _ in files), found[False], found[True])


def _questions(packed: zipfile.ZipFile) -> Corpus:
    def read(name: str) -> list[tuple[str, int]]:
        lines = packed.read(f"qc/{name}.txt").decode("latin-1").splitlines()
        pairs = (line.split(" ", 1) for line in lines if line.strip())
        return [(text.strip(), _KINDS.index(kind.partition(":")[0])) for kind, text in pairs]

    return Corpus(("abbreviation", "description", "entity", "human", "location", "number"), read("train"), read("test"))
