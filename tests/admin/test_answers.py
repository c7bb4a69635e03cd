"""The panel's API describes every answer, and the panel reads only fields that are described."""

import re
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from fastapi.routing import APIRoute

from app.admin.app import ROUTERS, create_panel_app
from app.admin.bodies import PanelAnswer

STATIC = Path(__file__).parent.parent.parent / "admin_static"
PAGES = STATIC / "pages"
REDIRECTS = {"GET /oidc/start", "GET /oidc/callback"}
FILES = {
    "GET /audit.csv",
    "GET /events",
    "GET /keys/{key_id}/statement",
    "GET /requests.csv",
    "GET /tasks.csv",
    "GET /tasks.zip",
    "GET /usage.csv",
    "GET /accounts/export",
    "POST /accounts/export",
    "POST /accounts/test",
    "POST /backup",
    "GET /tasks/{name}/inputs/{number}",
    "GET /tasks/{name}/receipt",
}
"""These routes answer with a file or a stream."""
EVENT_FIELDS = {"account_id", "at", "generating", "id", "ids", "progress", "state"}
"""The fields of the events that `/events` streams."""


def routes() -> dict[str, APIRoute]:
    found = [route for router in ROUTERS for route in router.routes if isinstance(route, APIRoute)]
    return {
        f"{method} {route.path}".replace(":path", ""): route for route in found for method in route.methods
    }


def test_every_route_is_known() -> None:
    document = create_panel_app().openapi()
    assert set(routes()) == {f"{m.upper()} {p}" for p, methods in document["paths"].items() for m in methods}


@pytest.mark.parametrize("name", routes())
def test_an_answer_is_described(name: str) -> None:
    route = routes()[name]
    if route.status_code == 204 or name in FILES | REDIRECTS:
        assert route.response_model is None
        return
    assert isinstance(route.response_model, type)
    assert issubclass(route.response_model, PanelAnswer)


# ---- the fields that the panel reads ------------------------------------------------------------------

CALL = re.compile(
    r"\b(?:useGet|useList|get|post|patch|put|remove|download|address)\((?:[^'`(),]*\?)?\s*([`'])(.*?)\1"
)
IMPORT = re.compile(r"^import .*?from '(\.[^']+)'", re.MULTILINE | re.DOTALL)
READ = re.compile(r"(?<=[\w)\]])(?:\?\.|\.)([a-z][a-z0-9_]*)\b(?!\s*\()")
SPREAD = re.compile(r"const \{([^{}=]*)\} = (?!useState|useRef)")


@cache
def source(path: Path) -> str:
    text = re.sub(r"/\*.*?\*/", "", path.read_text(), flags=re.DOTALL)
    return re.sub(r"^\s*//.*$", "", text, flags=re.MULTILINE)


@cache
def imported(path: Path) -> frozenset[Path]:
    """The file, and every file that it imports, directly or not."""
    seen, left = {path}, [path]
    while left:
        here = left.pop()
        for name in IMPORT.findall(source(here)):
            other = (here.parent / name).resolve()
            if other not in seen and STATIC.resolve() in other.parents and "vendor" not in other.parts:
                seen.add(other)
                left.append(other)
    return frozenset(seen)


def calls(paths: Iterable[Path]) -> set[str]:
    """The API addresses in these files, with `{}` for each part that is filled in."""
    found = {address for path in paths for _, address in CALL.findall(source(path))}
    return {re.sub(r"\$\{[^}]*\}(?:\}|\))*", "{}", address).partition("?")[0] for address in found}


def fields_of(addresses: set[str]) -> set[str]:
    """Every field in the answers of the routes that these addresses match."""
    document = create_panel_app().openapi()
    found: set[str] = set()
    for path, methods in document["paths"].items():
        if any(_fits(path, address) for address in addresses):
            for operation in methods.values():
                found |= set(_names(operation["responses"], document, set()))
    return found


def _fits(path: str, address: str) -> bool:
    """Whether an address of the panel matches the path of a route; `{}` matches every part."""
    parts, others = path.strip("/").split("/"), address.strip("/").split("/")
    return len(parts) == len(others) and all(
        one == other or one.startswith("{") or other == "{}" for one, other in zip(parts, others, strict=True)
    )


