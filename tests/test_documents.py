"""What ARCHITECTURE.md and CONTRIBUTING.md say of the code is so: paths, folders, layers, states, terms."""

import ast
import re
import tomllib
from pathlib import Path

import pytest

from app.tasks.states import MOVES

ROOT = Path(__file__).parent.parent
ARCHITECTURE = (ROOT / "ARCHITECTURE.md").read_text()
GUIDES = [ROOT / "ARCHITECTURE.md", ROOT / "CONTRIBUTING.md"]
PATH_NAMED = re.compile(r"`((?:app|tests|bench|migrations|admin_static|docs)/[\w./-]+)`")


def table_rows(heading: str) -> list[list[str]]:
    """The cells of the table under a heading of ARCHITECTURE.md, its first two lines left out."""
    section = ARCHITECTURE.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    rows = [line.strip().strip("|").split("|") for line in section.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in row] for row in rows[2:]]


@pytest.mark.parametrize("page", GUIDES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_path_that_a_guide_names_exists(page: Path) -> None:
    named = PATH_NAMED.findall(page.read_text())
    assert [path for path in named if not (ROOT / path).exists()] == []


def test_the_table_of_folders_is_whole() -> None:
    named = {name for row in table_rows("Folders") for name in re.findall(r"`app/([\w.]+?)/?`", row[0])}
    there = {path.name for path in (ROOT / "app").iterdir() if path.suffix == ".py" or path.is_dir()}
    assert there - {"__init__.py", "__pycache__"} == named


def test_the_order_of_imports_is_the_one_that_is_checked() -> None:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    (layers,) = [contract for contract in contracts if contract["type"] == "layers"]
    order = " → ".join(layer.replace("app.", "") for layer in layers["layers"])
    assert order in " ".join(ARCHITECTURE.split())
    assert "ignore_imports" not in layers


def test_every_term_of_the_glossary_is_in_the_code() -> None:
    rows = table_rows("Glossary")
    assert len(rows) >= 25
    for term, _, where in rows:
        path, name = re.findall(r"`([^`]+)`", where)
        tree = ast.parse((ROOT / path).read_text())
        assert name in _names_defined(tree), f"{term}: there is no {name} in {path}"


def test_the_moves_of_a_task_are_those_of_the_code() -> None:
    told = {
        row[0].strip("`"): set(re.findall(r"`(\w+)`", row[1])) for row in table_rows("The states of a task")
    }
    assert told == {state: set(after) for state, after in MOVES.items() if after}


def _names_defined(tree: ast.Module) -> set[str]:
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            names.update(target.id for target in targets if isinstance(target, ast.Name))
    return names


TRANSLATED = sorted((ROOT / "docs").glob("*.zh-CN.md"))


@pytest.mark.parametrize("page", TRANSLATED, ids=lambda path: path.name)
def test_a_translated_page_and_its_original_lead_to_each_other(page: Path) -> None:
    original = page.with_name(page.name.replace(".zh-CN", ""))
    assert f"[中文]({page.name})" in original.read_text()
    assert f"]({original.name})" in page.read_text()
    assert f"docs/{page.name}" in (ROOT / "README.zh-CN.md").read_text()


PAGES = [*sorted((ROOT / "docs").glob("*.md")), *sorted(ROOT.glob("*.md"))]
LINK = re.compile(r"\]\((?!https?:)([\w./-]*?\.md|)#([^)\s]+)\)")


def heading_anchors(page: Path) -> set[str]:
    """As GitHub makes them of headings: lower case, spaces as hyphens, no other signs."""
    found: set[str] = set()
    for heading in re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE):
        words = re.sub(r"\]\([^)]*\)", "", heading.lower())
        found.add(re.sub(r"[^\w\- ]", "", words).strip().replace(" ", "-"))
    return found


@pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_to_headings_that_exist(page: Path) -> None:
    lost = []
    for path, anchor in LINK.findall(page.read_text()):
        target = (page.parent / path) if path else page
        if not target.exists() or anchor not in heading_anchors(target):
            lost.append(f"{path}#{anchor}")
    assert lost == []
