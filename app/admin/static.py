"""Serves the panel's files at `/admin/`, with a content security policy that allows nothing from elsewhere."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from app.errors import NotFound

FOLDER = Path(__file__).parent.parent.parent / "admin_static"
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; media-src 'self' blob:; "
    "connect-src 'self'; font-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'; trusted-types 'none'"
)
HEADERS = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "x-frame-options": "DENY",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    # Revalidated on every load (mostly a 304), so that a new version is used at once.
    "cache-control": "no-cache",
}
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


@dataclass(frozen=True, slots=True)
class CachedFile:
    modified: int
    content: bytes
    etag: str


class PanelFiles:
    """Serves files inside the folder, of a known type, from memory."""

    def __init__(self, folder: Path = FOLDER) -> None:
        self._folder = folder.resolve()
        self._cached: dict[Path, CachedFile] = {}

    async def __call__(self, request: Request) -> Response:
        """Raises ``NotFound``."""
        path = self._safe_path(str(request.path_params.get("path", "")) or "index.html")
        file = self._read_file(path)
        headers = HEADERS | {"etag": file.etag}
        if file.etag in request.headers.get("if-none-match", ""):
            return Response(status_code=304, headers=headers)
        return Response(file.content, headers=headers | {"content-type": TYPES[path.suffix]})

    def routes(self) -> list[Route]:
        """The page is served at `/admin/`, so that its links can be relative."""
        return [
            Route("/admin", _redirect_to_folder, methods=["GET"], include_in_schema=False),
            Route("/admin/{path:path}", self.__call__, methods=["GET"], include_in_schema=False),
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
            kept = self._cached[path] = CachedFile(modified, content, etag)
        return kept


async def _redirect_to_folder(request: Request) -> Response:
    return RedirectResponse("/admin/", 307, headers=HEADERS)


def _not_found() -> NotFound:
    return NotFound("The panel has no such file.")
