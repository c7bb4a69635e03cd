"""`filmgate doctor`: checks everything that a gateway depends on and advises what to do. Changes nothing."""

import asyncio
import os
import secrets
import shutil
import time
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import aclosing, asynccontextmanager
from pathlib import Path

import httpx2
import typer
from obstore.exceptions import BaseError
from rich.markup import escape
from sqlalchemy import text
from sqlalchemy.engine import make_url

from app import root_file
from app.admin.admin_repository import has_empty_password
from app.admin.passwords import PasswordHashing
from app.assembly import open_vault
from app.cli.doctor_accounts import check_accounts, check_waiting
from app.cli.doctor_catalog import CheckResult, check_models, check_prices
from app.cli.doctor_labels import check_labels
from app.cli.output import out, plain_table
from app.cli.startup import bind_listener
from app.db import postgres, revision
from app.db.session import DATABASE_AWAY, Database
from app.db.tables import format_money
from app.errors import FilmgateError, SettingsInvalid
from app.keys.shared_limits import SharedLimiter
from app.media.store import MediaStore
from app.ops import logs
from app.options import OptionsRepository
from app.receipt_keys import ReceiptKeys
from app.secret_rules import is_blank
from app.setting_names import NAMES, describe_unknown, unknown_settings
from app.settings import Settings, load_settings, mask_address
from app.tasks.held_money import sum_held_money
from app.usage.balance import find_imbalances

GIGABYTE = 1e9
LITTLE_DISK = 2 * GIGABYTE
NO_DISK = 0.2 * GIGABYTE
CLOCK_SLACK_SECONDS = 5.0
BUILT = 1_767_225_600  # 2026-01-01: a clock before that date was never set
SIGNS = {"ok": "[green]✓ ok[/]", "warn": "[yellow]! warn[/]", "fail": "[red]✗ fail[/]"}


def run_doctor() -> None:
    """Check settings, data, database, accounts, ledger, store, Redis, port and clock. Exit code 1 when one fails."""
    # Each check says what it found; a line of the log would stand above the table.
    logs.set_up(level="critical", style="console")
    results = asyncio.run(_run_checks(load_settings()))
    table = plain_table("state", "check", "found")
    table.show_header = False
    for result in results:
        table.add_row(SIGNS[result.outcome], f"[bold]{result.name}[/]", escape(result.text))
        if result.advice:
            table.add_row("", "", f"[dim]→ {escape(result.advice)}[/]")
    out.print(table)
    if any(result.outcome == "fail" for result in results):
        raise typer.Exit(1)


async def _run_checks(settings: Settings) -> list[CheckResult]:
    async with aclosing(_check_results(settings)) as results:
        return [result async for result in results]


async def _check_results(settings: Settings) -> AsyncGenerator[CheckResult, None]:
    yield check_environment(os.environ)
    yield check_data_dir(settings)
    yield check_disk(settings)
    yield check_secret_key(settings)
    async with open_database(settings) as (database, result):
        yield result
        yield await check_labels(settings, database)
        if database is not None:
            yield await check_clock(database)
            yield await check_admins(settings, database)
            yield await check_accounts(settings, database)
            yield await check_waiting(settings, database)
            yield await check_prices(settings, database)
            yield await check_models(settings, database)
            yield await check_ledger(database)
            yield await check_held_money(database)
            yield await check_receipt_keys(settings, database)
    yield await check_store(settings)
    yield await check_redis(settings)
    yield await check_port(settings)


def check_environment(environment: Mapping[str, str]) -> CheckResult:
    """Variables that are there and set nothing: misspelt, or a line that was uncommented, and its value forgotten."""
    found = [describe_unknown(name, meant) for name, meant in unknown_settings(environment).items()]
    empty = [name for name in sorted(NAMES) if name in environment and is_blank(environment[name])]
    found += [f"{name} is empty, which counts as not set" for name in empty]
    if not found:
        return CheckResult("ok", "settings", "every variable is a setting, and has a value")
    advice = "Correct it, or remove the line; .env.example lists all settings."
    return CheckResult("warn", "settings", "; ".join(found), advice)


async def check_admins(settings: Settings, database: Database) -> CheckResult:
    """The panel's owner of release 0.1.0 whose password was set to nothing."""
    if settings.admin_password is not None:
        return CheckResult("ok", "panel", 'the owner "admin" has the password of FILMGATE_ADMIN_PASSWORD')
    if await has_empty_password(database, PasswordHashing()):
        summary = 'the password of the owner "admin" is empty, so nobody can sign in with it'
        advice = (
            "`filmgate admin reset-password admin` sets one. It was open to everybody: look at the audit log."
        )
        return CheckResult("fail", "panel", summary, advice)
    return CheckResult("ok", "panel", "no admin has an empty password")


