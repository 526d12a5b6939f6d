"""Commands against a gateway: `login`, `submit`, `status`, `fetch`, `cancel`."""

from __future__ import annotations

import getpass
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter
from rich.table import Table
from rich.text import Text

from colonnade import report as reports
from colonnade.cli import options
from colonnade.cli.given import base
from colonnade.cli.local import document
from colonnade.cli.output import DONE, FAILED, STOPPED, answer, err, out, say
from colonnade.cli.progress import observer
from colonnade.client import Client, RemoteJob, credentials
from colonnade.errors import ColonnadeError
from colonnade.runner import check_seed
from colonnade.service import Service

Json = Annotated[bool, Parameter(name="--json", negative=(), help="Answer with one JSON document.")]
Url = Annotated[str | None, Parameter(name="--url", help="The gateway (default: the one of the last login).")]


def login(url: str, /, *, json: Json = False) -> int:
    """Remember a gateway and the token for it, in a file that only you can read.

    Parameters
    ----------
    url
        Its address; the one that `colonnade serve` prints carries the token. Without one, the token is asked for.
    """
    given = credentials.parse(url)
    token = given.token
    if token is None:
        token = getpass.getpass("Token: ") if sys.stdin.isatty() else sys.stdin.readline()
    gateway = credentials.Gateway(given.url, token.strip())
    if not gateway.token:
        raise ColonnadeError("The token is empty; `colonnade serve` prints it in its address, behind token=.")
    with Client(gateway.url, gateway.token) as client:
        client.health()
    path = credentials.save(gateway)
    if json:
        answer({"url": gateway.url, "file": str(path)})
    else:
        out().print(Text(f"Logged in to {gateway.url}; the token is in {path}."), soft_wrap=True)
    return DONE


def submit_service(
    service: Service[Any, Any],
    typed: dict[str, Any],
    *,
    inputs: Path | None = None,
    example: str | None = None,
    seed: int | None = None,
    json: bool = False,
    again: bool = False,
    wait: bool = False,
    url: str | None = None,
) -> int:
    """Queue a service on a gateway; its own checks judge the inputs.

    Args:
        service: which; the gateway may have another version of it.
        typed: raw inputs from the options; they win over `inputs` and `example`.
        inputs: a file of inputs.
        example: title of an example.
        seed: the seed; that of `inputs` or 0 when left out.
        json: answer in JSON and show nothing else.
        again: run it even when the same run is known.
        wait: stay until it has ended.
        url: the gateway.
    """
    start = base(service, example, inputs)
    seed = seed if seed is not None else start.seed or 0
    check_seed(seed)
    with Client(url) as client:
        values = options.merge(start.values, typed)
        job = client.submit(service.name, values, seed=seed, again=again, files=start.files)
        if wait and not job.ended:
            job = _watch(client, job.id, silent=json)
    if json:
        answer(job.model_dump(mode="json"))
    else:
        out().print(Text(_line(job)), soft_wrap=True)
    return _code(job)


def status(
    job: str | None = None, /, *, watch: bool = False, state: str | None = None, json: Json = False, url: Url = None
) -> int:
    """How a job is, or the last jobs when none is named.

    Parameters
    ----------
    job
        The id that `colonnade submit` printed.
    watch
        Stay until it has ended.
    state
        List only jobs in that state.
    """
    with Client(url) as client:
        if job is None:
            listed = [item for item, _ in zip(client.jobs(state=state), range(50), strict=False)]
            if json:
                answer({"jobs": [item.model_dump(mode="json") for item in listed]})
            else:
                _list(listed)
            return DONE
        found = _watch(client, job, silent=json) if watch else client.status(job)
    if json:
        answer(found.model_dump(mode="json"))
    else:
        out().print(Text(_line(found)), soft_wrap=True)
    return _code(found)


def fetch(job: str, /, *, output: Path | None = None, json: Json = False, url: Url = None) -> int:
    """Bring a finished job's run directory here, with its report.

    Parameters
    ----------
    job
        The id that `colonnade submit` printed.
    output
        Folder, empty or absent (default: ./colonnade-runs/JOB).
    """
    directory = output if output is not None else Path("colonnade-runs") / Path(job).name
    with Client(url) as client:
        run = client.fetch(job, directory)
    if json:
        answer(document(run))
    else:
        console = out()
        console.print(reports.summary(run))
        console.print(Text(f"\nReport: {run.directory / reports.REPORT}"), soft_wrap=True)
    return DONE if run.status == "succeeded" else FAILED


def cancel(job: str, /, *, json: Json = False, url: Url = None) -> int:
    """End a job.

    Parameters
    ----------
    job
        The id that `colonnade submit` printed.
    """
    with Client(url) as client:
        ended = client.cancel(job)
    if json:
        answer(ended.model_dump(mode="json"))
    else:
        out().print(Text(_line(ended)), soft_wrap=True)
    return DONE


REMOTE: tuple[Callable[..., int], ...] = (login, status, fetch, cancel)


def _watch(client: Client, id: str, *, silent: bool) -> RemoteJob:
    """Stay with a job; leaving it does not end it."""
    try:
        with observer(err(), silent=silent) as watch:
            return client.wait(id, watch)
    except KeyboardInterrupt:
        say(f"Not watching any more; the job goes on (`colonnade cancel {id}` ends it).")
        raise SystemExit(STOPPED) from None


def _line(job: RemoteJob) -> str:
    more = job.error
    if job.state == "queued" and job.queue_position is not None:
        more = f"{job.queue_position} before it"
    if job.cached_from:
        more = f"the result of {job.cached_from}, the same run"
    return f"{job.id}  {job.service}  {job.state}" + (f" ({more})" if more else "")


def _code(job: RemoteJob) -> int:
    return FAILED if job.state in ("failed", "cancelled") else DONE


def _list(jobs: list[RemoteJob]) -> None:
    if not jobs:
        out().print("There are no jobs.")
        return
    grid = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for name in ("Job", "Service", "State", "Created"):
        grid.add_column(name, no_wrap=name == "Job")
    for job in jobs:
        created = job.created.astimezone().strftime("%Y-%m-%d %H:%M") if job.created else ""
        grid.add_row(Text(job.id), Text(job.service), Text(job.state), Text(created))
    out().print(grid)
