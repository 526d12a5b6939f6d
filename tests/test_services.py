"""What every installed service owes to the people who use it, whatever its column."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from importlib.metadata import entry_points

import pytest

from colonnade.catalogue import GROUP
from colonnade.inputs import LEVELS
from colonnade.service import broken_plugins, services

OFFERED = tuple(point.value for point in entry_points(group=GROUP) if point.value.startswith("colonnade."))
SERVICES = [service for service in services().values() if service.function.__module__.startswith(OFFERED)]
ENGINES = {"torch", "numpy", "gemmi", "Bio", "freesasa", "prodigy_prot", "numba", "plotly", "distributed", "fastapi"}


def test_no_plugin_is_broken() -> None:
    assert broken_plugins() == ()
    assert "structure.affinity" in services()


@pytest.mark.parametrize("service", SERVICES, ids=lambda service: service.name)
def test_a_service_says_what_it_is(service) -> None:
    assert service.title and not service.title.endswith(".")
    assert service.summary.endswith(".") and len(service.summary) < 160
    assert service.paper.startswith("arXiv:")
    assert len(service.description) > 60 and service.description != service.summary


@pytest.mark.parametrize("service", SERVICES, ids=lambda service: service.name)
def test_every_field_has_a_title_and_a_level(service) -> None:
    for name, info in service.inputs.model_fields.items():
        assert info.title, name
        assert info.json_schema_extra["level"] in LEVELS, name


@pytest.mark.parametrize("service", SERVICES, ids=lambda service: service.name)
def test_the_examples_are_accepted(service) -> None:
    assert service.examples
    for title in service.examples:
        assert service.parse(service.example(title))


def test_listing_loads_no_engine() -> None:
    code = f"import colonnade.service as s; s.services(); import sys; print({ENGINES!r} & set(sys.modules))"
    listed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert listed.stdout.strip() == "set()"


def test_a_paragraph_of_a_description_is_one_line() -> None:
    def method() -> None:
        """What it
        does.

        More of
        it:
        - a point
        - another
        """

    found = dataclasses.replace(next(iter(services().values())), function=method)
    assert found.description == "What it does.\n\nMore of it:\n- a point\n- another"
