"""The house rules of ARCHITECTURE.md, checked: sizes, nesting, names, parameters."""

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from app.dialects.registry import DIALECT_NAMES
from app.providers.registry import PROVIDERS

APP = Path(__file__).parent.parent / "app"
FILES = sorted(APP.rglob("*.py"))
FORBIDDEN_NAMES = {"utils", "helpers", "common", "manager", "handler", "misc", "util"}
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
ROOT = APP.parent
WORD = re.compile(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z0-9]+|[A-Z]+")
ONE_WORD_FUNCTIONS, ONE_WORD_CLASSES = 0.2, 0.1
"""The largest share of names that are one word. A second word usually says which one is meant."""
RETIRED_NAMES = frozenset(
    [
        "AdminBook",
        "Asked",
        "At",
        "Books",
        "Charge",
        "Charging",
        "Desk",
        "Door",
        "DoorBook",
        "Express",
        "HangUp",
        "Parts",
        "Passing",
        "PriceBook",
        "RouteBook",
        "Spread",
        "Standing",
        "Tail",
        "Turns",
        "TwoEnds",
        "Wish",
        "bell",
        "hear",
        "insist",
        "judge",
        "obstacle",
        "resting",
        "speaker",
        "tire",
        "unfit",
        "voiceless",
    ]
)
RETIRED_PHRASES = re.compile(r"\b(out of use|resting|rests again|speaks for)\b", re.IGNORECASE)
"""What the code and its documents said before they had plain words for it."""
BLOCKS = (ast.If, ast.For, ast.AsyncFor, ast.While, ast.With, ast.AsyncWith, ast.Try, ast.Match)


@cache
def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


def functions() -> list[tuple[Path, ast.FunctionDef | ast.AsyncFunctionDef]]:
    return [(path, node) for path in FILES for node in ast.walk(parsed(path)) if isinstance(node, FUNCTIONS)]


def length(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    return (node.end_lineno or node.lineno) - node.lineno + 1


def depth(node: ast.AST, *, at: int = 0) -> int:
    deepest = at
    for child in ast.iter_child_nodes(node):
        if isinstance(child, FUNCTIONS):
            continue
        inner = at + 1 if isinstance(child, BLOCKS) and not is_elif(node, child) else at
        deepest = max(deepest, depth(child, at=inner))
    return deepest


def is_elif(parent: ast.AST, child: ast.AST) -> bool:
    return isinstance(parent, ast.If) and isinstance(child, ast.If) and parent.orelse == [child]


def percentile(values: list[int], share: float) -> int:
    return sorted(values)[int(len(values) * share)]


def test_files_are_short() -> None:
    sizes = {path: len(path.read_text().splitlines()) for path in FILES}
    assert {p: n for p, n in sizes.items() if n > 400} == {}
    assert percentile(list(sizes.values()), 0.9) < 300


def test_functions_are_short() -> None:
    lengths = [(str(path), node.name, length(node)) for path, node in functions()]
    assert [row for row in lengths if row[2] > 50] == []
    assert percentile([row[2] for row in lengths], 0.9) < 30


def test_nesting_stays_at_three() -> None:
    assert [(str(p), n.name) for p, n in functions() if depth(n) > 3] == []


def test_three_positional_parameters_at_most() -> None:
    def positional(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
        arguments = [*node.args.posonlyargs, *node.args.args]
        return len([a for a in arguments if a.arg not in {"self", "cls"}])

    assert [(str(p), n.name) for p, n in functions() if positional(n) > 3] == []


def test_every_module_says_what_it_is() -> None:
    silent = [p for p in FILES if p.read_text().strip() and not ast.get_docstring(parsed(p))]
    assert silent == []


def test_no_drawer_for_odds_and_ends() -> None:
    assert [p for p in FILES if p.stem in FORBIDDEN_NAMES or p.parent.name in FORBIDDEN_NAMES] == []


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(APP)))
def test_no_broad_except(path: Path) -> None:
    # The worker loop, the outermost handler, and the first look at a request, before anything is sent.
    allowed = {"dispatch/dispatcher.py", "ops/edge.py", "providers/judging.py"}
    if str(path.relative_to(APP)) in allowed:
        return
    broad = [
        node.lineno
        for node in ast.walk(parsed(path))
        if isinstance(node, ast.ExceptHandler)
        and (
            node.type is None
            or (isinstance(node.type, ast.Name) and node.type.id in {"Exception", "BaseException"})
        )
    ]
    assert broad == []


# ---- providers: a vendor's code is known to nobody but the registry ----


