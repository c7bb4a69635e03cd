"""The operator's prices by model or family, stored in the database and read from memory."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

import sqlalchemy as sa

from app import clock
from app.catalog.presets import PRESETS
from app.catalog.price import ANY_SIZE, ModelPrice
from app.db.changes import announce_change
from app.db.session import DATABASE_AWAY, Database, dialect_insert
from app.db.tables import prices, routes
from app.errors import IN_FILE, InvalidRequest, NotFound
from app.generation import GenerationRequest
from app.shared_reads import SharedRead

FRESH_SECONDS = 2.0
MAX_CACHED = 4096
DEFAULTS: Mapping[str, ModelPrice] = {"sora_video2*": ModelPrice(per_call=Decimal("0.15"))}
"""The prices of the manual's video calls; a stored price of the same name replaces one."""


@dataclass(frozen=True, slots=True)
class PriceLine:
    """A price and where it is from: ``default``, ``store`` or ``file``."""

    model: str
    price: ModelPrice
    source: str


class PriceRepository:
    """The price of a model: its own, else the longest matching family's (``veo*``), else that of the name that it is an
    alias or a variant of. A model without a price costs nothing."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._lines: dict[str, PriceLine] = _default_lines()
        self._aliases: dict[str, str] = {}
        self._price_cache: dict[str, ModelPrice | None] = {}
        self._reads = SharedRead(self._read_lines, seconds=FRESH_SECONDS, away=DATABASE_AWAY)

    async def current_price(self, model: str) -> ModelPrice | None:
        """The price of a model, at most two seconds old; None when it costs nothing."""
        await self._reads.get()
        return self._cached_price(model)

    async def recent_price(self, model: str) -> ModelPrice | None:
        """The price for the relay's hot path; while the database is slow or away, as it was read last."""
        if self._reads.recent() is None:
            await self._reads.get_or_last()
        return self._cached_price(model)

    def invalidate_cache(self) -> None:
        """The next price is read from the database."""
        self._reads.expire()

    def _cached_price(self, model: str) -> ModelPrice | None:
        if model not in self._price_cache:
            if len(self._price_cache) >= MAX_CACHED:  # clients choose the names
                self._price_cache.clear()
            self._price_cache[model] = self._find_price(model)
        return self._price_cache[model]

    async def estimate_request(self, request: GenerationRequest) -> Decimal:
        """The estimated cost in US dollars."""
        price = await self.current_price(request.model)
        return price.estimate_request(request) if price is not None else Decimal(0)

    async def list_lines(self) -> list[PriceLine]:
        """Every price, sorted by model."""
        await self.refresh()
        return [self._lines[name] for name in sorted(self._lines)]

    async def set_price(self, model: str, price: ModelPrice, *, source: str = "store") -> None:
        """Raises ``InvalidRequest`` for an invalid name, and for a price that the configuration file declares."""
        name = price_name(model)
        await self._check_source(name, source)
        document = price.model_dump_json(exclude_defaults=True)
        row = {"model": name, "document": document, "updated_at": clock.now(), "source": source}
        async with self._database.write() as connection:
            new = dialect_insert(connection, prices).values(row)
            changed = {column: new.excluded[column] for column in ("document", "updated_at", "source")}
            await connection.execute(new.on_conflict_do_update(index_elements=["model"], set_=changed))
            await announce_change(connection, "prices")
        await self.refresh()

    async def remove_price(self, model: str) -> None:
        """Remove a stored price; a default price applies again.

        Raises ``NotFound``, and ``InvalidRequest`` for a price that the configuration file declares.
        """
        await self._check_source(model, "store")
        async with self._database.write() as connection:
            done = await connection.execute(sa.delete(prices).where(prices.c.model == model))
            await announce_change(connection, "prices")
        if done.rowcount == 0:
            raise NotFound(f"There is no price for {model[:200]}.")
        await self.refresh()

    async def release_from_file(self, model: str) -> None:
        """The configuration file no longer declares the price: it stays in force and may be changed."""
        async with self._database.write() as connection:
            await connection.execute(sa.update(prices).where(prices.c.model == model).values(source="store"))
            await announce_change(connection, "prices")
        await self.refresh()

    async def refresh(self) -> None:
        """Read every price anew, also if that was done just now."""
        await self._reads.read_anew()

    async def _read_lines(self) -> Mapping[str, PriceLine]:
        async with self._database.read_few() as connection:
            rows = (await connection.execute(sa.select(prices))).all()
            alias_query = sa.select(routes.c.model, routes.c.alias_of).where(routes.c.alias_of.is_not(None))
            aliases = {row.model: row.alias_of for row in await connection.execute(alias_query)}
        stored = {
            row.model: PriceLine(row.model, ModelPrice.model_validate_json(row.document), row.source)
            for row in rows
        }
        lines = _default_lines() | stored
        if (lines, aliases) != (self._lines, self._aliases):
            self._lines, self._aliases = lines, aliases
            self._price_cache = {}
        return lines

    async def close(self) -> None:
        await self._reads.close()

    async def _check_source(self, model: str, source: str) -> None:
        query = sa.select(prices.c.source).where(prices.c.model == model)
        async with self._database.read() as connection:
            written_by = (await connection.execute(query)).scalar()
        if written_by == "file" != source:
            raise InvalidRequest(f"The price of {model} {IN_FILE}", param="model", reason="declared_in_file")

    def _find_price(self, model: str) -> ModelPrice | None:
        names = [model, self._aliases.get(model, model)]
        names += [PRESETS[name].base for name in names if name in PRESETS]
        for name in names:
            line = self._find_line(name)
            if line is not None:
                return None if line.price.is_free else line.price
        return None

    def _find_line(self, model: str) -> PriceLine | None:
        if model in self._lines:
            return self._lines[model]
        families = [name for name in self._lines if name.endswith(ANY_SIZE) and model.startswith(name[:-1])]
        return self._lines[max(families, key=len)] if families else None


def price_name(model: str) -> str:
    """The model's name, stripped. Raises ``InvalidRequest`` unless it is a name or a family."""
    name = model.strip()
    if not name or len(name) > 200 or ANY_SIZE in name[:-1] or not name.isprintable():
        raise InvalidRequest("model must be a name, or a family like veo*", param="model")
    return name


def _default_lines() -> dict[str, PriceLine]:
    return {name: PriceLine(name, price, "default") for name, price in DEFAULTS.items()}
