"""People: how they come to have an account, how they sign in, and what they agreed to.

Nothing here tells a stranger whether somebody has an account: every answer to a request with a mail address is the
same, takes the same time, and what is to be said is said in a mail to that address.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from sqlalchemy import delete, select
from sqlalchemy.orm import Session
from ulid import ULID

from colonnade.errors import BadInput, ColonnadeError, Problem
from colonnade.gateway.accounts import letters, passwords, sessions, throttle, tickets
from colonnade.gateway.accounts.tables import (
    AccountRow,
    ConsentRow,
    IdentityRow,
    TicketRow,
)
from colonnade.gateway.accounts.tickets import DeadTicket, Ticket
from colonnade.gateway.person import ROLES, Role
from colonnade.gateway.settings import Settings
from colonnade.gateway.store import Forbidden, Store, TooOften, now

TRIES_WINDOW = 900.0
LETTERS_WINDOW = 3600.0
LETTERS = 5  # to one address in that time
CONSENTS = ("terms", "retention")
_EMAIL = re.compile(r"[^@\s<>\"',;:\\()\[\]]{1,64}@[^@\s<>\"',;:\\()\[\]]{1,190}\.[A-Za-z0-9-]{2,63}")


class WrongPassword(Forbidden):
    """Address and password do not belong together."""


def clean_email(text: str) -> str:
    """A mail address in the form in which it is kept.

    Raises:
        BadInput: it is none.
    """
    email = text.strip().lower()
    if not _EMAIL.fullmatch(email):
        raise BadInput([Problem("email", f"email must be a mail address, but is {text[:60]!r}.", text[:60])])
    return email


class People:
    """Accounts of a gateway.

    Args:
        settings: options.
        store: the database.
        postman: is told when there is a letter.
    """

    def __init__(self, settings: Settings, store: Store, postman: letters.Postman) -> None:
        self._settings, self._store, self._postman = settings, store, postman

    # --- mailed links ----------------------------------------------------------------------------

    def _ticket(self, session: Session, kind: tickets.Kind, subject: str, email: str) -> str:
        """The address of a link that works once."""
        return self._settings.public_url + tickets.make(session, kind, subject, email)

    def ticket(self, secret: str, kind: tickets.Kind) -> Ticket:
        """What a mailed link is for, without using it up.

        Raises:
            DeadTicket: it was used, is too old, or never was.
        """
        with self._store.read() as session:
            return tickets.opened(session, secret, kind)

    def request_account(self, email: str, origin: str) -> None:
        """Mail somebody the link by which the account is made; whoever has one already is told so there.

        Raises:
            BadInput: that is no mail address.
            TooOften: too many mails to this address, or from that origin.
            ColonnadeError: people cannot register here.
        """
        if not (self._settings.registration and self._postman.works):
            raise ColonnadeError("People cannot register at this gateway; its operator makes the accounts.")
        email = clean_email(email)
        self._count(f"letters:{email}", LETTERS, LETTERS_WINDOW)
        self._count(f"register:{origin}", 4 * LETTERS, LETTERS_WINDOW)
        with self._store.write() as session:
            account = by_email(session, email)
            if account is None:
                link = self._ticket(session, "register", "", email)
                text = f"Open this address to make your account:\n\n    {link}\n\nIt works once, for two days.\n"
                letters.write(session, email, "Your account at the science gateway", text + _NOT_ASKED)
            else:
                link = f"{self._settings.public_url}/forgotten"
                text = f"You have an account already. If you do not know its password any more:\n\n    {link}\n"
                letters.write(session, email, "You have an account at the science gateway", text + _NOT_ASKED)
        self._postman.wake()

    def request_reset(self, email: str, origin: str) -> None:
        """Mail somebody the link by which a new password is set; a stranger gets nothing.

        Raises:
            BadInput: that is no mail address.
            TooOften: too many mails to this address, or from that origin.
        """
        email = clean_email(email)
        self._count(f"letters:{email}", LETTERS, LETTERS_WINDOW)
        self._count(f"register:{origin}", 4 * LETTERS, LETTERS_WINDOW)
        with self._store.write() as session:
            account = by_email(session, email)
            if account is not None and not account.disabled:
                link = self._ticket(session, "reset", account.id, email)
                text = f"Open this address to set a new password:\n\n    {link}\n\nIt works once, for two hours.\n"
                letters.write(session, email, "A new password for the science gateway", text + _NOT_ASKED)
        self._postman.wake()

    def invite(self, email: str, group: str, name: str, who: str) -> None:
        """Mail somebody a link to join a group, whether or not there is an account.

        Raises:
            BadInput: that is no mail address.
            TooOften: too many mails to this address.
        """
        email = clean_email(email)
        self._count(f"letters:{email}", LETTERS, LETTERS_WINDOW)
        with self._store.write() as session:
            link = self._ticket(session, "join", group, email)
            text = f"{who} invites you to the group {name!r}:\n\n    {link}\n\nIt works once, for two weeks.\n"
            letters.write(session, email, "Join a group at the science gateway", text)
        self._postman.wake()

    def use_join(self, secret: str) -> str:
        """Use up an invitation; gives the group's id.

        Raises:
            DeadTicket: it works no more.
        """
        with self._store.write() as session:
            return tickets.used(session, secret, "join").subject

    # --- accounts --------------------------------------------------------------------------------

    def register(self, secret: str, name: str, password: str, community: str, consents: Iterable[str]) -> AccountRow:
        """Make the account that a mailed link is for.

        Raises:
            DeadTicket: the link works no more.
            BadInput: a field is wrong, or a consent is missing.
        """
        found = self.ticket(secret, "register")
        problems = [] if name.strip() else [Problem("name", "name must not be empty.")]
        problems += [
            Problem(kind, f"{kind}: the gateway cannot be used without agreeing to this.")
            for kind in CONSENTS
            if kind not in set(consents)
        ]
        try:
            passwords.check(password, found.email)
        except BadInput as error:
            problems += error.problems
        if problems:
            raise BadInput(problems)
        kept = passwords.hashed(password)
        with self._store.write() as session:
            email = tickets.used(session, secret, "register").email
            if by_email(session, email) is not None:
                raise DeadTicket("There is an account for this address by now; sign in, or ask for a new password.")
            account = new_account(session, name, email=email, password=kept, community=community)
            self.consent(session, account.id)
            return account

    def create(self, name: str, email: str, role: Role, password: str = "") -> AccountRow:
        """Make an account without a mail, as an operator does.

        Raises:
            BadInput: the address is none, or taken; the password is too weak.
        """
        email = clean_email(email)
        if password:
            passwords.check(password, email)
        kept = passwords.hashed(password) if password else ""
        with self._store.write() as session:
            if by_email(session, email) is not None:
                raise BadInput([Problem("email", f"email: there is an account for {email!r} already.", email)])
            return new_account(session, name, email=email, password=kept, role=role)

    def sign_in(self, email: str, password: str, origin: str) -> tuple[AccountRow, str]:
        """Check a password and begin a session.

        Returns:
            The account, and the cookie's secret.

        Raises:
            WrongPassword: they do not belong together, or there is no such account.
            TooOften: there were too many wrong ones.
        """
        email = email.strip().lower()[:255]
        tries = self._settings.login_tries
        self._count(f"login:{email}", tries, TRIES_WINDOW)
        self._count(f"login-from:{origin}", 10 * tries, TRIES_WINDOW)
        with self._store.read() as session:
            account = by_email(session, email)
        right, newer = passwords.matches(password, account.password if account is not None else "")
        if account is None or not right or account.disabled:
            raise WrongPassword("Address and password do not belong together.")
        with self._store.write() as session:
            throttle.forget(session, f"login:{email}")
            if newer is not None:
                session.get_one(AccountRow, account.id).password = newer
            return account, sessions.begin(session, account.id)

    def reset(self, secret: str, password: str) -> AccountRow:
        """Set the password that a mailed link is for, and sign the person out everywhere.

        Raises:
            DeadTicket: the link works no more.
            BadInput: the password is too weak.
        """
        passwords.check(password, self.ticket(secret, "reset").email)
        kept = passwords.hashed(password)
        with self._store.write() as session:
            account = session.get(AccountRow, tickets.used(session, secret, "reset").subject)
            if account is None:
                raise DeadTicket("The account does not exist any more.")
            self._set_password(session, account, kept)
            return account

    def change_password(self, id: str, old: str, new: str) -> None:
        """Set another password, given the old one; every browser is signed out.

        Raises:
            WrongPassword: the old one is wrong.
            BadInput: the new one is too weak.
        """
        self._count(f"password:{id}", self._settings.login_tries, TRIES_WINDOW)
        with self._store.read() as session:
            account = session.get_one(AccountRow, id)
        if account.password and not passwords.matches(old, account.password)[0]:
            raise WrongPassword("That is not your password.")
        passwords.check(new, account.email or "")
        kept = passwords.hashed(new)
        with self._store.write() as session:
            self._set_password(session, session.get_one(AccountRow, id), kept)

    def _set_password(self, session: Session, account: AccountRow, kept: str) -> None:
        account.password = kept
        sessions.end_all(session, account.id)
        session.execute(delete(TicketRow).where(TicketRow.subject == account.id))
        if account.email:
            text = "The password of your account was changed, and every browser was signed out.\n"
            letters.write(session, account.email, "Your password was changed", text)
            self._postman.wake()

    def consent(self, session: Session, account: str) -> None:
        """Write down that a person agrees to the texts in force."""
        for kind in CONSENTS:
            version = self._version(kind)
            if session.get(ConsentRow, (account, kind, version)) is None:
                session.add(ConsentRow(account=account, kind=kind, version=version, given=now()))

    def has_consented(self, session: Session, account: str) -> bool:
        """Whether a person has agreed to the texts in force."""
        return all(session.get(ConsentRow, (account, kind, self._version(kind))) for kind in CONSENTS)

    def _version(self, kind: str) -> str:
        days = self._settings.result_days
        return self._settings.terms_version if kind == "terms" else f"{days:g} days" if days else "kept"

    def _count(self, key: str, most: int, window: float) -> None:
        error = None
        with self._store.write() as session:  # the count stays, also when it is over
            try:
                throttle.limit(session, key, most, window)
            except TooOften as found:
                error = found
        if error is not None:
            raise error


_NOT_ASKED = "\nIf you did not ask for this, somebody mistyped their address; you need not do anything.\n"


def by_email(session: Session, email: str) -> AccountRow | None:
    """The account of a mail address."""
    return session.scalars(select(AccountRow).where(AccountRow.email == email)).first()


def new_account(
    session: Session, name: str, *, email: str | None, password: str = "", role: Role = "user", community: str = ""
) -> AccountRow:
    """Enter a new account."""
    row = AccountRow(
        id=str(ULID()),
        email=email,
        name=" ".join(name.split())[:100] or "unnamed",
        password=password,
        role=role if role in ROLES else "user",
        community=" ".join(community.split())[:100],
        notify=True,
        disabled=False,
        created=now(),
        asked_role="",
        asked_reason="",
    )
    session.add(row)
    session.flush()
    return row


def of_identity(session: Session, issuer: str, subject: str) -> AccountRow | None:
    """The account that belongs to an identity."""
    identity = session.get(IdentityRow, (issuer, subject))
    return session.get(AccountRow, identity.account) if identity is not None else None
