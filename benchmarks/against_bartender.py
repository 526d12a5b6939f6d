"""Trivial jobs over REST: this gateway beside bartender (i-VRESSE), the middleware of the HADDOCK3 web application.

    python -m venv bartender-env
    bartender-env/bin/pip install SOURCES
    python benchmarks/against_bartender.py SOURCES bartender-env/bin/python [JOBS]

SOURCES is a checkout of github.com/i-VRESSE/bartender (0.5.3 when this was written). Bartender runs with its local
scheduler of two slots; both keep their jobs in the same PostgreSQL, run the same service, and are asked over HTTP by
the same client in turn. Bartender takes an archive with the input file and runs a command in its folder; the command
is the least that runs the service (no command line is read). A third row is bartender with `true` as its command: what
the middleware alone can do, with no service run at all.
"""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx
from gateway_bench import PLUGIN, SERVICE
from rest_bench import Server, answers, compare, free_port, in_turn, ours

sys.path.insert(0, str(Path(PLUGIN).parent))
import postgres

ROUNDS = 3
CODE = (
    "import json; from pathlib import Path; from colonnade import runner; "
    f"runner.run('{SERVICE}', json.loads(Path('input.json').read_text()), Path('run'))"
)
APPLICATIONS = {"service": f'"{sys.executable}" -c "{CODE}"', "nothing": "true"}


def configuration(folder: Path) -> Path:
    """Bartender's settings: two applications, one local destination."""
    applications = {
        name: {"command_template": command, "upload_needs": ["input.json"]} for name, command in APPLICATIONS.items()
    }
    local = {"scheduler": {"type": "memory", "slots": 2}, "filesystem": {"type": "local"}}
    (folder / "jobs").mkdir()
    path = folder / "config.yaml"
    path.write_text(
        json.dumps(  # which is YAML too
            {
                "job_root_dir": str(folder / "jobs"),
                "destination_picker": "bartender.picker:pick_first",
                "applications": applications,
                "destinations": {"local": local},
            }
        )
    )
    return path


def token(folder: Path, python: str, sources: Path) -> str:
    """A key pair for bartender, and a token of somebody."""
    private, public = folder / "private_key.pem", folder / "public_key.pem"
    make = ["openssl", "genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048", "-out", str(private)]
    subprocess.run(make, check=True, capture_output=True)
    subprocess.run(["openssl", "rsa", "-pubout", "-in", private, "-out", public], check=True, capture_output=True)
    ask = [python, "-m", "bartender", "generate-token", "--private-key", str(private), "--username", "someone"]
    return subprocess.run(ask, check=True, capture_output=True, text=True, cwd=sources).stdout.split()[-1]


@contextmanager
def bartender(sources: Path, python: str, database: postgres.Server) -> Iterator[dict[str, Server]]:
    """Bartender, by application."""
    database.database("bartender")
    with tempfile.TemporaryDirectory() as name:
        folder, port = Path(name), free_port()
        options = {
            "PORT": str(port), "DB_HOST": "127.0.0.1", "DB_PORT": str(database.port), "DB_USER": "colonnade",
            "DB_PASS": "x", "DB_BASE": "bartender", "PUBLIC_KEY": str(folder / "public_key.pem"),
            "CONFIG_FILENAME": str(configuration(folder)), "LOG_LEVEL": "error",
        }  # fmt: skip
        environment = os.environ | {f"BARTENDER_{key}": value for key, value in options.items()}
        subprocess.run(
            [python, "-m", "alembic", "upgrade", "head"], check=True, env=environment, cwd=sources, capture_output=True
        )
        headers = {"authorization": f"Bearer {token(folder, python, sources)}"}
        process = subprocess.Popen([python, "-m", "bartender", "serve"], env=environment, cwd=sources)
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", headers=headers, timeout=60) as client:
            answers(client, "/api/whoami")
            try:
                yield {name: _server(client, name) for name in APPLICATIONS}
            finally:
                process.terminate()
                process.wait()


def _server(client: httpx.Client, application: str) -> Server:
    open_jobs: list[str] = []

    def submit(number: int) -> None:
        archive = io.BytesIO()
        with zipfile.ZipFile(archive, "w") as packed:
            packed.writestr("input.json", json.dumps({"n": number}))
        files = {"upload": ("job.zip", archive.getvalue(), "application/zip")}
        answer = client.put(f"/api/application/{application}", files=files)
        assert answer.status_code == 303, answer.text
        open_jobs.append(answer.headers["location"])

    def left() -> int:
        # Slots take the jobs in order: the last ones are asked first, and the others once these have ended.
        while open_jobs:
            state = client.get(open_jobs[-1]).json()["state"]
            if state == "error":
                raise RuntimeError("bartender: a job failed")
            if state != "ok":
                break
            open_jobs.pop()
        return len(open_jobs)

    return Server(submit, left)


def main() -> None:
    sources, python = Path(sys.argv[1]), str(Path(sys.argv[2]).absolute())
    jobs = int(sys.argv[3]) if len(sys.argv) > 3 else 60
    with ExitStack() as stack:
        database = stack.enter_context(postgres.server())
        there = stack.enter_context(bartender(sources, python, database))
        here = stack.enter_context(ours(database=database.database("gateway")))
        servers = {"bartender": there["service"], "bartender running `true`": there["nothing"], "gateway": here}
        in_turn(servers, jobs, ROUNDS)
    compare(
        f"Trivial jobs over REST ({ROUNDS} x {jobs} jobs each, in turn, {len(os.sched_getaffinity(0))} cores)",
        servers,
        "gateway",
        {"bartender": 10},
    )


if __name__ == "__main__":
    main()
