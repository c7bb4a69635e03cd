"""Routes and prices in a backup: what model names mean, and what they cost."""

from functools import partial
from typing import Any

from app.backup.holdings import DECLARED, Change, Holdings, Outcome
from app.backup.sealing import Box
from app.catalog.documents import read_route, route_json
from app.catalog.price import read_price
from app.catalog.prices import PriceLine
from app.errors import InvalidRequest


class Routes:
    name = "routes"

    async def save(self, held: Holdings, box: Box | None) -> list[dict[str, Any]]:
        """Accounts by name: their ids are others in another store."""
        names = {s.account.id: s.account.name for s in await held.accounts.all()}
        found = [route_json(route.document) for route in await held.routes.list()]
        for candidate in [each for route in found for each in route.get("candidates", ())]:
            if "account" in candidate:
                candidate["account"] = names.get(candidate["account"], candidate["account"])
        return found

    async def plan(
        self, held: Holdings, entries: list[dict[str, Any]], *, box: Box | None, own: bool
    ) -> list[Change]:
        before = {str(entry["model"]): entry for entry in await self.save(held, None)}
        sources = {route.model: route.source for route in await held.routes.list()}
        return [self._planned(held, entry, before, sources=sources) for entry in entries]

    def _planned(
        self,
        held: Holdings,
        entry: dict[str, Any],
        before: dict[str, dict[str, Any]],
        *,
        sources: dict[str, Any],
    ) -> Change:
        name = str(entry.get("model", ""))[:200]
        try:
            document = read_route(entry)
        except InvalidRequest as error:
            return Change(self.name, name, "error", error.message)
        if before.get(name) == route_json(document):
            return Change(self.name, name, "same")
        if sources.get(name) == "file":
            return Change(self.name, name, "error", DECLARED)
        result: Outcome = "changed" if name in before else "new"
        return Change(self.name, name, result, do=partial(held.routes.put, document))


class Prices:
    name = "prices"

    async def save(self, held: Holdings, box: Box | None) -> list[dict[str, Any]]:
        lines = [line for line in await held.prices.lines() if line.source != "default"]
        return [
            {"model": line.model, "price": line.price.model_dump(mode="json", exclude_defaults=True)}
            for line in lines
        ]

    async def plan(
        self, held: Holdings, entries: list[dict[str, Any]], *, box: Box | None, own: bool
    ) -> list[Change]:
        lines = {line.model: line for line in await held.prices.lines()}
        return [self._planned(held, entry, lines) for entry in entries]

    def _planned(self, held: Holdings, entry: dict[str, Any], lines: dict[str, PriceLine]) -> Change:
        name = str(entry.get("model", ""))[:200]
        known = lines.get(name)
        try:
            price = read_price(_object(entry.get("price")))
        except InvalidRequest as error:
            return Change(self.name, name, "error", error.message)
        if known is not None and known.price == price:
            return Change(self.name, name, "same")
        if known is not None and known.source == "file":
            return Change(self.name, name, "error", DECLARED)
        result: Outcome = "changed" if known is not None and known.source == "store" else "new"
        return Change(self.name, name, result, do=partial(held.prices.set, name, price))


def _object(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise InvalidRequest("price must be an object", param="price")
    return value
