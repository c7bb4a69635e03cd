"""The base class of client dialects: name, words for tasks and errors, schemas, routes."""

from collections.abc import Callable, Coroutine, Mapping
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

    from app.dialects.http.gateway import Gateway
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
    """What the web process serves for a dialect; ``websockets`` are endpoints by their full path. ``lookups`` answer a GET as
    raw ASGI, by a pattern whose last part is a name; the router has the same route, for `/openapi.json`."""

    routers: "tuple[APIRouter, ...]" = ()
    relayed: tuple[RelayedRoute, ...] = ()
    websockets: "Mapping[str, Callable[[Relay], ASGIApp]]" = field(default_factory=dict)
    lookups: "Mapping[str, ASGIApp]" = field(default_factory=dict)


class Dialect:
    """One client API. The subclass stands in the ``answer`` module of its package; ``registry.py`` lists the package."""

    name: ClassVar[str]
    """Stored with each task that the dialect creates. Also the name of its package."""
    id_prefix: ClassVar[str] = ""
    """The prefix of its task ids. Every dialect accepts the ids of all dialects."""
    status_words: ClassVar[Mapping[str, str]] = {}
    """Its word for each of ``PUBLIC_STATES``. Empty if it writes no task states."""
    error_envelope: ClassVar[ErrorEnvelope] = OWN_ENVELOPE
    error_schema: ClassVar[str] = "Error"
    error_prefixes: ClassVar[tuple[str, ...]] = ()
    """Prefixes of the paths that answer errors in ``error_envelope``. Needed only if that is not the gateway's own."""
    relayed_prefix: ClassVar[str] = ""
    """Where the relayed routes of all dialects are served too, beside ``/v1/``, by ``own_relayed``: some clients have one
    address for all."""
    polled_often: ClassVar[bool] = False
    """Its routes are matched before those of other dialects: each route in front of one costs about a microsecond."""
    jobs: "ClassVar[tuple[Callable[[Gateway], Coroutine[Any, Any, None]], ...]]" = ()
    """Run beside the routes until the process ends, in each that serves clients."""
    tags: ClassVar[Mapping[str, str]] = {}
    """Sections of `/docs`, each with one sentence."""
    schemas: ClassVar[Mapping[str, Schema]] = {}
    examples: ClassVar[Mapping[str, Any]] = {}
    """One request body to copy, by the name of its schema."""

    def needs_key(self, path: str) -> bool:
        """Whether the route at ``path`` needs a client's key."""
        return True

    def own_relayed(self, endpoint: "ASGIApp") -> "ASGIApp":
        """How a relayed route is served below ``relayed_prefix``."""
        return endpoint

    def webhook_body(self, task: Task, *, links: list[str], key: ClientKey | None) -> dict[str, Any] | None:
        """The body that is sent to a task's own webhook when the task ends: the same as the answer to a GET.

        ``links`` lead to its files. ``None`` selects OpenAI's event, which holds only the task's id.
        """
        return None

    @property
    def routes(self) -> DialectRoutes:
        """``ROUTES`` of the ``routes`` module of its package, which is imported on first use."""
        package = type(self).__module__.rpartition(".")[0]
        routes = import_module(f"{package}.routes").ROUTES
        assert isinstance(routes, DialectRoutes)
        return routes
