"""Projects: what is set on them holds for their keys at once, and a payment counts once."""

import asyncio
import secrets
from collections.abc import AsyncIterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import pytest
import pytest_asyncio
from redis.asyncio import Redis

from app.db.session import Database
from app.errors import IdempotencyConflict, InvalidRequest, NotFound, PermissionDenied, RateLimited
from app.keys.key import ClientKey
from app.keys.limits import LocalLimiter, count_request
from app.keys.project import ProjectLimits
from app.keys.projects import ProjectRepository
from app.keys.service import KeyRing
from app.keys.shared_limits import SharedLimiter
from app.keys.spender import end_user_of, read_tags
from app.vault import Vault


@dataclass
class House:
    ring: KeyRing
    projects: ProjectRepository


@pytest_asyncio.fixture
async def house(database_url: str) -> AsyncIterator[House]:
    database, vault = Database(database_url), Vault(b"r" * 32)
    ring = KeyRing(database, vault)
    yield House(ring, ProjectRepository(database, vault, ring))
    await ring.close()
    await database.close()


async def test_limits_hold_for_keys_before_and_after_it_was_made(house: House) -> None:
    raw = await house.ring.create("early", project="films")
    assert (await house.ring.authenticate(raw)).team is None
    made = await house.projects.create({"name": "films", "rpm": 7, "budget_daily": "2.50"})
    team = (await house.ring.authenticate(raw)).team
    assert team == ProjectLimits(made.id, "films", rpm=7, budget_daily=Decimal("2.5"))
    assert team.owner == (await house.ring.authenticate(raw)).owner
    late = await house.ring.create("late", project="films")
    assert (await house.ring.authenticate(late)).team == team
    assert (await house.ring.authenticate(await house.ring.create("alone"))).team is None
    await house.projects.update(made.id, {"enabled": False, "rpm": None})
    for secret in (raw, late):
        with pytest.raises(PermissionDenied, match="project"):
            await house.ring.authenticate(secret)
    assert (await house.projects.key_counts()) == {"films": 2}
    with pytest.raises(InvalidRequest, match="2 keys"):
        await house.projects.delete(made.id)


async def test_names_are_unique_and_stay(house: House) -> None:
    made = await house.projects.create({"name": " films "})
    with pytest.raises(InvalidRequest) as refused:
        await house.projects.create({"name": "films"})
    assert (refused.value.param, refused.value.reason) == ("name", "name_taken")
    for bad in ({"name": "clips"}, {"rpm": 0}, {"budget_total": "-1"}, {"colour": "red"}):
        with pytest.raises(InvalidRequest) as refused:
            await house.projects.update(made.id, bad)
        assert refused.value.param == next(iter(bad))
    assert (await house.projects.find("films")).id == made.id == (await house.projects.find(made.id)).id
    await house.projects.delete(made.id)
    with pytest.raises(NotFound):
        await house.projects.get(made.id)
    with pytest.raises(NotFound):
        await house.projects.credit(made.id, reference="r", amount=Decimal(1), by="me")


async def test_a_payment_counts_once_however_often_and_at_once_it_comes(house: House) -> None:
    made = await house.projects.create({"name": "films", "budget_total": "0"})
    raw = await house.ring.create("k", project="films")

    async def pay(reference: str, amount: str) -> bool:
        paid = await house.projects.credit(made.id, reference=reference, amount=Decimal(amount), by="me")
        return paid[1]

    assert sum(await asyncio.gather(*(pay("one", "25") for _ in range(8)))) == 1
    assert await pay("two", "-5.5")
    with pytest.raises(IdempotencyConflict, match="25"):
        await pay("one", "26")
    with pytest.raises(InvalidRequest):
        await pay("zero", "0")
    team = (await house.ring.authenticate(raw)).team
    assert team is not None and team.budget_total == Decimal("19.5")
    found = await house.projects.credits(made.id)
    assert [(each.reference, each.amount) for each in found] == [
        ("two", Decimal("-5.5")),
        ("one", Decimal(25)),
    ]
    unbounded = await house.projects.create({"name": "other"})
    await house.projects.credit(unbounded.id, reference="one", amount=Decimal(1), by="me")
    assert (await house.projects.get(unbounded.id)).limits.budget_total is None


async def test_a_secret_is_sealed_and_replaced(house: House) -> None:
    made = await house.projects.create({"name": "films"})
    assert await house.projects.credit_secret(made.id) is None
    for secret in ("whsec_b25l", "whsec_dHdv"):
        await house.projects.set_credit_secret(made.id, secret)
        assert await house.projects.credit_secret(made.id) == secret
    assert (await house.projects.get(made.id)).signs


def key_of(name: str, team: ProjectLimits, **fields: Any) -> ClientKey:
    return ClientKey(id=name, name=name, owner=team.owner, team=team, **fields)


async def count(limiter: Any, key: ClientKey) -> dict[bytes, bytes]:
    scope: dict[str, Any] = {"method": "POST"}
    try:
        await count_request(limiter, key, scope)
    except RateLimited as error:
        return {b"refused": error.message.encode()}
    return dict(scope["state"]["headers"])


async def test_requests_a_minute_are_counted_over_all_keys() -> None:
    team = ProjectLimits("prj_bbbbbbbbbbbb", "films", rpm=3)
    limiter, one, two = LocalLimiter(), key_of("one", team, rpm=2), key_of("two", team)
    assert (await count(limiter, one))[b"x-ratelimit-remaining-requests"] == b"1"
    await count(limiter, one)
    # Its own limit refuses it, which takes nothing from the other key.
    assert b"This API key may" in (await count(limiter, one))[b"refused"]
    assert (await count(limiter, two))[b"x-ratelimit-limit-requests"] == b"3"
    assert b"project" in (await count(limiter, two))[b"refused"]


@pytest.mark.redis
async def test_processes_count_a_project_together(redis_url: str) -> None:
    prefix = f"filmgate-test:{secrets.token_hex(8)}:"
    limiters = [SharedLimiter(redis_url, prefix=prefix, patience=10) for _ in range(2)]
    team = ProjectLimits("prj_cccccccccccc", "films", rpm=5)
    keys = [key_of("one", team), key_of("two", team)]
    told = await asyncio.gather(*(count(limiters[n % 2], keys[n % 2]) for n in range(12)))
    assert sum(b"refused" not in each for each in told) == 5
    async with Redis.from_url(redis_url) as client:
        await client.delete(f"{prefix}{team.id}")
    for limiter in limiters:
        await limiter.close()


def tagged(*values: bytes) -> str | None:
    return read_tags([(b"host", b"x"), *((b"x-filmgate-tags", value) for value in values)])


def test_tags_are_bounded_and_in_order() -> None:
    assert tagged() is None and tagged(b" , ") is None
    assert tagged(b"b, a:1 ,b", b"team/x@2") == '["a:1", "b", "team/x@2"]'
    for bad in (b"a b", b"\xe4", b"-a", b"x" * 65, b",".join(b"%d" % n for n in range(9))):
        with pytest.raises(InvalidRequest) as refused:
            tagged(bad)
        assert refused.value.param == "x-filmgate-tags"


def test_the_end_user_is_what_openai_calls_it() -> None:
    assert end_user_of({"user": " u-1 "}) == "u-1"
    assert end_user_of({"user": "u-1", "safety_identifier": "s-1"}) == "s-1"
    assert end_user_of({"user": {"id": 1}}) is None and end_user_of({"user": " "}) is None
    assert end_user_of({"user": "a\0\ud800" + "x" * 500}) == "a?" + "x" * 198
