"""Serves the panel at `/admin/`, the page of a key's holder at `/my/` and the API's description at `/docs`, all from this
origin alone."""

import gzip
import hashlib
from dataclasses import dataclass
from pathlib import Path

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from app.errors import NotFound
from app.ops.addresses import HINT
from app.ops.browser_policy import DOCS_POLICY, PAGE_HEADERS

FOLDER = Path(__file__).parent.parent.parent / "admin_static"
HEADERS = {
    **PAGE_HEADERS,
    # Revalidated on every load (mostly a 304), so that a new version is used at once.
    "cache-control": "no-cache",
}
DOCS_FILES = {
    "docs.js": "docs/docs.js",
    "icon.svg": "icon.svg",
    "swagger-ui.css": "vendor/swagger-ui.css",
    "swagger-ui.js": "vendor/swagger-ui.js",
}
"""What the page at `/docs` loads, beside it: an operator may keep `/admin` from the internet."""
HOLDER_FOLDERS = frozenset({"holder", "i18n", "lib", "styles", "vendor"})
# Written out, because the types that a system knows differ.
TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".mjs": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".webp": "image/webp",
    ".ico": "image/x-icon",
    ".woff2": "font/woff2",
    ".txt": "text/plain; charset=utf-8",
}

TEXTS = frozenset({".html", ".css", ".js", ".mjs", ".json", ".svg", ".txt"})


@dataclass(frozen=True, slots=True)
class CachedFile:
    modified: int
    content: bytes
    etag: str
    compressed: bytes = b""
    """With gzip, for texts."""


class PanelFiles:
    """Serves files inside the folder, of a known type, from memory."""

    def __init__(self, folder: Path = FOLDER) -> None:
        self._folder = folder.resolve()
        self._cached: dict[Path, CachedFile] = {}

    async def __call__(self, request: Request) -> Response:
        """Raises ``NotFound``."""
        return self._answer(request, str(request.path_params.get("path", "")) or "index.html")

    async def show_docs(self, request: Request) -> Response:
        """The description of the client API."""
        answer = self._answer(request, "docs/index.html")
        answer.headers["content-security-policy"] = DOCS_POLICY
        return answer

    async def send_docs_file(self, request: Request) -> Response:
        """Raises ``NotFound``."""
        name = DOCS_FILES.get(str(request.path_params["name"]))
        if name is None:
            raise _not_found()
        return self._answer(request, name)

    async def send_holder_file(self, request: Request) -> Response:
        """The page of a key's holder, and what it loads, beside it: `/admin` may be kept from the internet.

        Raises ``NotFound``.
        """
        name = str(request.path_params.get("path", "")) or "holder/index.html"
        if name.partition("/")[0] not in HOLDER_FOLDERS and name != "icon.svg":
            raise _not_found()
        return self._answer(request, name)

    def _answer(self, request: Request, name: str) -> Response:
        path = self._safe_path(name)
        file = self._read_file(path)
        content, etag, headers = file.content, file.etag, {**HEADERS, "vary": "accept-encoding"}
        if file.compressed and "gzip" in request.headers.get("accept-encoding", ""):
            content, etag = file.compressed, f'{etag[:-1]}-gzip"'
            headers["content-encoding"] = "gzip"
        headers["etag"] = etag
        if etag in request.headers.get("if-none-match", ""):
            return Response(status_code=304, headers=headers)
        return Response(content, headers=headers | {"content-type": TYPES[path.suffix]})

    def routes(self) -> list[Route]:
        """The page is served at `/admin/`, so that its links can be relative."""
        return [
            Route("/", _show_the_way, methods=["GET"], include_in_schema=False),
            Route("/admin", _redirect_to_folder, methods=["GET"], include_in_schema=False),
            Route("/admin/{path:path}", self.__call__, methods=["GET"], include_in_schema=False),
            Route("/my", _redirect_to_holder, methods=["GET"], include_in_schema=False),
            Route("/my/{path:path}", self.send_holder_file, methods=["GET"], include_in_schema=False),
            Route("/docs", self.show_docs, methods=["GET"], include_in_schema=False),
            Route("/docs/{name}", self.send_docs_file, methods=["GET"], include_in_schema=False),
        ]

    def _safe_path(self, name: str) -> Path:
        parts = name.split("/")
        hidden = any(part.startswith(".") or not part for part in parts)
        path = self._folder.joinpath(*parts)
        if hidden or "\0" in name or "\\" in name or path.suffix not in TYPES:
            raise _not_found()
        try:
            real = path.resolve(strict=True)
        except OSError as error:
            raise _not_found() from error
        if not real.is_relative_to(self._folder) or not real.is_file():
            raise _not_found()
        return real

    def _read_file(self, path: Path) -> CachedFile:
        modified = path.stat().st_mtime_ns
        kept = self._cached.get(path)
        if kept is None or kept.modified != modified:
            content = path.read_bytes()
            etag = f'"{hashlib.sha256(content).hexdigest()[:32]}"'
            small = gzip.compress(content, mtime=0) if path.suffix in TEXTS else b""
            kept = self._cached[path] = CachedFile(modified, content, etag, small)
        return kept


async def _redirect_to_folder(request: Request) -> Response:
    # Relative, as a proxy may serve us below a path of its host.
    return RedirectResponse("admin/", 307, headers=HEADERS)


async def _redirect_to_holder(request: Request) -> Response:
    return RedirectResponse("my/", 307, headers=HEADERS)


async def _show_the_way(request: Request) -> Response:
    """To whoever types the address alone into a browser. Raises ``NotFound`` for programs."""
    if "text/html" not in request.headers.get("accept", ""):
        raise NotFound(f"This is Filmgate; /docs describes its API. {HINT}")
    return RedirectResponse("admin/", 307, headers=HEADERS)


def _not_found() -> NotFound:
    return NotFound("The panel has no such file.")
