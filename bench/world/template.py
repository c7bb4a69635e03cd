"""The store that every world begins with: migrated once, with accounts, prices and one receiver's endpoints."""

import asyncio
import json
import sqlite3
import tempfile
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any

from app.accounts.definition import AccountDraft
from app.assembly import assemble_components
from app.catalog.price import ModelPrice
from app.settings import Settings
from bench.world.formats import HOSTS, MODEL, SECRETS
from bench.world.plan import DEAD_ENDPOINTS, EITHER, FIRST, SECOND, Plan

ROOT_KEY = "world-world-world-world-world-32"
PRICE = Decimal("0.50")
"""What a task is estimated at, whatever the unit."""
PRICES: dict[str, ModelPrice] = {
    "call": ModelPrice(per_call=PRICE),
    "second": ModelPrice(per_second={"*": PRICE / 10}),
    "unit": ModelPrice(per_call=PRICE, per_unit={"credits": Decimal("0.01"), "seconds": Decimal("0.05")}),
}


def settings_for(folder: Path, plan: Plan | None = None) -> Settings:
    changed: dict[str, Any] = {"data_dir": folder}
    if plan is not None:
        changed |= {
            "queue_deadline_seconds": plan.deadline,
            "task_deadline_seconds": plan.deadline,
            "result_ttl_seconds": round(plan.kept),
        }
    return _default_settings().model_copy(update=changed)


@cache
def _default_settings() -> Settings:
    return Settings.model_validate({"secret_key": ROOT_KEY, "studio": "off", "log_level": "error"})


def make_template() -> bytes:
    with tempfile.TemporaryDirectory(prefix="filmgate-world-") as folder:
        asyncio.run(_fill_store(Path(folder)))
        path = Path(folder) / "filmgate.db"
        with sqlite3.connect(path) as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        connection.close()
        return path.read_bytes()


async def _fill_store(folder: Path) -> None:
    components = await assemble_components(settings_for(folder))
    for number, secret in enumerate(SECRETS):
        first = number < 2
        draft = AccountDraft(
            provider="openai_compatible" if first else "replicate",
            name=f"account {number}",
            base_url=f"https://{HOSTS[0 if first else 1]}" + ("/v1" if first else ""),
            secret=secret,
            models=dict.fromkeys((EITHER, FIRST) if first else (EITHER, SECOND), "film" if first else MODEL),
            slots=1,
            options={"poll_cap_seconds": 20.0} | ({"idempotency": True} if first else {}),
        )
        await components.pool.insert_draft(draft, source="store")
    for model in (EITHER, FIRST, SECOND):
        await components.money.prices.set_price(model, PRICES["call"])
    for number in range(DEAD_ENDPOINTS):
        url = f"https://hook-dead-{number}.test/told"
        await components.endpoints.create(
            "key:key0", name=str(number), url=url, event_types=["video.completed"]
        )
    await components.close()


def adapt(path: Path, plan: Plan) -> None:
    """What a plan says of its accounts."""
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA synchronous=OFF")
    connection.execute("BEGIN")
    for number, slots in enumerate(plan.slots):
        vendor = plan.vendors[number // 2]
        options = json.dumps(
            {"poll_cap_seconds": max(2.0, plan.deadline / 12), "idempotency": vendor.honours_keys}
        )
        connection.execute(
            "UPDATE accounts SET slots = ?, options = ? WHERE name = ?", (slots, options, f"account {number}")
        )
    document = PRICES[plan.price].model_dump_json(exclude_defaults=True)
    connection.execute("UPDATE prices SET document = ?", (document,))
    if plan.retries:
        retry = json.dumps({"failed": plan.retries, "moderated": 0, "retired": 0})
        row = (EITHER, json.dumps([{"any": True}]), retry)
        connection.execute(
            "INSERT INTO routes (model, candidates, retry, enabled, updated_at) VALUES (?, ?, ?, 1, 0)", row
        )
    connection.execute("UPDATE webhook_endpoints SET enabled = ?", (plan.crowd == "deaf",))
    connection.execute("COMMIT")
    connection.close()
