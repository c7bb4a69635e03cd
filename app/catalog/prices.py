"""The operator's prices by model name or family, kept in the store and answered from memory."""

import asyncio
import math
import time
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

import sqlalchemy as sa
import structlog

from app.catalog.presets import PRESETS
from app.catalog.price import ANY, Price
from app.db.session import DATABASE_AWAY, Database
from app.db.tables import prices, routes
from app.db.upsert import insert
from app.errors import InvalidRequest, NotFound
from app.generation import GenerationRequest

log = structlog.get_logger()
FRESH_SECONDS = 2.0
REMEMBERED = 4096
DEFAULTS: Mapping[str, Price] = {"sora_video2*": Price(per_call=Decimal("0.15"))}
"""What the manual says its video calls cost; a stored price of the same name takes its place."""


@dataclass(frozen=True, slots=True)
class PriceLine:
    """A price and where it is from: ``default``, ``store`` or ``file``."""

    model: str
    price: Price
    source: str


class PriceBook:
    """A name's own price comes first, then the longest family's (``veo*``), then that of the name which it
    is an alias or a variant of. What has none costs nothing."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._lines: dict[str, PriceLine] = _defaults()
        self._aliases: dict[str, str] = {}
        self._found: dict[str, Price | None] = {}
        self._fresh_until = -math.inf
        self._looking: asyncio.Task[None] | None = None

    async def price(self, model: str) -> Price | None:
        """None when it costs nothing."""
        if self._fresh_until < time.monotonic():
            await self.refresh()
        return self._remembered(model)

    async def recent(self, model: str) -> Price | None:
        """``price`` for the relay's hot path, at most some seconds old: waits for the store only when nobody
        has asked for a while, as after the start."""
        if self._looking is None and self._fresh_until + FRESH_SECONDS < time.monotonic():
            await self._look()
        return self._remembered(model)

    def _remembered(self, model: str) -> Price | None:
        """As it was last seen; looks again beside the caller, who never waits."""
        if self._fresh_until < time.monotonic() and self._looking is None:
            self._looking = asyncio.create_task(self._look())
        if model not in self._found:
            if len(self._found) >= REMEMBERED:  # clients choose the names
                self._found.clear()
            self._found[model] = self._search(model)
        return self._found[model]

    async def quote(self, request: GenerationRequest) -> Decimal:
        """What it will cost in US dollars, as an estimate."""
        price = await self.price(request.model)
        return price.quote(request) if price is not None else Decimal(0)

    async def lines(self) -> list[PriceLine]:
        """Every price there is, by name."""
        await self.refresh()
        return [self._lines[name] for name in sorted(self._lines)]

    async def set(self, model: str, price: Price, *, source: str = "store") -> None:
        """Raises ``InvalidRequest`` for a name that can't be one, and for a price that a file declares."""
        name = price_name(model)
        await self._own(name, source)
        document = price.model_dump_json(exclude_defaults=True)
        row = {"model": name, "document": document, "updated_at": time.time(), "source": source}
        async with self._database.write() as connection:
            new = insert(connection, prices).values(row)
            changed = {column: new.excluded[column] for column in ("document", "updated_at", "source")}
            await connection.execute(new.on_conflict_do_update(index_elements=["model"], set_=changed))
        await self.refresh()

    async def remove(self, model: str) -> None:
        """A default comes back when its replacement is removed. Raises ``NotFound``, and ``InvalidRequest`` for
        a price that a file declares."""
        await self._own(model, "store")
        async with self._database.write() as connection:
            done = await connection.execute(sa.delete(prices).where(prices.c.model == model))
        if done.rowcount == 0:
            raise NotFound(f"There is no price for {model[:200]}.")
        await self.refresh()

    async def release(self, model: str) -> None:
        """Out of the configuration file's hands, and still in force."""
        async with self._database.write() as connection:
            await connection.execute(sa.update(prices).where(prices.c.model == model).values(source="store"))
        await self.refresh()

    async def refresh(self) -> None:
        async with self._database.read() as connection:
            rows = (await connection.execute(sa.select(prices))).all()
            known = sa.select(routes.c.model, routes.c.alias_of).where(routes.c.alias_of.is_not(None))
            aliases = {row.model: row.alias_of for row in await connection.execute(known)}
        stored = {
            row.model: PriceLine(row.model, Price.model_validate_json(row.document), row.source)
            for row in rows
        }
        lines = _defaults() | stored
        if (lines, aliases) != (self._lines, self._aliases):
            self._lines, self._aliases = lines, aliases
            self._found = {}
        self._fresh_until = time.monotonic() + FRESH_SECONDS

    async def close(self) -> None:
        if self._looking is not None:
            self._looking.cancel()
            await asyncio.gather(self._looking, return_exceptions=True)

    async def _own(self, model: str, source: str) -> None:
        query = sa.select(prices.c.source).where(prices.c.model == model)
        async with self._database.read() as connection:
            written_by = (await connection.execute(query)).scalar()
        if written_by == "file" != source:
            raise InvalidRequest(
                f"The price of {model} is declared in the configuration file: change it there.", param="model"
            )

    async def _look(self) -> None:
        try:
            await self.refresh()
        except DATABASE_AWAY as error:
            log.warning("prices.unread", error=type(error).__name__)
            self._fresh_until = time.monotonic() + FRESH_SECONDS
        finally:
            self._looking = None

    def _search(self, model: str) -> Price | None:
        names = [model, self._aliases.get(model, model)]
        names += [PRESETS[name].base for name in names if name in PRESETS]
        for name in names:
            line = self._line(name)
            if line is not None:
                return None if line.price.is_free else line.price
        return None

    def _line(self, model: str) -> PriceLine | None:
        if model in self._lines:
            return self._lines[model]
        families = [name for name in self._lines if name.endswith(ANY) and model.startswith(name[:-1])]
        return self._lines[max(families, key=len)] if families else None


def price_name(model: str) -> str:
    """Raises ``InvalidRequest`` for what is neither a name nor a family."""
    name = model.strip()
    if not name or len(name) > 200 or ANY in name[:-1] or not name.isprintable():
        raise InvalidRequest("model must be a name, or a family like veo*", param="model")
    return name


def _defaults() -> dict[str, PriceLine]:
    return {name: PriceLine(name, price, "default") for name, price in DEFAULTS.items()}
