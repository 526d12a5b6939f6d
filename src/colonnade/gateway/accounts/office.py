"""All that the gateway asks where people have accounts, in one object."""

from __future__ import annotations

from collections.abc import Iterable

from pydantic import BaseModel
from sqlalchemy import delete, exists, select
from sqlalchemy.orm import Session

from colonnade.gateway.accounts import fairness, groups, letters, levels, sessions, throttle, usage
from colonnade.gateway.accounts.letters import Postman
from colonnade.gateway.accounts.people import People
from colonnade.gateway.accounts.quotas import Quotas
from colonnade.gateway.accounts.tables import AccountRow, FileOwner, TicketRow
from colonnade.gateway.person import Person
from colonnade.gateway.settings import Settings
from colonnade.gateway.store import FileRow, Forbidden, JobFile, JobRow, Store, TooOften, now

NOTICE_AFTER = 60.0  # seconds of waiting and running after which the end of a job is worth a mail


class NotAllowed(Forbidden):
    """The person may not do that; the text says who may."""


class Office:
    """Accounts, quotas and letters of a gateway.

    Args:
        settings: options.
        store: the database.
    """

    def __init__(self, settings: Settings, store: Store) -> None:
        self.settings, self.store = settings, store
        self.postman = Postman(settings, store)
        self.people = People(settings, store, self.postman)
        self.quotas = Quotas(settings)

    def start(self) -> None:
        self.postman.start()

    def stop(self) -> None:
        self.postman.stop()

    # --- jobs ------------------------------------------------------------------------------------

    def check(self, person: Person, inputs: BaseModel, group: str | None) -> None:
        """Whether a person may submit these inputs, into this group.

        Raises:
            NotAllowed: the person only looks.
            BadInput: a field is above the person's level.
            UnknownGroup: the person is not in the group.
            TooOften: there were too many submissions in the last minute.
        """
        self.check_person(person, group)
        levels.check(inputs, person.level)

    def check_person(self, person: Person, group: str | None) -> None:
        """Whether a person may submit anything, into this group.

        Raises:
            NotAllowed: the person only looks.
            UnknownGroup: the person is not in the group.
        """
        if not person.may_submit:
            raise NotAllowed("Sign in to run a service." if not person.known else "Your account may only look.")
        if group is not None and group not in person.groups:
            raise groups.UnknownGroup(f"You are in no group {group[:40]!r}.")

    def admit(self, session: Session, person: Person, row: JobRow) -> None:
        """Make a job the person's and give it its place in the queue, in the transaction that enters it.

        Raises:
            OverQuota: a limit is reached.
        """
        row.owner = str(person.id)
        if row.state == "queued":
            self.quotas.admit(session, row.owner, person.role, row.service)
            fairness.enqueue(session, row, usage.month_of(row.created))

    def check_upload(self, person: Person) -> None:
        """Whether a person may upload a file now.

        Raises:
            NotAllowed: the person only looks.
            TooOften: there were too many in the last minute.
        """
        if not person.may_submit:
            raise NotAllowed("Sign in to upload a file." if not person.known else "Your account may only look.")
        self.count(person)

    def count(self, person: Person) -> None:
        """Count a submission or an upload.

        Raises:
            TooOften: there were too many in the last minute.
        """
        error = None
        with self.store.write() as session:
            try:
                throttle.limit(session, f"submit:{person.id}", self.settings.submits_per_minute, 60.0)
            except TooOften as found:
                error = found
        if error is not None:
            raise error

    def fair(self) -> fairness.Fair:
        """The order and the limits for one batch from the queue."""
        return fairness.Fair(self.quotas)

    def ended(self, session: Session, row: JobRow) -> None:
        """Tell the owner of a job that it has ended, unless it was quick or the person wants no mails."""
        if row.owner is None or not self.postman.works:
            return
        account = session.get(AccountRow, row.owner)
        if account is None or not account.email or not account.notify or row.finished is None:
            return
        if (row.finished - row.created).total_seconds() < NOTICE_AFTER:
            return
        what = row.title or row.service
        text = f"Your job {what!r} has {_ENDED.get(row.state, row.state)}.\n"
        if row.state == "failed" and row.error:
            text += f"\n{row.error}\n"
        text += (
            f"\n    {self.settings.public_url}/jobs/{row.id}\n\nYou can switch these mails off on your account page.\n"
        )
        letters.write(session, account.email, f"{what}: {row.state}", text)
        self.postman.wake()

    # --- files -----------------------------------------------------------------------------------

    def own_file(self, session: Session, person: Person, file: FileRow) -> None:
        """Make an upload the person's.

        Raises:
            OverQuota: there is no room for it.
        """
        if session.get(FileOwner, (file.sha256, person.id)) is None:
            self.quotas.admit_upload(session, str(person.id), person.role, file.size)
            session.add(FileOwner(sha256=file.sha256, account=person.id, created=now()))

    def may_use_file(self, person: Person, sha256: str) -> bool:
        """Whether a person uploaded a file, or may see a job that was given it."""
        with self.store.read() as session:
            if session.get(FileOwner, (sha256, person.id)) is not None or person.operator:
                return True
            query = select(JobRow).join(JobFile, JobFile.job == JobRow.id).where(JobFile.sha256 == sha256).limit(1000)
            return any(person.may_see(row) for row in session.scalars(query))

    def forget_files(self, session: Session, checksums: Iterable[str]) -> None:
        """The bytes are gone: nobody owns them any more."""
        session.execute(delete(FileOwner).where(FileOwner.sha256.in_(list(checksums))))

    def disown(self, session: Session, owner: str, checksums: Iterable[str]) -> None:
        """A person's last job with these files is deleted: they are not counted as the person's any more."""
        for sha256 in checksums:
            mine = exists().where(JobFile.job == JobRow.id, JobFile.sha256 == sha256, JobRow.owner == owner)
            session.execute(delete(FileOwner).where(FileOwner.sha256 == sha256, FileOwner.account == owner, ~mine))

    # --- order -----------------------------------------------------------------------------------

    def tidy(self) -> None:
        """Remove what is over: sessions, mailed links, counts."""
        with self.store.write() as session:
            sessions.sweep(session, self.settings)
            throttle.sweep(session)
            session.execute(delete(TicketRow).where(TicketRow.expires <= now()))


_ENDED = {"succeeded": "succeeded", "failed": "failed", "cancelled": "been cancelled"}
