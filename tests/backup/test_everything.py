"""Everything in one file, from a running gateway, into an empty place; and a whole store moved to another database."""

import asyncio
import signal
import sys
import tarfile
from collections.abc import Iterator
from contextlib import ExitStack
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyotp
import pytest
import sqlalchemy as sa

from app.admin.admin_repository import AdminRepository
from app.admin.audit_log import AuditLog
from app.admin.passwords import PasswordHashing
from app.admin.second_factors import SecondFactors
from app.backup import row_stores, whole_archive
from app.backup.row_stores import open_rows
from app.backup.store_move import move_files
from app.backup.whole_archive import write_everything
from app.backup.whole_restore import check_everything
from app.catalog.price import read_price
from app.cli import move, whole_backups
from app.components import Components
from app.db import revision
from app.db.operator_tables import admins, recovery_codes
from app.db.session import Database
from app.db.tables import spending
from app.errors import InvalidRequest, ServiceUnavailable, SettingsInvalid
from app.media.store import MediaStore
from app.settings import Settings
from app.tasks.task import Task
from app.usage.balance import find_differences
from app.vault import Vault, admin_totp_place
from tests import stores
from tests.cli.running import ROOT, environment
from tests.media.bucket import Bucket
from tests.media.conftest import Serve, serve
from tests.tasks.conftest import Bench, replica, settings_for, upstream
from tests.upstream import FakeUpstream

__all__ = ["serve", "upstream"]
PASSPHRASE = "correct horse battery"
PRICE = Decimal("0.25")


def own_settings(folder: Path, url: str) -> Settings:
    """Of a gateway whose root key is a file."""
    folder.mkdir(exist_ok=True)
    return settings_for(folder, url, secret_key=None)


async def fill(bench: Bench, upstream: FakeUpstream) -> tuple[str, Task, Task]:
    """A key, a film that was made, and one that is being made."""
    await bench.account()
    await bench.components.money.prices.set_price("sora-2", read_price({"per_call": str(PRICE)}))
    key, secret = await bench.components.keys.create_key({"name": "shop"})
    await bench.work()
    picture = {"role": "first_frame", "content_type": "image/png", "content": b"\x89PNG an input"}
    made = await bench.ended(await bench.create("a made kite", key=key, media=[picture]))
    assert made.state == "completed", made
    upstream.script(statuses=["in_progress"])
    flying = await bench.reaches(await bench.create("a flying kite", key=key), "running")
    await add_admin(bench.components)
    return secret, made, flying


async def add_admin(components: Components) -> None:
    """An admin with a second factor."""
    audit = AuditLog(components.database)
    repository = AdminRepository(
        components.database, components.vault, audit=audit, passwords=PasswordHashing()
    )
    admin = await repository.create("test", "ada", role="operator", password=PASSPHRASE)
    factors = SecondFactors(components.database, components.vault, audit=audit)
    offer = factors.offer_secret(admin)
    code = pyotp.TOTP(offer.secret).now()
    await factors.turn_on(admin, offer.ticket, code=code, session_id="")


async def check_admin(components: Components) -> None:
    async with components.database.read() as connection:
        row = (await connection.execute(sa.select(admins))).one()
        codes = (await connection.execute(sa.select(recovery_codes))).all()
    assert (row.name, row.role, len(codes)) == ("ada", "operator", 10)
    assert len(components.vault.unseal(row.totp_secret, place=admin_totp_place(row.id))) == 32


async def save(components: Components, path: Path) -> None:
    found = await revision.current_revision(components.database)
    with path.open("wb") as target:
        async with open_rows(components.database.url) as rows:
            await write_everything(
                rows,
                components.store,
                target,
                vault=components.vault,
                passphrase=PASSPHRASE,
                revision=found or "",
            )


async def restore(
    settings: Settings, path: Path, *, replace: bool = False, passphrase: str = PASSPHRASE
) -> None:
    await whole_backups.restore_into(settings, path, passphrase, yes=True, replace=replace)


async def money(components: Components) -> list[tuple[Decimal, Decimal]]:
    """Reserved and spent in total, by key; and the books must be in order."""
    query = sa.select(spending).where(spending.c.period == "total").order_by(spending.c.key_id)
    async with components.database.read() as connection:
        assert await find_differences(connection) == []
        return [(row.reserved, row.spent) for row in await connection.execute(query)]


