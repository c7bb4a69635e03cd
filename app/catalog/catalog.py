"""The catalog: the candidates of a model, the model list, and the error when no account can serve a model."""

from collections.abc import Collection
from dataclasses import dataclass, replace
from importlib import import_module
from typing import TYPE_CHECKING, Literal

from app import clock
from app.accounts.pool import AccountPool
from app.accounts.refusals import RefusalCause
from app.accounts.status import AccountStatus
from app.catalog.candidates import (
    ANY_MODEL,
    Candidate,
    ExcludedAccount,
    NameResolution,
    assess_accounts,
    fitting_rules,
    hold_back_stand_in,
    mapped_name,
    may_be_tested,
    resolve_name,
)
from app.catalog.model_kinds import kinds_at
from app.catalog.passed_models import PassedModels
from app.catalog.pauses import PauseRepository
from app.catalog.preferences import rate_candidates
from app.catalog.presets import PRESETS, ModelPreset, family_kind, preset_for
from app.catalog.retirements import NamedModel
from app.catalog.route_documents import FAMILY
from app.catalog.route_repository import RouteRepository
from app.catalog.waits import AccountWait, BlockCount, account_wait, recovers_within
from app.errors import NoAvailableAccount, UnknownModel
from app.generation import GenerationRequest, Kind
from app.providers.base import Account, Capabilities
from app.usage.own_figures import FiguresReader

if TYPE_CHECKING:
    from app.catalog.segments import FilmPlan

LONGEST_RETRY_SECONDS = 8.0  # OpenAI's Java SDK sleeps for as long as Retry-After says
PATIENCE_SECONDS = 3600.0
DAY_SECONDS = 86_400
MAX_CACHED = 4096
KINDS: tuple[Kind, ...] = ("text", "video", "image", "audio")
"""The kinds that an unknown name may make, the most likely first."""


@dataclass(frozen=True, slots=True)
class ModelCard:
    """One line of the model list."""

    name: str
    kind: Kind
    created: int
    capabilities: Capabilities | None
    kinds: frozenset[Kind]
    """Everything that it may make; several where neither its name nor its accounts decide."""


