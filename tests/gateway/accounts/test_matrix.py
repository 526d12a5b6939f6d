"""Who may do what: every route of the application, asked by everybody there is.

The routes come from the application itself; a route that has no line here fails the test, so none can be forgotten.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from fastapi.routing import iter_route_contexts
from starlette.testclient import TestClient
from town import Town, close, found

from colonnade import runner
from colonnade.gateway import queue
from colonnade.gateway.accounts import groups, shares
from colonnade.gateway.accounts.guard import Cookies
from colonnade.gateway.accounts.tables import AccountRow
from colonnade.gateway.store import JobRow
from colonnade.gateway.workflows import book, turn
from colonnade.gateway.workflows.tables import WorkflowRow
from colonnade.service import get, services
from colonnade.workflows import document

WORKFLOW = "name: x\nsteps: {a: {service: testing.double}}"
ACTORS = ("nobody", "holder of a link", "stranger", "member", "owner", "operator")

# What each actor may do on a route, in the order of ACTORS: "." let in, "x" refused (401, 403, 404, or sent to the
# sign-in page). A route that is let in may still answer that the job has not ended, or that a form lacks a field.
PUBLIC, SIGNED, OPERATOR = "......", "xx....", "xxxxx."
READS, CHANGES = "x.x...", "xxxx.."
EXPECTED: dict[str, str] = {
    # pages
    "GET /": PUBLIC,
    "GET /services/{name}": PUBLIC,
    "POST /services/{name}": SIGNED,
    "POST /services/{name}/from-result": "xxx...",
    "GET /jobs": SIGNED,
    "GET /jobs/{id}": READS,
    "GET /jobs/{id}/pictures/{path}.svg": READS,
    "POST /jobs/{id}/{action}": CHANGES,
    "POST /jobs/{id}/share": CHANGES,
    "POST /jobs/{id}/shares/{link}/revoke": CHANGES,
    "POST /jobs/{id}/group": CHANGES,
    "GET /workflows": SIGNED,
    "GET /workflows/new": SIGNED,
    "POST /workflows": SIGNED,
    "POST /workflows/import": SIGNED,
    "GET /workflows/{id}": READS,
    "POST /workflows/{id}/{action}": CHANGES,
    "POST /workflows/{id}/share": CHANGES,
    "POST /workflows/{id}/shares/{link}/revoke": CHANGES,
    "POST /workflows/{id}/group": CHANGES,
    "GET /shared/{secret}": PUBLIC,
    "GET /usage": PUBLIC,
    "GET /usage.csv": PUBLIC,
    "GET /usage/communities.csv": PUBLIC,
    "GET /api/v1/metrics": OPERATOR,
    "GET /health/live": PUBLIC,
    "GET /health/ready": PUBLIC,
    "GET /reference": PUBLIC,
    "GET /terms": PUBLIC,
    "GET /sign-in": PUBLIC,
    "POST /sign-in": PUBLIC,
    "POST /sign-out": SIGNED,
    "GET /consent": SIGNED,
    "POST /consent": SIGNED,
    "GET /register": PUBLIC,
    "POST /register": PUBLIC,
    "GET /register/{secret}": PUBLIC,
    "POST /register/{secret}": PUBLIC,
    "GET /forgotten": PUBLIC,
    "POST /forgotten": PUBLIC,
    "GET /reset/{secret}": PUBLIC,
    "POST /reset/{secret}": PUBLIC,
    "GET /oidc/{name}/begin": PUBLIC,
    "GET /oidc/{name}/callback": PUBLIC,
    "GET /account": SIGNED,
    "POST /account/profile": SIGNED,
    "POST /account/password": SIGNED,
    "POST /account/level": SIGNED,
    "POST /account/tokens": SIGNED,
    "POST /account/tokens/{token}/revoke": SIGNED,
    "POST /account/sessions/end": SIGNED,
    "GET /account/export": SIGNED,
    "POST /account/erase": SIGNED,
    "GET /groups": SIGNED,
    "POST /groups": SIGNED,
    "GET /groups/{group}": "xxx...",
    "POST /groups/{group}/invite": "xxxx..",
    "POST /groups/{group}/leave": "xxx...",
    "POST /groups/{group}/members/{member}/{action}": "xxxx..",
    "POST /groups/{group}/end": "xxxx..",
    "GET /join/{secret}": SIGNED,
    "POST /join/{secret}": SIGNED,
    "GET /operator": OPERATOR,
    "POST /operator/people/{account}/role": OPERATOR,
    "POST /operator/people/{account}/decline": OPERATOR,
    "POST /operator/people/{account}/close": OPERATOR,
    "GET /operator/limits": OPERATOR,
    "POST /operator/limits": OPERATOR,
    "GET /static/viewer": PUBLIC,
    "GET /static/packages/{name}": PUBLIC,
    "GET /static/{name}": PUBLIC,
    # REST
    "GET /api/v1/openapi.json": PUBLIC,
    "GET /api/v1/health": PUBLIC,
    "GET /api/v1/usage": PUBLIC,
    "GET /api/v1/services": PUBLIC,
    "GET /api/v1/services/{name}": PUBLIC,
    "POST /api/v1/services/SERVICE/jobs": SIGNED,
    "POST /api/v1/services/{name}/jobs": SIGNED,
    "PUT /api/v1/uploads/{name}": SIGNED,
    "GET /api/v1/me": SIGNED,
    "GET /api/v1/jobs": SIGNED,
    "GET /api/v1/jobs/{id}": READS,
    "DELETE /api/v1/jobs/{id}": CHANGES,
    "POST /api/v1/jobs/{id}/cancel": CHANGES,
    "POST /api/v1/jobs/{id}/rerun": "xxx...",
    "GET /api/v1/jobs/{id}/events": READS,
    "GET /api/v1/jobs/{id}/result": READS,
    "GET /api/v1/jobs/{id}/files": READS,
    "GET /api/v1/jobs/{id}/files/{name}": READS,
    "GET /api/v1/jobs/{id}/report": READS,
    "GET /api/v1/jobs/{id}/archive": READS,
    "GET /api/v1/jobs/{id}/shares": CHANGES,
    "POST /api/v1/jobs/{id}/shares": CHANGES,
    "DELETE /api/v1/jobs/{id}/shares/{link}": CHANGES,
    "PUT /api/v1/jobs/{id}/group": CHANGES,
    "GET /api/v1/workflows": SIGNED,
    "POST /api/v1/workflows": SIGNED,
    "GET /api/v1/workflows/{id}": READS,
    "DELETE /api/v1/workflows/{id}": CHANGES,
    "POST /api/v1/workflows/{id}/cancel": CHANGES,
    "POST /api/v1/workflows/{id}/rerun": "xxx...",
    "GET /api/v1/workflows/{id}/events": READS,
    "GET /api/v1/workflows/{id}/picture.svg": READS,
    "GET /api/v1/workflows/{id}/crate": READS,
    "GET /api/v1/operator/accounts": OPERATOR,
    "PUT /api/v1/operator/accounts/{account}/role": OPERATOR,
    "GET /api/v1/operator/limits": OPERATOR,
    "PUT /api/v1/operator/limits": OPERATOR,
}


def routes_of(app: Any) -> set[str]:
    """Every method and path that the application answers; the services' own paths are one."""
    found = set()
    for route in iter_route_contexts(app.routes):
        path = route.path.replace(":path}", "}")
        if path.startswith("/api/v1/services/") and path.split("/")[4] in services():
            path = "/api/v1/services/SERVICE/jobs"
        found |= {f"{method} {path}" for method in (route.methods or ()) if method not in ("HEAD", "OPTIONS")}
    return found


