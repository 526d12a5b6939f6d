"""Mails: written into the database together with what they tell of, and sent from there by a thread, over SMTP."""

from __future__ import annotations

import logging
import smtplib
import ssl
import threading
from contextlib import suppress
from datetime import timedelta
from email.message import EmailMessage
from urllib.parse import unquote, urlsplit

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session
from ulid import ULID

from colonnade.gateway.accounts.tables import LetterRow
from colonnade.gateway.settings import Settings
from colonnade.gateway.store import Store, now

log = logging.getLogger(__name__)

TRIES = 12  # over about two days; then the letter is given up
LEASE = 120.0  # seconds that sending one letter may take before another gateway tries
LOOK = 20.0  # seconds between two looks when nobody has called
TIMEOUT = 30.0


def write(session: Session, address: str, subject: str, body: str) -> None:
    """Have a letter sent once the transaction stands."""
    plain = " ".join(subject.split())  # a line break would begin another header
    session.add(LetterRow(id=str(ULID()), address=address, subject=plain, body=body, due=now(), tries=0))


class Postman:
    """Sends the letters of the database.

    Args:
        settings: `smtp` and `mail_from`.
        store: the database.
    """

    def __init__(self, settings: Settings, store: Store) -> None:
        self._url = settings.smtp.get_secret_value()
        self._sender = settings.mail_from or f"colonnade@{urlsplit(settings.public_url).hostname or 'localhost'}"
        self._store = store
        self._wake = threading.Event()
        self._stopped = False
        self._thread = threading.Thread(target=self._loop, name="colonnade-postman", daemon=True)

    @property
    def works(self) -> bool:
        """Whether there is a server to send by."""
        return bool(self._url)

    def start(self) -> None:
        if self.works:
            self._thread.start()

    def stop(self) -> None:
        self._stopped = True
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join(timeout=5)

    def wake(self) -> None:
        """There may be a letter."""
        self._wake.set()

    def _loop(self) -> None:
        while not self._stopped:
            try:
                while not self._stopped and self.send_next():
                    pass
            except Exception as error:  # the database or the server; neither for ever
                log.warning("Letters wait (%s).", type(error).__name__)
            self._wake.wait(LOOK)
            self._wake.clear()

    def send_next(self) -> bool:
        """Send one letter that is due; False when there is none."""
        letter = self._take()
        if letter is None:
            return False
        try:
            self._send(letter)
        except (OSError, smtplib.SMTPException, ValueError) as error:
            # Neither address nor text: a log is read by more people than a letter.
            log.warning("Letter %s was not sent (%s), try %d.", letter.id, type(error).__name__, letter.tries)
            self._put_back(letter, error)
            return True
        with self._store.write() as session:
            session.execute(delete(LetterRow).where(LetterRow.id == letter.id))
        return True

    def _take(self) -> LetterRow | None:
        """A letter that nobody else sends for a while."""
        moment = now()
        with self._store.write() as session:
            row = session.scalars(
                select(LetterRow).where(LetterRow.due <= moment).order_by(LetterRow.due).limit(1)
            ).first()
            if row is None:
                return None
            change = update(LetterRow).where(LetterRow.id == row.id, LetterRow.due == row.due)
            taken = session.execute(
                change.values(due=moment + timedelta(seconds=LEASE), tries=LetterRow.tries + 1)
                .execution_options(synchronize_session=False)
                .returning(LetterRow.tries)
            ).scalar()
            session.expunge(row)
        if taken is None:
            return None
        row.tries = taken
        return row

    def _put_back(self, letter: LetterRow, error: Exception) -> None:
        hopeless = isinstance(error, smtplib.SMTPRecipientsRefused | ValueError) or letter.tries >= TRIES
        with self._store.write() as session:
            if hopeless:
                session.execute(delete(LetterRow).where(LetterRow.id == letter.id))
            else:
                later = now() + timedelta(seconds=min(30 * 2**letter.tries, 21_600))
                session.execute(update(LetterRow).where(LetterRow.id == letter.id).values(due=later))

    def _send(self, letter: LetterRow) -> None:
        message = EmailMessage()
        message["From"], message["To"], message["Subject"] = self._sender, letter.address, letter.subject
        message["Message-ID"] = f"<{letter.id}@{self._sender.rpartition('@')[2]}>"  # the same when it is sent again
        message["Auto-Submitted"] = "auto-generated"
        message.set_content(letter.body)
        server = self._connect()
        try:
            server.send_message(message)
        finally:
            with suppress(OSError, smtplib.SMTPException):
                server.quit()

    def _connect(self) -> smtplib.SMTP:
        parts = urlsplit(self._url)
        host, context = parts.hostname or "localhost", ssl.create_default_context()
        if parts.scheme == "smtps":
            server: smtplib.SMTP = smtplib.SMTP_SSL(host, parts.port or 465, timeout=TIMEOUT, context=context)
        else:
            server = smtplib.SMTP(host, parts.port or 25, timeout=TIMEOUT)
            if parts.scheme == "smtp+starttls":
                server.starttls(context=context)
        if parts.username:
            server.login(unquote(parts.username), unquote(parts.password or ""))
        return server