def _names(part: Any, document: dict[str, Any], seen: set[str]) -> Iterator[str]:
    if isinstance(part, list):
        for item in part:
            yield from _names(item, document, seen)
    if not isinstance(part, dict):
        return
    reference = part.get("$ref", "")
    if reference and reference not in seen:
        seen.add(reference)
        kind, name = reference.split("/")[-2:]
        yield from _names(document["components"][kind][name], document, seen)
    if isinstance(part.get("properties"), dict):
        yield from part["properties"]
    for item in part.values():
        yield from _names(item, document, seen)


def read_names(path: Path) -> set[str]:
    """Names after a dot that are not called, and destructured names; quoted texts are left out."""
    text = re.sub(r"'(?:[^'\\\n]|\\.)*'", "''", source(path))
    spread = {name.partition(":")[0].strip() for group in SPREAD.findall(text) for name in group.split(",")}
    return {*READ.findall(text), *(name for name in spread if re.fullmatch(r"[a-z][a-z0-9_]*", name))}


BROWSER = {
    "checked",
    "clipboard",
    "current",
    "download",
    "file",
    "files",
    "hash",
    "href",
    "length",
    "muted",
    "onload",
    "origin",
    "result",
    "signal",
    "size",
    "target",
    "title",
    "value",
    "values",
}
"""Names of JavaScript and of the browser."""
COMPONENTS = {
    "add",
    "after",
    "all",
    "asked",
    "back",
    "beside",
    "busy",
    "by",
    "by_",
    "data",
    "delete_",
    "descending",
    "disable",
    "do",
    "done",
    "drain",
    "enable",
    "field",
    "filtered",
    "form",
    "from",
    "group",
    "measure",
    "offer",
    "page",
    "passed",
    "paused",
    "pick",
    "picked",
    "pictures",
    "problem",
    "q",
    "query",
    "reload",
    "rows",
    "run",
    "sort",
    "tab",
    "tag",
    "tests",
    "text",
    "to",
    "token",
    "tone",
    "wanted",
    "whole",
}
"""Names of the panel's own hooks, actions and addresses."""
FORMS = {
    "add_models",
    "add_tags",
    "characters",
    "completed",
    "extra",
    "failed",
    "first_frame",
    "label",
    "lines",
    "no_proxy",
    "order",
    "overlap_seconds",
    "private",
    "proxy",
    "quota_left",
    "quota_limit",
    "quota_period",
    "quota_unit",
    "remove_models",
    "remove_tags",
    "secrets",
    "seed",
    "shots",
}
"""Names of inputs, which are sent."""
DOCUMENTS = {
    "account",
    "gates",
    "most_output_tokens",
    "per_call",
    "per_image",
    "per_million_input",
    "per_million_output",
    "per_second",
    "per_unit",
    "properties",
}
"""Names inside documents that the API returns as a whole: prices, candidates of a route, options of a key, JSON schemas."""
OTHER = BROWSER | COMPONENTS | FORMS | DOCUMENTS | EVENT_FIELDS


def pages() -> dict[str, frozenset[Path]]:
    """The files that each page imports, by the name of its own file."""
    files = [path.resolve() for path in sorted(PAGES.glob("*.js"))]
    own = [path for path in files if re.search(r"export (?:function|const) Page\b", source(path))]
    return {path.stem: imported(path) for path in own} | {"sign_in": imported(PAGES / "sign_in.js")}


@pytest.mark.parametrize("page", pages())
def test_a_page_reads_only_fields_that_are_described(page: str) -> None:
    files = pages()[page]
    known = fields_of(calls(files)) | OTHER
    unknown = {path.name: read_names(path) - known for path in files if PAGES.resolve() in path.parents}
    assert {name: fields for name, fields in unknown.items() if fields} == {}


def test_every_address_of_the_panel_is_a_route() -> None:
    paths = list(create_panel_app().openapi()["paths"])
    addresses = calls(path.resolve() for path in STATIC.rglob("*.js") if "vendor" not in path.parts)
    assert [address for address in addresses if not any(_fits(path, address) for path in paths)] == []


def test_an_undescribed_field_would_be_found() -> None:
    assert fields_of({"tasks/{}"}) > {"timeline", "state"}
    assert "no_such_field" not in fields_of(calls(path for files in pages().values() for path in files))
