"""Brings the store to what the configuration file says; again and again to the same end."""

import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa
import structlog

from app.accounts.drafts import AccountChange, AccountDraft
from app.accounts.rows import account_of_draft
from app.accounts.standing import AccountStatus
from app.catalog.documents import RouteDocument
from app.configuration.document import Declared, load
from app.configuration.turn import my_turn
from app.db.tables import accounts, keys
from app.errors import InvalidRequest, SettingsInvalid
from app.keys.service import check_project
from app.keys.terms import read_terms
from app.parts import Parts

log = structlog.get_logger()
MOST_NOTE = 2000
LEFT = "It is no longer in the configuration file."
CHANGEABLE = frozenset(AccountChange.model_fields) - {"name", "enabled", "quota"}


@dataclass
class Applied:
    """What was changed, for people: ``accounts "farm" added``. ``doubts`` may be meant, or a typing error."""

    changes: list[str] = field(default_factory=list)
    doubts: list[str] = field(default_factory=list)

    def note(self, table: str, name: str, word: str) -> None:
        self.changes.append(f'{table} "{name}" {word}')
        log.info("configuration.applied", table=table, name=name, change=word)


async def configure(parts: Parts) -> Applied:
    """Apply the file that ``FILMGATE_CONFIG`` names, if it names one. Raises ``SettingsInvalid``."""
    path = parts.settings.config
    if path is None:
        return Applied()
    done = await apply(parts, load(path, os.environ))
    for doubt in done.doubts:
        log.warning("configuration.doubted", detail=doubt)
    return done


async def check(parts: Parts, declared: Declared) -> list[str]:
    """What may be meant and may be a typing error. Raises ``SettingsInvalid`` for what can be read and still
    can't work; writes nothing."""
    present = {each.account.name: each for each in await parts.book.all()}
    for draft in declared.accounts:
        with _said_of(declared, "accounts", draft.name):
            await _check_account(parts, draft, present.get(draft.name))
    for row in declared.keys:
        with _said_of(declared, "keys", row.terms["name"]):
            known = await parts.keys.by_secret(row.secret)
            if known is not None:
                check_project(known, read_terms(row.terms).project)
    names = {name for each in present.values() for name in (each.account.name, each.account.id)}
    return _doubts(declared.routes, names | {draft.name for draft in declared.accounts})


async def _check_account(parts: Parts, draft: AccountDraft, known: AccountStatus | None) -> None:
    """Raises ``InvalidRequest``."""
    await parts.pool.check(account_of_draft(draft, known.account.id if known else ""))
    if known and parts.pool.is_embedded(known.account.id):
        raise InvalidRequest("name: the studio is built in; FILMGATE_STUDIO turns it on and off")
    if known and known.account.provider != draft.provider:
        raise InvalidRequest(
            f"provider: it is {known.account.provider} already, and stays so; take another name"
        )


@contextmanager
def _said_of(declared: Declared, table: str, name: str) -> Iterator[None]:
    """A refusal of one row as a line that names the file, the table, the row and the field."""
    try:
        yield
    except InvalidRequest as error:
        text = " ".join(error.message.split())
        field = f"{error.param}: " if error.param and not text.startswith(error.param) else ""
        file = f"{declared.place}: " if declared.place else ""
        raise SettingsInvalid(f'{file}{table} "{name}": {field}{text}') from error


def _doubts(routes: Sequence[RouteDocument], names: Collection[str]) -> list[str]:
    return [
        f'routes "{document.model}": there is no account {each.account}'
        for document in routes
        for each in document.candidates
        if each.account and each.account not in names
    ]


async def apply(parts: Parts, declared: Declared) -> Applied:
    """Everything is checked before anything is written. Raises ``SettingsInvalid``."""
    async with my_turn(parts.database):
        done = Applied(doubts=await check(parts, declared))
        await _accounts(parts, declared, done)
        await _routes(parts, declared, done)
        await _keys(parts, declared, done)
        await _prices(parts, declared, done)
        await parts.catalog.refresh()
    return done


