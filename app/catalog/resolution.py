"""Which route a public name leads to: its own, an alias, that of the name it is a variant of, a family."""

from collections.abc import Mapping
from dataclasses import dataclass

from app.catalog.presets import PRESETS
from app.catalog.route_documents import FAMILY, RouteDocument

MAX_ALIASES = 8


@dataclass(frozen=True, slots=True)
class NameResolution:
    """``name`` is what the model is called upstream where nobody says otherwise; ``path`` the names on the
    way. No ``route``: the accounts' own maps decide. ``fault`` says why an alias leads nowhere."""

    name: str
    path: tuple[str, ...]
    route: RouteDocument | None = None
    problem: str | None = None


def resolve_name(routes: Mapping[str, RouteDocument], model: str) -> NameResolution:
    """``routes`` by name; those that are not enabled don't count."""
    path = [model]
    while True:
        route = _route_for(routes, path[-1])
        if route is None:
            return NameResolution(path[-1], tuple(path))
        if route.alias_of is None:
            return NameResolution(_upstream_name(route, path[-1]), tuple(path), route)
        target = route.alias_of
        if target in path or len(path) > MAX_ALIASES:
            text = " → ".join([*path, target])
            why = "goes round in a circle" if target in path else f"is longer than {MAX_ALIASES} steps"
            return NameResolution(path[-1], tuple(path), problem=f"the chain of aliases {text} {why}")
        path.append(target)


def _route_for(routes: Mapping[str, RouteDocument], name: str) -> RouteDocument | None:
    preset = PRESETS.get(name)
    for own in (name, preset.base if preset else name):
        if own in routes and routes[own].enabled:
            return routes[own]
    families = [
        route
        for route in routes.values()
        if route.enabled and route.model.endswith(FAMILY) and name.startswith(route.model[:-1])
    ]
    return max(families, key=lambda route: len(route.model), default=None)


def _upstream_name(route: RouteDocument, name: str) -> str:
    """A route of a base name stands for the base; a family's members keep their names."""
    return name if route.model.endswith(FAMILY) else route.model
