"""Traces of tasks and calls, exported over OTLP once the operator has named a collector; until then nothing of it is loaded.

A span holds names, ids, states and codes. It never holds a prompt, a key, a link, or words of a vendor or a client.
"""

import asyncio
import importlib
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Literal, Protocol

import structlog

log = structlog.get_logger()
SWITCHES = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
PROTOCOLS = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
SPOKEN = "http/protobuf"
HEADER = b"traceparent"
VALUE = re.compile(r"(?!ff)[0-9a-f]{2}-((?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2})(?:-.*)?")
"""https://www.w3.org/TR/trace-context/#traceparent-header; later versions may have more at the end."""
SpanKind = Literal["server", "client", "internal"]
SpanFields = Mapping[str, str | int | float | bool]
OPERATIONS = {
    "/chat/completions": "chat",
    "/messages": "chat",
    "/responses": "chat",
    "/realtime": "chat",
    "/completions": "text_completion",
    "/embeddings": "embeddings",
}
"""What a relayed path does, by the end of the path: OpenTelemetry's names of operations of generative AI."""
GENERATE = "generate_content"
FAILED = 400


class OpenSpan(Protocol):
    """A span that has begun. One that is never ended is never exported."""

    @property
    def traceparent(self) -> str:
        """For its children, here and at an upstream."""
        ...

    def rename(self, name: str) -> None: ...

    def end(self, *, error: str = "", fields: SpanFields | None = None) -> None:
        """``error``: its code, where it failed."""
        ...


class TraceExport(Protocol):
    """Makes spans and sends them to a collector, in a thread of its own."""

    def open_span(
        self, name: str, *, parent: str, kind: SpanKind, began: float | None, fields: SpanFields
    ) -> OpenSpan: ...

    def close(self) -> None:
        """Send what is left. It may take as long as the collector's time-out: call it in a thread."""
        ...


class _Active:
    export: TraceExport | None = None


def is_traced() -> bool:
    """Whether spans are exported by this process."""
    return _Active.export is not None


def start_export(environment: Mapping[str, str]) -> None:
    """Begin to export, where ``environment`` names a collector as OpenTelemetry's programs do. Once for each process."""
    if not any(environment.get(name, "").strip() for name in SWITCHES) or not _is_wanted(environment):
        return
    protocol = next(filter(None, map(environment.get, PROTOCOLS)), SPOKEN)
    if protocol != SPOKEN:
        log.error(
            "traces.unavailable", advice=f"Nothing is traced: set {PROTOCOLS[1]}={SPOKEN}, not {protocol}"
        )
        return
    try:
        exporting = importlib.import_module("app.ops.trace_export")
    except ModuleNotFoundError as error:
        log.error(
            "traces.unavailable", advice="Nothing is traced: pip install 'filmgate[otel]'", lacks=error.name
        )
        return
    _Active.export = exporting.OtlpExport(environment)


@asynccontextmanager
async def exported_traces(environment: Mapping[str, str]) -> AsyncIterator[None]:
    """``start_export`` for as long as a process works; what is left is sent at its end."""
    start_export(environment)
    try:
        yield
    finally:
        export, _Active.export = _Active.export, None
        if export is not None:
            await asyncio.to_thread(export.close)


def _is_wanted(environment: Mapping[str, str]) -> bool:
    disabled = environment.get("OTEL_SDK_DISABLED", "").strip().lower() == "true"
    return not disabled and environment.get("OTEL_TRACES_EXPORTER", "").strip() != "none"


def read_traceparent(value: bytes) -> str:
    """A client's header in the form of version 0; empty for one that says nothing."""
    found = VALUE.fullmatch(value.decode("latin-1"))
    return f"00-{found[1]}" if found else ""


def operation_of(path: str) -> str:
    """The operation of a relayed call."""
    return next((name for end, name in OPERATIONS.items() if path.endswith(end)), GENERATE)


def open_span(
    name: str,
    *,
    parent: str,
    kind: SpanKind = "internal",
    began: float | None = None,
    fields: SpanFields | None = None,
) -> OpenSpan | None:
    """``parent``: a ``traceparent``, or empty for a new trace. ``began``: UTC seconds, now if it is None. None where nothing
    is traced."""
    export = _Active.export
    if export is None:
        return None
    return export.open_span(name, parent=parent, kind=kind, began=began, fields=fields or {})