def check_data_dir(settings: Settings) -> CheckResult:
    folder = settings.data_dir.resolve()
    nearest = _nearest_existing(folder)
    if not nearest.is_dir() or not os.access(nearest, os.W_OK | os.X_OK):
        advice = "Change its owner, or set FILMGATE_DATA_DIR to a writable folder."
        return CheckResult("fail", "data", f"{folder} can't be written", advice)
    shown = str(folder) if nearest == folder else f"{folder}, created at the first start"
    return CheckResult("ok", "data", shown)


def check_disk(settings: Settings) -> CheckResult:
    free = shutil.disk_usage(_nearest_existing(settings.data_dir.resolve())).free
    summary = f"{free / GIGABYTE:.1f} GB free"
    if free < LITTLE_DISK:
        advice = (
            "Free some space, lower FILMGATE_RESULT_TTL_SECONDS, or keep files in S3 (FILMGATE_STORAGE_URL)."
        )
        return CheckResult("fail" if free < NO_DISK else "warn", "disk", summary, advice)
    return CheckResult("ok", "disk", summary)


def check_secret_key(settings: Settings) -> CheckResult:
    path, old = (
        settings.data_dir.resolve() / name for name in (root_file.FILE_NAME, root_file.OLD_FILE_NAME)
    )
    for file in (path, old):
        if file.exists() and file.stat().st_mode & 0o077:
            return CheckResult("warn", "secret key", f"{file} can be read by others", f"chmod 600 {file}")
    if settings.secret_key is not None:
        return CheckResult("ok", "secret key", "from FILMGATE_SECRET_KEY")
    if path.exists() and old.exists():
        advice = "`filmgate rotate-root-key` says what still needs the former one."
        return CheckResult("ok", "secret key", f"{path}, and the former one in {old}", advice)
    if path.exists():
        return CheckResult("ok", "secret key", f"{path}; back it up together with the database")
    if settings.database_url or _sqlite_file(settings).exists():
        advice = (
            "Restore root.key (or FILMGATE_SECRET_KEY): a new one can read neither accounts nor client keys."
        )
        return CheckResult("warn", "secret key", f"{path} is missing, but the database may need it", advice)
    return CheckResult("ok", "secret key", "created at the first start")


@asynccontextmanager
async def open_database(settings: Settings) -> AsyncIterator[tuple[Database | None, CheckResult]]:
    """The database, or None when it can't be used, with the result of its check."""
    url = settings.resolved_database_url
    if not url.startswith("postgresql") and not _sqlite_file(settings).exists():
        yield None, CheckResult("ok", "database", f"{_sqlite_file(settings)}, created at the first start")
        return
    try:
        database = Database(url)
    except DATABASE_AWAY as error:
        yield None, _database_away(url, error)
        return
    try:
        result = await _check_revision(database)
        yield database if result.outcome == "ok" else None, result
    finally:
        await database.close()


async def _check_revision(database: Database) -> CheckResult:
    shown = mask_address(database.url)
    try:
        await database.check()
    except DATABASE_AWAY as error:
        return _database_away(database.url, error)
    if database.is_postgres and await postgres.lends_by_transaction(database.url):
        return CheckResult("fail", "database", postgres.LENT, postgres.LENT_ADVICE)
    try:
        present = await revision.current_revision(database)
    except DATABASE_AWAY:
        present = None
    if present is None:
        return CheckResult("warn", "database", f"{shown} is empty", "`filmgate serve` creates the tables.")
    if present == revision.NEWEST:
        return CheckResult("ok", "database", f"{shown}, revision {present}")
    advice = "If this Filmgate is newer, `filmgate serve` upgrades the database; otherwise update Filmgate."
    return CheckResult(
        "warn", "database", f"revision {present}, this version needs {revision.NEWEST}", advice
    )


def _database_away(url: str, error: Exception) -> CheckResult:
    reason = str(getattr(error, "orig", error)).splitlines()[0][:200]
    advice = "Is it running, and is FILMGATE_DATABASE_URL right?"
    return CheckResult("fail", "database", f"{mask_address(url)} does not answer: {reason}", advice)


async def check_clock(database: Database) -> CheckResult:
    sql = "SELECT extract(epoch FROM now())"
    if not database.is_postgres:
        sql = "SELECT (julianday('now') - 2440587.5) * 86400"  # a Julian day number starts at noon in 4714 BC
    async with database.read() as connection:
        theirs = float((await connection.execute(text(sql))).scalar_one())
    ours = time.time()
    if ours < BUILT:
        return CheckResult(
            "fail", "clock", f"the clock of this machine says {time.ctime(ours)}", "Set the clock (NTP)."
        )
    if abs(ours - theirs) > CLOCK_SLACK_SECONDS:
        summary = f"the clocks of this machine and the database differ by {abs(ours - theirs):.0f} s"
        return CheckResult("warn", "clock", summary, "Set both by NTP: deadlines and links depend on them.")
    return CheckResult("ok", "clock", time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(ours)))