async def _accounts(parts: Parts, declared: Declared, done: Applied) -> None:
    present = {each.account.name: each for each in await parts.book.all()}
    for draft in declared.accounts:
        known = present.pop(draft.name, None)
        if known is None:
            await parts.book.add(draft, source="file")
            done.note("accounts", draft.name, "added")
        elif await _changed(parts, known, draft, stated=draft.name in declared.stated):
            done.note("accounts", draft.name, "changed")
    for name, standing in present.items():
        if standing.source == "file":
            await parts.book.disable(name, reason=LEFT)
            await _own(parts, standing, source="store")
            done.note("accounts", name, "disabled: it left the file")


async def _changed(parts: Parts, known: AccountStatus, draft: AccountDraft, *, stated: bool) -> bool:
    """Only what differs is written. What happened to an account since (a bad key, a rest, a quota partly used)
    stays, unless the file says otherwise or brings another secret."""
    before = AccountDraft.of(known)
    change: dict[str, Any] = {
        name: getattr(draft, name) for name in CHANGEABLE if getattr(draft, name) != getattr(before, name)
    }
    if _terms(draft) != _terms(before):
        change["quota"] = draft.quota
    account_id, rotated = known.account.id, draft.secret != before.secret
    if rotated:
        await parts.book.rotate_secret(account_id, draft.secret, source="file")
    if change:
        await parts.book.update(account_id, AccountChange.model_validate(change), source="file")
    if known.source != "file":
        await _own(parts, known, source="file")
    returns = not known.enabled and (rotated or known.disabled_reason == LEFT)
    enabled = draft.enabled if stated or returns else known.enabled
    if enabled != known.enabled:
        await (parts.book.enable(account_id) if enabled else parts.book.disable(account_id))
    return bool(change or rotated or known.source != "file" or enabled != known.enabled)


def _terms(draft: AccountDraft) -> Mapping[str, Any]:
    """Of a quota, what is agreed; what is left of it changes every day."""
    return draft.quota.model_dump(exclude={"left"}) if draft.quota else {}


async def _own(parts: Parts, standing: AccountStatus, *, source: str) -> None:
    async with parts.database.write() as connection:
        where = accounts.c.id == standing.account.id
        await connection.execute(sa.update(accounts).where(where).values(source=source))


async def _routes(parts: Parts, declared: Declared, done: Applied) -> None:
    book = parts.catalog.routes
    present = {route.model: route for route in await book.list()}
    for document in declared.routes:
        known = present.pop(document.model, None)
        if known is None or known.document != document or known.source != "file":
            await book.put(document, source="file")
            done.note("routes", document.model, "added" if known is None else "changed")
    for model, route in present.items():
        if route.source == "file":
            await book.release(model, reason=LEFT)
            done.note("routes", model, "disabled: it left the file")


async def _keys(parts: Parts, declared: Declared, done: Applied) -> None:
    """A key is known by itself, not by its name: another key under the same name is another one."""
    present = {key.id: key for key in await parts.keys.list()}
    for row in declared.keys:
        found = await parts.keys.declare(row.secret, row.terms)
        known = present.pop(found.id, None)
        if known != found:
            done.note("keys", found.name, "added" if known is None else "changed")
    for key in present.values():
        if key.source == "file":
            left = {"enabled": False, "source": "store", "note": f"{key.note}\n{LEFT}".strip()[-MOST_NOTE:]}
            async with parts.database.write() as connection:
                await connection.execute(sa.update(keys).where(keys.c.id == key.id).values(**left))
            done.note("keys", key.name, "disabled: it left the file")


async def _prices(parts: Parts, declared: Declared, done: Applied) -> None:
    """One that left the file stays in force, as the operator's own: without a price, calls would be free."""
    book = parts.books.prices
    present = {line.model: line for line in await book.lines()}
    for row in declared.prices:
        known = present.pop(row.model, None)
        if known is None or known.price != row.price or known.source != "file":
            await book.set(row.model, row.price, source="file")
            done.note("prices", row.model, "added" if known is None else "changed")
    for model, line in present.items():
        if line.source == "file":
            await book.release(model)
            done.note("prices", model, "kept, though it left the file")
