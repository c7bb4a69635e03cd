"""Carries a plan into the store. What is there already stays as it is, so that a second run adds nothing."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from app.accounts.definition import AccountDraft
from app.accounts.status import AccountStatus
from app.catalog.price import ModelPrice
from app.catalog.price_units import require_counted_parts
from app.catalog.prices import price_name
from app.catalog.route_documents import RouteDocument
from app.components import Components
from app.errors import InvalidRequest
from app.keys.key import ClientKey, read_terms
from app.keys.project import ProjectTerms, read_project_terms
from app.keys.projects import ProjectRepository
from app.moving.plan import (
    LeftOut,
    MovedAccount,
    MovedKey,
    MovedPart,
    MovedPrice,
    MovedProject,
    MovedRoute,
    PartKind,
    Remark,
)

Outcome = Literal["would_add", "added", "there", "kept", "left_out"]
OURS = frozenset({"enabled", "note", "secret"})
"""Fields of an account that change here without anybody's wish to differ, or are compared by themselves."""


@dataclass(frozen=True, slots=True)
class MoveLine:
    """What becomes of one part. ``here``: its name here. ``secret``: a new one, which is never shown again."""

    kind: PartKind
    there: str
    here: str
    outcome: Outcome
    remarks: tuple[Remark, ...] = ()
    secret: str = field(default="", repr=False)


@dataclass
class StoreContent:
    """What the store holds, and what has been added since."""

    accounts: dict[str, AccountStatus]
    routes: dict[str, RouteDocument]
    projects: dict[str, ProjectTerms]
    keys: list[ClientKey]
    prices: dict[str, ModelPrice]
    names_here: dict[str, str] = field(default_factory=dict)
    """Of accounts: the plan's name to the one here. One that is left out is missing."""
    planned: Collection[str] = ()


async def carry_over(
    components: Components, parts: Sequence[MovedPart], lines: list[MoveLine], *, dry_run: bool
) -> None:
    """Write the parts one after the other, and append a line for each to ``lines`` as soon as it is done: they hold new
    secrets, which nobody can read again."""
    store = await _read_store(components)
    store.planned = {part.draft.name for part in parts if isinstance(part, MovedAccount)}
    for part in parts:
        try:
            lines.append(await _carry_part(components, store, part, dry_run=dry_run))
        except InvalidRequest as error:
            told = Remark("invalid", {"detail": error.message})
            lines.append(MoveLine(part.kind, part.there, "", "left_out", (told,)))
    if not dry_run:
        await components.pool.refresh()
        await components.catalog.refresh()


async def _read_store(components: Components) -> StoreContent:
    statuses = await components.accounts.list_all()
    lines = await components.money.prices.list_lines()
    return StoreContent(
        accounts={status.account.name: status for status in statuses},
        routes={route.model: route.document for route in await components.catalog.routes.list()},
        projects={each.terms.name: each.terms for each in await _projects(components).list()},
        keys=await components.keys.list(),
        prices={line.model: line.price for line in lines if line.source != "default"},
    )


async def _carry_part(
    components: Components, store: StoreContent, part: MovedPart, *, dry_run: bool
) -> MoveLine:
    match part:
        case LeftOut():
            return MoveLine(part.kind, part.there, "", "left_out", part.remarks)
        case MovedAccount():
            return await _carry_account(components, store, part, dry_run=dry_run)
        case MovedRoute():
            return await _carry_route(components, store, part, dry_run=dry_run)
        case MovedProject():
            return await _carry_project(components, store, part, dry_run=dry_run)
        case MovedKey():
            return await _carry_key(components, store, part, dry_run=dry_run)
        case MovedPrice():
            return await _carry_price(components, store, part, dry_run=dry_run)


def _done(*, dry_run: bool) -> Outcome:
    return "would_add" if dry_run else "added"


def _kept(part: MovedPart, here: str, differing: Collection[str]) -> MoveLine:
    """A line for what is there already: as it would be, or different, and then it stays."""
    if not differing:
        return MoveLine(part.kind, part.there, here, "there")
    told = Remark("differs", {"fields": ", ".join(sorted(differing))})
    return MoveLine(part.kind, part.there, here, "kept", (told,))


# ---- accounts ---------------------------------------------------------------------------------------


async def _carry_account(
    components: Components, store: StoreContent, part: MovedAccount, *, dry_run: bool
) -> MoveLine:
    draft = part.draft
    known = _find_account(store, part)
    if known is not None:
        store.names_here[draft.name] = known.account.name
        differing = AccountDraft.of_status(known).changed_fields(draft) - OURS - {"name"}
        return _kept(part, known.account.name, differing)
    if draft.name in store.accounts:
        if not part.named_here:
            return MoveLine(part.kind, part.there, draft.name, "kept", (Remark("name_taken"),))
        draft = draft.model_copy(update={"name": _free_name(draft.name, store)})
    await components.pool.check_account(draft.as_account(""))
    if not dry_run:
        await components.pool.insert_draft(draft, source="store")
    store.names_here[part.draft.name] = draft.name
    return MoveLine(part.kind, part.there, draft.name, _done(dry_run=dry_run), part.remarks)


