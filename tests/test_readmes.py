"""The project's own pages: each link leads somewhere, and each module that they name is there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("dst", "search_spaces", "cluster", "studies")
OWN = ("README.md", "CONTRIBUTING.md", "studies/tracking/README.md")
PAGES = (*OWN, *(f"{package}/README.md" for package in PACKAGES))
OF_A_STUDY = {"best/", "checkpoints/", "wandb/"}  # folders of a study, not of the tree


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as they are shown on the web."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def anywhere(name: str) -> bool:
    """Whether a file or folder of this name is in a package or among the tests."""
    return any(any((ROOT / folder).rglob(name)) for folder in (*PACKAGES, "tests"))


@pytest.mark.parametrize("name", PAGES)
def test_links_lead_to_files_and_headings(name):
    page = ROOT / name
    targets = re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8"))
    assert targets
    for target in targets:
        place, _, heading = target.partition("#")
        file = (page.parent / place).resolve() if place else page
        assert file.exists(), target
        assert not heading or heading in anchors(file), target


@pytest.mark.parametrize("name", PAGES)
def test_modules_and_folders_that_are_named_exist(name):
    page = ROOT / name
    named = re.findall(r"`([\w./-]+(?:\.py|/))`", page.read_text(encoding="utf-8"))
    for path in set(named) - OF_A_STUDY:
        places = [folder / path for folder in (ROOT, page.parent, *(ROOT / package for package in PACKAGES))]
        bare = "/" not in path.rstrip("/")  # a part of a folder that was named just before, or a test module
        found = any(place.exists() for place in places) or (bare and anywhere(path.rstrip("/")))
        assert found, path


@pytest.mark.parametrize("package", PACKAGES)
def test_a_packages_readme_names_each_of_its_rooms(package):
    text = (ROOT / package / "README.md").read_text(encoding="utf-8")
    rooms = {room.parent.name for room in (ROOT / package).glob("*/__init__.py")}
    assert {room for room in rooms if f"`{room}/`" not in text} == set()
