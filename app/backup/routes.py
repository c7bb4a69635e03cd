"""Routes and prices in a backup."""

from collections.abc import Mapping
from functools import partial
from typing import Any

from app.backup.sealing import SecretBox
from app.backup.sections import (
    DECLARED,
    BackupSection,
    BackupSources,
    Outcome,
    RestoreChange,
    RestoreContext,
)
from app.catalog.price import read_price
from app.catalog.prices import PriceLine
from app.catalog.route_documents import read_route, route_json
from app.errors import InvalidRequest


class RouteSection(BackupSection[tuple[dict[str, Any], str]]):
    """Stored routes are pairs of their JSON and their source."""

    name = "routes"
    entry_key = "model"

    async def export_entries(self, sources: BackupSources, box: SecretBox | None) -> list[dict[str, Any]]:
        return [document for document, _ in (await self.read_stored(sources)).values()]

    async def read_stored(self, sources: BackupSources) -> Mapping[str, tuple[dict[str, Any], str]]:
        """Candidates name accounts, not account ids, which differ in another database."""
        names = {status.account.id: status.account.name for status in await sources.accounts.list_all()}
        routes = {}
        for route in await sources.routes.list():
            document = route_json(route.document)
            for candidate in document.get("candidates", ()):
                if "account" in candidate:
                    candidate["account"] = names.get(candidate["account"], candidate["account"])
            routes[route.model] = (document, route.source)
        return routes

    async def plan_entry(
        self, context: RestoreContext, entry: dict[str, Any], stored: Mapping[str, tuple[dict[str, Any], str]]
    ) -> RestoreChange:
        name, document = self.key_of(entry), read_route(entry)
        before, source = stored.get(name, (None, "store"))
        if before == route_json(document):
            return RestoreChange(self.name, name, "same")
        if source == "file":
            raise InvalidRequest(DECLARED)
        result: Outcome = "new" if before is None else "changed"
        return RestoreChange(self.name, name, result, action=partial(context.sources.routes.put, document))


class PriceSection(BackupSection[PriceLine]):
    name = "prices"
    entry_key = "model"

    async def export_entries(self, sources: BackupSources, box: SecretBox | None) -> list[dict[str, Any]]:
        lines = [line for line in await sources.prices.list_lines() if line.source != "default"]
        return [
            {"model": line.model, "price": line.price.model_dump(mode="json", exclude_defaults=True)}
            for line in lines
        ]

    async def read_stored(self, sources: BackupSources) -> Mapping[str, PriceLine]:
        return {line.model: line for line in await sources.prices.list_lines()}

    async def plan_entry(
        self, context: RestoreContext, entry: dict[str, Any], stored: Mapping[str, PriceLine]
    ) -> RestoreChange:
        name, price = self.key_of(entry), read_price(_price_object(entry.get("price")))
        known = stored.get(name)
        if known is not None and known.price == price:
            return RestoreChange(self.name, name, "same")
        if known is not None and known.source == "file":
            raise InvalidRequest(DECLARED)
        result: Outcome = "changed" if known is not None and known.source == "store" else "new"
        action = partial(context.sources.prices.set_price, name, price)
        return RestoreChange(self.name, name, result, action=action)


def _price_object(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise InvalidRequest("price must be an object", param="price")
    return value
