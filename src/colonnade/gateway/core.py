"""The gateway behind its web pages: jobs, files, usage; and the engine that runs what is queued."""

from __future__ import annotations

import asyncio
import logging
import shutil
import threading
import time
from collections.abc import AsyncIterator, Iterable
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel
from sqlalchemy import delete, select
from ulid import ULID

import colonnade
from colonnade import runner
from colonnade.errors import ColonnadeError
from colonnade.gateway import queue
from colonnade.gateway.disk import plain_errors
from colonnade.gateway.dispatcher import Dispatcher
from colonnade.gateway.events import grown, tail
from colonnade.gateway.files import Draft, FileStore
from colonnade.gateway.person import ALONE, Person
from colonnade.gateway.queue import Page
from colonnade.gateway.settings import Settings
from colonnade.gateway.storage import Unreachable, storage_of, tree
from colonnade.gateway.store import (
    FileRow,
    JobFile,
    JobRow,
    Refused,
    RemovalRow,
    Store,
    Unavailable,
    UnknownJob,
    UsageRow,
    now,
)
from colonnade.gateway.workflows.conductor import Conductor
from colonnade.inputs import FileSource, safe_name
from colonnade.job import Event
from colonnade.service import Service, get

if TYPE_CHECKING:
    from collections.abc import Mapping

    from colonnade.gateway.accounts.office import Office
    from colonnade.gateway.accounts.usage import CommunityLine
    from colonnade.gateway.notices import Ear

log = logging.getLogger(__name__)
CANCEL_WAIT = 2.0  # seconds that `cancel` waits for the processes to be gone
STATE_POLL = 2.0  # seconds between two looks at a watched job's state when this gateway announced no change
EVENT_POLL = 0.1  # seconds between two looks at a watched job's events
MAX_PAGE = 500
MAX_TITLE = 200


