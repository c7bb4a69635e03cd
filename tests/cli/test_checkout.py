"""The checkout: versions locked with hashes and without index addresses, and a short README with valid links."""

import re
import tomllib

import pytest

from app.settings import Settings
from tests.cli.running import ROOT

REQUIREMENT = re.compile(r"^([a-z0-9._-]+)==\S+", re.MULTILINE)


def pinned(lock: str) -> dict[str, str]:
    """Each requirement's version with the hashes that follow it, whatever platforms it is for."""
    blocks = re.split(r"\n(?=[a-z0-9])", lock)
    found = {match[1]: block for block in blocks if (match := REQUIREMENT.match(block))}
    return {name: re.sub(r" ; [^\\\n]*", " ", block).rstrip() for name, block in found.items()}


@pytest.mark.parametrize("name", ["requirements.lock", "requirements-dev.lock"])
def test_lock_has_hashes_and_no_address(name: str) -> None:
    text = (ROOT / name).read_text()
    assert "://" not in text
    assert "index" not in text
    blocks = pinned(text)
    assert len(blocks) > 40
    assert [package for package, block in blocks.items() if "--hash=sha256:" not in block] == []


def test_locks_agree_and_hold_what_the_project_needs() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    run = pinned((ROOT / "requirements.lock").read_text())
    develop = pinned((ROOT / "requirements-dev.lock").read_text())
    assert run.items() <= develop.items()
    for wanted, lock in (
        (project["dependencies"], run),
        (project["optional-dependencies"]["dev"], develop),
    ):
        names = {re.split(r"[\[<>=~;\s]", line)[0].lower() for line in wanted}
        assert names - lock.keys() == set()


def test_no_lock_holds_an_address() -> None:
    locks = [*ROOT.glob("*.lock"), *ROOT.glob("tests/*/node/package-lock.json")]
    assert len(locks) == 6
    assert [lock for lock in locks if "://" in lock.read_text()] == []


@pytest.mark.parametrize("name", ["README.md", "README.zh-CN.md"])
def test_readme_is_short_and_its_links_lead_somewhere(name: str) -> None:
    text = (ROOT / name).read_text()
    assert len(text.splitlines()) <= 190  # with the table of figures
    links = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", text)
    assert links
    assert [link for link in links if not (ROOT / link).exists()] == []


def test_every_setting_is_in_the_example() -> None:
    example = (ROOT / ".env.example").read_text()
    names = list(Settings.model_fields)
    assert len(names) > 20
    assert [name for name in names if f"FILMGATE_{name.upper()}=" not in example] == []
