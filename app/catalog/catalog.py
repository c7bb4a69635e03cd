"""The catalog: the candidates of a model, the model list, and the error when no account can serve a model."""

import time
from collections import Counter
from dataclasses import dataclass, replace
from typing import Literal

from app.accounts.pool import AccountPool
from app.accounts.status import AccountStatus
from app.catalog.candidates import (
    ANY_MODEL,
    Candidate,
    ExcludedAccount,
    NameResolution,
    assess_accounts,
    mapped_name,
    resolve_name,
)
from app.catalog.presets import PRESETS, ModelPreset, is_of_family, preset_for
from app.catalog.route_documents import FAMILY
from app.catalog.route_repository import RouteRepository
from app.errors import NoAvailableAccount, UnknownModel
from app.generation import Kind
from app.providers.base import Account, Capabilities

LONGEST_RETRY_SECONDS = 8.0  # OpenAI's Java SDK sleeps for as long as Retry-After says
PATIENCE_SECONDS = 3600.0
MAX_CACHED = 4096
KINDS: tuple[Kind, ...] = ("text", "video", "image", "audio")
"""The kinds that an unknown name may make, the most likely first."""
COUNTED_CODES = ("quota_exhausted", "disabled", "expired", "fault")
CODE_WORDS = {"fault": "misconfigured"}


@dataclass(frozen=True, slots=True)
class ModelCard:
    """One line of the model list."""

    name: str
    kind: Kind
    created: int
    capabilities: Capabilities | None


