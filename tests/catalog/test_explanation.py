"""Candidates of a route, the error with counted reasons, and why each account is or is not chosen."""

import time
from decimal import Decimal

import pytest
import sqlalchemy as sa

from app.catalog.explanation import AccountExplanation, explain_accounts
from app.catalog.route_documents import read_route
from app.db.tables import accounts, slots
from app.errors import InvalidRequest, NoAvailableAccount, UnknownModel
from app.generation import GenerationRequest
from tests.tasks.conftest import Bench

VIDEO = frozenset({"video"})


async def route(bench: Bench, *candidates: dict[str, object], model: str = "sora-2") -> None:
    await bench.components.catalog.routes.put(read_route({"model": model, "candidates": list(candidates)}))


async def reasons(bench: Bench, model: str = "sora-2", **asked: object) -> dict[str, AccountExplanation]:
    request = None
    if asked:
        request = GenerationRequest.model_validate({"kind": "video", "model": model, **asked})
    found = await explain_accounts(bench.components.catalog, "video", model, request=request)
    return {reason.account: reason for reason in found}


async def test_a_route_orders_names_and_weighs_its_candidates(bench: Bench) -> None:
    for name, told in (
        ("first", {"weight": 2.0}),
        ("second", {"tags": frozenset({"spare"})}),
        ("third", {}),
        ("mapped", {"models": {"sora-2": "theirs"}, "kinds": VIDEO}),
    ):
        await bench.account(name, **told)
    await route(bench, {"account": "first", "model": "wan", "weight": 3}, {"tag": "spare"}, {"any": True})
    found = bench.components.catalog.candidates("video", "sora-2")
    assert [(c.account.name, c.order, c.model, c.share) for c in found] == [
        ("first", 0, "wan", 6.0),
        ("second", 1, "sora-2", 1.0),
        ("third", 2, "sora-2", 1.0),
        ("mapped", 2, "theirs", 1.0),
    ]
    # Without the route, the one that maps the name is alone.
    await bench.components.catalog.routes.delete("sora-2")
    assert [c.account.name for c in bench.components.catalog.candidates("video", "sora-2")] == ["mapped"]


async def test_every_account_has_its_reason(bench: Bench) -> None:
    made = {}
    for name in ("busy", "cooling", "disabled", "expired", "spent", "free", "later"):
        made[name] = await bench.account(name, slots=1)
    await bench.account("elsewhere")
    await bench.account("painter", kinds=frozenset({"image"}))
    pool = bench.components.pool
    await pool.start_cooldown(made["cooling"].id, seconds=60, reason="429", model="sora-2")
    await pool.disable(made["disabled"].id, reason="401")
    async with bench.components.database.write() as connection:
        for name, values in (
            ("expired", {"expires_at": time.time() - 1}),
            ("spent", {"quota_limit": Decimal(1), "quota_left": Decimal(0)}),
        ):
            where = accounts.c.name == name
            await connection.execute(sa.update(accounts).where(where).values(**values))
        slot = {"task_id": "t", "account_id": made["busy"].id, "kind": "video", "at": time.time()}
        await connection.execute(sa.insert(slots), slot)
    await pool.refresh()
    chain = [{"account": name, "order": 0} for name in made if name != "later"]
    await route(bench, *chain, {"account": "later"}, {"account": "painter"})
    found = await reasons(bench)
    assert {name: reason.verdict for name, reason in found.items()} == {
        "free": "chosen",
        "later": "candidate",
        "busy": "busy",
        "cooling": "cooling",
        "disabled": "disabled",
        "expired": "expired",
        "spent": "quota_exhausted",
        "elsewhere": "not_in_route",
        "painter": "kind",
    }
    assert (found["free"].rank, found["later"].rank, found["busy"].rank) == (1, 2, None)
    assert found["busy"].text == "1 of 1 slots are in use"
    assert found["cooling"].until is not None


async def test_a_request_is_part_of_the_reason_after_its_overrides(bench: Bench) -> None:
    limits = {"capabilities": {"seconds": [2, 10]}}
    await bench.account("short", options=limits)
    await bench.account("bent", options=limits)
    bent = {"account": "bent", "overrides": {"map": {"seconds": {"25": 10}}}}
    await route(bench, {"account": "short"}, bent)
    found = await reasons(bench, seconds=25)
    assert (found["short"].verdict, found["bent"].verdict) == ("incapable", "chosen")
    assert found["short"].text == "seconds must be from 2 to 10 for sora-2, not 25"
    assert (await bench.create(seconds=25)).state == "queued"
    with pytest.raises(InvalidRequest, match="from 2 to 10"):
        await bench.create(seconds=20)


async def test_pro_is_needed_unless_the_operator_names_the_account(bench: Bench) -> None:
    await bench.account("plain")
    assert (await reasons(bench, "sora-2-pro"))["plain"].verdict == "needs_pro"
    await route(bench, {"any": True}, model="sora-2-pro")
    assert (await reasons(bench, "sora-2-pro"))["plain"].verdict == "needs_pro"
    await route(bench, {"account": "plain"}, model="sora-2-pro")
    assert (await reasons(bench, "sora2pro-landscape-10s"))["plain"].verdict == "chosen"


async def test_the_refusal_counts_what_explain_says(bench: Bench) -> None:
    cooling = [await bench.account(f"c{number}", tags=frozenset({"pro"})) for number in range(2)]
    off = await bench.account("off", tags=frozenset({"pro"}))
    for number in range(3):
        await bench.account(f"plain{number}")
    for account in cooling:
        await bench.components.pool.start_cooldown(account.id, seconds=40, reason="429")
    await bench.components.pool.disable(off.id, reason="401")
    await bench.components.catalog.refresh()
    message = bench.components.catalog.unavailable_error("video", "sora-2-pro").message
    assert message.startswith("No available tokens for video generation. 2 cooling down (next in ")
    assert message.endswith(" s), 1 disabled, 3 don't support sora-2-pro.")


async def test_a_route_that_nobody_can_serve_is_no_unknown_model(bench: Bench) -> None:
    await bench.account("plain", models={"other": "other"})
    with pytest.raises(UnknownModel):
        await bench.create(model="house-video")
    await route(bench, {"tag": "nobody"}, model="house-video")
    with pytest.raises(NoAvailableAccount, match="1 doesn't support house-video"):
        await bench.create(model="house-video")


async def test_an_alias_has_the_preset_of_its_target(bench: Bench) -> None:
    await bench.account("plain")
    catalog = bench.components.catalog
    await catalog.routes.put(read_route({"model": "wide", "alias_of": "sora_video2-landscape-15s"}))
    preset = catalog.preset_of("wide")
    assert (preset.name, preset.seconds, preset.size) == ("wide", 15, "1280x704")
    assert catalog.kind_of("wide") == "video"
    assert [c.model for c in catalog.candidates("video", "wide")] == ["sora_video2-landscape-15s"]
    assert "wide" in {card.name for card in await catalog.list_models()}
