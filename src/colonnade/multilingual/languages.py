"""Language codes: what people write, as one code with a name; the unknown gets suggestions, the ambiguous a choice.

A language is known here by its ISO 639-3 code, with its script where that matters (`zho_Hant`): as SIB-200 and FLORES
name theirs.
"""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass
from functools import cache
from typing import Any

from colonnade.multilingual.errors import MultilingualError

# Codes that are in use but were withdrawn, or that sets of this field use in a meaning of their own.
_WITHDRAWN = {"iw": "heb", "in": "ind", "ji": "yid", "jw": "jav", "alb": "sqi", "mo": "ron", "sh": "hbs", "tl": "tgl"}
# A macrolanguage, and the one of its languages that data sets nearly always mean by it.
_INDIVIDUAL = {
    "ara": "arb", "zho": "cmn", "swa": "swh", "fas": "pes", "msa": "zsm", "est": "ekk", "lav": "lvs", "nep": "npi",
    "ori": "ory", "sqi": "als", "uzb": "uzn", "yid": "ydd", "aze": "azj", "mon": "khk", "nor": "nob", "orm": "gaz",
    "pus": "pbt", "que": "quy", "mlg": "plt", "kur": "kmr", "grn": "gug", "aym": "ayr", "ber": "kab",
}  # fmt: skip
# Codes that name a group of languages: which one is meant has to be said.
_AMBIGUOUS = {
    "kur": ("kmr", "ckb", "sdh"), "hbs": ("hrv", "srp", "bos"), "nor": ("nob", "nno"), "ber": ("kab", "tzm", "rif"),
}  # fmt: skip


@dataclass(frozen=True)
class Language:
    """A language: ISO 639-3 `code`, ISO 15924 `script` (may be empty), English `name`."""

    code: str
    script: str
    name: str

    def __str__(self) -> str:
        return f"{self.code}_{self.script}" if self.script else self.code

    @property
    def individual(self) -> str:
        """The code of one language where `code` stands for a group, as typological databases want it."""
        return _INDIVIDUAL.get(self.code, self.code)


@cache
def language(text: str, *, strict: bool = False) -> Language:
    """Read a language as people write it: `de`, `deu`, `ger`, `zh-CN`, `deu_Latn`, `iw`, or its English name.

    Args:
        text: a code with or without script or region, or a name.
        strict: refuse codes of a group of languages too (`kur`), and name its members.

    Raises:
        MultilingualError: nothing is known by that name (near ones are named), or, with `strict`, several are.
    """
    import langcodes

    wanted = text.strip().replace("_", "-")
    if not wanted:
        raise MultilingualError("a language is empty; give a code such as deu, or an English name")
    head = wanted.split("-")[0].lower()
    tag = "-".join([_WITHDRAWN.get(head, head), *wanted.split("-")[1:]])
    found = _by_code(tag) if re.fullmatch(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*", tag) else None
    if found is None:
        try:
            found = langcodes.find(text.strip())
        except LookupError:
            raise MultilingualError(f"language {text!r} is unknown{_suggest(text)}") from None
    code = found.to_alpha3()
    if strict and code in _AMBIGUOUS:
        raise MultilingualError(f"language {text!r} is ambiguous; say which: {', '.join(_AMBIGUOUS[code])}")
    return Language(code, found.script or "", found.display_name().split(" (")[0])


def languages(text: str, *, least: int = 1) -> list[Language]:
    """Several languages, separated by commas or spaces; named twice is a mistake.

    Raises:
        MultilingualError: one is unknown or named twice, or there are fewer than `least`.
    """
    parts = [part for part in re.split(r"[,;\s]+", text) if part]
    found = [language(part) for part in parts]
    twice = {str(item) for item in found if found.count(item) > 1}
    if twice:
        raise MultilingualError(f"languages holds {', '.join(sorted(twice))} more than once")
    if len(found) < least:
        raise MultilingualError(f"languages names {len(found)}; at least {least} are needed")
    return found


def _by_code(tag: str) -> Any:
    import langcodes

    try:
        found = langcodes.Language.get(tag)
    except ValueError:
        return None
    return found if found.language and langcodes.tag_is_valid(found.language) and found.is_valid() else None


def _suggest(text: str) -> str:
    near = difflib.get_close_matches(text.strip().lower(), _KNOWN, n=3, cutoff=0.5)
    return f" (did you mean {' or '.join(near)}?)" if near else "; give an ISO 639 code such as deu, or an English name"


_NAMES = (
    "afr amh arb aze bel ben bul cat ces cym dan deu ell eng est eus fas fin fra gle glg guj hat hau heb hin hrv hun "
    "hye ind isl ita jav jpn kab kan kat kaz khm kor lao lav lit mal mar mkd mlt mon mya nep nld nob ory pan pol por "
    "ron rus slk slv som spa sqi srp sun swa swe swh tam tel tgl tha tur ukr urd uzb vie wol xho yor zho zul af am ar "
    "az be bg bn ca cs cy da de el en es et eu fa fi fr ga gl gu ha he hi hr hu hy id is it ja jv ka kk km kn ko lo "
    "lt lv mk ml mn mr ms mt my ne nl no pa pl pt ro ru si sk sl so sq sr su sv sw ta te th tl tr uk ur uz vi wo xh "
    "yi yo zh zu german english french spanish portuguese finnish hindi swahili chinese arabic russian japanese "
    "korean turkish italian polish hungarian hebrew basque maltese icelandic indonesian bengali tamil thai "
    "vietnamese yoruba zulu"
)
_KNOWN = tuple(_NAMES.split())