class Catalog:
    """From a model to its candidates: by the operator's route for the name, else the accounts that map it, else, for a
    preset, every account of its kind. ``patience_seconds``: how long a task waits for an account to recover."""

    def __init__(
        self,
        pool: AccountPool,
        routes: RouteRepository | None = None,
        *,
        patience_seconds: float = PATIENCE_SECONDS,
    ) -> None:
        self.pool = pool
        self.routes = routes or RouteRepository(pool.database)
        self._patience = patience_seconds
        self._cached_revision = -1
        self._assessments: dict[tuple[Kind, str], list[Candidate | ExcludedAccount]] = {}

    @property
    def revision(self) -> int:
        """Changes whenever the answers from memory may have changed."""
        return self.pool.revision + self.routes.revision

    @property
    def is_fresh(self) -> bool:
        return time.monotonic() <= min(self.pool.fresh_until, self.routes.fresh_until)

    async def current_statuses(self) -> list[AccountStatus]:
        """Every account; accounts and routes are at most two seconds old."""
        if time.monotonic() > self.routes.fresh_until:
            await self.routes.refresh()
        return await self.pool.current_statuses()

    async def refresh(self) -> None:
        await self.routes.refresh()
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
            self._cached_revision = self.revision
        assessed = self._assessments.get((kind, model))
        if assessed is None:
            statuses = self.pool.cached_statuses()
            assessed = assess_accounts(statuses, self.resolve_name(model), kind=kind, kinds=self.kinds_of)
            assessed += [
                ExcludedAccount(status, "fault", status.problem or "misconfigured")
                for status in self.pool.misconfigured()
            ]
            self._assessments[(kind, model)] = assessed
        return assessed

    def candidates(self, kind: Kind, model: str) -> list[Candidate]:
        """Every account that could serve the model, usable now or not, from memory and by ``order``."""
        return [each for each in self.assessed_accounts(kind, model) if isinstance(each, Candidate)]

    def able_candidates(self, kind: Kind, model: str) -> list[Candidate]:
        """Candidates that may serve the model now or soon, from memory."""
        now = time.time()
        return [
            each for each in self.candidates(kind, model) if self.recovers_soon(each.status, each.model, now)
        ]

    async def able_account_ids(self, kind: Kind, model: str) -> set[str]:
        """Ids of the accounts that may serve the model now or soon."""
        await self.current_statuses()
        return {candidate.account.id for candidate in self.able_candidates(kind, model)}

    async def require_candidates(self, kind: Kind, model: str) -> list[Candidate]:
        """Candidates that may serve the model now or soon. Raises ``UnknownModel`` or ``NoAvailableAccount``."""
        await self.current_statuses()
        able = self.able_candidates(kind, model)
        if able:
            return able
        if not self.knows_model(model) and not self.candidates(kind, model):
            raise UnknownModel(model)
        raise self.report_unavailable(kind, model)

    def knows_model(self, model: str) -> bool:
        """Whether the name is a preset, of a family, or routed, even when no account serves it."""
        return model in PRESETS or is_of_family(model) or self.resolve_name(model).route is not None

    def report_unavailable(self, kind: Kind, model: str, *, word: str | None = None) -> NoAvailableAccount:
        """Publish a notice for the operator and return ``unavailable_error``."""
        refusal = self.unavailable_error(kind, model, word=word)
        self.pool.notices.publish("no_available_account", kind=kind, model=model, reason=refusal.message)
        return refusal

    def unavailable_error(self, kind: Kind, model: str, *, word: str | None = None) -> NoAvailableAccount:
        """The error for the client, with the counted reasons of this moment. ``word`` replaces the kind in its text."""
        now = time.time()
        counted: Counter[str] = Counter()
        ends: list[float] = []
        for each in self.assessed_accounts(kind, model):
            if isinstance(each, ExcludedAccount):
                counted[each.code if each.code == "fault" else "unsupported"] += 1
                continue
            blocked = each.status.blocked_by(each.model, now)
            if blocked is None:
                continue
            counted[blocked.code] += 1
            if blocked.code == "cooling" and blocked.until:
                ends.append(max(blocked.until - now, 0.0))
        text = _unavailable_text(counted, ends, model)
        return NoAvailableAccount(
            f"No available tokens for {word or ('chat' if kind == 'text' else kind)} generation. {text}.",
            retry_after=min(min(ends), LONGEST_RETRY_SECONDS) if ends else None,
        )

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
        return Candidate(status, mapped_name(account, model) or self.resolve_name(model).name)

    def preset_of(self, model: str, *, kind: Literal["video", "image"] = "video") -> ModelPreset:
        """The preset of the name, or of the name that it is an alias of."""
        meant = self.resolve_name(model).path[-1]
        return replace(preset_for(meant, kind=kind), name=model)

    async def list_models(self) -> list[ModelCard]:
        """Every name that an enabled account serves, presets first."""
        statuses = await self.current_statuses()
        names: dict[str, Kind] = {}
        for preset in PRESETS.values():
            if self._is_served(preset.kind, preset.name):
                names[preset.name] = preset.kind
        for name, route in self.routes.documents.items():
            if name not in names and route.enabled and not name.endswith(FAMILY):
                kind = self.kind_of(name)
                names |= {name: kind} if self._is_served(kind, name) else {}
        for status in statuses:
            for name in status.account.models if status.enabled else ():
                if name != ANY_MODEL:
                    names.setdefault(name, self.kind_of(name))
        return [self.model_card(name, kind) for name, kind in names.items()]

    def model_card(self, name: str, kind: Kind) -> ModelCard:
        able = [each for each in self.candidates(kind, name) if each.status.enabled]
        capabilities = self.pool.provider_for(able[0].account).capabilities(able[0].model) if able else None
        return ModelCard(name, kind, created=1_759_190_400, capabilities=capabilities)

    def kind_of(self, model: str) -> Kind:
        """What a model makes, by its preset or by the accounts that serve it; text when neither says."""
        resolution = self.resolve_name(model)
        for name in (model, resolution.path[-1]):
            if name in PRESETS:
                return PRESETS[name].kind
        if resolution.route is not None:
            made = {kind for kind in KINDS if self.candidates(kind, model)}
        else:
            mapping = [
                s.account for s in self.pool.cached_statuses() if mapped_name(s.account, resolution.name)
            ]
            made = set().union(*(self.kinds_of(account) for account in mapping))
        if not made and is_of_family(resolution.path[-1]):
            return "video"
        return next((kind for kind in KINDS if kind in made), "text")

    def _is_served(self, kind: Kind, name: str) -> bool:
        return any(candidate.status.enabled for candidate in self.candidates(kind, name))

    def recovers_soon(self, status: AccountStatus, model: str, now: float) -> bool:
        """Whether an account may take work for an upstream model now or soon."""
        blocked = status.blocked_by(model, now)
        if blocked is None:
            return True
        return blocked.until is not None and blocked.until <= now + self._patience


def _unavailable_text(counted: Counter[str], ends: list[float], model: str) -> str:
    parts = []
    if counted["cooling"]:
        parts.append(f"{counted['cooling']} cooling down" + (f" (next in {min(ends):.0f} s)" if ends else ""))
    parts += [
        f"{counted[code]} {CODE_WORDS.get(code, code.replace('_', ' '))}"
        for code in COUNTED_CODES
        if counted[code]
    ]
    if counted["unsupported"]:
        parts.append(f"{counted['unsupported']} don't support {model}")
    return ", ".join(parts) or "There is no account"