class Catalog:
    """From a model to its candidates: by the operator's route for the name, else the accounts that map it, else, for a
    preset, every account of its kind. ``patience_seconds``: how long a task waits for an account at most, and
    ``account_patience_seconds`` for one whose rest was stated by its vendor or the operator.
    ``gives_addresses``: vendors can fetch inputs from us, as the operator has set our public address."""

    def __init__(
        self,
        pool: AccountPool,
        routes: RouteRepository | None = None,
        *,
        patience_seconds: float = PATIENCE_SECONDS,
        account_patience_seconds: float = PATIENCE_SECONDS,
        gives_addresses: bool = False,
    ) -> None:
        self.pool = pool
        self.routes = routes or RouteRepository(pool.database)
        self.gives_addresses = gives_addresses
        self._passed = PassedModels(pool)
        self.figures = FiguresReader(pool.database)
        self.pauses = PauseRepository(pool.database)
        self._patience = patience_seconds
        self._stated_patience = min(account_patience_seconds, patience_seconds)
        self._cached_revision = -1
        self._preferring = -1, False
        self._assessments: dict[tuple[Kind, str], list[Candidate | ExcludedAccount]] = {}
        self._kinds: dict[str, frozenset[Kind]] = {}
        """By account, for the assessments."""

    @property
    def revision(self) -> int:
        """Changes whenever the answers from memory may have changed; with each day too, as models retire."""
        return (
            self.pool.revision
            + self.routes.revision
            + self.figures.revision
            + self.pauses.revision
            + int(clock.now() // DAY_SECONDS)
        )

    @property
    def is_fresh(self) -> bool:
        """Whether answers from memory are at most two seconds old."""
        return self.pool.is_fresh and self.routes.is_fresh and self.pauses.is_fresh

    async def current_statuses(self) -> list[AccountStatus]:
        """Every account; accounts and routes are at most two seconds old."""
        await self.routes.current_documents()
        await self.pauses.current()
        if self._prefers():
            await self.figures.refresh()
        return await self.pool.current_statuses()

    def _prefers(self) -> bool:
        """Whether any route needs our own figures."""
        if self._preferring[0] != self.routes.revision:
            found = any(each.prefer for route in self.routes.documents.values() for each in route.candidates)
            self._preferring = self.routes.revision, found
        return self._preferring[1]

    async def refresh(self) -> None:
        await self.routes.refresh()
        await self.pauses.refresh()
        await self.pool.refresh()

    def kinds_of(self, account: Account) -> frozenset[Kind]:
        return account.kinds or self.pool.provider_for(account).capabilities("").kinds

    def resolve_name(self, model: str) -> NameResolution:
        return resolve_name(self.routes.documents, model)

    def assessed_accounts(self, kind: Kind, model: str) -> list[Candidate | ExcludedAccount]:
        """Every account: how it serves the model or why it does not, from memory."""
        # Clients choose the names, so the cache is bounded.
        if self._cached_revision != self.revision or len(self._assessments) >= MAX_CACHED:
            self._assessments.clear()
            self._kinds.clear()
            self._cached_revision = self.revision
        assessed = self._assessments.get((kind, model))
        if assessed is None:
            statuses = self.pool.cached_statuses()
            resolution = self.resolve_name(model)
            assessed = assess_accounts(statuses, resolution, kind=kind, kinds=self._assessed_kinds)
            if kind != "text" and any(each.prefer for each in assessed if isinstance(each, Candidate)):
                assessed = rate_candidates(assessed, model, self.figures.last)
            assessed = self.pauses.applied_to(assessed, resolution.path)
            if any(status.stands_in for status in statuses):
                assessed = hold_back_stand_in(assessed, resolution.route, clock.now())
            assessed += [
                ExcludedAccount(status, "fault", status.problem or "misconfigured")
                for status in self.pool.misconfigured()
            ]
            self._assessments[(kind, model)] = assessed
        return assessed

    def _assessed_kinds(self, account: Account) -> frozenset[Kind]:
        if account.id not in self._kinds:
            self._kinds[account.id] = self.kinds_of(account)
        return self._kinds[account.id]

    def candidates(self, kind: Kind, model: str) -> list[Candidate]:
        """Every account that could serve the model, usable now or not, from memory and by ``order``."""
        return [each for each in self.assessed_accounts(kind, model) if isinstance(each, Candidate)]

    def able_candidates(self, kind: Kind, model: str, *, is_accepted: bool = False) -> list[Candidate]:
        """Candidates that may serve the model now or soon, from memory. A task that was accepted (``is_accepted``) waits for
        every rest that ends in time."""
        now = clock.now()
        stated = self._patience if is_accepted else self._stated_patience
        return [
            each
            for each in self.candidates(kind, model)
            if recovers_within(each.status, each.model, now=now, stated=stated, estimated=self._patience)
            or may_be_tested(each, now)
        ]

    async def able_account_ids(self, kind: Kind, model: str) -> set[str]:
        """Ids of the accounts that a task which was accepted may wait for."""
        await self.current_statuses()
        return {each.account.id for each in self.able_candidates(kind, model, is_accepted=True)}

    def cause_for(self, key_id: str, kind: Kind, model: str) -> RefusalCause:
        """What a refusal of this key's request is counted against: the accounts that the operator has for the model."""
        return RefusalCause(
            key_id,
            frozenset(each.account.id for each in self.candidates(kind, model) if each.status.is_wanted),
        )

    async def require_candidates(self, kind: Kind, model: str) -> list[Candidate]:
        """Candidates that may serve the model now or soon. Raises ``UnknownModel`` or ``NoAvailableAccount``."""
        await self.current_statuses()
        able = self.able_candidates(kind, model)
        if able:
            return able
        if not self.knows_model(model) and not self.candidates(kind, model):
            raise UnknownModel(model)
        raise self.report_unavailable(kind, model)

    async def require_candidate(self, kind: Kind, model: str, *, account_id: str) -> Candidate:
        """That account, if it may serve the model now or soon. Raises ``UnknownModel`` or ``NoAvailableAccount``."""
        for candidate in await self.require_candidates(kind, model):
            if candidate.account.id == account_id:
                return candidate
        assessed = [
            each for each in self.assessed_accounts(kind, model) if each.status.account.id == account_id
        ]
        reason = BlockCount.of(assessed, clock.now()).text(model)
        raise NoAvailableAccount(f"The chosen account can't make {model} now. {reason}.")

    def plan_film(self, request: GenerationRequest, able: Collection[Candidate]) -> "FilmPlan | None":
        """How a film is joined that ``able`` can't make in one piece, where a route says so. Raises ``InvalidRequest``."""
        if all(each.rules.lengths != "join" for each in able):
            return None
        planned: FilmPlan | None = import_module("app.catalog.segments").plan_film(request, able, self)
        return planned

    def knows_model(self, model: str) -> bool:
        """Whether the name is a preset, of a family, or routed, even when no account serves it."""
        return (
            model in PRESETS or family_kind(model) is not None or self.resolve_name(model).route is not None
        )

    def report_unavailable(self, kind: Kind, model: str, *, word: str | None = None) -> NoAvailableAccount:
        """Publish a notice for the operator and return ``unavailable_error``."""
        refusal = self.unavailable_error(kind, model, word=word)
        self.pool.notices.publish("no_available_account", kind=kind, model=model, reason=refusal.message)
        return refusal

    def unavailable_error(self, kind: Kind, model: str, *, word: str | None = None) -> NoAvailableAccount:
        """The error for the client, with the counted reasons of this moment. ``word`` replaces the kind in its text."""
        count = BlockCount.of(self.assessed_accounts(kind, model), clock.now())
        end = count.first_end
        return NoAvailableAccount(
            f"No available tokens for {word or ('chat' if kind == 'text' else kind)} generation. {count.text(model)}.",
            retry_after=None if end is None else min(end, LONGEST_RETRY_SECONDS),
        )

    def wait_for(
        self, kind: Kind, model: str, *, without: Collection[str] = (), only: str | None = None
    ) -> AccountWait | None:
        """Why a task of the model has to wait, and for how long, from memory; None while an account may take it. ``without``
        are ids of accounts that can't make it, ``only`` the one that must."""
        able = [
            each
            for each in self.candidates(kind, model)
            if each.account.id not in without and only in (None, each.account.id)
        ]
        return account_wait(able, model, clock.now())

    def unavailable_error_or_none(self, kind: Kind, model: str) -> NoAvailableAccount | None:
        """None while an account may serve the model now or soon; from memory."""
        return None if self.able_candidates(kind, model) else self.unavailable_error(kind, model)

    def upstream_model(self, account: Account, kind: Kind, model: str) -> str:
        """The name of ``model`` at ``account``, also when the account is no candidate any more."""
        return self.candidate_for(account, kind, model).model

    def candidate_for(self, account: Account, kind: Kind, model: str) -> Candidate:
        """How ``account`` serves ``model``, also when it is no candidate any more."""
        for candidate in self.candidates(kind, model):
            if candidate.account.id == account.id:
                return candidate
        status = AccountStatus(account, enabled=False)
        resolution = self.resolve_name(model)
        return Candidate(
            status, mapped_name(account, model) or resolution.name, rules=fitting_rules(account, resolution)
        )

    def preset_of(self, model: str, *, kind: Literal["video", "image"] = "video") -> ModelPreset:
        """The preset of the name, or of the name that it is an alias of."""
        meant = self.resolve_name(model).path[-1]
        return replace(preset_for(meant, kind=kind), name=model)

    async def list_models(self) -> list[ModelCard]:
        """Every name that an enabled account serves, presets first; then what upstreams list that any name is passed to."""
        statuses = await self.current_statuses()
        names: dict[str, Kind] = {}
        for preset in PRESETS.values():
            if self._is_served(preset.kind, preset.name):
                names[preset.name] = preset.kind
        for name, route in self.routes.documents.items():
            if name not in names and route.enabled and not name.endswith(FAMILY):
                kind = self.kind_of(name)
                names |= {name: kind} if self._is_served(kind, name) else {}
        mapped = dict.fromkeys(name for each in statuses if each.enabled for name in each.account.models)
        names |= {name: self.kind_of(name) for name in mapped if name != ANY_MODEL and name not in names}
        for name in sorted(await self._passed.names(each.account for each in statuses if each.enabled)):
            if name not in names and self._is_served(kind := self.kind_of(name), name):
                names[name] = kind
        return [self.model_card(name, kind) for name, kind in names.items()]

    async def named_models(self) -> list[NamedModel]:
        """Every model that an enabled account or a route names."""
        await self.current_statuses()
        found: dict[tuple[str, str], NamedModel] = {}
        routed = [
            name for name, route in self.routes.documents.items() if route.enabled and not route.alias_of
        ]
        for name in routed:
            for each in (one for kind in KINDS for one in self.candidates(kind, name) if one.status.enabled):
                model = each.retiring or each.model
                found[name, each.account.id] = NamedModel(name, each.account, model, bool(each.retiring))
        for account in (each.account for each in self.pool.cached_statuses() if each.enabled):
            named = {name: model for name, model in account.models.items() if name != ANY_MODEL}
            stated = account.options.get("default_model")
            for name, model in (named | ({str(stated): str(stated)} if stated else {})).items():
                if name not in routed:
                    found.setdefault((name, account.id), NamedModel(name, account, model))
        return list(found.values())

    def model_card(self, name: str, kind: Kind) -> ModelCard:
        able = [each for each in self.candidates(kind, name) if each.status.enabled]
        capabilities = self.pool.provider_for(able[0].account).capabilities(able[0].model) if able else None
        kinds = self._kinds_of_name(name) or frozenset({kind})
        return ModelCard(name, kind, created=1_759_190_400, capabilities=capabilities, kinds=kinds)

    def kind_of(self, model: str) -> Kind:
        """What a model makes: by its preset, by what is known of models, by the accounts that serve it.

        Text when none of these says: such a call is passed through as it is, and nothing is bought by mistake.
        """
        made = self._kinds_of_name(model)
        family = family_kind(self.resolve_name(model).path[-1])
        if not made and family:
            return family
        return next((kind for kind in KINDS if kind in made), "text")

    def kinds_made(self, model: str) -> frozenset[Kind]:
        """Everything that a name, or a family like ``veo*``, is known to make, from memory; empty when nobody knows."""
        if not model.endswith(FAMILY):
            made = self._kinds_of_name(model)
            family = family_kind(self.resolve_name(model).path[-1])
            return made or frozenset({family} if family else ())
        mapped = {name for status in self.pool.cached_statuses() for name in status.account.models}
        names = {*PRESETS, *self.routes.documents, *mapped}
        of_family = (name for name in names if name.startswith(model[:-1]) and not name.endswith(FAMILY))
        return frozenset().union(*(self._kinds_of_name(name) for name in of_family))

    def _kinds_of_name(self, model: str) -> frozenset[Kind]:
        resolution = self.resolve_name(model)
        for name in (model, resolution.path[-1]):
            if name in PRESETS:
                return frozenset({PRESETS[name].kind})
            if family_kind(name) == "image":
                return frozenset({"image"})
        if resolution.route is not None:
            candidates = [each for kind in KINDS for each in self.candidates(kind, model)]
            by_id = {each.account.id: self._kinds_at(each.account, each.model) for each in candidates}
            return frozenset().union(*by_id.values())
        mapped = [
            self._kinds_at(status.account, upstream)
            for status in self.pool.cached_statuses()
            if (upstream := mapped_name(status.account, resolution.name))
        ]
        return frozenset().union(*mapped)

    def _kinds_at(self, account: Account, upstream_model: str) -> frozenset[Kind]:
        return kinds_at(self.pool.provider_for(account), upstream_model, used_for=self.kinds_of(account))

    def _is_served(self, kind: Kind, name: str) -> bool:
        return any(candidate.status.enabled for candidate in self.candidates(kind, name))

    def recovers_soon(self, status: AccountStatus, model: str, now: float) -> bool:
        """Whether an account may take work for an upstream model now or soon."""
        return recovers_within(status, model, now=now, stated=self._stated_patience, estimated=self._patience)
