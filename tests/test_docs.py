"""The pages keep step with the code: links lead somewhere, every service and every option is named."""

from __future__ import annotations

import re
from importlib.metadata import entry_points
from pathlib import Path

import pytest

from colonnade.gateway.settings import Settings
from colonnade.service import GROUP, services

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
OFFERED = tuple(point.value for point in entry_points(group=GROUP) if point.value.startswith("colonnade."))
OURS = [name for name, found in services().items() if found.function.__module__.startswith(OFFERED)]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    targets = re.findall(r"\]\(([^)#]+)\)", page.read_text())
    missing = [target for target in targets if "://" not in target and not (page.parent / target).exists()]
    assert missing == []


def test_every_service_stands_in_the_readme_and_has_a_page() -> None:
    readme = (ROOT / "README.md").read_text()
    assert [name for name in OURS if f"`{name}`" not in readme] == []
    for name in OURS:
        assert f"{name}" in (ROOT / "docs" / f"{name.partition('.')[0]}.md").read_text()


def test_every_option_of_the_gateway_is_documented() -> None:
    page = (ROOT / "docs" / "gateway.md").read_text()
    assert [name for name in Settings.model_fields if f"| `{name}` |" not in page] == []


def test_no_address_of_a_machine_or_registry_in_the_pages() -> None:
    for page in PAGES:
        assert not re.search(r"https?://(?!127\.0\.0\.1)\S+", page.read_text()), page.name
