"""Which gateway the client and the remote commands ask, and with which token."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from colonnade.client import credentials
from colonnade.errors import ColonnadeError


def test_a_login_is_kept_for_this_account_only() -> None:
    path = credentials.save(credentials.Gateway("http://a:1", "secret"))
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    found = credentials.find()
    assert (found.url, found.token) == ("http://a:1", "secret")
    assert "secret" not in repr(found)
    assert credentials.find("http://b:2").token is None  # a token goes to its own gateway only
    path.chmod(0o644)
    with pytest.raises(ColonnadeError, match="Other accounts"):
        credentials.find()


def test_given_wins_over_variable_wins_over_login(monkeypatch: pytest.MonkeyPatch) -> None:
    credentials.save(credentials.Gateway("http://a", "one"))
    monkeypatch.setenv("COLONNADE_URL", "http://b/?token=two")
    assert (credentials.find().url, credentials.find().token) == ("http://b", "two")
    assert credentials.find("https://c/sub/?token=three&x=1") == credentials.Gateway("https://c/sub", "three")


def test_the_gateway_of_this_account_needs_no_login(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "token").write_text("mine\n")
    monkeypatch.setenv("COLONNADE_DATA", str(tmp_path))
    assert credentials.find() == credentials.Gateway("http://127.0.0.1:8000", "mine")
    assert credentials.find("http://elsewhere").token is None


@pytest.mark.parametrize("url", ["ftp://x", "http://", "not a url", ""])
def test_what_is_no_address_is_said_to_be_none(url: str) -> None:
    with pytest.raises(ColonnadeError, match="is not the address"):
        credentials.parse(url)