def _find_account(store: StoreContent, part: MovedAccount) -> AccountStatus | None:
    """The account of this name with this credential, else one of another name with it, which the operator made."""
    same = store.accounts.get(part.draft.name)
    if same is not None and _has_credential(same, part.draft):
        return same
    others = (status for name, status in store.accounts.items() if name not in store.planned)
    return next(
        (status for status in others if part.draft.secret and _has_credential(status, part.draft)), None
    )


def _has_credential(status: AccountStatus, draft: AccountDraft) -> bool:
    """A plan without a secret can't tell one: the operator has put it in since."""
    known = status.account
    same_place = (known.provider, known.base_url.rstrip("/")) == (draft.provider, draft.base_url.rstrip("/"))
    return same_place and (known.secret == draft.secret or not draft.secret)


def _free_name(name: str, store: StoreContent) -> str:
    taken = {*store.accounts, *store.names_here.values(), *store.planned}
    number = 2
    while f"{name} {number}" in taken:
        number += 1
    return f"{name} {number}"


# ---- routes -----------------------------------------------------------------------------------------


async def _carry_route(
    components: Components, store: StoreContent, part: MovedRoute, *, dry_run: bool
) -> MoveLine:
    document = part.document
    if document.candidates:
        present = [each for each in document.candidates if each.account in store.names_here]
        if not present:
            return MoveLine(part.kind, part.there, "", "left_out", (Remark("no_candidate"),))
        named = [
            each.model_copy(update={"account": store.names_here[each.account or ""]}) for each in present
        ]
        document = document.model_copy(update={"candidates": tuple(named)})
    known = store.routes.get(document.model)
    if known is not None:
        return _kept(part, document.model, [] if known == document else ["candidates"])
    if not dry_run:
        await components.catalog.routes.put(document)
    return MoveLine(part.kind, part.there, document.model, _done(dry_run=dry_run), part.remarks)


# ---- projects ---------------------------------------------------------------------------------------


def _projects(components: Components) -> ProjectRepository:
    return ProjectRepository(components.database, components.vault, components.keys)


async def _carry_project(
    components: Components, store: StoreContent, part: MovedProject, *, dry_run: bool
) -> MoveLine:
    terms = read_project_terms(part.terms)
    known = store.projects.get(terms.name)
    if known is not None:
        present, wanted = known.model_dump(), terms.model_dump()
        return _kept(part, terms.name, [name for name in part.terms if present[name] != wanted[name]])
    if not dry_run:
        await _projects(components).create(part.terms)
    return MoveLine(part.kind, part.there, terms.name, _done(dry_run=dry_run), part.remarks)


# ---- keys -------------------------------------------------------------------------------------------


async def _carry_key(
    components: Components, store: StoreContent, part: MovedKey, *, dry_run: bool
) -> MoveLine:
    terms = read_terms(part.terms)
    known = await _find_key(components, store, part)
    if known is not None:
        present, wanted = known.terms(), terms.model_dump()
        differing = [name for name in wanted if name != "note" and present[name] != wanted[name]]
        return _kept(part, known.name, differing)
    secret = ""
    if not dry_run:
        key, made = await components.keys.create_key(part.terms, secret=part.secret)
        store.keys.append(key)
        secret = "" if part.secret else made
    line = MoveLine(part.kind, part.there, terms.name, _done(dry_run=dry_run), part.remarks)
    return replace(line, secret=secret)


async def _find_key(components: Components, store: StoreContent, part: MovedKey) -> ClientKey | None:
    """By its secret; one that gets a new secret by its name."""
    if part.secret:
        return await components.keys.find_by_secret(part.secret)
    return next((key for key in store.keys if key.name == part.terms["name"]), None)


# ---- prices -----------------------------------------------------------------------------------------


async def _carry_price(
    components: Components, store: StoreContent, part: MovedPrice, *, dry_run: bool
) -> MoveLine:
    model = price_name(part.model)
    known = store.prices.get(model)
    if known is not None:
        return _kept(part, model, [] if known == part.price else ["price"])
    if not dry_run:
        await require_counted_parts(components.catalog, model, part.price)
        await components.money.prices.set_price(model, part.price)
    return MoveLine(part.kind, part.there, model, _done(dry_run=dry_run), part.remarks)
