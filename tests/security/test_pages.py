"""Every page of this origin: the panel's policy on it, nothing in it from elsewhere, and no file that is a page."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urljoin, urlsplit

import httpx2
import pytest

from app.admin.app import create_panel_app
from app.main import create_app
from app.media.serve import common_headers
from app.media.store import StoreEntry
from app.ops.browser_policy import DOCS_POLICY, PAGE_HEADERS, POLICY, is_inert
from app.ops.edge import guarded_headers
from app.settings import Settings
from tests.security.conftest import Guarded
from tests.serving import KEY

LINKS = re.compile(
    r"""(?:src|href|action|data|poster|srcset|formaction)\s*=\s*["']?([^"'\s>]+)""", re.IGNORECASE
)
IN_STYLES = re.compile(r"""(?:url\(\s*|@import\s+)["']?([^"')\s;]+)""", re.IGNORECASE)
IN_SCRIPTS = re.compile(r"""(?:^|[;\s}])(?:import|export)\b[^;"'()]{0,200}["']([^"']+)["']""")
INLINE = re.compile(r"<script(?![^>]*\bsrc=)|<style|\son\w+\s*=|<base|importmap|javascript:", re.IGNORECASE)
FOUND = (200, 206, 301, 302, 303, 307, 308, 400, 401, 403, 404, 405, 413, 422, 429)


def described(document: dict[str, dict[str, object]]) -> Iterator[str]:
    for path in document["paths"]:
        yield re.sub(r"\{\w+\}", "0" * 32, path)


def seeds() -> list[str]:
    """Where a browser may begin: every route, and what is none."""
    app = create_app(Settings(data_dir=Path("unused"))).client_api()
    routes = [getattr(route, "path", "") for route in app.routes]
    fixed = [re.sub(r"\{[^}]*\}", "nothing", path) for path in routes if path]
    panel = [f"/admin/api{path}" for path in described(create_panel_app().openapi())]
    odd = [
        "/",
        "/docs/",
        "/redoc",
        "/docs/oauth2-redirect",
        "/favicon.ico",
        "/admin",
        "/admin/../docs",
        "/%3Cscript%3E",
    ]
    odd += ["/files/videos/x?expires=1&signature=x", "/admin/index.html", "/admin/vendor/", "/<h1>"]
    return list(dict.fromkeys([*odd, *fixed, *described(app.openapi()), *panel]))


def foreign(links: list[str], at: str) -> list[str]:
    own = urlsplit(at).netloc
    whole = [urljoin(at, link) for link in links if not link.startswith(("data:", "#", "mailto:"))]
    return [link for link in whole if urlsplit(link).netloc != own]


def links_in(answer: httpx2.Response) -> list[str]:
    kind = answer.headers.get("content-type", "")
    if "html" in kind:
        assert not INLINE.search(answer.text), answer.url
        return [*LINKS.findall(answer.text), *IN_STYLES.findall(answer.text)]
    if "css" in kind:
        return [link for link in IN_STYLES.findall(answer.text) if not link.startswith("#")]
    if "javascript" in kind and "swagger-ui" not in str(answer.url):  # it imports nothing, and holds the word
        return IN_SCRIPTS.findall(answer.text)
    return []


def check_policy(answer: httpx2.Response) -> None:
    assert answer.headers.get("x-content-type-options") == "nosniff", answer.url
    if "html" in answer.headers.get("content-type", "") or "location" in answer.headers:
        policy = answer.headers["content-security-policy"]
        assert policy in (POLICY, DOCS_POLICY), answer.url
        others = {name: value for name, value in PAGE_HEADERS.items() if name != "content-security-policy"}
        assert {name: answer.headers.get(name) for name in others} == others, answer.url


def test_no_page_names_another_origin(guarded: Guarded) -> None:
    """Every route is asked as a browser asks, without a key and with one, and every link of its own is followed."""
    seen: set[str] = set()
    pages: set[str] = set()
    with httpx2.Client(base_url=guarded.gateway.url, timeout=60, headers={"accept": "text/html"}) as http:
        waiting = seeds()
        while waiting:
            path = waiting.pop()
            if path in seen:
                continue
            seen.add(path)
            for method, headers in (("GET", {}), ("GET", {"authorization": f"Bearer {KEY}"}), ("PUT", {})):
                if method == "GET" and path.endswith(("/events", "/live")):
                    continue
                answer = http.request(method, path, headers=headers)
                assert answer.status_code in FOUND, (path, answer.status_code)
                check_policy(answer)
                links = links_in(answer)
                assert foreign(links, str(answer.url)) == [], path
                if "html" in answer.headers.get("content-type", ""):
                    pages.add(urlsplit(str(answer.url)).path)
                waiting += [
                    urlsplit(urljoin(str(answer.url), link)).path
                    for link in [*links, *answer.headers.get_list("location")]
                    if not link.startswith(("data:", "#"))
                ]
    assert {"/docs", "/admin/", "/admin/index.html"} <= pages
    assert {"/docs/swagger-ui.js", "/docs/swagger-ui.css", "/admin/app.js", "/admin/vendor/preact.js"} <= seen


def test_there_is_one_description_and_it_is_ours(guarded: Guarded) -> None:
    assert httpx2.get(f"{guarded.gateway.url}/redoc", timeout=60).status_code == 404
    page = httpx2.get(f"{guarded.gateway.url}/docs", timeout=60).text
    assert "jsdelivr" not in page and "tiangolo" not in page and "docs/swagger-ui.js" in page


@pytest.mark.parametrize(
    "kind", ["text/html", "TEXT/HTML; charset=x", "image/svg+xml", "application/xhtml+xml", "text/xml"]
)
def test_a_page_of_an_upstream_gets_the_policy_too(kind: str) -> None:
    theirs = [(b"Content-Security-Policy", b"default-src *"), (b"x-frame-options", b"ALLOWALL")]
    given = dict(guarded_headers([(b"content-type", kind.encode()), *theirs]))
    assert given[b"content-security-policy"] == POLICY.encode()
    assert b"Content-Security-Policy" not in given and given[b"x-frame-options"] == b"DENY"


def test_every_other_answer_is_what_it_says_it_is() -> None:
    for headers in ([(b"content-type", b"application/json")], [], [(b"x-content-type-options", b"sniff")]):
        assert (b"x-content-type-options", b"nosniff") in guarded_headers(headers)


@pytest.mark.parametrize(
    "kind",
    ["image/svg+xml", "IMAGE/SVG+XML", "text/html", "application/xml", "application/pdf", "", "video/x+xml"],
)
def test_a_stored_file_that_could_run_is_only_saved(kind: str) -> None:
    entry = StoreEntry(key="tasks/x/y", size=1, etag='"e"', modified=datetime.now(UTC))
    headers = common_headers(entry, content_type=kind, file_name="film.svg")
    assert not is_inert(kind)
    assert headers["content-type"] == "application/octet-stream"
    assert headers["content-disposition"].startswith("attachment;")


def test_a_film_is_shown_and_runs_nothing(guarded: Guarded) -> None:
    with guarded.gateway.client() as http:
        answer = http.get(f"/v1/videos/{guarded.own}/content")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "video/mp4")
    assert answer.headers["content-disposition"].startswith("inline;")
    assert "sandbox" in answer.headers["content-security-policy"]
    assert answer.headers["x-content-type-options"] == "nosniff"
