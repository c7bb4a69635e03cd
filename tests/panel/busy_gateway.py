"""A gateway with data for every page: accounts in every state, tasks, keys, deliveries, a month of counts.

Objects are created through the API; only history that takes days is written to the store directly.
"""

import random
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from app.assembly import Components
from app.db.operator_tables import rollup
from app.db.tables import accounts, spending, usage
from app.usage.recorder import HOUR, bucket_of
from app.usage.sums import add_usage
from tests.admin.conftest import PASSWORD, Browser, browser
from tests.serving import GatewayProcess, until
from tests.upstream import FakeUpstream
from tests.webhooks.receiver import Receiver, Reply

HOURS = 24 * 30
PROMPTS = [
    "A paper boat drifting down a rainy street, neon reflections, low camera",
    "Slow dolly through a greenhouse at dawn, mist between the leaves",
    "A lighthouse on a cliff at dusk, its warm beam sweeping over a silver sea",
    "Two foxes playing in fresh snow, handheld, golden hour",
    "一只橘猫坐在窗台上看雨，电影感，浅景深",
]
ACCOUNTS: list[dict[str, Any]] = [
    {"name": "gpu-farm-1", "slots": 8, "plan": "dedicated", "tags": ["pro", "eu"]},
    {"name": "gpu-farm-2", "slots": 8, "plan": "dedicated", "tags": ["eu"]},
    {
        "name": "reseller-a",
        "slots": 4,
        "plan": "monthly",
        "quota": {"unit": "usd", "limit": "200", "left": "31.40", "period": "month"},
    },
    {
        "name": "reseller-b",
        "slots": 2,
        "plan": "trial",
        "quota": {"unit": "count", "limit": "100", "left": "4", "period": "day"},
    },
    {"name": "spare", "slots": 2, "note": "Only for peaks."},
    {"name": "old-key", "slots": 2},
]
ERRORS = ("content_policy_violation", "upstream_error", "timeout")


@dataclass
class BusyGateway:
    gateway: GatewayProcess
    upstream: FakeUpstream
    receiver: Receiver
    owner: Browser

    def wait_until_idle(self) -> None:
        """Wait until no task is queued."""
        until(lambda: self.owner.get("/overview")["queue"]["queued"] == 0)

    def task(self, state: str) -> dict[str, Any]:
        found: dict[str, Any] = until(lambda: self.owner.get("/tasks", params={"state": state})["data"])[0]
        return found

    def failed_deliveries(self) -> list[dict[str, Any]]:
        """One delivery of each endpoint, after its first attempt: one is answered with a 500, one by nobody."""

        def tried() -> list[dict[str, Any]] | None:
            rows = self.owner.get("/webhooks/deliveries")["data"]
            found = {row["endpoint_id"]: row for row in rows if row["attempts"]}
            return list(found.values()) if len(found) == 2 else None

        return until(tried)

    def account(self, name: str) -> dict[str, Any]:
        return next(one for one in self.owner.get("/accounts")["data"] if one["name"] == name)


@contextmanager
def start_busy_gateway(folder: Path, *, films: int = 1) -> Iterator[BusyGateway]:
    """``films``: number of videos that the studio renders; the others are short grey clips of the fake upstream."""
    gateway = GatewayProcess(
        folder,
        FILMGATE_STUDIO="on",
        FILMGATE_ADMIN_PASSWORD=PASSWORD,
        FILMGATE_SECRET_KEY="a-root-key-0123456789abcdef0123456",
    )
    with FakeUpstream() as upstream, Receiver(Reply(status=500)) as receiver:
        gateway.prepare(_write_history)
        with gateway:
            owner = browser(gateway)
            with owner.http:
                assert owner.sign_in("admin").status_code == 200
                found = BusyGateway(gateway, upstream, receiver, owner)
                _create_objects(found, films=films)
                yield found


