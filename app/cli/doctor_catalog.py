"""What `filmgate doctor` finds about prices and models, which it compares with the accounts."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Literal

import aiohttp

from app import root_file
from app.accounts.pool import AccountPool
from app.assembly import open_vault, studio_account
from app.catalog.catalog import Catalog
from app.catalog.price_units import uncounted_parts
from app.catalog.prices import PriceRepository
from app.catalog.retirements import find_retirements, today
from app.db.session import Database
from app.errors import SettingsInvalid
from app.providers import registry
from app.providers.transport import UpstreamTransport
from app.settings import Settings


@dataclass(frozen=True, slots=True)
class CheckResult:
    """One line of the report. ``advice`` says what to do; empty when nothing needs to be done."""

    outcome: Literal["ok", "warn", "fail"]
    name: str
    text: str
    advice: str = ""


async def check_prices(settings: Settings, database: Database) -> CheckResult:
    """Whether every part of each price counts for what its model makes."""
    if lacks_root(settings):
        return CheckResult("warn", "prices", "can't be compared with the accounts without the secret key")
    prices = PriceRepository(database)
    try:
        async with open_pool(settings, database) as pool:
            catalog = Catalog(pool)
            await catalog.current_statuses()
            lines = await prices.list_lines()
            parts = [(line.model, uncounted_parts(catalog, line.model, line.price)) for line in lines]
    except SettingsInvalid as error:
        return CheckResult("fail", "prices", error.message)
    finally:
        await prices.close()
    uncounted = [f"{model} ({', '.join(names)})" for model, names in parts if names]
    if uncounted:
        summary = f"parts that never count, so what they should cost is free: {'; '.join(uncounted[:5])}"
        return CheckResult(
            "warn", "prices", summary, "Set these prices again with `filmgate prices set MODEL`."
        )
    return CheckResult("ok", "prices", f"{len(lines)}, and every part of them counts")


async def check_models(settings: Settings, database: Database) -> CheckResult:
    """Whether a model that a route or an account names is about to be retired by its vendor."""
    if lacks_root(settings):
        return CheckResult("warn", "models", "can't be looked at without the secret key")
    try:
        async with open_pool(settings, database) as pool:
            named = await Catalog(pool).named_models()
    except SettingsInvalid as error:
        return CheckResult("fail", "models", error.message)
    found = find_retirements(named)
    if not found:
        return CheckResult("ok", "models", f"{len(named)} named, none of which is about to be retired")
    now = today()
    summary = "; ".join(each.as_text(now) for each in found[:5])
    advice = "Name the successor, or let the route take it: successor = true in its line."
    return CheckResult("warn", "models", summary, advice)


def lacks_root(settings: Settings) -> bool:
    return settings.secret_key is None and not (settings.data_dir / root_file.FILE_NAME).exists()


@asynccontextmanager
async def open_pool(settings: Settings, database: Database) -> AsyncIterator[AccountPool]:
    async with UpstreamTransport(aiohttp.TCPConnector()) as transport:
        pool = AccountPool(
            database,
            open_vault(settings),
            build=lambda account: registry.create_provider(account, transport),
            embedded=studio_account(settings),
        )
        try:
            yield pool
        finally:
            await pool.close()
