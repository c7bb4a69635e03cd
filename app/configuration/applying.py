"""Applies the configuration file to the database; applying it again changes nothing."""

import asyncio
import fcntl
import os
from collections.abc import AsyncIterator, Collection, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

import sqlalchemy as sa
import structlog
from sqlalchemy.engine import make_url

from app.accounts.definition import AccountChange, AccountDraft
from app.accounts.status import AccountStatus
from app.catalog.price_units import require_counted_parts
from app.catalog.route_documents import RouteDocument
from app.components import Components
from app.configuration.freeing import free_if_file_went, note_file
from app.configuration.toml_file import DeclaredConfiguration, load_file
from app.db.changes import announce_change
from app.db.session import Database
from app.db.tables import accounts, keys
from app.errors import InvalidRequest, SettingsInvalid
from app.keys.key import read_terms
from app.keys.service import check_project

log = structlog.get_logger()
MAX_NOTE_LENGTH = 2000
LEFT_THE_FILE = "It is no longer in the configuration file."
ADVISORY_LOCK = 727_003
"""The number of our PostgreSQL advisory lock; any number that no other lock uses."""
CHANGEABLE = frozenset(AccountChange.model_fields) - {"name", "enabled"}


@dataclass
class AppliedChanges:
    """Messages such as ``accounts "farm" added``; ``warnings`` are about entries that may be typing errors."""

    changes: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    def record_change(self, table: str, name: str, word: str) -> None:
        self.changes.append(f'{table} "{name}" {word}')
        log.info("configuration.applied", table=table, name=name, change=word)


async def apply_configuration_file(components: Components, *, frees: bool = False) -> AppliedChanges:
    """Apply the file that ``FILMGATE_CONFIG`` names, if any. ``frees``: what the file of an earlier start declared is
    freed where there is none any more. Raises ``SettingsInvalid``."""
    path = components.settings.config
    if path is None:
        done = await release_keys(components)
        done.changes += await free_if_file_went(components) if frees else []
        return done
    done = await apply_configuration(components, load_file(path, os.environ))
    await note_file(components.database)
    for warning in done.warnings:
        log.warning("configuration.doubted", detail=warning)
    return done


async def release_keys(components: Components) -> AppliedChanges:
    """No file declares anything any more: keys that one did can be changed again, and work as before."""
    done = AppliedChanges()
    declared = [key for key in await components.keys.list() if key.source == "file"]
    for key in declared:
        async with components.database.write() as connection:
            await connection.execute(sa.update(keys).where(keys.c.id == key.id).values(source="store"))
            await announce_change(connection, "keys", key.id)
        done.record_change("keys", key.name, "released: no file declares it")
    components.keys.forget()
    return done


async def check_configuration(components: Components, declared: DeclaredConfiguration) -> list[str]:
    """Validate against the database without writing; returns warnings. Raises ``SettingsInvalid``."""
    present = {each.account.name: each for each in await components.accounts.list_all()}
    for draft in declared.accounts:
        with _row_errors(declared, "accounts", draft.name):
            await _check_account(components, draft, present.get(draft.name))
    for row in declared.keys:
        with _row_errors(declared, "keys", row.terms["name"]):
            known = await components.keys.find_by_secret(row.secret)
            if known is not None:
                check_project(known, read_terms(row.terms).project)
    names = {name for each in present.values() for name in (each.account.name, each.account.id)}
    return _unknown_account_warnings(declared.routes, names | {draft.name for draft in declared.accounts})


async def _check_account(components: Components, draft: AccountDraft, known: AccountStatus | None) -> None:
    """Raises ``InvalidRequest``."""
    await components.pool.check_account(draft.as_account(known.account.id if known else ""))
    if known and components.pool.is_embedded(known.account.id):
        raise InvalidRequest("name: the studio is built in; FILMGATE_STUDIO turns it on and off")
    if known and known.account.provider != draft.provider:
        raise InvalidRequest(
            f"provider: it is {known.account.provider} already and can't be changed; use another name"
        )


@contextmanager
def _row_errors(declared: DeclaredConfiguration, table: str, name: str) -> Iterator[None]:
    """Re-raises ``InvalidRequest`` as ``SettingsInvalid`` that names the file, the table, the row and the field."""
    try:
        yield
    except InvalidRequest as error:
        text = " ".join(error.message.split())
        field = f"{error.param}: " if error.param and not text.startswith(error.param) else ""
        file = f"{declared.file_name}: " if declared.file_name else ""
        raise SettingsInvalid(f'{file}{table} "{name}": {field}{text}') from error


def _unknown_account_warnings(routes: Sequence[RouteDocument], names: Collection[str]) -> list[str]:
    return [
        f'routes "{document.model}": there is no account {each.account}'
        for document in routes
        for each in document.candidates
        if each.account and each.account not in names
    ]


async def apply_configuration(components: Components, declared: DeclaredConfiguration) -> AppliedChanges:
    """Checks everything, then writes. Raises ``SettingsInvalid``."""
    async with _configuration_lock(components.database):
        done = AppliedChanges(warnings=await check_configuration(components, declared))
        await _apply_accounts(components, declared, done)
        await _apply_routes(components, declared, done)
        await _apply_keys(components, declared, done)
        await _apply_prices(components, declared, done)
        await components.catalog.refresh()
    return done


