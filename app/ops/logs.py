"""Structured logs, one line per event. Secrets are removed by field name and by pattern."""

import logging
import re
import sys
from collections.abc import MutableMapping
from contextlib import nullcontext, suppress
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, TextIO

import structlog

SECRET_NAMES = re.compile(r"(secret|token|password|authorization|api_?key|cookie|signature)", re.IGNORECASE)
SECRET_LOOKS = re.compile(
    r"(sk-[A-Za-z0-9_-]{8,}|Bearer\s+\S+|(?<![A-Za-z0-9_-])eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*"
    r"|(?<=signature=)[^&\s]+|(?<=://)[^/\s:@]+:[^/\s@]+(?=@))"
)
HIDDEN = "[hidden]"
SECRET_SIGNS = re.compile("sk-|earer|eyJ|ignature=|://")
"""One of these stands in whatever ``SECRET_LOOKS`` finds, and is found in a sixth of its time."""


@dataclass(frozen=True, slots=True)
class LogOutput:
    """Where the lines of the log go. ``is_json``: each is one JSON object."""

    handler: logging.StreamHandler[TextIO]
    is_json: bool

    def write_text(self, text: str) -> None:
        """Whole lines. Like the log itself, it fails silently where nobody reads any more."""
        with self.handler.lock or nullcontext(), suppress(OSError, ValueError):
            self.handler.stream.write(text)
            self.handler.flush()


_outputs: list[LogOutput] = []


def current_output() -> LogOutput | None:
    """None before ``set_up``: where the gateway runs inside another program, that program keeps its log."""
    return _outputs[-1] if _outputs else None


def may_print() -> bool:
    """Whether words for people, and secrets that are shown once, may be printed. What collects a log of JSON mostly takes
    both streams, can't read the words, and keeps the secrets."""
    output = current_output()
    return output is None or not output.is_json or sys.stdout.isatty()


def hide_secrets(text: str) -> str:
    return SECRET_LOOKS.sub(HIDDEN, text) if SECRET_SIGNS.search(text) else text


@lru_cache(maxsize=1000)
def is_secret_name(name: str) -> bool:
    return SECRET_NAMES.search(name) is not None


def redact_secrets(
    _logger: object, _method: str, event: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    for name, value in event.items():
        if value is not None and is_secret_name(name):
            event[name] = HIDDEN
        elif isinstance(value, str):
            event[name] = hide_secrets(value)
    return event


@dataclass(frozen=True, slots=True)
class LineWriter:
    """Writes our own events past the machinery of ``logging``, at half its cost."""

    output: LogOutput

    def write(self, line: str) -> None:
        self.output.write_text(f"{line}\n")

    debug = info = warning = error = critical = write


def set_up(*, level: str, style: str) -> None:
    """``style`` is json, console or auto (console on a terminal). Logs of libraries use the same format."""
    pretty = style == "console" or (style == "auto" and sys.stderr.isatty())
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        redact_secrets,
    ]
    renderer: structlog.typing.Processor = (
        structlog.dev.ConsoleRenderer() if pretty else structlog.processors.JSONRenderer(ensure_ascii=False)
    )
    handler = logging.StreamHandler(sys.stderr)
    output = LogOutput(handler, is_json=not pretty)
    _outputs[:] = [output]
    structlog.configure(
        processors=[*shared, renderer],
        logger_factory=lambda *_: LineWriter(output),
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()]),
        cache_logger_on_first_use=False,
    )
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for noisy in ("httpx2", "httpcore2", "uvicorn.access", "alembic", "pgqueuer"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
