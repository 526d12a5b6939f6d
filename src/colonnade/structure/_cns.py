"""Reader of CNS distance restraints: ``assign (selection) (selection) distance minus plus``."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator

from colonnade.structure.restraints import AtomId, Restraint, RestraintError

_TOKEN = re.compile(r"[()]|\"[^\"]*\"|[^\s()]+")
_Term = dict[str, str]


class _Tokens:
    """The words of a file with their line numbers, and a finger on the next."""

    def __init__(self, text: str) -> None:
        without = re.sub(r"\{[^}]*\}", lambda m: "\n" * m[0].count("\n"), text)
        self.items: list[tuple[str, int]] = [
            (match[0], number)
            for number, line in enumerate(without.splitlines(), start=1)
            for match in _TOKEN.finditer(re.sub(r"[!#].*", "", line))
        ]
        self.at = 0

    @property
    def word(self) -> str:
        return self.items[self.at][0] if self.at < len(self.items) else ""

    @property
    def line(self) -> int:
        return self.items[min(self.at, len(self.items) - 1)][1]

    def take(self, expected: str = "") -> str:
        word = self.word
        if not word or (expected and word.lower() != expected):
            wanted = f"{expected!r}" if expected else "more"
            raise RestraintError(f"line {self.line}: expected {wanted}, got {word or 'the end of the file'!r}.")
        self.at += 1
        return word


def parse_tbl(text: str) -> list[Restraint]:
    """All restraints of a CNS file. Selections may use resid, segid, name, resname, and, or, and parentheses.

    Raises:
        RestraintError: naming the line at fault.
    """
    tokens, result = _Tokens(text), []
    while tokens.word:
        if not tokens.word.lower().startswith("assi"):
            raise RestraintError(f"line {tokens.line}: expected 'assign', got {tokens.word!r}.")
        line = tokens.line
        tokens.take()
        first, second = _side(tokens), _side(tokens)
        numbers = [_number(tokens) for _ in range(3)]
        distance, minus, plus = numbers
        try:
            result.append(Restraint(first, second, max(distance - minus, 0.0), distance + plus))
        except RestraintError as error:
            raise RestraintError(f"line {line}: {error}") from None
    return result


def _number(tokens: _Tokens) -> float:
    line, word = tokens.line, tokens.take()
    try:
        return float(word)
    except ValueError:
        raise RestraintError(f"line {line}: expected a distance, got {word!r}.") from None


def _side(tokens: _Tokens) -> tuple[AtomId, ...]:
    line = tokens.line
    tokens.take("(")
    terms = _either(tokens)
    tokens.take(")")
    return tuple(dict.fromkeys(_atom(term, line) for term in terms))


def _either(tokens: _Tokens) -> list[_Term]:
    """``a or b``: the alternatives of both."""
    terms = _both(tokens)
    while tokens.word.lower() == "or":
        tokens.take()
        terms = terms + _both(tokens)
    return terms


def _both(tokens: _Tokens) -> list[_Term]:
    """``a and b``: every alternative of a joined with every one of b."""
    terms = _one(tokens)
    while tokens.word.lower() == "and":
        tokens.take()
        right = _one(tokens)
        terms = [merged for a, b in itertools.product(terms, right) for merged in _merge(a, b, tokens.line)]
    return terms


def _merge(a: _Term, b: _Term, line: int) -> Iterator[_Term]:
    if any(key in a and a[key] != b[key] for key in b):
        raise RestraintError(f"line {line}: a selection asks for two values of one kind ({a} and {b}).")
    yield a | b


def _one(tokens: _Tokens) -> list[_Term]:
    if tokens.word == "(":
        tokens.take()
        terms = _either(tokens)
        tokens.take(")")
        return terms
    line, word = tokens.line, tokens.take().lower()
    keys = {"resi": "resid", "segi": "segid", "name": "name", "atom": "name", "resn": "resname"}
    if word[:4] not in keys:
        raise RestraintError(f"line {line}: {word!r} is not one of resid, segid, name, resname.")
    return [{keys[word[:4]]: tokens.take().strip('"').strip()}]


def _atom(term: _Term, line: int) -> AtomId:
    match = re.fullmatch(r"(-?\d+)([A-Za-z]?)", term.get("resid", ""))
    if match is None:
        raise RestraintError(f"line {line}: a selection needs one residue number, got {term.get('resid', 'none')!r}.")
    return AtomId(term.get("segid", ""), int(match[1]), term.get("name", "").upper(), match[2])
