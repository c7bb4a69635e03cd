"""Client keys: stored as keyed hashes, revoked, expired, rotated, and shared by a project."""

import asyncio
import time
from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from app.db.session import Database
from app.db.tables import keys, metadata
from app.errors import AddressNotAllowed, AuthenticationFailed, InvalidRequest, NotFound, PermissionDenied
from app.keys.key import ClientKey, read_terms
from app.keys.service import KeyRing
from app.vault import Vault

RAW = "sk-fg-operator-chosen-0123456789"


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    opened = Database(database_url)
    yield opened
    await opened.close()


@pytest.fixture
def ring(database: Database, tmp_path: Path) -> KeyRing:
    return KeyRing(database, Vault.open(secret_key=None, data_dir=tmp_path))


async def test_no_table_contains_a_key(ring: KeyRing, database: Database) -> None:
    made = [await ring.create("one"), await ring.create("two", project="studio")]
    await ring.ensure(RAW, name="fixed")
    async with database.read() as connection:
        everything = [
            str(tuple(row))
            for table in metadata.sorted_tables
            for row in (await connection.execute(sa.select(table))).all()
        ]
    text = "\n".join(everything)
    for raw in [*made, RAW]:
        assert raw not in text
        assert raw[14:] not in text


async def test_a_key_works_and_a_similar_one_does_not(ring: KeyRing) -> None:
    raw = await ring.create("one")
    key = await ring.authenticate(raw)
    assert (key.name, key.owner) == ("one", f"key:{key.id}")
    for wrong in ("", raw[:-1], raw + "x", raw.lower(), "sk-fg-" + "0" * 48, "\0", "é" * 20):
        with pytest.raises(AuthenticationFailed):
            await ring.authenticate(wrong)


async def test_a_key_is_made_with_the_secret_that_clients_have_already(ring: KeyRing) -> None:
    theirs = "moved-in-8a7b6c5d4e3f2a1b"
    made, secret = await ring.create_key({"name": "laptop"}, secret=theirs)
    assert secret == theirs and made.secret_given
    assert (await ring.authenticate(theirs)).id == made.id
    turned = await ring.rotate(made.id, overlap_seconds=60)
    assert not (await ring.get(made.id)).secret_given
    wrong = {
        theirs: f"laptop ({made.id}) has this secret",  # it still works, so nobody else may have it
        turned: f"laptop ({made.id}) has this secret",
        "han1234": "easy to guess",
        "short-one": "easy to guess",
        "two words of a long secret": "no spaces",
        "\u5bc6\u94a5" * 12: "ASCII",
        "x" * 600: "at most 512",
    }
    for secret, word in wrong.items():
        with pytest.raises(InvalidRequest) as refused:
            await ring.create_key({"name": "other"}, secret=secret)
        assert word in refused.value.message and secret not in refused.value.message
        assert refused.value.param == "secret"
    assert [key.name for key in await ring.list()] == ["laptop"]


async def test_with_another_root_key_no_key_works(ring: KeyRing, database: Database) -> None:
    raw = await ring.create("one")
    with pytest.raises(AuthenticationFailed):
        await KeyRing(database, Vault(b"1" * 32)).authenticate(raw)


async def test_a_revoked_key_is_refused_at_once(ring: KeyRing) -> None:
    raw = await ring.create("one")
    key = await ring.authenticate(raw)
    await ring.revoke(key.id)
    with pytest.raises(PermissionDenied, match="disabled"):
        await ring.authenticate(raw)
    with pytest.raises(NotFound):
        await ring.revoke("nobody")


async def test_an_expired_key_is_refused(ring: KeyRing, database: Database) -> None:
    raw = await ring.create("one")
    key = await ring.authenticate(raw)
    async with database.write() as connection:
        await connection.execute(sa.update(keys).values(expires_at=time.time() - 1))
    fresh = KeyRing(database, ring._vault)
    with pytest.raises(PermissionDenied, match="expired"):
        await fresh.authenticate(raw)
    assert key.expires_at is None


async def test_keys_of_a_project_have_one_owner(ring: KeyRing) -> None:
    first, second, alone = [
        await ring.authenticate(await ring.create(name, project=project))
        for name, project in (("a", "studio"), ("b", "studio"), ("c", None))
    ]
    assert first.owner == second.owner == "project:studio"
    assert alone.owner != first.owner


async def test_the_operators_key_is_created_once_by_two_processes(ring: KeyRing) -> None:
    await asyncio.gather(*(ring.ensure(RAW, name="fixed") for _ in range(4)))
    assert await ring.count() == 1
    assert (await ring.authenticate(RAW)).name == "fixed"


async def test_a_key_needs_a_name(ring: KeyRing) -> None:
    with pytest.raises(InvalidRequest):
        await ring.create("  ")


EVERYTHING: dict[str, Any] = {
    "project": "studio",
    "expires_at": 4e9,
    "models": ["sora-2", "veo*"],
    "networks": ["10.1.2.3/8", "2001:db8::/32", "192.0.2.7"],
    "rpm": 60,
    "tasks_limit": 4,
    "budget_total": "100.5",
    "budget_daily": 3,
    "budget_monthly": Decimal("20"),
    "options": {"videos_dialect": "manual"},
    "note": "for the shop",
}


