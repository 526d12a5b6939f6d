"""A service that only the gateway has, with options made of the schema that the gateway publishes.

The model made here knows fields, types, help and defaults, as far as options need them; the gateway judges the values.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, NoReturn

from pydantic import BaseModel, Field, create_model

from colonnade.client import Client
from colonnade.client.models import RemoteService
from colonnade.errors import UnknownService
from colonnade.inputs import LEVELS
from colonnade.job import Job
from colonnade.results import Outputs
from colonnade.service import Service

Schema = Mapping[str, Any]
_BOUNDS = {"minimum": "ge", "maximum": "le", "exclusiveMinimum": "gt", "exclusiveMaximum": "lt"}
_SCALARS: dict[str, Any] = {"boolean": bool, "integer": int, "number": float, "string": str, "object": dict}


def service(name: str, arguments: Sequence[str]) -> Service[Any, Any]:
    """The service of that name of the gateway that the arguments, or the last login, name.

    Raises:
        UnknownService: the gateway does not have it either.
        GatewayError: there is no gateway to ask, or it refuses.
    """
    url = next((word.partition("=")[2] for word in arguments if word.startswith("--url=")), None)
    if "--url" in arguments[:-1]:
        url = arguments[arguments.index("--url") + 1]
    with Client(url) as client:
        return of(client.service(name))


def of(found: RemoteService) -> Service[Any, Any]:
    """A service as the gateway describes it."""
    return Service(
        name=found.name,
        title=found.title,
        summary=found.summary,
        paper=found.paper,
        inputs=_model(found.inputs, found.inputs.get("$defs", {}), found.name),
        outputs=Outputs,
        function=_elsewhere,
        examples=found.examples,
    )


def _elsewhere(inputs: Any, job: Job) -> NoReturn:
    raise UnknownService("This service is on the gateway only.")


def _model(schema: Schema, definitions: Schema, name: str) -> type[BaseModel]:
    needed = set(schema.get("required", ()))
    fields: dict[str, Any] = {}
    for key, one in schema.get("properties", {}).items():
        level = one.get("level")
        inner = next((part for part in one.get("anyOf", ()) if part.get("type") != "null"), one)
        fields[key] = (
            _type(one, definitions, key),
            Field(
                ... if key in needed else one.get("default"),
                title=one.get("title"),
                description=one.get("description"),
                json_schema_extra={"level": level, "unit": one.get("unit")} if level in LEVELS else None,
                **{bound: inner[word] for word, bound in _BOUNDS.items() if word in inner},
            ),
        )
    return create_model(name, **fields)


def _type(schema: Schema, definitions: Schema, name: str) -> Any:
    """The Python type of a value; a choice of several shapes is written as YAML."""
    if "$ref" in schema:
        return _type(definitions.get(str(schema["$ref"]).rpartition("/")[2], {}), definitions, name)
    variants = [one for one in schema.get("anyOf", ()) if one.get("type") != "null"]
    if variants:
        inner = _type(variants[0], definitions, name) if len(variants) == 1 else dict
        return inner | None
    if schema.get("enum"):
        return Literal[tuple(schema["enum"])]
    if schema.get("properties"):
        return _model(schema, definitions, name)
    if schema.get("type") == "array":
        items = schema.get("items")
        return list[_type(items, definitions, name)] if isinstance(items, Mapping) else list[str]  # type: ignore[misc]
    return _SCALARS.get(str(schema.get("type")), dict if schema.get("oneOf") else str)