def test_every_route_has_its_line(town: Town) -> None:
    assert routes_of(town.app) == set(EXPECTED)


@dataclass
class Scene:
    """A finished job in a group, and who is who to it."""

    town: Town
    owner: AccountRow
    member: AccountRow
    stranger: AccountRow
    operator: AccountRow

    def group(self) -> str:
        with self.town.gateway.store.write() as session:
            row = groups.make(session, self.town.person(self.owner), "us")
            session.flush()
            groups.join(session, self.member.id, row.id)
            return row.id

    def job(self, group: str) -> JobRow:
        service = get("testing.characters")
        gateway, person = self.town.gateway, self.town.person(self.owner)
        upload = gateway.save_upload([b"abc"], "a.txt", person)
        inputs = service.parse({"file": upload.reference}, gateway.files_for(person))
        row = gateway.submit(service, inputs, person=person, group=group)
        if row.state == "queued":
            self._run()
        return row

    def workflow(self, group: str) -> WorkflowRow:
        gateway, person = self.town.gateway, self.town.person(self.owner)
        row = book.start(gateway, document.parse(WORKFLOW), {}, person=person, group=group)
        turn.Turn(gateway, row.id, lambda: True).go()
        self._run()
        turn.Turn(gateway, row.id, lambda: True).go()
        return row

    def _run(self) -> None:
        gateway = self.town.gateway
        with gateway.store.write() as session:
            claims = queue.claim(session, "test", 9, fair=self.town.office.fair())
        for claim in claims:
            status = runner.execute(gateway.directory_of(claim.run))
            with gateway.store.write() as session:
                queue.finish(session, claim.id, claim.attempt, status)

    def actor(self, name: str, job: JobRow | WorkflowRow | None) -> TestClient:
        accounts = {"stranger": self.stranger, "member": self.member, "owner": self.owner, "operator": self.operator}
        client = self.town.browser(accounts.get(name))
        if name == "holder of a link" and job is not None:
            with self.town.gateway.store.write() as session:
                make = shares.make_for_workflow if isinstance(job, WorkflowRow) else shares.make
                _, secret = make(session, job.id)
            client.cookies.set(Cookies("http://x").shares, secret)
        return client


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory, empty: Path) -> Iterator[Town]:
    made = found(tmp_path_factory.mktemp("matrix") / "data", empty)
    yield made
    close(made)


