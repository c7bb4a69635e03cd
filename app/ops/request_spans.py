"""The span of a client's request: ``accept`` for one that becomes a task, by its operation and model for a relayed call.

What asks for no model leaves no span: looks at tasks, pages of the panel, requests of strangers.
"""

from starlette.types import Scope

from app.ops import tracing
from app.ops.access import RequestNotes
from app.ops.tracing import OpenSpan

ACCEPT = "accept"
GONE = "client_gone"
ASKING_METHODS = frozenset({"POST", "WEBSOCKET"})


def follow_trace(scope: Scope, notes: RequestNotes, given: bytes) -> OpenSpan | None:
    """Note where the request stands in its trace. ``given``: the client's header, empty without one. Where spans are
    exported its own begins, and takes the header's place, so that an upstream is told of it."""
    notes.traceparent = tracing.read_traceparent(given) if given else ""
    if not tracing.is_traced() or scope.get("method", "WEBSOCKET") not in ASKING_METHODS:
        return None
    span = tracing.open_span(ACCEPT, parent=notes.traceparent, kind="server")
    if span is not None:
        notes.traceparent = span.traceparent
        others = [header for header in scope["headers"] if header[0] != tracing.HEADER]
        scope["headers"] = [*others, (tracing.HEADER, notes.traceparent.encode())]
    return span


def end_span(span: OpenSpan, scope: Scope, notes: RequestNotes, *, status: int) -> None:
    """``status``: 0 for a client that was gone before its answer."""
    if not notes.model:
        return
    named = {
        "filmgate.task.id": notes.task_id,
        "filmgate.key.id": notes.key_id,
        "filmgate.account.id": notes.account_id,
        "filmgate.request.id": notes.id,
        "gen_ai.output.type": notes.kind,
        "gen_ai.provider.name": notes.provider,
        "gen_ai.response.model": notes.upstream_model,
    }
    operation = tracing.GENERATE if notes.kind else tracing.operation_of(scope["path"])
    fields: dict[str, str | int] = {name: value for name, value in named.items() if value}
    fields |= {"gen_ai.operation.name": operation, "gen_ai.request.model": notes.model}
    if status:
        fields["http.response.status_code"] = status
    failed = GONE if not status else str(status) if status >= tracing.FAILED else ""
    if not notes.kind:
        span.rename(f"{operation} {notes.model}")
    span.end(error=failed, fields=fields)
