"""What is whose: jobs, files, groups, links, and fields above a person's level."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sqlalchemy import select
from town import Mailbox, Town, submitted

from colonnade.gateway.accounts.tables import FileOwner


def ids(answer: Any) -> list[str]:
    return [job["id"] for job in answer.json()["jobs"]]


def test_everybody_sees_their_own_jobs(town: Town) -> None:
    ada, bob, op = (town.account(name, role) for name, role in (("ada", "user"), ("bob", "user"), ("op", "operator")))
    of_ada, of_bob = submitted(town.program(ada)), submitted(town.program(bob))
    assert ids(town.program(ada).get("/api/v1/jobs")) == [of_ada]
    assert ids(town.program(bob).get("/api/v1/jobs")) == [of_bob]
    assert town.program(bob).get("/api/v1/jobs?everybody=true").status_code == 403
    operator = town.program(op)
    assert ids(operator.get("/api/v1/jobs")) == []
    assert ids(operator.get("/api/v1/jobs?everybody=true")) == [of_bob, of_ada]
    assert town.browser(bob).get(f"/services/testing.double?from={of_ada}").status_code == 404


def test_an_operators_token_without_that_scope_is_a_users(town: Town) -> None:
    id = submitted(town.program(town.account("ada")))
    operator = town.account("op", "operator")
    assert town.program(operator, "read").get(f"/api/v1/jobs/{id}").status_code == 404
    assert town.program(operator, "read", "operate").get(f"/api/v1/jobs/{id}").status_code == 200


def test_an_earlier_result_serves_its_owner_only(town: Town) -> None:
    from test_matrix import Scene

    ada, bob = town.account("ada"), town.account("bob")
    submitted(town.program(ada), again=False)
    Scene(town, ada, ada, ada, ada)._run()
    body = {"inputs": {"n": 1}}
    mine = town.program(ada).post("/api/v1/services/testing.double/jobs", json=body).json()
    other = town.program(bob).post("/api/v1/services/testing.double/jobs", json=body).json()
    assert mine["cached_from"] and mine["state"] == "succeeded"
    assert other["cached_from"] is None and other["state"] == "queued"


def test_a_file_is_of_use_to_whom_it_belongs(town: Town) -> None:
    ada, bob, cleo = (town.account(name) for name in ("ada", "bob", "cleo"))
    file = town.program(ada).put("/api/v1/uploads/a.txt", content=b"secret").json()
    path, body = "/api/v1/services/testing.characters/jobs", {"inputs": {"file": file}}
    refused = town.program(bob).post(path, json=body)
    assert refused.status_code == 422 and "no such uploaded file" in refused.text
    assert town.program(ada).post(path, json=body).status_code == 201
    again = town.program(bob).put("/api/v1/uploads/b.txt", content=b"secret").json()
    assert again["sha256"] == file["sha256"]
    assert town.program(bob).post(path, json=body).status_code == 201
    assert town.program(cleo).post(path, json=body).status_code == 422


def test_bytes_of_two_owners_stay_until_both_are_gone(town: Town) -> None:
    people = [town.account(name) for name in ("ada", "bob")]
    jobs = []
    for account in people:
        program = town.program(account)
        file = program.put("/api/v1/uploads/a.txt", content=b"both").json()
        jobs.append(submitted(program, "testing.characters", inputs={"file": file}))
    for account, id in zip(people, jobs, strict=True):
        assert town.gateway.files.path(file["sha256"]).exists()
        program = town.program(account)
        program.post(f"/api/v1/jobs/{id}/cancel")
        assert program.delete(f"/api/v1/jobs/{id}").status_code == 204
    assert not town.gateway.files.path(file["sha256"]).exists()
    with town.gateway.store.read() as session:
        assert session.scalars(select(FileOwner)).all() == []


def test_a_group_sees_the_jobs_in_its_space(build: Callable[..., Town], mailbox: Mailbox) -> None:
    town = build(smtp=mailbox.url)  # type: ignore[attr-defined]
    ada, bob, eve = (town.account(name) for name in ("ada", "bob", "eve"))
    manager = town.browser(ada)
    group = manager.post("/groups", data={"name": "Docking club"}).headers["location"].rpartition("/")[2]
    invited = manager.post(f"/groups/{group}/invite", data={"email": "bob@example.org"})
    assert "on its way to bob@example.org" in invited.text
    path = mailbox.link("bob@example.org", "join")
    assert "ada invites you to the group 'Docking club'" in mailbox.letter("bob@example.org", "/join/")
    member = town.browser(bob)
    assert member.get(path).status_code == 200
    assert member.post(path).headers["location"] == f"/groups/{group}"
    assert "used already" in town.browser(eve).post(path).text

    shared, private = submitted(town.program(ada), group=group), submitted(town.program(ada))
    assert ids(town.program(bob).get(f"/api/v1/jobs?group={group}")) == [shared]
    assert town.program(bob).get(f"/api/v1/jobs/{private}").status_code == 404
    assert town.program(eve).get(f"/api/v1/jobs?group={group}").status_code == 403
    refused = town.program(eve).post("/api/v1/services/testing.double/jobs", json={"inputs": {"n": 1}, "group": group})
    assert refused.status_code == 404
    rerun = town.program(bob).post(f"/api/v1/jobs/{shared}/rerun").json()
    assert set(ids(town.program(bob).get("/api/v1/jobs"))) == {rerun["id"]}

    assert manager.post(f"/groups/{group}/leave").status_code == 409  # bob would have no manager
    manager.post(f"/groups/{group}/members/{bob.id}/promote")
    assert manager.post(f"/groups/{group}/leave").status_code == 303
    assert town.program(bob).get(f"/api/v1/jobs/{shared}").status_code == 404  # it went with its owner
    member.post(f"/groups/{group}/end")
    assert ids(town.program(bob).get("/api/v1/jobs")) == [rerun["id"]]


def test_a_secret_link_opens_one_job_until_it_is_revoked(town: Town) -> None:
    ada = town.account("ada")
    id, other = submitted(town.program(ada), title="Shown"), submitted(town.program(ada), title="Hidden")
    link = town.program(ada).post(f"/api/v1/jobs/{id}/shares").json()
    guest = town.browser()
    path = link["address"].removeprefix("http://127.0.0.1:8000")
    opened = guest.get(path)
    assert (opened.status_code, opened.headers["location"]) == (303, f"/jobs/{id}")
    page = guest.get(f"/jobs/{id}")
    assert page.status_code == 200 and "Shown" in page.text
    assert "Cancel" not in page.text and "Delete this job" not in page.text
    assert guest.get(f"/api/v1/jobs/{id}").json()["title"] == "Shown"
    assert guest.get(f"/api/v1/jobs/{other}").status_code == 401
    assert guest.post(f"/api/v1/jobs/{id}/cancel").status_code == 401
    assert guest.get("/jobs").status_code == 303
    town.program(ada).delete(f"/api/v1/jobs/{id}/shares/{link['id']}")
    assert guest.get(f"/jobs/{id}").status_code == 303
    assert town.browser().get(path).status_code == 404


def test_fields_above_ones_level_are_locked_and_refused(town: Town) -> None:
    user, guru = town.account("ada"), town.account("guru", "guru")
    path, body = "/api/v1/services/showcase.signal/jobs", {"inputs": {"length": 20, "window": "kaiser", "damping": 0.5}}
    page = town.browser(user).get("/services/showcase.signal").text
    locked = page.count('<fieldset class="locked" disabled')
    assert locked >= 1 and "Ask for it on your account page" in page
    assert '<fieldset class="locked" disabled' not in town.browser(guru).get("/services/showcase.signal").text
    refused = town.program(user).post(path, json=body)
    assert refused.status_code == 422
    assert [item["field"] for item in refused.json()["errors"]] == ["inputs.window", "inputs.damping"]
    assert "window may be changed from level expert on" in refused.json()["detail"]
    plain = body["inputs"] | {"window": "hann", "damping": None}
    assert town.program(user).post(path, json={"inputs": plain}).status_code == 201
    typed = {"length": "20", "window": "kaiser", "coloured": "on"}  # a page that was tampered with
    id = town.browser(user).post("/services/showcase.signal", data=typed).headers["location"].rpartition("/")[2]
    assert town.program(user).get(f"/api/v1/jobs/{id}").json()["inputs"]["window"] == "hann"
    assert town.program(guru).post(path, json=body).status_code == 201


def test_a_level_is_asked_for_and_given(build: Callable[..., Town], mailbox: Mailbox) -> None:
    town = build(smtp=mailbox.url)  # type: ignore[attr-defined]
    ada, op = town.account("ada"), town.account("op", "operator")
    browser, operator = town.browser(ada), town.browser(op)
    assert browser.post("/account/level", data={"role": "operator"}).status_code == 422
    browser.post("/account/level", data={"role": "expert", "reason": "I know <b>CNS</b>"})
    page = operator.get("/operator").text
    assert "asks for expert: I know &lt;b&gt;CNS&lt;/b&gt;" in page
    operator.post(f"/operator/people/{ada.id}/role", data={"role": "expert"})
    assert "'expert'" in mailbox.letter("ada@example.org", "level")
    assert town.program(ada).get("/api/v1/me").json()["level"] == "expert"
    assert "Another operator" in operator.post(f"/operator/people/{op.id}/role", data={"role": "user"}).text


def test_visitors_look_and_run_nothing(town: Town) -> None:
    visitor = town.browser()
    for path in ("/", "/services/testing.double", "/usage", "/reference", "/terms"):
        assert visitor.get(path).status_code == 200
    page = visitor.get("/services/testing.double").text
    assert "Sign in to run this" in page and 'name="_run"' not in page
    assert visitor.post("/services/testing.double", data={"n": "1"}).headers["location"].startswith("/sign-in")
    demoted = town.account("demoted", "visitor")
    answer = town.program(demoted).post("/api/v1/services/testing.double/jobs", json={"inputs": {"n": 1}})
    assert answer.status_code == 403 and "may only look" in answer.json()["detail"]
