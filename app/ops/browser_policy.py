"""What a browser may do with our answers: one policy for every page of this origin, whoever made the page.

The panel's session lives on this origin. So no answer may run a script, or load anything, from elsewhere, and no
stored file may be opened as a page. The outermost layer sets this, where no new page can forget it.
"""

RawHeader = tuple[bytes, bytes]
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; media-src 'self' blob:; "
    "connect-src 'self'; font-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'; trusted-types 'none'"
)
DOCS_POLICY = POLICY.replace("trusted-types 'none'", "trusted-types default dompurify")
"""Swagger UI writes HTML from strings, which it cleans; it gets no other right."""
FILE_POLICY = "default-src 'none'; img-src 'self'; media-src 'self'; style-src 'unsafe-inline'; sandbox allow-same-origin"
"""For files of clients and upstreams: opened alone they are shown, and run nothing. Without ``allow-same-origin`` a
browser's own player may not load the film that it was opened for."""
PAGE_HEADERS = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "x-frame-options": "DENY",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
}
RAW_PAGE_HEADERS = [(name.encode(), value.encode()) for name, value in PAGE_HEADERS.items()]
PAGE_HEADER_NAMES = frozenset(name for name, _ in RAW_PAGE_HEADERS)
RAW_DOCS_POLICY = (b"content-security-policy", DOCS_POLICY.encode())
NOSNIFF = (b"x-content-type-options", b"nosniff")
PAGE_WORDS = (b"html", b"xml", b"svg", b"multipart/")
"""In the types that a browser opens as a document, which may run scripts."""
_INERT_KINDS = ("audio/", "image/", "video/")


def is_inert(content_type: str) -> bool:
    """Whether a browser shows a file of this type and runs nothing in it. SVG and other XML run scripts."""
    kind = content_type.strip().lower()
    return kind.startswith(_INERT_KINDS) and "xml" not in kind and "svg" not in kind