class Gateway:
    """All that the web half needs; safe to call from any thread.

    Args:
        settings: options; those of the environment when left out.

    Attributes:
        office: accounts, quotas and mails; None on a gateway of one person.
    """

    def __init__(self, settings: Settings | None = None) -> None:
        self.settings = settings or Settings()
        self.settings.data.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.runs = self.settings.data / "runs"
        self.store = Store(self.settings.database_url, self.settings.busy_timeout)
        self.store.upgrade()
        self.storage = storage_of(self.settings)
        self.files = FileStore(self.settings.data / "files", int(self.settings.upload_limit), self.storage)
        self.office: Office | None = None
        if self.settings.accounts:
            from colonnade.gateway.accounts.office import Office

            self.office = Office(self.settings, self.store)
        self.dispatcher = Dispatcher(self.settings, self.store, self.directory_of, self.office, self.storage)
        self.conductor = Conductor(self)
        self.dispatcher.on_change = self.conductor.heard
        self._ear: Ear | None = None
        if self.store.shared:
            from colonnade.gateway.notices import Ear, notify_on_commit

            notify_on_commit(self.store)
            self._ear = Ear(self.store, self._heard)
        self._stopped = threading.Event()

    # --- life ------------------------------------------------------------------------------------

    def start(self) -> None:
        """Begin to take queued jobs, in the background."""
        self.dispatcher.start()
        if self._ear is not None:
            self._ear.start()
        if self.office is not None:
            self.office.start()
        self.conductor.start()
        threading.Thread(target=self._tidy_daily, name="colonnade-tidy", daemon=True).start()

    def stop(self) -> None:
        """End in order: running jobs are ended and queued again, from their checkpoints."""
        self._stopped.set()
        if self._ear is not None:
            self._ear.stop()
        self.conductor.stop()
        self.dispatcher.stop()
        if self.office is not None:
            self.office.stop()
        self.store.close()

    def _heard(self) -> None:
        """Another gateway has changed something."""
        self.dispatcher.announce()
        self.dispatcher.wake()

    def health(self) -> dict[str, Any]:
        """State of the engine, free disk space in bytes, and how many jobs are queued and running."""
        with self.store.read() as session:
            counts = queue.active(session)
        return {
            "version": colonnade.__version__,
            "engine": self.dispatcher.engine.status,
            "cores": self.dispatcher.engine.cores,
            "disk_free": shutil.disk_usage(self.settings.data).free,
            **counts,
        }

    # --- jobs ------------------------------------------------------------------------------------

    def submit(
        self,
        service: Service[Any, Any],
        inputs: BaseModel,
        *,
        seed: int = 0,
        again: bool = False,
        title: str = "",
        person: Person = ALONE,
        group: str | None = None,
        id: str | None = None,
    ) -> JobRow:
        """Queue a job, or serve it at once from an earlier identical one of the person that succeeded (unless `again`).

        `id` is a ULID that its caller has chosen, to find the job again.

        Raises:
            BadInput: the seed is out of range, or a field is above the person's level.
            ColonnadeError: the person may not run this now; the text names the limit.
            Unavailable: the disk is full or the database is held by another.
        """
        runner.check_seed(seed)
        if self.office is not None:
            self.office.check(person, inputs, group)
            self.office.count(person)
        id = id or str(ULID())
        row = JobRow(
            id=id,
            service=service.name,
            version=service.version,
            state="queued",
            title=title[:MAX_TITLE],
            inputs=inputs.model_dump(mode="json"),
            seed=seed,
            fingerprint=runner.fingerprint(service, inputs, seed),
            run=id,
            cores=self._cores(service),
            owner=person.id,
            group_id=group,
            created=now(),
        )
        checksums = [file.sha256 for file in runner.input_files(inputs)]
        if service.repeatable and not again and self._serve(row, checksums):
            return row
        directory = self.directory_of(id)
        with plain_errors(directory):
            runner.prepare(service, inputs, directory, seed, place=self.files.place)
            if self.storage is not None:
                self.storage.keep(id, 0, tree(directory))
            with self.store.write() as session:
                if self.office is not None:
                    self.office.admit(session, person, row)
                queue.add(session, row, checksums)
        self.dispatcher.wake()
        log.info("job queued", extra={"job": id, "service": service.name})
        return row

    def _cores(self, service: Service[Any, Any]) -> int:
        """How many cores a job of the service holds.

        Raises:
            Refused: no queue of the batch system takes it.
        """
        wanted = max(service.resources.cores, 1)
        if self.settings.batch and self.dispatcher.engine.shape(service.name) is None:
            asked = service.resources
            asks = f"{wanted} cores, {asked.memory}, {asked.gpus} GPUs and {asked.walltime} (h:mm:ss)"
            raise Refused(f"No queue of this gateway takes {service.name}, which asks for {asks}.")
        return min(wanted, self.settings.workers) if self.settings.scheduler == "local" else wanted

    def _serve(self, row: JobRow, checksums: list[str]) -> bool:
        """Enter the job as one that an earlier result answers, if there is such a result."""
        with self.store.read() as session:
            if queue.earlier_result(session, row.fingerprint, row.owner) is None:
                return False
        with self.store.write() as session:  # looked up again: the earlier job may just have been deleted
            earlier = queue.earlier_result(session, row.fingerprint, row.owner)
            if earlier is None:
                return False
            row.state, row.started, row.finished = "succeeded", row.created, row.created
            row.run, row.cached_from = earlier.run, earlier.cached_from or earlier.id
            queue.add(session, row, checksums)
        return True

    def job(self, id: str) -> JobRow:
        """One job.

        Raises:
            UnknownJob: there is none of that id.
        """
        with self.store.read() as session:
            row = session.get(JobRow, id)
        if row is None:
            raise UnknownJob(f"There is no job {id[:40]!r}.")
        return row

    def jobs(self, *, limit: int = 50, **filters: str | None) -> Page:
        """A page of jobs, newest first; filters as those of `queue.page`."""
        with self.store.read() as session:
            return queue.page(session, limit=max(1, min(limit, MAX_PAGE)), **filters)

    def cancel(self, id: str) -> JobRow:
        """End a job; one that has ended already stays as it is.

        A running job's processes are killed; the row returned is still `running` when that takes unusually long.

        Raises:
            UnknownJob: there is none of that id.
        """
        row = self.job(id)
        if row.final:
            return row
        with self.store.write() as session:
            asked = not queue.cancel_queued(session, id) and queue.request_cancel(session, id)
        self.dispatcher.announce()
        if asked:
            self.dispatcher.cancel(id)
            deadline = time.monotonic() + CANCEL_WAIT
            while not (row := self.job(id)).final and time.monotonic() < deadline:
                time.sleep(0.02)
        return self.job(id)

    def rerun(self, id: str, person: Person = ALONE) -> JobRow:
        """Queue the same request once more, to be run anew, as a job of the person who asks.

        Raises:
            UnknownJob: there is none of that id.
            UnknownService: its service is not installed any more.
            BadInput: today's version of the service refuses the inputs.
        """
        row = self.job(id)
        service = get(row.service)
        inputs = service.parse(row.inputs, runner.run_files(self.results(row)))
        group = row.group_id if row.group_id in person.groups else None
        return self.submit(service, inputs, seed=row.seed, again=True, title=row.title, person=person, group=group)

    def delete(self, id: str) -> None:
        """Remove a job that has ended, with its bytes; a result that other jobs were served from stays for them.

        Raises:
            UnknownJob: there is none of that id.
            Refused: it has not ended.
        """
        with self.store.write() as session:
            row = session.get(JobRow, id)
            if row is None:
                raise UnknownJob(f"There is no job {id[:40]!r}.")
            if not row.final:
                raise Refused(f"The job is {row.state}; cancel it before it is deleted.")
            files = list(session.scalars(select(JobFile.sha256).where(JobFile.job == id)))
            if not queue.others_use(session, row.run, id):
                session.add(RemovalRow(run=row.run))
            session.delete(row)
            session.flush()
            if self.office is not None and row.owner is not None:
                self.office.disown(session, row.owner, files)
            self._forget_files(session, files)
        self._remove_runs()

    def _forget_files(self, session: Any, checksums: list[str]) -> None:
        """Remove those uploaded files that no job names any more."""
        for sha256 in checksums:
            if session.scalar(select(JobFile.job).where(JobFile.sha256 == sha256).limit(1)) is None:
                session.execute(delete(FileRow).where(FileRow.sha256 == sha256))
                if self.office is not None:
                    self.office.forget_files(session, [sha256])
                # Within the transaction: an upload of the same content waits for its end, and then writes it anew.
                self.files.remove(sha256)

    def _remove_runs(self) -> None:
        with self.store.read() as session:
            runs = list(session.scalars(select(RemovalRow.run)))
        for run in runs:
            if self.storage is not None:
                try:
                    self.storage.forget(run)
                except Unreachable:  # the daily round comes back to it
                    continue
            shutil.rmtree(self.directory_of(run), ignore_errors=True)
            if not self.directory_of(run).exists():
                with self.store.write() as session:
                    session.execute(delete(RemovalRow).where(RemovalRow.run == run))

    def directory(self, id: str) -> Path:
        """The run directory of a job; that of the earlier job when it was served from one.

        Raises:
            UnknownJob: there is none of that id.
        """
        return self.results(self.job(id))

    def results(self, row: JobRow) -> Path:
        """The run directory of a job; what a job that has ended left in the object store is brought here first.

        Raises:
            Unreachable: the object store does not answer.
        """
        directory = self.directory_of(row.run)
        if self.storage is not None and row.final:
            self.storage.fetch_results(row.run, directory)
        return directory

    def directory_of(self, run: str) -> Path:
        # The last characters of an id are its random part: the folders fill evenly.
        return self.runs / run[-2:].lower() / run

    async def events(self, id: str, start: int = 0) -> AsyncIterator[tuple[int, Event]]:
        """What happens to a job until it ends: its events, and `{"kind": "state", ...}` now and at each change.

        Args:
            id: the job.
            start: offset to continue from, as given with an earlier event.

        Yields:
            Pairs of an offset and an event.

        Raises:
            UnknownJob: there is none of that id, or it was deleted meanwhile.
        """
        seen, looked = self.dispatcher.changes, time.monotonic()  # taken first: no change falls between
        row = await asyncio.to_thread(self.job, id)
        shown: tuple[str, int] | None = None
        path = self.directory_of(row.run) / "events.jsonl"
        while True:
            if shown != (row.state, row.attempt) and not row.final:
                shown = (row.state, row.attempt)
                yield start, _state_event(row)
            while grown(path, start) and (news := await asyncio.to_thread(tail, path, start)):
                for offset, found in news:
                    start = offset
                    yield offset, found
            if row.final:
                yield start, _state_event(row)
                return
            await asyncio.sleep(EVENT_POLL)
            if self.dispatcher.changes != seen or time.monotonic() - looked > STATE_POLL:
                seen, looked = self.dispatcher.changes, time.monotonic()
                row = await asyncio.to_thread(self.job, id)

    # --- files -----------------------------------------------------------------------------------

    def files_for(self, person: Person) -> FileSource:
        """What resolves references to uploaded files for a person: only to those that the person may use."""
        office = self.office
        if office is None:
            return self.files

        def source(reference: str | Mapping[str, Any]) -> Path:
            if not isinstance(reference, str) and not office.may_use_file(person, str(reference.get("sha256", ""))):
                raise ValueError("there is no such uploaded file; upload it again")
            return self.files(reference)

        return source

    def receive(self, person: Person = ALONE) -> Draft:
        """A draft to write an upload of a person into.

        Raises:
            ColonnadeError: the person may not upload now; the text says why.
        """
        if self.office is None:
            return self.files.receive()
        self.office.check_upload(person)
        with self.store.read() as session:
            return self.files.receive(self.office.quotas.largest_upload(session, str(person.id), person.role))

    def save_upload(self, chunks: Iterable[bytes], name: str, person: Person = ALONE) -> FileRow:
        """Store an upload.

        Raises:
            TooLarge: as soon as the limit is passed; nothing stays.
            ColonnadeError: the name has no usable character.
            Unavailable: the disk is full.
        """
        with plain_errors(), self.receive(person) as draft:
            for chunk in chunks:
                draft.write(chunk)
            return self.keep_upload(draft, name, person)

    def keep_upload(self, draft: Draft, name: str, person: Person = ALONE) -> FileRow:
        """Make a draft that was written piece by piece (see `receive`) an uploaded file of a person."""
        try:
            name = safe_name(name)
        except ValueError as error:
            raise ColonnadeError(f"{str(error).rstrip('.').capitalize()}.") from None
        with plain_errors():
            draft.seal()
            with self.store.write() as session:
                row = session.merge(FileRow(sha256=draft.sha256, name=name, size=draft.size, created=now()))
                if self.office is not None:
                    self.office.own_file(session, person, row)
                draft.keep()
                return row

    def groups_of(self, person: Person) -> dict[str, str]:
        """The names of a person's groups by their ids."""
        if self.office is None or not person.groups:
            return {}
        from colonnade.gateway.accounts.groups import named

        with self.store.read() as session:
            return named(session, person)

    # --- usage -----------------------------------------------------------------------------------

    def usage(self) -> list[UsageRow]:
        """Jobs and CPU seconds by month, service and outcome, newest month first."""
        order = (UsageRow.month.desc(), UsageRow.service, UsageRow.outcome)
        with self.store.read() as session:
            return list(session.scalars(select(UsageRow).order_by(*order)))

    def communities(self) -> list[CommunityLine]:
        """Jobs and CPU seconds by month and community; none where nobody has an account."""
        if self.office is None:
            return []
        from colonnade.gateway.accounts import usage

        with self.store.read() as session:
            return usage.communities(session)

    # --- inside ----------------------------------------------------------------------------------

    def _tidy_daily(self) -> None:
        self._tidy()
        while not self._stopped.wait(86_400):
            self._tidy()

    def _tidy(self) -> None:
        """Finish removals that a crash cut short; remove what nobody uses any more, and what was kept long enough."""
        with suppress(Unavailable, Unreachable):
            self._remove_runs()
            self._forget_unused()
            self._expire()
            if self.office is not None:
                self.office.tidy()
        self.files.sweep()

    def _expire(self) -> None:
        """Delete the jobs whose time is over, and tell the owners of those whose time is nearly over."""
        days = self.settings.result_days
        if days:
            from colonnade.gateway import retention
            from colonnade.gateway.workflows import book

            retention.expire(self.store, days, self.delete)
            book.expire(self, days)
            if self.office is not None:
                retention.warn(self.office, days)

    def _forget_unused(self) -> None:
        old = now() - timedelta(days=self.settings.upload_days)
        used = select(JobFile.job).where(JobFile.sha256 == FileRow.sha256).exists()
        with self.store.write() as session:
            unused = list(session.scalars(select(FileRow.sha256).where(FileRow.created < old, ~used)))
            self._forget_files(session, unused)


def _state_event(row: JobRow) -> Event:
    return {"kind": "state", "state": row.state, "attempt": row.attempt, "error": row.error}
