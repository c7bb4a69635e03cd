"""Backups that leave the machine: by hand to a file or an address, and by themselves on a schedule."""

import asyncio
import json
import stat
from pathlib import Path
from typing import Any

import pytest

from app.backup.places import MAX_BYTES, download_backup, upload_backup
from app.backup.schedule import BackupSchedule
from app.backup.schedule_options import BackupOptions
from app.errors import DeliveryFailed, InvalidRequest
from app.media.guard import OutboundGuard
from app.webhooks.deliveries import DeliveryFilter, DeliveryRepository
from app.webhooks.notice_options import NoticeOptions
from tests.backup.conftest import Shelf, marks_over, one_store
from tests.cli.running import inside
from tests.tasks.conftest import Bench, until

pytestmark = pytest.mark.slow

KEY = "master-key-canary"
OPEN = {"FILMGATE_OUTBOUND_ALLOW": "127.0.0.1/32", "FILMGATE_STUDIO": "off"}


def run(*arguments: str, data: Path, **given: str) -> Any:
    return inside(*arguments, data=data, **(OPEN | given))


async def aside(*arguments: str, data: Path, **given: str) -> Any:
    """The same while a server here goes on answering."""
    return await asyncio.to_thread(run, *arguments, data=data, **given)


async def test_by_hand_to_an_address_and_back(tmp_path: Path, shelf: Shelf) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    secret = {"ACCOUNT": "account-secret-canary", "MASTER": KEY, "WORDS": "correct horse battery"}
    added = await aside(
        "accounts", "add", "farm", "--base-url", "https://example.com/v1", "--secret-env", "ACCOUNT",
        data=first, **secret,
    )  # fmt: skip
    assert added.exit_code == 0, added.output
    shelf.statuses = [503]
    saved = await aside(
        "backup", "--to", shelf.url, "--header", "X-Master-Key: env:MASTER", "--with-secrets",
        "--passphrase-env", "WORDS", data=first, **secret,
    )  # fmt: skip
    assert saved.exit_code == 0, saved.output
    assert shelf.seen == [("PUT", KEY)] * 2
    assert b"account-secret-canary" not in shelf.kept
    # Hundreds of rows make a backup larger than other answers may be.
    document = json.loads(shelf.kept)
    some = {"candidates": [{"tag": "pro"}], "note": "n" * 900}
    document["routes"] += [{"model": f"film-{number}", **some} for number in range(480)]
    shelf.kept = json.dumps(document).encode()
    assert len(shelf.kept) > 436_000
    shelf.wrapped = True  # as JSONBin answers
    restore = ("restore", shelf.url, "--header", f"X-Master-Key: {KEY}", "--passphrase-env", "WORDS")
    planned = await aside(*restore, data=second, **secret)
    assert planned.exit_code == 0, planned.output
    assert "farm" in planned.stdout
    assert "Nothing was written" in planned.stderr
    assert "farm" not in (await aside("accounts", "list", data=second)).stdout
    done = await aside(*restore, "--yes", data=second, **secret)
    assert done.exit_code == 0, done.output
    exported = await aside("accounts", "export", "--with-secrets", "--yes", data=second)
    assert json.loads(exported.stdout)[0]["secret"] == "account-secret-canary"


def test_a_file_is_for_its_owner_and_is_whole(tmp_path: Path) -> None:
    data, file = tmp_path / "data", tmp_path / "backup.json"
    file.write_text("older")
    saved = run("backup", "--to", str(file), data=data)
    assert saved.exit_code == 0, saved.output
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    printed = run("backup", data=data)
    assert json.loads(printed.stdout)["version"] == json.loads(file.read_text())["version"] == 1
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []
    lost = run("backup", "--to", str(tmp_path / "nowhere" / "b.json"), data=data)
    assert isinstance(lost.exception, InvalidRequest)
    file.write_text(json.dumps(json.loads(file.read_text()) | {"accounts": [{"name": "bad"}]}))
    bad = run("restore", str(file), "--yes", data=data)
    assert bad.exit_code == 1
    assert "1 of" in bad.stderr
    for text in ("{", "[" * 100_000):
        file.write_text(text)
        assert isinstance(run("restore", str(file), data=data).exception, InvalidRequest)


async def test_what_the_place_says_is_told(shelf: Shelf) -> None:
    guard = OutboundGuard(("127.0.0.1",))
    shelf.statuses = [403]
    with pytest.raises(DeliveryFailed, match="HTTP 403"):
        await upload_backup(guard, shelf.url, {"a": 1}, method="PUT", headers={})
    shelf.kept = b"<html>"
    with pytest.raises(InvalidRequest, match="no JSON"):
        await download_backup(guard, shelf.url, headers={})
    shelf.kept = b" " * (MAX_BYTES + 1)
    with pytest.raises(DeliveryFailed, match="more than"):
        await download_backup(guard, shelf.url, headers={})
    seen = len(shelf.seen)
    with pytest.raises(DeliveryFailed):
        await upload_backup(OutboundGuard(), shelf.url, {"a": 1}, method="PUT", headers={})
    assert len(shelf.seen) == seen  # a private address is not dialled


async def test_on_a_schedule_by_one_of_several_workers(full: Bench, shelf: Shelf) -> None:
    components = full.components
    schedules = [
        BackupSchedule(components.backup_sources, components.guard, components.notices) for _ in range(3)
    ]

    async def look() -> list[bool]:
        return sorted(await asyncio.gather(*(each.send_if_due() for each in schedules)))

    assert await look() == [False] * 3  # nothing is set
    header = {"name": "X-Master-Key", "value": KEY}
    wanted = {"enabled": True, "url": shelf.url, "headers": [header], "every_hours": 6, "method": "POST"}
    await components.options.write(BackupOptions, wanted)
    assert await look() == [False, False, True]
    assert shelf.seen == [("POST", KEY)]
    assert json.loads(shelf.kept)["secrets"] == {"sealed_with": "none"}
    assert await look() == [False] * 3
    await marks_over(components.database)  # six hours later
    assert await look() == [False, False, True]
    await components.options.write(BackupOptions, wanted | {"every_hours": 1, "with_secrets": True})
    assert await look() == [False, False, True]
    assert json.loads(shelf.kept)["secrets"]["sealed_with"] == "root_key"
    assert KEY.encode() not in shelf.kept


@one_store
async def test_a_failure_is_told_and_tried_again_later(full: Bench, shelf: Shelf) -> None:
    components = full.components
    await components.options.write(
        NoticeOptions, {"receivers": [{"name": "pager", "url": "https://example.com/"}]}
    )
    await components.options.write(BackupOptions, {"enabled": True, "url": shelf.url})
    schedule = BackupSchedule(components.backup_sources, components.guard, components.notices)
    shelf.statuses = [401]
    assert not await schedule.send_if_due()
    assert not await schedule.send_if_due()  # not at once
    await components.notices.close()
    [told] = await DeliveryRepository(components.database).page(DeliveryFilter(owner="operator"))
    assert told.event == "backup_failed"
    assert "HTTP 401" in (told.body or "")
    await marks_over(components.database)
    assert await schedule.send_if_due()


@one_store
async def test_the_worker_does_it(full: Bench, shelf: Shelf) -> None:
    await full.components.options.write(BackupOptions, {"enabled": True, "url": shelf.url})
    await full.work()

    async def came() -> bool:
        return bool(shelf.kept)

    await until(came)
    assert json.loads(shelf.kept)["format"] == "filmgate-backup"
