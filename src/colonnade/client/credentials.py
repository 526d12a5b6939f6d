"""Which gateway, and the token for it: given, from the environment, from `colonnade login`, or that of this account."""

from __future__ import annotations

import json
import os
import stat
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qs, urlsplit, urlunsplit

import platformdirs

from colonnade.errors import ColonnadeError

URL_VARIABLE, TOKEN_VARIABLE = "COLONNADE_URL", "COLONNADE_TOKEN"
LOCAL = "http://127.0.0.1:8000"
_LOCAL_HOSTS = ("127.0.0.1", "localhost", "::1")


@dataclass(frozen=True)
class Gateway:
    """Where a gateway is, and what lets one in."""

    url: str
    token: str | None

    def __repr__(self) -> str:
        return f"Gateway({self.url!r})"  # a token has no place in a log


def login_file() -> Path:
    """Where `colonnade login` keeps url and token."""
    return platformdirs.user_config_path("colonnade") / "login.json"


def find(url: str | None = None, token: str | None = None) -> Gateway:
    """The gateway to talk to.

    Args:
        url: its address; may carry the token as the address that `colonnade serve` prints does.
        token: what lets one in.

    Raises:
        ColonnadeError: the address is malformed, or other accounts can read the saved token.
    """
    saved = load()
    if url is None:
        url = os.environ.get(URL_VARIABLE) or (saved.url if saved else LOCAL)
    given = parse(url)
    token = token or given.token or os.environ.get(TOKEN_VARIABLE)
    if token is None and saved is not None and saved.url == given.url:
        token = saved.token
    if token is None and urlsplit(given.url).hostname in _LOCAL_HOSTS:
        token = _own_token()
    return Gateway(given.url, token)


def parse(url: str) -> Gateway:
    """An address without its query, and the token in it.

    Raises:
        ColonnadeError: it is no web address.
    """
    parts = urlsplit(url if "://" in url else f"http://{url}")
    if parts.scheme not in ("http", "https") or not parts.hostname or any(char.isspace() for char in url):
        raise ColonnadeError(f"{url!r} is not the address of a gateway (http://host:port).")
    token = parse_qs(parts.query).get("token", [None])[0]
    path = parts.path.rstrip("/")
    return Gateway(urlunsplit((parts.scheme, parts.netloc, path, "", "")), token)


def save(gateway: Gateway) -> Path:
    """Keep url and token for later, readable by this account only."""
    path = login_file()
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_suffix(f".{os.getpid()}")
    draft.unlink(missing_ok=True)
    # The file is private from its first moment, not made so later.
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as stream:
        json.dump({"url": gateway.url, "token": gateway.token}, stream)
    draft.replace(path)
    return path


def load() -> Gateway | None:
    """What `save` kept, or None.

    Raises:
        ColonnadeError: the file can be read by other accounts, or is broken.
    """
    path = login_file()
    try:
        mode = path.stat().st_mode
        text = path.read_text()
    except OSError:
        return None
    if os.name == "posix" and stat.S_IMODE(mode) & 0o077:
        raise ColonnadeError(f"Other accounts can read the token in {str(path)!r}; remove the file and log in again.")
    try:
        kept = json.loads(text)
        return Gateway(str(kept["url"]), kept["token"])
    except (ValueError, KeyError, TypeError):
        raise ColonnadeError(f"{str(path)!r} is broken; remove the file and log in again.") from None


def _own_token() -> str | None:
    """The token of the gateway that this account runs itself."""
    folder = os.environ.get("COLONNADE_DATA")
    path = (Path(folder).expanduser() if folder else platformdirs.user_data_path("colonnade")) / "token"
    try:
        return path.read_text().strip() or None
    except OSError:
        return None