async def check_ledger(database: Database) -> CheckResult:
    async with database.read() as connection:
        imbalances = await find_imbalances(connection)
    if imbalances:
        keys = ", ".join(
            f"{each.key_id} (reserved {format_money(each.reserved)}, spent {format_money(each.spent)})"
            for each in imbalances[:5]
        )
        summary = f"the totals of {len(imbalances)} keys differ from the sum of their entries: {keys}"
        return CheckResult(
            "fail", "ledger", summary, "Was the database edited by hand? Restore a backup, or report a bug."
        )
    return CheckResult("ok", "ledger", "the totals of all keys equal the sums of their entries")


async def check_held_money(database: Database) -> CheckResult:
    held = await sum_held_money(database)
    if not held.tasks:
        return CheckResult("ok", "held money", "none: every task that has ended is charged or released")
    summary = f"${format_money(held.amount)} for {held.tasks} tasks that ended without a film and may have cost money"
    advice = "`filmgate held list` shows them. Look at the vendor's bill, then `filmgate held settle ID`."
    return CheckResult("warn", "held money", summary, advice)


async def check_receipt_keys(settings: Settings, database: Database) -> CheckResult:
    """A signing key that was sealed with a root key that is lost: old receipts stay valid, new ones can't be signed."""
    has_root = settings.secret_key is not None or (settings.data_dir / root_file.FILE_NAME).exists()
    if not has_root:
        return CheckResult("ok", "receipts", "not looked at: there is no root key yet")
    try:
        keys = await OptionsRepository(database, open_vault(settings)).read(ReceiptKeys)
    except SettingsInvalid:
        advice = (
            "Restore root.key (or FILMGATE_SECRET_KEY). If it is lost, `filmgate receipt rotate-key` makes a new "
            "signing key; receipts that were given stay valid."
        )
        return CheckResult("fail", "receipts", "their signing key can't be opened with this root key", advice)
    if keys.current is None:
        return CheckResult("ok", "receipts", "their signing key is made when the first receipt is asked for")
    return CheckResult(
        "ok", "receipts", f"signed by the key {keys.current.name}, of {len(keys.keys)} published"
    )


async def check_store(settings: Settings) -> CheckResult:
    shown = settings.storage_url or str(settings.data_dir.resolve() / "files")
    key, content = f"doctor/{secrets.token_hex(8)}", secrets.token_bytes(1024)
    try:
        files = MediaStore.open(
            settings.storage_url, folder=settings.data_dir / "files", endpoint=settings.s3_endpoint
        )
        await files.put(key, content)
        same = await files.get(key) == content
        await files.delete(key)
    except (FilmgateError, BaseError, OSError) as error:
        reason = str(error.__cause__ or error).splitlines()[0][:200]
        advice = (
            "Check FILMGATE_STORAGE_URL, FILMGATE_S3_ENDPOINT and the AWS_ variables, or the folder's owner."
        )
        return CheckResult("fail", "store", f"{shown}: {reason}", advice)
    if not same:
        return CheckResult(
            "fail", "store", f"{shown} returns other bytes than were written", "Check its disk."
        )
    return CheckResult("ok", "store", f"{shown}: written, read and deleted")


async def check_redis(settings: Settings) -> CheckResult:
    if settings.redis_url is None:
        return CheckResult("ok", "limits", "requests per minute are counted by each process alone")
    limiter = SharedLimiter(settings.redis_url.get_secret_value())
    try:
        await limiter.check()
    except OSError as error:
        advice = "Is it running, and is FILMGATE_REDIS_URL right? Until then each process counts alone."
        return CheckResult("warn", "limits", str(error), advice)
    finally:
        await limiter.close()
    return CheckResult("ok", "limits", "requests per minute are counted in Redis, over all processes")


async def check_port(settings: Settings) -> CheckResult:
    where = f"{settings.host}:{settings.port}"
    try:
        bind_listener(settings.host, settings.port).close()
    except SettingsInvalid as error:
        if await _is_filmgate(settings.host, settings.port):
            return CheckResult("ok", "port", f"a Filmgate answers at {where}")
        return CheckResult("fail", "port", error.message)
    return CheckResult("ok", "port", f"{where} is free")


async def _is_filmgate(host: str, number: int) -> bool:
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104
    address = f"http://[{host}]:{number}" if ":" in host else f"http://{host}:{number}"
    try:
        async with httpx2.AsyncClient(timeout=5, trust_env=False) as client:
            answer = await client.get(f"{address}/healthz")
            return answer.status_code == 200 and answer.json() == {"status": "ok"}
    except (httpx2.HTTPError, ValueError):
        return False


def _sqlite_file(settings: Settings) -> Path:
    return Path(make_url(settings.resolved_database_url).database or "")


def _nearest_existing(folder: Path) -> Path:
    """The folder itself, or the deepest one above it that exists."""
    return next(path for path in (folder, *folder.parents) if path.exists())