@cache
def imported_modules(path: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(parsed(path)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return found


@pytest.mark.parametrize("vendor", PROVIDERS)
def test_only_a_vendors_own_folder_imports_it(vendor: str) -> None:
    """So no vendor imports another, and neither the media store nor anything else knows one."""
    package = f"app.providers.{vendor}"
    own = APP / "providers" / vendor
    importers = [
        str(path.relative_to(APP))
        for path in FILES
        if own not in path.parents
        and any(name == package or name.startswith(f"{package}.") for name in imported_modules(path))
    ]
    assert importers == []


VENDORS = tuple(name for name in PROVIDERS if name != "studio")
"""The studio is Filmgate's own: settings and commands name it."""
ORDINARY_WORDS = {"declared", "predictions", "together"}
"""Vendors called like words of plain English: only a string that is the name and nothing else names them."""
# The name is that of the same vendor's API on the client side, or of a vendor's model that a marketplace sells.
MAY_NAME_VENDORS = {
    "dialects": "a dialect may be called like a provider: one vendor's API, on both sides",
    "providers/registry.py": "the list of providers",
    "providers/fal/provider.py": "names of models",
    "providers/predictions/provider.py": "names of models",
    "providers/replicate/provider.py": "names of models",
    "providers/runway/models.py": "names of models",
    "providers/runway/requests.py": "names of models",
    "providers/zhipu/provider.py": "names of models",
}


def strings_in(tree: ast.Module) -> list[ast.Constant]:
    """All but docstrings."""
    prose = {
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    }
    constants = [node for node in ast.walk(tree) if isinstance(node, ast.Constant)]
    return [node for node in constants if isinstance(node.value, str) and node not in prose]


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(APP)))
def test_no_vendor_is_named_outside_its_folder(path: Path) -> None:
    name = str(path.relative_to(APP))
    if name in MAY_NAME_VENDORS or path.relative_to(APP).parts[0] in MAY_NAME_VENDORS:
        return
    others = {vendor for vendor in VENDORS if APP / "providers" / vendor not in path.parents}
    ordinary, odd = others & ORDINARY_WORDS, "|".join(others - ORDINARY_WORDS)
    pattern = re.compile(rf"(?<![A-Za-z_])({odd})(?![A-Za-z_])")
    named = [
        (node.lineno, node.value)
        for node in strings_in(parsed(path))
        if node.value in ordinary or pattern.search(str(node.value))
    ]
    assert named == []


@pytest.mark.parametrize("vendor", PROVIDERS)
def test_every_provider_is_a_folder(vendor: str) -> None:
    assert (APP / "providers" / vendor / "provider.py").is_file()


# ---- dialects: what lies below them names none, and one knows of another only how it answers ----

DIALECT_WORDS = re.compile(rf"\b({'|'.join(DIALECT_NAMES)})\b")


def words_of_code(path: Path) -> set[str]:
    """Names, imports and strings, without docstrings and comments."""
    tree = parsed(path)
    docstrings = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    words: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docstrings:
            words.add(node.value)
        elif isinstance(node, ast.Name | ast.Attribute | ast.arg | ast.keyword | ast.alias):
            named = [getattr(node, field, None) for field in ("id", "attr", "arg", "name")]
            words |= {word for word in named if isinstance(word, str)}
    return words | imported_modules(path)


def test_nothing_outside_the_dialects_names_one() -> None:
    """Vendors may bear the same name: ``app/providers`` has rules of its own."""
    elsewhere = [path for path in FILES if path.relative_to(APP).parts[0] not in ("dialects", "providers")]
    naming = {
        str(path.relative_to(APP)): found
        for path in elsewhere
        if (found := [word for word in words_of_code(path) if DIALECT_WORDS.search(word)])
    }
    assert naming == {}


@pytest.mark.parametrize("name", DIALECT_NAMES)
def test_a_dialect_imports_only_the_answers_of_others(name: str) -> None:
    others = [f"app.dialects.{other}" for other in DIALECT_NAMES if other != name]
    imports = {
        module
        for path in (APP / "dialects" / name).glob("*.py")
        for module in imported_modules(path)
        if module.startswith(tuple(f"{other}." for other in others))
    }
    assert {module.split(".")[3] for module in imports} <= {"answer", "schemas"}


@pytest.mark.parametrize("tool", ["fields", "http", "prompt", "openapi"])
def test_the_tools_of_dialects_know_no_dialect(tool: str) -> None:
    packages = tuple(f"app.dialects.{name}" for name in DIALECT_NAMES)
    imports = {module for path in (APP / "dialects" / tool).glob("*.py") for module in imported_modules(path)}
    assert not [module for module in imports if module.startswith(packages)]


@pytest.mark.parametrize("name", DIALECT_NAMES)
def test_every_dialect_has_its_contract_test(name: str) -> None:
    test = Path(__file__).parent / "dialects" / f"test_{name}.py"
    assert test.is_file(), f"{test.relative_to(APP.parent)} is missing"
    assert "DialectContract)" in test.read_text()


def names_of(kinds: tuple[type[ast.AST], ...]) -> list[str]:
    nodes = [node for path in FILES for node in ast.walk(parsed(path)) if isinstance(node, kinds)]
    names = [str(getattr(node, "name", "")) for node in nodes]
    return [name for name in names if not name.startswith("__")]


@pytest.mark.parametrize(
    ("kinds", "bound"),
    [(FUNCTIONS, ONE_WORD_FUNCTIONS), ((ast.ClassDef,), ONE_WORD_CLASSES)],
    ids=["functions", "classes"],
)
def test_few_names_are_one_word(kinds: tuple[type[ast.AST], ...], bound: float) -> None:
    names = names_of(kinds)
    share = sum(len(WORD.findall(name.strip("_"))) == 1 for name in names) / len(names)
    print(f"{share:.1%} of {len(names)} names are one word")  # shown by pytest -rP
    assert share < bound


def test_no_retired_name_is_left() -> None:
    found = [
        (str(path), name) for path in FILES for name in identifiers(path) if name.strip("_") in RETIRED_NAMES
    ]
    assert found == []


def identifiers(path: Path) -> Iterator[str]:
    for node in ast.walk(parsed(path)):
        if isinstance(node, (*FUNCTIONS, ast.ClassDef)):
            yield node.name
        elif isinstance(node, ast.Name):
            yield node.id
        elif isinstance(node, ast.Attribute):
            yield node.attr
        elif isinstance(node, ast.arg):
            yield node.arg


def test_no_retired_phrase_is_left() -> None:
    texts = [
        *FILES,
        *ROOT.glob("admin_static/*.*"),
        *ROOT.glob("admin_static/[!v]*/**/*.js"),
        *ROOT.glob("docs/*.md"),
    ]
    found = [
        (str(path.relative_to(ROOT)), match[0])
        for path in texts
        for match in RETIRED_PHRASES.finditer(path.read_text())
    ]
    assert found == []