@pytest.fixture
def scene(town: Town) -> Scene:
    """New people for every route: some close accounts or change roles."""
    mark = secrets.token_hex(4)
    people = {name: town.account(f"{name}-{mark}") for name in ("owner", "member", "stranger")}
    return Scene(town, **people, operator=town.account(f"operator-{mark}", "operator"))


BODIES: dict[str, Callable[[str, str], dict[str, Any]]] = {
    "POST /services/{name}/from-result": lambda job, group: {"data": {"job": job, "file": "x.txt", "field": "file"}},
    "POST /jobs/{id}/group": lambda job, group: {"data": {"group": ""}},
    "PUT /api/v1/jobs/{id}/group": lambda job, group: {"json": {"group": None}},
    "POST /workflows/{id}/group": lambda job, group: {"data": {"group": ""}},
    "POST /api/v1/workflows": lambda job, group: {
        "json": {"document": "name: x\nsteps: {a: {service: testing.double}}"}
    },
    "POST /api/v1/services/SERVICE/jobs": lambda job, group: {"json": {"inputs": {"n": 1}}},
    "PUT /api/v1/operator/accounts/{account}/role": lambda job, group: {"json": {"role": "expert"}},
    "PUT /api/v1/operator/limits": lambda job, group: {"json": {"subject": "role:user", "kind": "running", "value": 7}},
}
VALUES = {
    "path": "view", "secret": "x" * 43, "service": "testing.double", "token": "0" * 26, "link": "0" * 26,
    "action": "cancel",
}  # fmt: skip
REFUSED = ("There is no job", "There is no workflow", "You are in no group", "Only ", "Sign in to ")


@pytest.mark.parametrize("route", EXPECTED)
def test_who_may(scene: Scene, route: str) -> None:
    method, path = route.split(" ")
    allowed = ""
    for name in ACTORS:
        needs_job = "{id}" in path or "from-result" in path
        group = scene.group() if needs_job or "{group}" in path else ""
        made = scene.workflow if "/workflows/" in path else scene.job
        job = made(group) if needs_job else None
        target = scene.town.account(f"target-{secrets.token_hex(4)}") if "{account}" in path else scene.member
        values = VALUES | {
            "id": job.id if job else "", "group": group, "account": target.id, "member": scene.member.id,
            "name": "testing.double",
        }  # fmt: skip
        address = path.replace("SERVICE", "testing.double").format(**values)
        options = BODIES[route](job.id if job else "", group) if route in BODIES else {}
        answer = scene.actor(name, job).request(method, address, **options)
        assert answer.status_code < 500 or answer.status_code == 503, answer.text  # "not ready" is an answer
        allowed += "x" if _refused(answer) else "."
    assert allowed == EXPECTED[route], dict(zip(ACTORS, allowed, strict=True))


def _refused(answer: Any) -> bool:
    if answer.status_code in (303, 307):
        return bool(answer.headers["location"].startswith("/sign-in?next="))
    said = any(words in answer.text for words in REFUSED)
    return answer.status_code == 401 or (answer.status_code in (403, 404) and said)
