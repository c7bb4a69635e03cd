"""What a client dialect is: its name, its words for tasks and errors, its schemas, and where its routes are."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from typing import TYPE_CHECKING, Any, ClassVar

from app.dialects.openapi.schemas import JSON, Schema
from app.keys.key import ClientKey
from app.ops.envelope import OWN_ENVELOPE, ErrorEnvelope
from app.tasks.task import Task

if TYPE_CHECKING:  # a worker renders webhook bodies: it needs no web framework and no relay
    from fastapi import APIRouter
    from starlette.types import ASGIApp

    from app.relay.relay import Relay


@dataclass(frozen=True, slots=True)
class RelayedRoute:
    """One ``POST /v1/<path>`` served as raw ASGI by ``endpoint(relay, path)``, with its entry in `/openapi.json`.

    ``body`` names the schema of the request, ``content_types`` the media types it may come in; ``answer`` is the
    OpenAPI content of the 200 response.
    """

    path: str
    endpoint: "Callable[[Relay, str], ASGIApp]"
    tag: str
    summary: str
    body: str
    answer: Schema
    content_types: tuple[str, ...] = (JSON,)


@dataclass(frozen=True, slots=True)
class DialectRoutes:
    """What the web process serves for a dialect; ``websockets`` are endpoints by their full path."""

    routers: "tuple[APIRouter, ...]" = ()
    relayed: tuple[RelayedRoute, ...] = ()
    websockets: "Mapping[str, Callable[[Relay], ASGIApp]]" = field(default_factory=dict)


class Dialect:
    """One client API. Its subclass stands in the ``answer`` module of its package; ``registry.py`` lists it."""

    name: ClassVar[str]
    """Written into each task that the dialect creates; also the name of its package."""
    id_prefix: ClassVar[str] = ""
    """How its task ids begin. Every dialect accepts the ids of all dialects."""
    status_words: ClassVar[Mapping[str, str]] = {}
    """Its word for each of ``PUBLIC_STATES``; empty where it writes no task states."""
    error_envelope: ClassVar[ErrorEnvelope] = OWN_ENVELOPE
    error_schema: ClassVar[str] = "Error"
    error_prefixes: ClassVar[tuple[str, ...]] = ()
    """Paths that begin so answer errors in ``error_envelope``; needed only where it is not the gateway's own."""
    tags: ClassVar[Mapping[str, str]] = {}
    """Headings of `/docs`, each with one sentence."""
    schemas: ClassVar[Mapping[str, Schema]] = {}
    examples: ClassVar[Mapping[str, Any]] = {}
    """A request that people can copy, by the name of its schema."""

    def needs_key(self, path: str) -> bool:
        """Whether the route at ``path`` wants a client's key."""
        return True

    def webhook_body(self, task: Task, *, links: list[str], key: ClientKey | None) -> dict[str, Any] | None:
        """The body that is sent to a task's own webhook when the task ends: what a GET of it answers.

        ``links`` lead to its files. ``None`` stands for OpenAI's event, which names the task and nothing more.
        """
        return None

    @property
    def routes(self) -> DialectRoutes:
        """``ROUTES`` in the ``routes`` module of its package, imported when it is first asked for."""
        package = type(self).__module__.rpartition(".")[0]
        routes = import_module(f"{package}.routes").ROUTES
        assert isinstance(routes, DialectRoutes)
        return routes