async def _write_history(components: Components) -> None:
    """A month of hourly counts, higher by day than by night."""
    chance, now = random.Random(7), int(time.time())
    rows: dict[tuple[Any, ...], dict[str, Any]] = {}
    spent: dict[str, Decimal] = {}
    calls: list[dict[str, Any]] = []
    for back in range(1, HOURS + 1):
        hour = now // HOUR - back
        busy = 6 + 22 * max(0.0, 1 - abs((hour % 24) - 14) / 9)
        for _ in range(round(busy * chance.uniform(0.6, 1.4))):
            model = chance.choice(["sora-2", "sora-2", "sora-2", "sora-2-pro", "veo-3.1"])
            good = chance.random() < 0.955
            outcome = "completed" if good else chance.choice(ERRORS)
            bucket = bucket_of(chance.lognormvariate(4.1, 0.45)) if good else 0
            cost = Decimal("0.80") if good else Decimal(0)
            key = (hour, model, "history", outcome, bucket)
            row = rows.setdefault(
                key,
                dict(zip(("hour", "model", "account_id", "outcome", "bucket"), key, strict=True))
                | {"tasks": 0, "cost": Decimal(0)},
            )
            row["tasks"] += 1
            row["cost"] += cost
            day = time.strftime("%Y-%m-%d", time.gmtime(hour * HOUR))
            spent[day] = spent.get(day, Decimal(0)) + cost
            calls.append(_call(hour * HOUR, model, good=good, cost=cost))
    money = [
        {"key_id": "history", "period": day, "reserved": Decimal(0), "spent": amount}
        for day, amount in spent.items()
    ]
    async with components.database.write() as connection:
        await connection.execute(sa.insert(rollup), list(rows.values()))
        await connection.execute(sa.insert(spending), money)
        # The sums of the last days are compared with their rows.
        recent = [call for call in calls if call["at"] > now - 9 * 86_400]
        await connection.execute(sa.insert(usage), recent)
        await add_usage(connection, calls)


def _call(at: float, model: str, *, good: bool, cost: Decimal) -> dict[str, Any]:
    """A film as reports count it: what the vendor charges for it is known of one model."""
    return {
        "at": at,
        "key_id": "history",
        "account_id": "history",
        "model": model,
        "path": "tasks/video",
        "milliseconds": 40_000.0,
        "status": 200 if good else 502,
        "input_tokens": None,
        "output_tokens": None,
        "cost": cost,
        "films": int(good),
        "film_milliseconds": 8000 * good,
        "vendor_cost": Decimal("0.55") * good if model == "sora-2" else None,
    }


def _create_objects(found: BusyGateway, *, films: int) -> None:
    owner, url = found.owner, f"{found.upstream.url}/v1"
    for shape in ACCOUNTS:
        body = {"provider": "openai_compatible", "base_url": url, "secret": f"sk-{shape['name']}-secret"}
        models = {"sora-2": "sora-2", "sora-2-pro": "sora-2-pro", "veo-3.1": "veo-3.1-generate"}
        owner.post("/accounts", status=201, json=body | {"models": models} | shape)
    owner.post(f"/accounts/{found.account('spare')['id']}/disable", json={"reason": "kept for peaks"})
    _create_prices(owner)
    key = owner.post(
        "/keys",
        status=201,
        json={
            "name": "storefront",
            "budget": {"daily": "50", "monthly": "900"},
            "rpm": 120,
            "tasks_limit": 20,
        },
    )
    owner.post(
        "/keys", status=201, json={"name": "batch renders", "project": "studio", "budget": {"monthly": "200"}}
    )
    endpoint = {
        "name": "orders",
        "url": found.receiver.url,
        "event_types": ["video.completed", "video.failed"],
    }
    owner.post(f"/keys/{key['id']}/endpoints", status=201, json=endpoint)
    nobody = {"name": "alarms", "url": "http://127.0.0.1:9/hook", "event_types": ["video.failed"]}
    owner.post(f"/keys/{key['id']}/endpoints", status=201, json=nobody)
    _create_tasks(found, key["secret"], films=films)
    _write_outcomes(found)


