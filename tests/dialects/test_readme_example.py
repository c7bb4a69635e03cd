"""The worked example of ``app/dialects/README.md``: taken from the page into a copy of the repository, linted, run."""

import re
import shutil
import subprocess
import sys
from filecmp import dircmp
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
README = ROOT / "app/dialects/README.md"
BLOCK = re.compile(r"```python\n# (\S+)\n(.*?)```", re.DOTALL)
REGISTRY = "app/dialects/registry.py"
PLACES = {"app/dialects/pocket", REGISTRY, "tests/dialects/test_pocket.py"}


@pytest.fixture(scope="module")
def example(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the repository, with the files of the page."""
    root = tmp_path_factory.mktemp("example")
    ignored = shutil.ignore_patterns("node_modules", "__pycache__", ".mypy_cache")
    for folder in ("app", "tests"):
        shutil.copytree(ROOT / folder, root / folder, ignore=ignored)
    shutil.copy(ROOT / "pyproject.toml", root)
    for folder in ("migrations", "admin_static", "bench"):
        (root / folder).symlink_to(ROOT / folder)
    for name, text in BLOCK.findall(README.read_text()):
        path = root / name
        if name == REGISTRY:
            path.write_text(with_line(path.read_text(), text))
        else:
            path.parent.mkdir(exist_ok=True)
            path.write_text(text)
    (root / "app/dialects/pocket/__init__.py").touch()
    return root


def with_line(registry: str, line: str) -> str:
    """The registry with one more name, in alphabetical order."""
    start, end = registry.index("(\n") + 2, registry.index(")\n")
    lines = sorted([*registry[start:end].splitlines(keepends=True), line])
    return registry[:start] + "".join(lines) + registry[end:]


def run(example: Path, *command: str) -> None:
    done = subprocess.run([sys.executable, "-m", *command], cwd=example, capture_output=True, text=True)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"


def changed_places(left: Path, right: Path, *, below: str = "") -> set[str]:
    compared = dircmp(left, right, ignore=["__pycache__", "node_modules"])
    found = {f"{below}{name}" for name in [*compared.right_only, *compared.diff_files]}
    for name in compared.common_dirs:
        found |= changed_places(left / name, right / name, below=f"{below}{name}/")
    return found


def test_it_touches_three_places(example: Path) -> None:
    changed = {
        f"{top}/{name}" for top in ("app", "tests") for name in changed_places(ROOT / top, example / top)
    }
    assert changed == PLACES
    before, after = (ROOT / REGISTRY).read_text(), (example / REGISTRY).read_text()
    assert len(after.splitlines()) == len(before.splitlines()) + 1


def test_it_is_clean(example: Path) -> None:
    names = ["app/dialects/pocket", "tests/dialects/test_pocket.py", REGISTRY]
    run(example, "ruff", "check", *names)
    run(example, "ruff", "format", "--check", *names)


def test_it_is_typed(example: Path) -> None:
    if (ROOT / ".mypy_cache").exists():  # what was checked before is not checked again
        shutil.copytree(ROOT / ".mypy_cache", example / ".mypy_cache")
    run(example, "mypy", "app/dialects/pocket/answer.py", "app/dialects/pocket/routes.py")


def test_it_keeps_the_contract(example: Path) -> None:
    run(
        example,
        "pytest",
        "-p",
        "no:cacheprovider",
        "tests/dialects/test_pocket.py",
        "tests/dialects/test_registry.py",
    )
