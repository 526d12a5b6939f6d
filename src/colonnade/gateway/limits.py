"""How much one request may bring: counted while it streams in, so that what is too much is never kept."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pydantic_core import from_json
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from colonnade.inputs import human_size

MAX_JSON = 4_000_000  # bytes of one JSON request
MAX_FORM_TEXT = 8_000_000  # bytes of one form beside its files


class BodyLimit:
    """ASGI middleware that ends a request with 413 as soon as its body passes the limit of its path.

    Args:
        app: what stands behind.
        limit: bytes allowed for a request.
    """

    def __init__(self, app: ASGIApp, limit: Callable[[Request], int]) -> None:
        self.app, self.limit = app, limit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        most = self.limit(Request(scope))
        taken = 0

        async def counting() -> Message:
            nonlocal taken
            message = await receive()
            if message["type"] == "http.request":
                taken += len(message.get("body", b""))
                if taken > most or _announced(scope) > most:
                    raise TooLarge(most)
            return message

        await self.app(scope, counting, send)


def _announced(scope: Scope) -> int:
    text = dict(scope["headers"]).get(b"content-length", b"0")
    return int(text) if text.isdigit() else 0


class TooLarge(HTTPException):
    """The request brings more bytes than its path takes."""

    def __init__(self, most: int) -> None:
        super().__init__(413, f"The request is too large: at most {human_size(most)} are taken here.")


async def read_json(request: Request) -> Any:
    """The JSON body of a request; NaN and infinities are no JSON, and nesting deeper than 200 is refused.

    Raises:
        HTTPException: 422 with one sentence when it is not JSON, 415 when it does not claim to be.
    """
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != "application/json":
        raise HTTPException(415, "The request must be application/json.")
    body = await request.body()
    try:
        return from_json(body, allow_inf_nan=False, cache_strings="none")
    except ValueError as error:
        raise HTTPException(422, f"The request is not valid JSON: {error}.") from None