def _create_prices(owner: Browser) -> None:
    for model, rates in {"sora-2": {"*": "0.10"}, "sora-2-pro": {"*": "0.30", "1080p": "0.50"}}.items():
        answer = owner.ask("PUT", f"/prices/{model}", json={"document": {"per_second": rates}})
        assert answer.status_code == 200, answer.text
    candidates = [
        {"account": "gpu-farm-1", "weight": 2, "order": 0},
        {"account": "gpu-farm-2", "order": 0},
        {"account": "reseller-a", "model": "sora-2"},
        {"account": "studio"},
    ]
    route = {"candidates": candidates, "note": "own machines first"}
    assert owner.ask("PUT", "/routes/sora-2", json=route).status_code == 200
    assert (
        owner.ask("PUT", "/routes/film", json={"alias_of": "sora-2", "note": "for the app"}).status_code
        == 200
    )


def _create_tasks(found: BusyGateway, key: str, *, films: int) -> None:
    """Finished, failed and running tasks; an account that is cooling down and one that is disabled."""
    owner, upstream = found.owner, found.upstream
    with found.gateway.client(key=key) as client:
        for prompt in PROMPTS:
            body = {"model": "sora-2", "prompt": prompt, "seconds": "8", "size": "1280x720"}
            assert client.post("/v1/videos", json=body).status_code == 200
    for prompt in (PROMPTS[2], *PROMPTS)[-films:] if films > 1 else PROMPTS[2:3]:
        made = owner.post(
            "/playground",
            status=201,
            json={"model": "studio", "prompt": prompt, "seconds": 2, "size": "1280x720"},
        )
        until(lambda made=made: owner.get(f"/tasks/{made['id']}")["state"] == "completed")  # type: ignore[misc]
    owner.post(
        "/characters", status=201, files={"from_task": (None, made["id"]), "name": (None, "Lighthouse")}
    )
    upstream.fault(
        "create", status=429, headers={"Retry-After": "900"}, key="sk-reseller-b-secret", times=None
    )
    upstream.fault("create", status=401, key="sk-old-key-secret", times=None)
    for name in ("reseller-b", "old-key"):
        assert (
            owner.ask(
                "PUT", f"/routes/{name}-only", json={"candidates": [{"account": name, "model": "sora-2"}]}
            ).status_code
            == 200
        )
        owner.post(
            "/playground",
            status=201,
            json={"model": f"{name}-only", "kind": "video", "prompt": "Rain on a tin roof"},
        )
    until(lambda: found.account("reseller-b")["cooldowns"])
    until(lambda: found.account("old-key")["state"] == "disabled")
    until(lambda: not owner.get("/tasks", params={"state": "running"})["data"])
    upstream.script(job_seconds=600, faults=[])
    upstream.fault(
        "create",
        status=400,
        body={"error": {"message": "This prompt is against our rules."}},
        prompt="forbidden",
    )
    body = {"model": "sora-2", "prompt": "Something forbidden", "seconds": "8"}
    with found.gateway.client(key=key) as client:
        assert client.post("/v1/videos", json=body).status_code == 200
        assert (
            client.post("/v1/videos", json=body | {"prompt": PROMPTS[1], "seconds": "12"}).status_code == 200
        )
    found.task("failed")
    found.task("running")


def _write_outcomes(found: BusyGateway) -> None:
    """The outcomes of several weeks."""
    chance = random.Random(3)

    async def write(components: Components) -> None:
        async with components.database.write() as connection:
            for name, share in (
                ("gpu-farm-1", 0.98),
                ("gpu-farm-2", 0.94),
                ("reseller-a", 0.8),
                ("reseller-b", 0.55),
            ):
                words = ["completed" if chance.random() < share else "upstream_error" for _ in range(50)]
                document = str(words).replace("'", '"')
                values = {
                    "outcomes": document,
                    "successes": round(share * 900),
                    "failures": round((1 - share) * 900),
                    "seconds": share * 900 * 58,
                }
                await connection.execute(sa.update(accounts).where(accounts.c.name == name).values(values))

    found.gateway.prepare(write)
