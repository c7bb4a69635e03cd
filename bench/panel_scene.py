"""``python -m bench.panel_scene``: the panel as a large operator has it, to look at it by hand.

2,000 accounts of five vendors of which half are broken in each of the ways that there are, 2,000 client keys, 10,000 tasks
over a month, some that wait for a model that nobody can make, and films that play. It serves until Enter is pressed, on this
machine only, and every account is at a fake upstream here.
"""

import argparse
import json
import random
import tempfile
import time
import uuid
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from app.accounts.definition import AccountDraft
from app.accounts.rows import column_values, reason_text
from app.components import Components
from app.db.operator_tables import suspensions
from app.db.tables import accounts, cooldowns
from bench.panel_history import Cast, fill
from tests.panel.busy_gateway import PROMPTS, BusyGateway, start_busy_gateway

VENDORS = {
    "openai_compatible": {"sora-2": "sora-2", "sora-2-pro": "sora-2-pro"},
    "kling": {"kling-v2-6": "kling-v2-6", "sora-2": "kling-v2-6"},
    "ark": {"seedance-1-5-pro": "doubao-seedance-1-5-pro-251215"},
    "minimax": {"hailuo-2.3": "MiniMax-Hailuo-2.3"},
    "fal": {"veo-3.1": "fal-ai/veo3.1"},
}
NOBODYS = "hailuo-2.3"
"""All accounts that make it are broken."""
MODELS = ("sora-2", "sora-2", "sora-2-pro", "kling-v2-6", "seedance-1-5-pro", "veo-3.1")
REGIONS = ("eu", "us", "cn", "pro", "trial")
TROUBLES = ("limited", "used_up", "refused", "silent", "expired", "off", "draining", "unknown", "one_model")
COOLDOWNS = {
    "limited": ("rate_limited", "HTTP 429: Too many requests for this organization"),
    "used_up": ("quota_exhausted", "HTTP 402: your balance is insufficient"),
    "silent": ("unreachable", "it could not be reached: connection refused"),
}
ACCOUNT_OF_TASK = (
    "coalesce((SELECT id FROM accounts WHERE id >= printf('%04x', (n * 7919) % 65536) ORDER BY id LIMIT 1), "
    "(SELECT min(id) FROM accounts))"
)
"""Their ids are random."""
WAITING = 40


def account_row(components: Components, number: int, url: str) -> dict[str, Any]:
    """A sound account; what is wrong with it comes later."""
    chance = random.Random(number)
    provider = list(VENDORS)[number % len(VENDORS)]
    quota = {"unit": "count", "limit": "100", "left": str(chance.randrange(1, 100)), "period": "day"}
    draft = AccountDraft.model_validate(
        {
            "provider": provider,
            "name": f"{provider.split('_')[0]}-{number:04}",
            "base_url": f"{url}/v1",
            "secret": f"sk-{provider}-{number:06}",
            "models": VENDORS[provider],
            "slots": chance.choice((1, 2, 4, 8)),
            "weight": chance.choice((1, 1, 2)),
            "tags": sorted(chance.sample(REGIONS, 2)),
            "quota": quota if number % 3 == 0 else None,
            "note": "bought in spring, ends with the year" if number % 11 == 0 else "",
        }
    )
    account_id = uuid.uuid4().hex
    good = chance.uniform(0.5, 1)
    outcomes = ["completed" if chance.random() < good else "upstream_error" for _ in range(50)]
    row = column_values(draft, account_id, components.pool.vault)
    return (
        {"quota_unit": "count"}
        | row
        | {
            "id": account_id,
            "created_at": time.time() - 86_400 * 60 + number * 60,
            "source": "store",
            "outcomes": json.dumps(outcomes),
            "successes": round(good * 900),
            "failures": round((1 - good) * 900),
            "seconds": good * 900 * 58,
            "tested_at": time.time() - 86_400,
            "enabled": True,
            "disabled_reason": None,
        }
    )


def break_account(row: dict[str, Any], trouble: str) -> list[dict[str, Any]]:
    """Rows of cooldowns or suspensions that belong to it; ``row`` is changed."""
    now = time.time()
    chance = random.Random(row["id"])
    if trouble in COOLDOWNS or trouble == "one_model":
        code, text = COOLDOWNS.get(trouble, ("failing", "HTTP 500: internal error"))
        model = "*" if trouble in COOLDOWNS else next(iter(json.loads(row["models"]).values()))
        ends = now + chance.choice((240, 3_000, 40_000))
        found = {"model": model, "reason": reason_text(code, text), "since": now - 600, "until": ends}
        return [{"account_id": row["id"], "strikes": chance.randrange(1, 5)} | found]
    if trouble == "expired":
        row["expires_at"] = now - 86_400 * 3
    if trouble == "unknown":
        row["provider"] = "retired_vendor"
    if trouble in ("refused", "off", "draining"):
        words = {"refused": "HTTP 401: Incorrect API key provided", "off": "kept for the holidays"}
        row |= {"enabled": False, "disabled_reason": words.get(trouble, "draining")}
        by = "look" if trouble == "refused" else "operator"
        look = now + 4_000 if trouble == "refused" else None
        return [{"account_id": row["id"], "by": by, "since": now - 9_000, "next_look_at": look, "looks": 3}]
    return []


async def add_accounts(components: Components, url: str, *, count: int) -> None:
    rows = [account_row(components, number, url) for number in range(count)]
    rests: list[dict[str, Any]] = []
    for number, row in enumerate(rows):
        if number // len(VENDORS) % 2 or NOBODYS in json.loads(row["models"]):
            rests += break_account(row, TROUBLES[number // (2 * len(VENDORS)) % len(TROUBLES)])
    by_table = {
        cooldowns: [row for row in rests if "until" in row],
        suspensions: [row for row in rests if "by" in row],
    }
    columns = {name for row in rows for name in row}
    async with components.database.write() as connection:
        await connection.execute(
            sa.insert(accounts), [{name: row.get(name) for name in columns} for row in rows]
        )
        for table, found in by_table.items():
            if found:
                await connection.execute(sa.insert(table), found)


def set_scene(found: BusyGateway, *, account_count: int, task_count: int) -> None:
    """Into the store of a busy gateway that runs."""
    model = "CASE n / 7 % 6 " + " ".join(f"WHEN {i} THEN '{name}'" for i, name in enumerate(MODELS)) + " END"
    cast = Cast(
        model=model,
        account=ACCOUNT_OF_TASK,
        keys=account_count,
        open=0,
        prompt=PROMPTS[2] + " ",
    )

    async def write(components: Components) -> None:
        await add_accounts(components, found.upstream.url, count=account_count)
        await fill(components.database, task_count, cast=cast)

    found.gateway.prepare(write)
    for number in range(WAITING):
        body = {"model": NOBODYS, "kind": "video", "prompt": f"{PROMPTS[number % len(PROMPTS)]} ({number})"}
        found.owner.ask("POST", "/playground", json=body)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--accounts", type=int, default=2_000)
    parser.add_argument("--tasks", type=int, default=10_000)
    parser.add_argument("--films", type=int, default=len(PROMPTS))
    plan = parser.parse_args()
    with (
        tempfile.TemporaryDirectory(prefix="filmgate-scene-") as folder,
        start_busy_gateway(Path(folder), films=plan.films) as found,
    ):
        began = time.perf_counter()
        set_scene(found, account_count=plan.accounts, task_count=plan.tasks)
        print(
            f"Set in {time.perf_counter() - began:.0f} s. {found.gateway.url}/admin/ admin / correct horse battery"
        )
        input("Enter ends it. ")


if __name__ == "__main__":
    main()
