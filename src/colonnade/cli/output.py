"""What the commands print: answers on standard output, sentences on standard error, exit codes."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

from rich.console import Console

from colonnade.client.models import GatewayError
from colonnade.errors import BadInput, ColonnadeError, JobFailed

DONE, FAILED, WRONG, STOPPED = 0, 1, 2, 130


def out() -> Console:
    """Standard output."""
    return Console(highlight=False)


def err() -> Console:
    """Standard error."""
    return Console(stderr=True, highlight=False)


def say(sentence: str) -> None:
    """One sentence on standard error."""
    print(" ".join(sentence.split()), file=sys.stderr)


def answer(value: Any) -> None:
    """One JSON document on standard output."""
    print(json.dumps(value, ensure_ascii=False))


def refuse(error: ColonnadeError, *, as_json: bool) -> int:
    """Say what is wrong and give the exit code: 1 for a run that failed, 2 for what the user can mend."""
    problems = error.problems if isinstance(error, BadInput) else []
    for sentence in [problem.message for problem in problems] or [str(error)]:
        say(sentence)
    unreachable = isinstance(error, GatewayError) and (error.status == 0 or error.status >= 500)
    failed = isinstance(error, JobFailed) or unreachable
    if as_json:
        listed = [{"field": p.field, "message": p.message, "value": p.value} for p in problems]
        answer({"status": "failed" if failed else "refused", "error": str(error), "errors": listed})
    return FAILED if failed else WRONG


@contextmanager
def engines_to(log: Path) -> Iterator[Console]:
    """Send what engines and their processes print to a file; gives a console to where standard error was.

    File descriptors are redirected, as compiled engines and child processes know nothing else; and Python's own
    streams, which need not be these descriptors.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    saved = os.dup(1), os.dup(2)
    with (
        os.fdopen(os.dup(2), "w", encoding="utf-8", errors="replace") as screen,
        log.open("a", encoding="utf-8", errors="replace", buffering=1) as stream,
        redirect_stdout(stream),
        redirect_stderr(stream),
    ):
        os.dup2(stream.fileno(), 1)
        os.dup2(stream.fileno(), 2)
        try:
            yield Console(file=screen, highlight=False)
        finally:
            for number, copy in zip((1, 2), saved, strict=True):
                os.dup2(copy, number)
                os.close(copy)
