"""Every refusal of the REST interface as `application/problem+json` (RFC 9457): one sentence, and one per field."""

from __future__ import annotations

import errno
import logging
from http import HTTPStatus
from typing import Any

from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse

from colonnade.errors import BadInput, ColonnadeError, UnknownService, shorten
from colonnade.gateway.files import TooLarge
from colonnade.gateway.storage import Unreachable
from colonnade.gateway.store import Forbidden, TooOften, Unavailable, UnknownJob

MEDIA_TYPE = "application/problem+json"
RETRY_AFTER = 2  # seconds

_log = logging.getLogger(__name__)


class FieldProblem(BaseModel):
    """What is wrong with one field."""

    field: str = Field(description="Dotted path of the field.")
    message: str = Field(description="One sentence naming the field, the value and what is allowed.")
    value: str = Field("", description="The refused value, shortened.")


class ProblemDetails(BaseModel):
    """Why a request was refused (RFC 9457)."""

    type: str = "about:blank"
    title: str = Field(description="The status in words.")
    status: int
    detail: str = Field(description="One plain sentence.")
    errors: list[FieldProblem] = Field(default_factory=list, description="One entry for each field that is wrong.")


class Trouble:
    """An error as people see it.

    Attributes:
        status: of the HTTP answer.
        sentence: what to say.
        errors: findings by field.
        headers: to send along.
    """

    def __init__(self, error: Exception) -> None:
        self.errors: list[FieldProblem] = []
        self.headers: dict[str, str] = {}
        self.status, self.sentence = self._read(error)

    @property
    def title(self) -> str:
        return HTTPStatus(self.status).phrase

    def _read(self, error: Exception) -> tuple[int, str]:
        if isinstance(error, HTTPException):
            self.headers |= error.headers or {}
            return error.status_code, _PLAIN.get((error.status_code, str(error.detail)), str(error.detail))
        if isinstance(error, BadInput):
            self.errors = [FieldProblem(field=p.field, message=p.message, value=p.value) for p in error.problems]
        elif isinstance(error, RequestValidationError):
            self.errors = [_parameter(found) for found in error.errors()]
            return 422, " ".join(item.message for item in self.errors)
        status = _status(error)
        if status == 503:
            self.headers["retry-after"] = str(RETRY_AFTER)
        if isinstance(error, TooOften):
            self.headers["retry-after"] = str(error.wait)
        if isinstance(error, ColonnadeError):
            return status, str(error)
        if status == 507:
            return status, "There is no space left on the gateway's disk."
        _log.error("unexpected error", exc_info=error)
        return 500, "The gateway met an internal error; its log tells more."


# What the routing itself answers, said in a sentence.
_PLAIN = {
    (404, "Not Found"): "There is nothing at this address.",
    (405, "Method Not Allowed"): "This address does not take that method.",
}

_STATUSES: tuple[tuple[type[Exception], int], ...] = (
    (BadInput, 422),
    (UnknownService, 404),
    (UnknownJob, 404),
    (TooLarge, 413),
    (Forbidden, 403),
    (TooOften, 429),
    (Unavailable, 503),
    (Unreachable, 503),
    (ColonnadeError, 409),
)


def _status(error: Exception) -> int:
    cause = error.__cause__ if isinstance(error, Unavailable) else error
    if isinstance(cause, OSError) and cause.errno in (errno.ENOSPC, errno.EDQUOT):
        return 507
    if isinstance(error, Unavailable) and "no space" in str(error):
        return 507
    return next((status for kind, status in _STATUSES if isinstance(error, kind)), 500)


def _parameter(found: Any) -> FieldProblem:
    """A wrong parameter of path or query."""
    name = str(found["loc"][-1])
    shown = shorten(found.get("input"))
    wanted = str(found["msg"]).removeprefix("Input should be ").rstrip(".")
    return FieldProblem(field=name, message=f"{name} must be {wanted}, but is {shown}.", value=shown)


def problem(error: Exception) -> JSONResponse:
    """The answer for an error."""
    trouble = Trouble(error)
    body = ProblemDetails(
        title=trouble.title, status=trouble.status, detail=trouble.sentence, errors=trouble.errors
    ).model_dump(mode="json")
    return JSONResponse(body, trouble.status, headers=trouble.headers, media_type=MEDIA_TYPE)


def responses(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """OpenAPI entries for the refusals a route can answer with; 401, 403, 429 and 503 belong to every route."""
    content = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/ProblemDetails"}}}
    every = sorted({*statuses, 401, 403, 429, 503})
    return {status: {"description": HTTPStatus(status).phrase, "content": content} for status in every}
