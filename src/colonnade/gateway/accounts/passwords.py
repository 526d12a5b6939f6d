"""Passwords: what is taken as one, and argon2 hashes of them by pwdlib."""

from __future__ import annotations

import threading
from functools import cache

from pwdlib import PasswordHash
from pwdlib.hashers.argon2 import Argon2Hasher

from colonnade.errors import BadInput, Problem

SHORTEST = 10
LONGEST = 200

# One hash takes 64 MiB and a core for a while: a burst of sign-ins must not take all memory.
_AT_ONCE = threading.Semaphore(2)


@cache
def _hasher() -> PasswordHash:
    return PasswordHash((Argon2Hasher(),))


@cache
def _nobodys() -> str:
    return _hasher().hash("a password that nobody has, hashed so that its check takes the usual time")


def check(password: str, email: str = "") -> None:
    """Refuse a password that is too easy to guess.

    Raises:
        BadInput: it is too short or long, the address itself, or one character repeated.
    """
    name = email.partition("@")[0]
    if not SHORTEST <= len(password) <= LONGEST:
        raise _refused(f"password must have {SHORTEST} to {LONGEST} characters, but has {len(password)}.")
    if len(set(password)) < 4:
        raise _refused("password must have at least 4 different characters.")
    if email and password.lower() in (email, name, f"{name}{name}"):
        raise _refused("password must not be the address that it protects.")


def _refused(sentence: str) -> BadInput:
    return BadInput([Problem("password", sentence)])


def hashed(password: str) -> str:
    """What is kept of a password."""
    with _AT_ONCE:
        return _hasher().hash(password)


def matches(password: str, kept: str) -> tuple[bool, str | None]:
    """Whether a password is the one that was kept, and a newer hash to keep when the old one's settings are outdated.

    With nothing kept the answer is no, after the same time: how long it takes tells nobody which accounts exist.
    """
    if len(password) > LONGEST:
        return False, None
    with _AT_ONCE:
        right, newer = _hasher().verify_and_update(password, kept or _nobodys())
    return right and bool(kept), newer if right and kept else None
