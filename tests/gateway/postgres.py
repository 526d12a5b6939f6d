"""A real PostgreSQL server for tests, started here in a folder of its own."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from harness import until


def _program(name: str) -> str | None:
    newest = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"), key=lambda path: int(path.parts[4]))
    return str(newest[-1]) if newest else shutil.which(name)


class Server:
    """A PostgreSQL server; the durability that a test machine does not need is off."""

    def __init__(self, folder: Path) -> None:
        initdb, self._postgres = _program("initdb"), _program("postgres")
        if initdb is None or self._postgres is None:
            pytest.skip("PostgreSQL is not installed (Debian package postgresql)")
        self.folder = folder
        # The server refuses to run as root; then the account of the Debian package runs it.
        self._user = "postgres" if os.getuid() == 0 else None
        if self._user is not None:
            shutil.chown(folder, self._user)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self._run(initdb, "-D", str(folder / "db"), "-U", "colonnade", "-A", "trust", "-N", "-E", "UTF8")
        self.process: subprocess.Popen[bytes] | None = None
        self.start()

    def _run(self, *command: str) -> None:
        subprocess.run(
            command, check=True, stdout=subprocess.DEVNULL, user=self._user, cwd=self.folder, env={"LC_ALL": "C"}
        )

    def start(self) -> None:
        options = {"port": self.port, "listen_addresses": "127.0.0.1", "unix_socket_directories": "", "fsync": "off"}
        given = [part for name, value in options.items() for part in ("-c", f"{name}={value}")]
        self.process = subprocess.Popen(
            [str(self._postgres), "-D", str(self.folder / "db"), *given],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            user=self._user,
            cwd=self.folder,
            env={"LC_ALL": "C"},
        )
        until(self._answers, "PostgreSQL")

    def _answers(self) -> bool:
        import psycopg

        try:
            psycopg.connect(self.dsn("postgres"), connect_timeout=2).close()
            return True
        except psycopg.OperationalError:
            return False

    def stop(self) -> None:
        """End it at once, as a restart of the machine does; every connection breaks."""
        assert self.process is not None
        self.process.send_signal(3)  # "immediate" shutdown
        self.process.wait(30)

    def dsn(self, name: str) -> str:
        return f"postgresql://colonnade@127.0.0.1:{self.port}/{name}"

    def database(self, name: str) -> str:
        """A new database; its SQLAlchemy URL."""
        import psycopg

        with psycopg.connect(self.dsn("postgres"), autocommit=True) as connection:
            connection.execute(f'CREATE DATABASE "{name}"'.encode())
        return self.dsn(name).replace("postgresql://", "postgresql+psycopg://")


@contextmanager
def server() -> Iterator[Server]:
    """A server that is stopped at the end."""
    with tempfile.TemporaryDirectory() as folder:  # not below pytest's: the server's account could not reach it
        found = Server(Path(folder))
        try:
            yield found
        finally:
            found.stop()