async def test_every_field_of_a_key_is_stored_and_can_be_changed(ring: KeyRing) -> None:
    key, raw = await ring.create_key({"name": " shop ", **EVERYTHING})
    assert await ring.authenticate(raw, address="10.9.9.9") == key
    assert (key.name, key.owner, key.rpm, key.tasks_limit) == ("shop", "project:studio", 60, 4)
    assert [str(network) for network in key.networks] == ["10.0.0.0/8", "2001:db8::/32", "192.0.2.7/32"]
    assert (key.budget_total, key.budget_daily, key.budget_monthly) == (Decimal("100.5"), 3, 20)
    changed = await ring.update(key.id, {"rpm": None, "models": [], "budget_daily": "0.5", "enabled": False})
    assert (changed.rpm, changed.models, changed.budget_daily) == (None, (), Decimal("0.5"))
    assert (changed.note, changed.options, changed.created_at) == (key.note, key.options, key.created_at)
    with pytest.raises(PermissionDenied):
        await ring.authenticate(raw, address="10.9.9.9")
    await ring.delete(key.id)
    for gone in (ring.get(key.id), ring.delete(key.id), ring.update(key.id, {}), ring.rotate(key.id)):
        with pytest.raises(NotFound):
            await gone


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"rpm": 0}, "rpm"),
        ({"budget_total": -1}, "budget_total"),
        ({"budget_daily": "NaN"}, "budget_daily"),
        ({"budget_daily": "0.0000000001"}, "budget_daily"),
        ({"networks": ["10.0.0.0/40"]}, "networks"),
        ({"models": ["a*b"]}, "models"),
        ({"models": "sora-2"}, "models"),
        ({"expires_at": "tomorrow"}, "expires_at"),
        ({"colour": "red"}, "colour"),
        ({"name": ""}, "name"),
        ({"options": {"video_dialect": "manual"}}, "options"),
        ({"options": {"videos_dialect": "manuel"}}, "options"),
    ],
)
def test_an_invalid_field_is_named(fields: dict[str, Any], param: str) -> None:
    with pytest.raises(InvalidRequest) as told:
        read_terms({"name": "x"} | fields)
    assert told.value.param == param
    assert param in told.value.message


async def test_after_a_rotation_both_secrets_work_until_then(ring: KeyRing, database: Database) -> None:
    key, old = await ring.create_key({"name": "one"})
    new = await ring.rotate(key.id, overlap_seconds=3600)
    assert (await ring.authenticate(old)).id == (await ring.authenticate(new)).id == key.id
    async with database.write() as connection:
        await connection.execute(sa.update(keys).values(old_until=time.time() - 1))
    fresh = KeyRing(database, ring._vault)
    assert (await fresh.authenticate(new)).id == key.id
    with pytest.raises(AuthenticationFailed):
        await fresh.authenticate(old)


async def test_a_rotation_without_overlap_ends_the_old_secret_at_once(ring: KeyRing) -> None:
    key, old = await ring.create_key({"name": "one"})
    await ring.authenticate(old)
    newer = await ring.rotate(key.id)
    newest = await ring.rotate(key.id, overlap_seconds=60)
    for dead in (old, "sk-fg-" + key.id):
        with pytest.raises(AuthenticationFailed):
            await ring.authenticate(dead)
    assert (await ring.authenticate(newest)).id == (await ring.authenticate(newer)).id


async def test_the_old_secret_is_not_cached_past_its_end(ring: KeyRing) -> None:
    key, old = await ring.create_key({"name": "one"})
    await ring.rotate(key.id, overlap_seconds=2)
    assert (await ring.authenticate(old)).id == key.id
    async with asyncio.timeout(60):
        with pytest.raises(AuthenticationFailed):
            while True:
                await ring.authenticate(old)
                await asyncio.sleep(0.02)


async def test_a_key_works_only_from_its_networks(ring: KeyRing) -> None:
    _, raw = await ring.create_key({"name": "one", "networks": ["10.0.0.0/8", "2001:db8::/32"]})
    for address in ("10.1.2.3", "::ffff:10.1.2.3", "2001:db8::5", "2001:db8::5%eth0"):
        assert await ring.authenticate(raw, address=address)
    for address in ("11.0.0.1", "::ffff:11.0.0.1", "2001:db9::1", "", "localhost", None):
        with pytest.raises(AddressNotAllowed):
            await ring.authenticate(raw, address=address)


async def test_a_declared_key_is_changed_only_by_its_file(ring: KeyRing) -> None:
    key = await ring.declare(RAW, {"name": "ci", "rpm": 5})
    assert (await ring.authenticate(RAW)).rpm == 5
    again = await ring.declare(RAW, {"name": "ci", "models": ["veo*"]})
    assert (again.id, again.rpm, again.models, again.source) == (key.id, None, ("veo*",), "file")
    for change in (ring.update(key.id, {"rpm": 1}), ring.revoke(key.id), ring.delete(key.id)):
        with pytest.raises(InvalidRequest, match="file"):
            await change
    with pytest.raises(InvalidRequest):
        await ring.rotate(key.id)


def test_families_end_with_a_star() -> None:
    key = ClientKey(id="k", name="k", owner="k", models=("sora-2", "veo*"))
    assert [name for name in ("sora-2", "sora-2-pro", "veo", "veo3.1", "ve") if key.may_use(name)] == [
        "sora-2", "veo", "veo3.1",
    ]  # fmt: skip
    assert ClientKey(id="k", name="k", owner="k", models=("*",)).may_use("anything")
