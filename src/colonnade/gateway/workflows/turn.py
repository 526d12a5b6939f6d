"""One turn of one workflow: what has ended is noted, what can be run is queued, and the end is recorded."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from sqlalchemy import update
from ulid import ULID

from colonnade import runner
from colonnade.errors import BadInput, ColonnadeError
from colonnade.gateway import downloads, queue
from colonnade.gateway.person import ALONE, Person
from colonnade.gateway.store import Forbidden, JobRow, TooOften, Unavailable, UnknownJob, now
from colonnade.gateway.workflows import book
from colonnade.gateway.workflows.tables import WorkflowItemRow, WorkflowRow
from colonnade.service import get
from colonnade.workflows import plan, references
from colonnade.workflows.document import Step, of
from colonnade.workflows.references import BadReference, Ended, Given, LeftOut, Scope
from colonnade.workflows.state import StepState, overall

if TYPE_CHECKING:
    from colonnade.gateway.core import Gateway

log = logging.getLogger(__name__)
RENEW = 20  # jobs queued between two renewals of the hold
Files = Callable[[str, runner.Run, str], Any]


class Waits(Exception):
    """The person may not queue more just now; the text says why."""


class Turn:
    """A turn.

    Args:
        gateway: of this process.
        id: the workflow, which this gateway holds.
        hold: renews the hold; False when it is lost.
    """

    def __init__(self, gateway: Gateway, id: str, hold: Callable[[], bool]) -> None:
        self.gateway, self.hold = gateway, hold
        self.row = book.get(gateway, id)
        self.workflow = of(self.row.document)
        with gateway.store.read() as session:
            self.items = book.items(session, id)
            self.jobs = book.jobs_of(session, [item for item in self.items if item.state == "sent"])
        self.note = ""
        self._ended: dict[str, Ended] = {}
        self._files: dict[tuple[str, str], Any] = {}

    def go(self) -> None:
        """Do it."""
        person = self._person()
        if person is None:
            self._finish("failed", "The account that started the workflow is closed.")
            return
        self._note_ends()
        try:
            for name in plan.order(self.workflow):
                self._step(name, person)
        except Waits as error:
            self.note = str(error)
        states = book.survey(self.row, self.items)
        word = overall(states)
        if word is not None:
            self._end(word, states)
        elif self.note != self.row.note:
            self._change(note=self.note)

    def _person(self) -> Person | None:
        """Whose jobs they are, with today's rights."""
        if self.gateway.office is None:
            return ALONE
        from colonnade.gateway.accounts import sessions
        from colonnade.gateway.accounts.tables import AccountRow

        with self.gateway.store.read() as session:
            account = session.get(AccountRow, self.row.owner)
            return None if account is None or account.disabled else sessions.person_of(session, account)

    # --- what has ended --------------------------------------------------------------------------

    def _note_ends(self) -> None:
        for item in self.items:
            job = self.jobs.get(item.job)
            if item.state != "sent" or (job is not None and not job.final):
                continue
            if job is None:
                self._set(item, "failed", "Its job was deleted.")
            else:
                self._set(item, job.state, job.error, reused=job.cached_from is not None)

    def _set(self, item: WorkflowItemRow, state: str, error: str = "", *, reused: bool = False) -> None:
        mine = WorkflowItemRow.workflow == item.workflow
        place = mine, WorkflowItemRow.step == item.step, WorkflowItemRow.index == item.index
        with self.gateway.store.write() as session:
            change = update(WorkflowItemRow).where(*place, WorkflowItemRow.state == item.state)
            change = change.values(state=state, error=error, reused=reused)
            session.execute(change.execution_options(synchronize_session=False))
        item.state, item.error, item.reused = state, error, reused

    # --- what can be run -------------------------------------------------------------------------

    def _step(self, name: str, person: Person) -> None:
        step = self.workflow.steps[name]
        if any(not self._is_done(before) for before in plan.needs(step)):
            return
        if name not in self.row.expanded:
            self._expand(name, step, person)
        if isinstance(self.row.expanded.get(name), str):
            return
        mine = [item for item in self.items if item.step == name]
        for number, item in enumerate(item for item in mine if item.state == "waiting"):
            stopped = step.on_failure == "stop" and any(one.state == "failed" for one in mine)
            if stopped:
                self._set(item, "skipped")
            elif number % RENEW or self.hold():
                self._queue(step, item, person)
            else:
                return

    def _is_done(self, name: str) -> bool:
        state = next(state for state in book.survey(self.row, self.items) if state.name == name)
        if state.state == "succeeded" and name not in self._ended:
            self._ended[name] = self._results(name, self._upload)
        return state.state == "succeeded"

    def _results(self, name: str, file: Files) -> Ended:
        step = self.workflow.steps[name]
        items = [item for item in self.items if item.step == name]
        return Ended(step.rows_key if step.mapped else None, [self._given(item, file) for item in items])

    def _given(self, item: WorkflowItemRow, file: Files) -> Given | None:
        if item.state != "succeeded":
            return None
        try:
            run = runner.load(self.gateway.results(self.gateway.job(item.job)))
        except ColonnadeError:
            return None
        return Given(run.outputs, item.row, lambda name: file(item.job, run, name))

    def _upload(self, job: str, run: runner.Run, name: str) -> Any:
        """A file of a result as an upload of the person, which later steps are given."""
        key = (str(run.directory), name)
        if key not in self._files:
            path = downloads.inside(run.files, name)
            if path is None:
                raise BadReference(f"{run.service} wrote no file {name[:120]!r}.")
            person = self._person() or ALONE
            with path.open("rb") as stream:
                stored = self.gateway.save_upload(iter(lambda: stream.read(1 << 20), b""), path.name, person)
            self._files[key] = stored.reference
        return self._files[key]

    def _scope(self, person: Person) -> Scope:
        return book.scope(self.gateway, person, self.workflow, self.row.files, self._ended)

    def _expand(self, name: str, step: Step, person: Person) -> None:
        """Find the rows of a step whose time has come."""
        try:
            found = references.rows(step.for_each, self._scope(person)) if step.mapped else [None]
        except (TooOften, Forbidden) as error:
            raise Waits(str(error)) from None
        except ColonnadeError as error:
            if isinstance(error, Unavailable):
                raise
            self._change(expanded={**self.row.expanded, name: str(error)})
            return
        made = [
            WorkflowItemRow(
                workflow=self.row.id, step=name, index=index, job=str(ULID()), row=row, state="waiting",
                reused=False, error="",
            )
            for index, row in enumerate(found)
        ]  # fmt: skip
        with self.gateway.store.write() as session:
            self._expect_running(session)
            session.add_all(made)
            session.get_one(WorkflowRow, self.row.id).expanded = {**self.row.expanded, name: len(made)}
        self.row.expanded = {**self.row.expanded, name: len(made)}
        self.items += made

    def _queue(self, step: Step, item: WorkflowItemRow, person: Person) -> None:
        """Queue the job of one run, unless a gateway that died has done so."""
        try:
            known: JobRow | None = self.gateway.job(item.job)
        except UnknownJob:
            known = None
        try:
            job = known or self._submit(step, item, person)
        except LeftOut:
            self._set(item, "skipped")
            return
        except (BadInput, BadReference) as error:
            self._set(item, "failed", str(error))
            return
        except Unavailable:
            raise
        except (TooOften, Forbidden) as error:  # a limit: there will be room again
            if isinstance(error, TooOften) or self._may_submit(person):
                raise Waits(str(error)) from None
            self._set(item, "failed", str(error))
            return
        except ColonnadeError as error:
            self._set(item, "failed", str(error))
            return
        self._set(item, "sent")
        if job.final:
            self._set(item, job.state, job.error, reused=job.cached_from is not None)
        elif book.get(self.gateway, self.row.id).state == "cancelled":  # meanwhile
            self.gateway.cancel(job.id)

    @staticmethod
    def _may_submit(person: Person) -> bool:
        return person.may_submit

    def _submit(self, step: Step, item: WorkflowItemRow, person: Person) -> JobRow:
        service = get(step.service)
        scope = self._scope(person)
        scope = plan.at(scope, step, item.index, item.row) if step.mapped else scope
        parsed = service.parse(plan.values_of(step, service, scope), self.gateway.files_for(person))
        number = f" {item.index + 1}" if step.mapped else ""
        return self.gateway.submit(
            service,
            parsed,
            seed=step.seed,
            title=f"{self.row.title}: {item.step}{number}",
            person=person,
            group=self.row.group_id if self.row.group_id in person.groups else None,
            id=item.job,
        )

    # --- the end ---------------------------------------------------------------------------------

    def _end(self, word: str, states: list[StepState]) -> None:
        error = next((f"{state.name}: {state.error}" for state in states if state.error), "")
        outputs: dict[str, Any] = {}
        if word == "succeeded":
            self._ended = {name: self._results(name, _link) for name in self.workflow.steps}
            try:
                outputs = plan.results_of(self.workflow, self._scope(ALONE))
            except BadReference as found:
                word, error = "failed", str(found)
        self._finish(word, "" if word == "succeeded" else error, outputs)

    def _finish(self, word: str, error: str = "", outputs: dict[str, Any] | None = None) -> None:
        self._change(state=word, error=error, note="", outputs=outputs or {}, finished=now())
        log.info("workflow ended", extra={"workflow": self.row.id, "state": word})
        self.gateway.dispatcher.announce()

    def _change(self, **values: Any) -> None:
        with self.gateway.store.write() as session:
            session.info[queue.CHANGED] = True
            change = update(WorkflowRow).where(WorkflowRow.id == self.row.id, WorkflowRow.state == "running")
            session.execute(change.values(**values).execution_options(synchronize_session=False))
        for name, value in values.items():
            setattr(self.row, name, value)

    def _expect_running(self, session: Any) -> None:
        if session.get_one(WorkflowRow, self.row.id).state != "running":
            raise Waits("The workflow was cancelled.")


def _link(job: str, run: runner.Run, name: str) -> Any:
    """A file of a result as the page shows it."""
    return {"job": job, "file": name, "name": name}
