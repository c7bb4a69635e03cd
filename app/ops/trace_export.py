"""Spans through OpenTelemetry's SDK, which reads its usual variables: headers, sampler, resource, time-outs.

No global provider is set, so libraries that would trace by themselves, and put clients' words into it, find none.
"""

import time
from collections.abc import Mapping

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import Status, StatusCode, format_span_id, format_trace_id
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from app import __version__
from app.ops.tracing import SpanFields, SpanKind

NANOSECONDS = 1_000_000_000
KINDS = {
    "server": trace.SpanKind.SERVER,
    "client": trace.SpanKind.CLIENT,
    "internal": trace.SpanKind.INTERNAL,
}
SERVICE_NAME = "service.name"
CONTEXT = TraceContextTextMapPropagator()


class OtlpSpan:
    """See ``OpenSpan``."""

    def __init__(self, span: trace.Span) -> None:
        self._span = span

    @property
    def traceparent(self) -> str:
        context = self._span.get_span_context()
        ids = f"{format_trace_id(context.trace_id)}-{format_span_id(context.span_id)}"
        return f"00-{ids}-{context.trace_flags:02x}"

    def rename(self, name: str) -> None:
        self._span.update_name(name)

    def end(self, *, error: str = "", fields: SpanFields | None = None) -> None:
        self._span.set_attributes(fields or {})
        if error:
            self._span.set_attribute("error.type", error)
            self._span.set_status(Status(StatusCode.ERROR))
        self._span.end()


class OtlpExport:
    """See ``TraceExport``."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        named = "OTEL_SERVICE_NAME" in environment or SERVICE_NAME in environment.get(
            "OTEL_RESOURCE_ATTRIBUTES", ""
        )
        ours = {"service.version": __version__} | ({} if named else {SERVICE_NAME: "filmgate"})
        self._provider = TracerProvider(resource=Resource.create(ours), shutdown_on_exit=False)
        self._provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
        self._tracer = self._provider.get_tracer("filmgate", __version__)

    def open_span(
        self, name: str, *, parent: str, kind: SpanKind, began: float | None, fields: SpanFields
    ) -> OtlpSpan:
        # An empty context, as the current one belongs to whatever library has set it.
        context = CONTEXT.extract({"traceparent": parent}, Context())
        start = int((time.time() if began is None else began) * NANOSECONDS)
        span = self._tracer.start_span(
            name, context=context, kind=KINDS[kind], attributes=dict(fields), start_time=start
        )
        return OtlpSpan(span)

    def close(self) -> None:
        self._provider.shutdown()