async def _apply_accounts(
    components: Components, declared: DeclaredConfiguration, done: AppliedChanges
) -> None:
    present = {each.account.name: each for each in await components.accounts.list_all()}
    for draft in declared.accounts:
        known = present.pop(draft.name, None)
        if known is None:
            await components.accounts.add(draft, source="file")
            done.record_change("accounts", draft.name, "added")
        elif await _change_account(
            components, known, draft, enabled_in_file=draft.name in declared.accounts_with_enabled
        ):
            done.record_change("accounts", draft.name, "changed")
    for name, status in present.items():
        if status.source == "file":
            await components.accounts.disable(name, reason=LEFT_THE_FILE)
            await _set_source(components, status, source="store")
            done.record_change("accounts", name, "disabled: it left the file")


async def _change_account(
    components: Components, known: AccountStatus, draft: AccountDraft, *, enabled_in_file: bool
) -> bool:
    """Write only what differs; returns whether anything did.

    The state of the account (a refused secret, a cooldown, a partly used quota) stays, unless the file says
    otherwise or has another secret.
    """
    before = AccountDraft.of_status(known)
    change = {name: getattr(draft, name) for name in before.changed_fields(draft) & CHANGEABLE}
    account_id, rotated = known.account.id, draft.secret != before.secret
    if rotated:
        await components.accounts.rotate_secret(account_id, draft.secret, source="file")
    if change:
        await components.accounts.update(account_id, AccountChange.model_validate(change), source="file")
    if known.source != "file":
        await _set_source(components, known, source="file")
    returns = not known.enabled and (rotated or known.disabled_reason == LEFT_THE_FILE)
    enabled = draft.enabled if enabled_in_file or returns else known.enabled
    if enabled != known.enabled:
        await (components.accounts.enable(account_id) if enabled else components.accounts.disable(account_id))
    return bool(change or rotated or known.source != "file" or enabled != known.enabled)


async def _set_source(components: Components, status: AccountStatus, *, source: str) -> None:
    async with components.database.write() as connection:
        where = accounts.c.id == status.account.id
        await connection.execute(sa.update(accounts).where(where).values(source=source))


async def _apply_routes(
    components: Components, declared: DeclaredConfiguration, done: AppliedChanges
) -> None:
    routes = components.catalog.routes
    present = {route.model: route for route in await routes.list()}
    for document in declared.routes:
        known = present.pop(document.model, None)
        if known is None or known.document != document or known.source != "file":
            await routes.put(document, source="file")
            done.record_change("routes", document.model, "added" if known is None else "changed")
    for model, route in present.items():
        if route.source == "file":
            await routes.release_from_file(model, reason=LEFT_THE_FILE)
            done.record_change("routes", model, "disabled: it left the file")


async def _apply_keys(components: Components, declared: DeclaredConfiguration, done: AppliedChanges) -> None:
    """Keys are identified by their secret: another secret under the same name is another key."""
    present = {key.id: key for key in await components.keys.list()}
    for row in declared.keys:
        key = await components.keys.declare(row.secret, row.terms)
        known = present.pop(key.id, None)
        if known != key:
            done.record_change("keys", key.name, "added" if known is None else "changed")
    for key in present.values():
        if key.source == "file":
            values = {
                "enabled": False,
                "source": "store",
                "note": f"{key.note}\n{LEFT_THE_FILE}".strip()[-MAX_NOTE_LENGTH:],
            }
            async with components.database.write() as connection:
                await connection.execute(sa.update(keys).where(keys.c.id == key.id).values(**values))
                await announce_change(connection, "keys", key.id)
            done.record_change("keys", key.name, "disabled: it left the file")


async def _apply_prices(
    components: Components, declared: DeclaredConfiguration, done: AppliedChanges
) -> None:
    """A price that left the file stays valid, as one of the operator: without a price, calls would be free."""
    prices = components.money.prices
    present = {line.model: line for line in await prices.list_lines()}
    for row in declared.prices:
        known = present.pop(row.model, None)
        if known is None or known.price != row.price or known.source != "file":
            await require_counted_parts(components.catalog, row.model, row.price)
            await prices.set_price(row.model, row.price, source="file")
            done.record_change("prices", row.model, "added" if known is None else "changed")
    for model, line in present.items():
        if line.source == "file":
            await prices.release_from_file(model)
            done.record_change("prices", model, "kept, though it left the file")


@asynccontextmanager
async def _configuration_lock(database: Database) -> AsyncIterator[None]:
    """One process applies the file at a time, so that rows are not added twice. Ends with its process."""
    if database.is_postgres:
        async with database.write() as connection:
            await connection.execute(sa.text(f"SELECT pg_advisory_xact_lock({ADVISORY_LOCK})"))
            yield
        return
    handle = await asyncio.to_thread(_lock_file, Path(f"{make_url(database.url).database}.config"))
    try:
        yield
    finally:
        handle.close()


def _lock_file(path: Path) -> IO[str]:
    handle = path.open("w")
    fcntl.flock(handle, fcntl.LOCK_EX)
    return handle