async def go_on(
    settings: Settings, upstream: FakeUpstream, *, secret: str, made: Task, flying: Task, sums: object
) -> None:
    """A gateway on the new store has all of the old one, and what was in flight ends and is not bought again."""
    async with replica(settings, upstream) as bench:
        components = bench.components
        assert await money(components) == sums
        await check_admin(components)
        assert (await components.keys.authenticate(secret)).name == "shop"
        again = await components.repository.get(made.id)
        assert again is not None and again.request == made.request and again.result == made.result
        assert again.result is not None and len(await components.store.get(again.result.files[0].key)) > 100
        assert await components.store.get(again.request.media[0].key) == b"\x89PNG an input"
        upstream.script(statuses=["completed"])
        await bench.work()
        assert (await bench.ended(flying)).state == "completed"
        assert upstream.counters().jobs == 2
        assert await money(components) == [(Decimal(0), 2 * PRICE)]


@pytest.fixture
def other_url(database_url: str, tmp_path: Path, postgres_server: str) -> Iterator[str]:
    """An empty database of the other kind, without tables."""
    if database_url.startswith("postgresql"):
        yield f"sqlite+aiosqlite:///{tmp_path / 'other.db'}"
        return
    url = stores.empty_postgres_store()
    yield url.replace("postgresql://", "postgresql+asyncpg://")
    stores.drop(url)


async def killed(moment: str, settings: Settings, *arguments: str | Path) -> None:
    """Run the command, which must die at the moment."""
    child = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.backup.mortal",
        *map(str, arguments),
        cwd=ROOT,
        env=environment(
            MORTAL=moment,
            WORDS=PASSPHRASE,
            FILMGATE_DATA_DIR=str(settings.data_dir),
            FILMGATE_DATABASE_URL=settings.resolved_database_url,
            FILMGATE_STUDIO="off",
        ),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    told, _ = await child.communicate()
    assert child.returncode == -signal.SIGKILL, (moment, told.decode())


async def test_a_running_gateway_is_saved_and_goes_on_elsewhere(
    database_url: str, other_url: str, tmp_path: Path, upstream: FakeUpstream
) -> None:
    path = tmp_path / "all.tar"
    async with replica(own_settings(tmp_path / "one", database_url), upstream) as bench:
        secret, made, flying = await fill(bench, upstream)
        sums = await money(bench.components)
        await save(bench.components, path)
        await bench.create("a later kite")
    text = path.read_bytes()
    assert (tmp_path / "one" / "root.key").read_bytes() not in text and b"a later kite" not in text
    target = own_settings(tmp_path / "two", other_url)
    restoring = ("restore", path, "--yes", "--passphrase-env", "WORDS")
    for moment in ("put:2", "commit:1", "committed:1"):
        await killed(moment, target, *restoring)
    await restore(target, path)
    await go_on(target, upstream, secret=secret, made=made, flying=flying, sums=sums)
    with pytest.raises(InvalidRequest, match=r"not empty.*--replace"):
        await restore(target, path)
    await restore(target, path, replace=True)
    assert (tmp_path / "two" / "root.key").read_bytes() == (tmp_path / "one" / "root.key").read_bytes()


