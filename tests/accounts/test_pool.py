"""The pool of accounts: sealed secrets, cooldowns, disabling, and misconfigured accounts."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from app.accounts.pool import AccountPool
from app.accounts.repository import AccountRepository
from app.db.session import Database
from app.db.tables import accounts
from app.errors import InvalidRequest, NotFound, SettingsInvalid
from app.providers import registry
from app.providers.base import Account, AccountCheck
from app.providers.transport import UpstreamTransport
from app.vault import Vault
from tests.upstream.transport import loopback_transport

SECRET = "sk-vendor-0123456789abcdef"


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    opened = Database(database_url)
    yield opened
    await opened.close()


def pool_of(database: Database, transport: UpstreamTransport, *, root: bytes = b"0" * 32) -> AccountPool:
    return AccountPool(
        database,
        Vault(root),
        build=lambda account: registry.create_provider(account, transport),
        embedded=None,
    )


@pytest.fixture
async def transport() -> AsyncIterator[UpstreamTransport]:
    async with loopback_transport() as opened:
        yield opened


@pytest.fixture
async def pool(database: Database, transport: UpstreamTransport) -> AsyncIterator[AccountPool]:
    made = pool_of(database, transport)
    yield made
    await made.close()


def account(name: str = "one", **told: object) -> Account:
    told = {"base_url": "https://vendor.example/v1", "secret": SECRET} | told
    return Account(id="", provider="openai_compatible", name=name, **told)  # type: ignore[arg-type]


async def test_an_account_that_is_added_during_a_read_is_seen_at_once(
    pool: AccountPool, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = pool.database.read_few
    looked, held = asyncio.Event(), asyncio.Event()

    @asynccontextmanager
    async def slowly() -> AsyncIterator[AsyncConnection]:
        async with read() as connection:
            yield connection
        looked.set()
        await held.wait()

    monkeypatch.setattr(pool.database, "read_few", slowly)
    look = asyncio.create_task(pool.refresh())
    await looked.wait()
    added = await pool.add(account())
    held.set()
    await look
    assert [standing.account for standing in await pool.current_statuses()] == [added]


async def test_an_account_comes_back_as_it_was_and_its_secret_is_nowhere_in_the_clear(
    pool: AccountPool, database: Database
) -> None:
    added = await pool.add(account(models={"sora-2": "theirs"}, kinds=frozenset({"video"}), slots=7))
    [standing] = await pool.current_statuses()
    assert standing.account == added
    assert standing.enabled
    async with database.read() as connection:
        row = (await connection.execute(sa.select(accounts))).one()
    assert SECRET not in str(tuple(row))
    assert SECRET not in repr(standing)


async def test_a_sealed_secret_does_not_open_in_another_row_and_stops_nobody_else(
    pool: AccountPool, database: Database
) -> None:
    await pool.add(account("one"))
    await pool.add(account("two", secret="another"))
    async with database.write() as connection:
        sealed = sa.select(accounts.c.secret).where(accounts.c.name == "one").scalar_subquery()
        await connection.execute(sa.update(accounts).where(accounts.c.name == "two").values(secret=sealed))
    await pool.refresh()
    assert [each.account.name for each in await pool.current_statuses()] == ["one"]
    [shut] = pool.misconfigured()
    assert (shut.account.name, shut.account.secret) == ("two", "")
    assert "can't be opened with this root key" in (shut.problem or "")
    with pytest.raises(InvalidRequest, match="enter the secret again"):
        await pool.provider_by_id(shut.account.id)
    await AccountRepository(pool).rotate_secret("two", "entered again")
    assert {each.account.secret for each in await pool.current_statuses()} == {SECRET, "entered again"}


@pytest.mark.parametrize("damaged", ["", "v1.", "v1.AAAA", "not base64 at all"])
async def test_a_damaged_secret_says_so(pool: AccountPool, database: Database, damaged: str) -> None:
    await pool.add(account())
    async with database.write() as connection:
        await connection.execute(sa.update(accounts).values(secret=damaged))
    with pytest.raises(SettingsInvalid, match=r"Restore the root\.key"):
        await pool.refresh()


async def test_another_root_key_says_what_to_do(
    pool: AccountPool, database: Database, transport: UpstreamTransport
) -> None:
    await pool.add(account())
    with pytest.raises(SettingsInvalid, match=r"Restore the root\.key that belongs to this database"):
        await pool_of(database, transport, root=b"1" * 32).refresh()


async def test_a_cooldown_ends_by_itself_and_a_longer_one_holds(pool: AccountPool) -> None:
    added = await pool.add(account())
    await pool.start_cooldown(added.id, seconds=100, reason="quota")
    await pool.start_cooldown(added.id, seconds=1, reason="429\0")
    [standing] = await pool.current_statuses()
    cooldown = standing.cooldown_for("any", time.time())
    assert cooldown is not None
    assert (cooldown.until > time.time() + 50, cooldown.reason) == (True, "quota")
    assert standing.cooldown_for("any", cooldown.until + 1) is None


async def test_disabled_until_enabled_which_also_clears_its_cooldowns(pool: AccountPool) -> None:
    added = await pool.add(account())
    await pool.disable(added.id, reason="401")
    await pool.start_cooldown(added.id, seconds=100, reason="429")
    [standing] = await pool.current_statuses()
    assert (standing.enabled, standing.disabled_reason) == (False, "401")
    assert (await pool.provider_by_id(added.id)).account == added
    await AccountRepository(pool).enable("one")
    [standing] = await pool.current_statuses()
    assert standing.enabled
    assert standing.blocked_by("any", time.time()) is None
    with pytest.raises(NotFound):
        await AccountRepository(pool).enable("nobody")


async def test_a_change_by_another_process_is_seen(
    pool: AccountPool, database: Database, transport: UpstreamTransport
) -> None:
    added = await pool.add(account())
    other = pool_of(database, transport)
    await other.disable(added.id, reason="401")
    await pool.refresh()
    assert [standing.enabled for standing in await pool.current_statuses()] == [False]
    await AccountRepository(other).remove("one")
    await pool.refresh()
    assert await pool.current_statuses() == []
    with pytest.raises(NotFound):
        await pool.provider_by_id(added.id)


async def test_a_name_is_taken_once(pool: AccountPool) -> None:
    await pool.add(account())
    with pytest.raises(InvalidRequest, match="exists already"):
        await pool.add(account())
    with pytest.raises(NotFound):
        await AccountRepository(pool).remove("nobody")


async def test_a_misconfigured_account_does_not_stop_the_others(pool: AccountPool) -> None:
    bad = await pool.add(account("bad", base_url="nowhere"))
    await pool.add(account("good"))
    assert [standing.account.name for standing in await pool.current_statuses()] == ["good"]
    with pytest.raises(InvalidRequest, match="base_url"):
        await pool.provider_by_id(bad.id)


async def test_the_studio_steps_aside_for_an_account_that_passed_a_test(
    database: Database, transport: UpstreamTransport
) -> None:
    studio = Account(id="studio", provider="studio", name="studio")
    pool = AccountPool(
        database,
        Vault(b"0" * 32),
        build=lambda account: registry.create_provider(account, transport),
        embedded=studio,
    )
    accounts_of, added = AccountRepository(pool), await pool.add(account())
    await accounts_of.record_test(added.id, AccountCheck("reachable", "it lists its models to anybody"))
    found = {each.account.name: each.stands_in for each in await pool.current_statuses()}
    assert found == {"one": False, "studio": True}
    await accounts_of.record_test(added.id, AccountCheck("accepted", "its key is taken"))
    assert [each.account.name for each in await pool.current_statuses()] == ["one"]
    await accounts_of.remove(added.id)
    assert [each.stands_in for each in await pool.current_statuses()] == [
        False
    ]  # alone, as at the first start
    await pool.close()
