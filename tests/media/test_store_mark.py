"""Processes of one PostgreSQL database that keep their files apart: refused by name, where films would be lost."""

import asyncio
from pathlib import Path

import pytest
import sqlalchemy as sa

from app.db.operator_tables import marks
from app.db.session import Database
from app.errors import SettingsInvalid
from app.media import store_mark
from app.media.store import MediaStore
from app.media.store_mark import one_store
from tests.cli.running import filmgate
from tests.serving import GatewayProcess

SECRET = {"FILMGATE_SECRET_KEY": "0123456789abcdef0123456789abcdef", "FILMGATE_STUDIO": "off"}


def folder_store(path: Path) -> MediaStore:
    return MediaStore.open("", folder=path)


async def _left(database: Database) -> list[str]:
    async with database.read() as connection:
        names = await connection.execute(sa.select(marks.c.name).where(marks.c.name.startswith("store")))
        return list(names.scalars())


async def test_only_those_of_one_store_run_together(
    postgres_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = Database(postgres_url.replace("postgresql://", "postgresql+asyncpg://"))
    one, same, other = (folder_store(tmp_path / name) for name in ("one", "one", "other"))
    async with one_store(database, one), one_store(database, same):
        assert len(await _left(database)) == 2
        for _ in range(2):
            with pytest.raises(
                SettingsInvalid, match=r"^FILMGATE_STORAGE_URL: another process .* \(2 in all\)"
            ):
                async with one_store(database, other):
                    pytest.fail("it has started")
    assert await _left(database) == []
    async with one_store(database, other):
        pass
    # Of those that start together on an empty store one makes the id, and all of them have it.
    fresh = [folder_store(tmp_path / "fresh") for _ in range(8)]

    async def held(store: MediaStore) -> bytes:
        async with one_store(database, store):
            return await store.get(store_mark.ID_KEY)

    assert len(set(await asyncio.gather(*map(held, fresh)))) == 1
    assert await _left(database) == []
    # One that was killed is forgotten: nobody renews its mark.
    monkeypatch.setattr(store_mark, "KEPT_SECONDS", -1.0)
    killed = store_mark.StoreMark(database, one)
    await killed.take()
    monkeypatch.undo()
    async with one_store(database, other):
        pass
    await database.close()


async def test_a_mark_is_renewed_also_after_it_ended(
    postgres_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = Database(postgres_url.replace("postgresql://", "postgresql+asyncpg://"))
    monkeypatch.setattr(store_mark, "RENEW_SECONDS", 0.01)
    async with one_store(database, folder_store(tmp_path / "one")):
        async with database.write() as connection:
            await connection.execute(sa.delete(marks))
        async with asyncio.timeout(120):
            while True:
                if await _left(database):
                    break
                await asyncio.sleep(0.01)
    await database.close()


@pytest.mark.slow
def test_a_second_process_without_the_store_does_not_start(postgres_url: str, tmp_path: Path) -> None:
    given = SECRET | {"FILMGATE_DATABASE_URL": postgres_url}
    with GatewayProcess(tmp_path / "one", **given):
        for command in ("serve", "worker"):
            refused = filmgate(
                command, "--port", "0", cwd=tmp_path, **given, FILMGATE_DATA_DIR=str(tmp_path / "other")
            )
            assert refused.returncode == 2
            line = refused.stderr.splitlines()[-1]
            assert line.startswith("error: FILMGATE_STORAGE_URL: another process of this database (1 in all)")
            assert "Traceback" not in refused.stderr
    with GatewayProcess(tmp_path / "other", **given) as other, other.client() as client:
        assert client.get("/readyz").status_code == 200
