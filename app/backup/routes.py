"""Routes and prices in a backup."""

from functools import partial
from typing import Any

from app.backup.sealing import SecretBox
from app.backup.sections import DECLARED, BackupStores, Outcome, RestoreChange
from app.catalog.price import read_price
from app.catalog.prices import PriceLine
from app.catalog.route_documents import read_route, route_json
from app.errors import InvalidRequest


class RouteSection:
    name = "routes"

    async def export_entries(self, held: BackupStores, box: SecretBox | None) -> list[dict[str, Any]]:
        """Candidates name accounts, not account ids, which differ in another database."""
        names = {s.account.id: s.account.name for s in await held.accounts.list_all()}
        found = [route_json(route.document) for route in await held.routes.list()]
        for candidate in [each for route in found for each in route.get("candidates", ())]:
            if "account" in candidate:
                candidate["account"] = names.get(candidate["account"], candidate["account"])
        return found

    async def plan_restore(
        self, held: BackupStores, entries: list[dict[str, Any]], *, box: SecretBox | None, own: bool
    ) -> list[RestoreChange]:
        before = {str(entry["model"]): entry for entry in await self.export_entries(held, None)}
        sources = {route.model: route.source for route in await held.routes.list()}
        return [self._plan_entry(held, entry, before, sources=sources) for entry in entries]

    def _plan_entry(
        self,
        held: BackupStores,
        entry: dict[str, Any],
        before: dict[str, dict[str, Any]],
        *,
        sources: dict[str, Any],
    ) -> RestoreChange:
        name = str(entry.get("model", ""))[:200]
        try:
            document = read_route(entry)
        except InvalidRequest as error:
            return RestoreChange(self.name, name, "error", error.message)
        if before.get(name) == route_json(document):
            return RestoreChange(self.name, name, "same")
        if sources.get(name) == "file":
            return RestoreChange(self.name, name, "error", DECLARED)
        result: Outcome = "changed" if name in before else "new"
        return RestoreChange(self.name, name, result, action=partial(held.routes.put, document))


class PriceSection:
    name = "prices"

    async def export_entries(self, held: BackupStores, box: SecretBox | None) -> list[dict[str, Any]]:
        lines = [line for line in await held.prices.list_lines() if line.source != "default"]
        return [
            {"model": line.model, "price": line.price.model_dump(mode="json", exclude_defaults=True)}
            for line in lines
        ]

    async def plan_restore(
        self, held: BackupStores, entries: list[dict[str, Any]], *, box: SecretBox | None, own: bool
    ) -> list[RestoreChange]:
        lines = {line.model: line for line in await held.prices.list_lines()}
        return [self._plan_entry(held, entry, lines) for entry in entries]

    def _plan_entry(
        self, held: BackupStores, entry: dict[str, Any], lines: dict[str, PriceLine]
    ) -> RestoreChange:
        name = str(entry.get("model", ""))[:200]
        known = lines.get(name)
        try:
            price = read_price(_price_object(entry.get("price")))
        except InvalidRequest as error:
            return RestoreChange(self.name, name, "error", error.message)
        if known is not None and known.price == price:
            return RestoreChange(self.name, name, "same")
        if known is not None and known.source == "file":
            return RestoreChange(self.name, name, "error", DECLARED)
        result: Outcome = "changed" if known is not None and known.source == "store" else "new"
        return RestoreChange(self.name, name, result, action=partial(held.prices.set_price, name, price))


def _price_object(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise InvalidRequest("price must be an object", param="price")
    return value