async def test_a_damaged_backup_is_told_by_a_sentence(tmp_path: Path) -> None:
    url = stores.sqlite_store(tmp_path / "one.db")
    store, path = MediaStore.open("", folder=tmp_path / "files"), tmp_path / "all.tar"
    await store.put("characters/clip.mp4", bytes(range(256)) * 40)
    database = Database(url)
    async with database.write() as connection:
        await connection.execute(sa.text("INSERT INTO options VALUES ('o', '{}', 1.5)"))
    await database.close()
    with path.open("wb") as target:
        async with open_rows(url) as rows:
            await write_everything(
                rows, store, target, vault=Vault(b"r" * 32), passphrase=PASSPHRASE, revision=revision.NEWEST
            )
    assert (await check_everything(path, passphrase=PASSPHRASE)).rows == 1
    whole = path.read_bytes()
    for passphrase, told in (("wrong battery horse", "does not open"), ("", "enter it")):
        with pytest.raises(InvalidRequest, match=told):
            await check_everything(path, passphrase=passphrase)
    with tarfile.open(path) as archive:
        members = {member.name: member for member in archive}
    damaged = [whole[:size] for size in (0, 300, 513, len(whole) // 2, members["manifest.json"].offset)]
    for member in members.values():
        for place in (member.offset + 2, member.offset_data, member.offset_data + member.size // 2):
            damaged.append(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
    without = members["files/characters/clip.mp4"]
    damaged.append(whole[: without.offset] + whole[members["manifest.json"].offset :])
    target = own_settings(tmp_path / "two", f"sqlite+aiosqlite:///{tmp_path / 'two.db'}")
    for number, content in enumerate(damaged):
        path.write_bytes(content)
        with pytest.raises(InvalidRequest) as refused:
            await restore(target, path)
        assert refused.value.message.endswith("."), (number, refused.value.message)
    assert list(target.data_dir.iterdir()) == [] and not (tmp_path / "two.db").exists()


async def test_many_rows_take_many_members(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(whole_archive, "MEMBER_ROWS", 10)
    monkeypatch.setattr(row_stores, "BATCH_ROWS", 7)
    url, path = stores.sqlite_store(tmp_path / "one.db"), tmp_path / "all.tar"
    numbers = [{"number": number, "text": f"\u7b2c {number}\n\t'"} for number in range(3000)]
    database = Database(url)
    async with database.write_many() as connection:
        fill_options = sa.text("INSERT INTO options VALUES (:number, :text, 0.1 + :number)")
        await connection.execute(fill_options, numbers)
    await database.close()
    store = MediaStore.open("", folder=tmp_path / "files")
    with path.open("wb") as target:
        async with open_rows(url) as rows:
            await write_everything(
                rows, store, target, vault=Vault(b"r" * 32), passphrase=PASSPHRASE, revision=revision.NEWEST
            )
    settings = own_settings(tmp_path / "two", stores.sqlite_store(tmp_path / "two.db"))
    await restore(settings, path)
    async with open_rows(url) as before, open_rows(settings.resolved_database_url) as after:
        columns = await before.read_columns()
        assert await before.digests(columns) == await after.digests(columns)
        assert (await after.digests(columns))["options"].startswith("3000-")


async def test_a_store_is_moved_and_the_old_one_is_closed(
    database_url: str, other_url: str, tmp_path: Path, upstream: FakeUpstream
) -> None:
    settings = own_settings(tmp_path / "one", database_url)
    target = settings.model_copy(update={"database_url": other_url})
    async with replica(settings, upstream) as bench:
        secret, made, flying = await fill(bench, upstream)
        sums = await money(bench.components)
        with pytest.raises((SettingsInvalid, ServiceUnavailable), match=r"(?i)stop"), ExitStack() as patched:
            looks = pytest.MonkeyPatch()
            patched.callback(looks.undo)
            looks.setattr(whole_backups, "LOOKS", 2)
            await move.move_into(settings, target)
    for moment in ("insert:4", "committed:1"):
        await killed(moment, settings, "move", "--to", other_url)
    await move.move_into(settings, target)
    await move.move_into(settings, target)
    with pytest.raises(SettingsInvalid, match="was moved to"):
        async with replica(settings, upstream):
            pass
    await go_on(target, upstream, secret=secret, made=made, flying=flying, sums=sums)
    with pytest.raises(InvalidRequest, match="other rows"):
        await move.move_into(settings, target)
    await move.reopen_store(settings)
    async with replica(settings, upstream) as bench:
        assert await money(bench.components) == sums


async def test_files_arrive_whole_whatever_an_earlier_move_has_left(
    tmp_path: Path, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    source = MediaStore.open("", folder=tmp_path)
    target = MediaStore.open("s3://bucket/films", folder=tmp_path, endpoint=await serve(Bucket().answer))
    contents: dict[str, Any] = {f"tasks/{n:032x}/video.mp4": f"film {n}".encode() * 1000 for n in range(5)}
    for key, content in contents.items():
        await source.put(key, content)
    await target.put(f"tasks/{1:032x}/video.mp4", b"x" * len(contents[f"tasks/{1:032x}/video.mp4"]))
    await target.put(f"tasks/{2:032x}/video.mp4", contents[f"tasks/{2:032x}/video.mp4"])
    assert await move_files(source, target) == (5, 4)
    assert await move_files(source, target) == (5, 0)
    for key, content in contents.items():
        assert await target.get(key) == content
