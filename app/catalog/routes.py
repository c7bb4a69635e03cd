"""Which accounts serve a model name, under which upstream name; and why none does."""

import time
from collections import Counter
from dataclasses import dataclass, replace
from typing import Literal

from app.accounts.pool import AccountPool
from app.accounts.standing import AccountStatus
from app.catalog.book import RouteBook
from app.catalog.candidates import ANY, Candidate, Exclusion, assess, mapped_name
from app.catalog.documents import FAMILY
from app.catalog.presets import PRESETS, Preset, is_of_family, preset_for
from app.catalog.resolution import Resolution, resolve
from app.errors import NoAvailableAccount, UnknownModel
from app.generation import Kind
from app.providers.base import Account, Capabilities

LONGEST_RETRY_SECONDS = 8.0  # Java's SDK sleeps whatever it is told
PATIENCE_SECONDS = 3600.0
REMEMBERED = 4096
KINDS: tuple[Kind, ...] = ("text", "video", "image", "audio")
"""What a name makes that nobody says more about, the likeliest first."""
COUNTED = ("quota_exhausted", "disabled", "expired", "fault")
WORDS = {"fault": "set up wrongly"}


@dataclass(frozen=True, slots=True)
class ModelCard:
    """One line of the model list."""

    name: str
    kind: Kind
    created: int
    capabilities: Capabilities | None


class Catalog:
    """Model to candidates: the operator's route for the name, else the accounts that map it, else, for a name
    of the manuals, every account that makes its kind. ``patience_seconds``: a task waits this long for an
    account to recover."""

    def __init__(
        self,
        pool: AccountPool,
        routes: RouteBook | None = None,
        *,
        patience_seconds: float = PATIENCE_SECONDS,
    ) -> None:
        self.pool = pool
        self.routes = routes or RouteBook(pool.database)
        self._patience = patience_seconds
        self._seen = -1
        self._assessed: dict[tuple[Kind, str], list[Candidate | Exclusion]] = {}

    @property
    def edition(self) -> int:
        """Changes whenever what is remembered may say something new."""
        return self.pool.edition + self.routes.edition

    @property
    def is_fresh(self) -> bool:
        return self.pool.is_fresh and self.routes.is_fresh

    async def standings(self) -> list[AccountStatus]:
        """Every account, accounts and routes being not older than two seconds."""
        await self.routes.current()
        return await self.pool.standings()

    async def refresh(self) -> None:
        await self.routes.refresh()
        await self.pool.refresh()

    def kinds(self, account: Account) -> frozenset[Kind]:
        return account.kinds or self.pool.provider_for(account).capabilities("").kinds

    def resolve(self, model: str) -> Resolution:
        return resolve(self.routes.remembered(), model)

    def assessed(self, kind: Kind, model: str) -> list[Candidate | Exclusion]:
        """Every account: how it serves the model or why it does not, from memory."""
        if self._seen != self.edition or len(self._assessed) >= REMEMBERED:  # clients choose the names
            self._assessed.clear()
            self._seen = self.edition
        found = self._assessed.get((kind, model))
        if found is None:
            standings = self.pool.remembered()
            found = assess(standings, self.resolve(model), kind=kind, kinds=self.kinds)
            found += [Exclusion(s, "fault", s.fault or "set up wrongly") for s in self.pool.misconfigured()]
            self._assessed[(kind, model)] = found
        return found

    def candidates(self, kind: Kind, model: str) -> list[Candidate]:
        """All that could serve it, whether usable now or not, from memory and by ``order``."""
        return [each for each in self.assessed(kind, model) if isinstance(each, Candidate)]

    def able(self, kind: Kind, model: str) -> list[Candidate]:
        """Those that may serve it now or soon, from memory."""
        now = time.time()
        return [
            each for each in self.candidates(kind, model) if self.recovers(each.standing, each.model, now)
        ]

    async def able_accounts(self, kind: Kind, model: str) -> set[str]:
        """Ids of the accounts that may serve it now or soon."""
        await self.standings()
        return {candidate.account.id for candidate in self.able(kind, model)}

    async def require(self, kind: Kind, model: str) -> list[Candidate]:
        """Candidates that may serve it now or soon. Raises ``UnknownModel`` or ``NoAvailableAccount``."""
        await self.standings()
        able = self.able(kind, model)
        if able:
            return able
        if not self.knows(model) and not self.candidates(kind, model):
            raise UnknownModel(model)
        raise self.refused(kind, model)

    def knows(self, model: str) -> bool:
        """Whether the name means something, even when nobody serves it."""
        return model in PRESETS or is_of_family(model) or self.resolve(model).route is not None

    def refused(self, kind: Kind, model: str, *, word: str | None = None) -> NoAvailableAccount:
        """``unavailable``, and the operator hears of it."""
        refusal = self.unavailable(kind, model, word=word)
        self.pool.notices.tell("no_available_account", kind=kind, model=model, reason=refusal.message)
        return refusal

    def unavailable(self, kind: Kind, model: str, *, word: str | None = None) -> NoAvailableAccount:
        """The refusal, with the counted reasons of this very moment; ``word`` says what was to be made."""
        now = time.time()
        counted: Counter[str] = Counter()
        ends: list[float] = []
        for each in self.assessed(kind, model):
            if isinstance(each, Exclusion):
                counted[each.code if each.code == "fault" else "unsupported"] += 1
                continue
            obstacle = each.standing.blocked_by(each.model, now)
            if obstacle is not None:
                counted[obstacle.code] += 1
                ends += (
                    [max(obstacle.until - now, 0.0)] if obstacle.code == "cooling" and obstacle.until else []
                )
        text = _told(counted, ends, model)
        return NoAvailableAccount(
            f"No available tokens for {word or ('chat' if kind == 'text' else kind)} generation. {text}.",
            retry_after=min(min(ends), LONGEST_RETRY_SECONDS) if ends else None,
        )

    def refusal(self, kind: Kind, model: str) -> NoAvailableAccount | None:
        """None while somebody may serve it now or soon; from memory."""
        return None if self.able(kind, model) else self.unavailable(kind, model)

    def upstream_model(self, account: Account, kind: Kind, model: str) -> str:
        """What ``account`` calls ``model``; the account may have left the candidates since."""
        return self.candidate(account, kind, model).model

    def candidate(self, account: Account, kind: Kind, model: str) -> Candidate:
        """How ``account`` serves ``model``, also when it has left the candidates since."""
        for candidate in self.candidates(kind, model):
            if candidate.account.id == account.id:
                return candidate
        standing = AccountStatus(account, enabled=False)
        return Candidate(standing, mapped_name(account, model) or self.resolve(model).name)

    def preset(self, model: str, *, kind: Literal["video", "image"] = "video") -> Preset:
        """What the name means, an alias like the name it stands for."""
        meant = self.resolve(model).path[-1]
        return replace(preset_for(meant, kind=kind), name=model)

    async def models(self) -> list[ModelCard]:
        """Every name somebody serves now, the manuals' first."""
        standings = await self.standings()
        names: dict[str, Kind] = {}
        for preset in PRESETS.values():
            if self._serves(preset.kind, preset.name):
                names[preset.name] = preset.kind
        for name, route in self.routes.remembered().items():
            if name not in names and route.enabled and not name.endswith(FAMILY):
                kind = self.kind_of(name)
                names |= {name: kind} if self._serves(kind, name) else {}
        for standing in standings:
            for name in standing.account.models if standing.enabled else ():
                if name != ANY:
                    names.setdefault(name, self.kind_of(name))
        return [self.card(name, kind) for name, kind in names.items()]

    def card(self, name: str, kind: Kind) -> ModelCard:
        able = [each for each in self.candidates(kind, name) if each.standing.enabled]
        capabilities = self.pool.provider_for(able[0].account).capabilities(able[0].model) if able else None
        return ModelCard(name, kind, created=1_759_190_400, capabilities=capabilities)

    def kind_of(self, model: str) -> Kind:
        """What a name makes: the manuals' say so, else who serves it; text when in doubt."""
        resolution = self.resolve(model)
        for name in (model, resolution.path[-1]):
            if name in PRESETS:
                return PRESETS[name].kind
        if resolution.route is not None:
            made = {kind for kind in KINDS if self.candidates(kind, model)}
        else:
            mapping = [s.account for s in self.pool.remembered() if mapped_name(s.account, resolution.name)]
            made = set().union(*(self.kinds(account) for account in mapping))
        if not made and is_of_family(resolution.path[-1]):
            return "video"
        return next((kind for kind in KINDS if kind in made), "text")

    def _serves(self, kind: Kind, name: str) -> bool:
        return any(candidate.standing.enabled for candidate in self.candidates(kind, name))

    def recovers(self, standing: AccountStatus, model: str, now: float) -> bool:
        """Whether it may take an upstream model now or soon."""
        obstacle = standing.blocked_by(model, now)
        if obstacle is None:
            return True
        return obstacle.until is not None and obstacle.until <= now + self._patience


def _told(counted: Counter[str], ends: list[float], model: str) -> str:
    parts = []
    if counted["cooling"]:
        parts.append(f"{counted['cooling']} cooling down" + (f" (next in {min(ends):.0f} s)" if ends else ""))
    parts += [
        f"{counted[code]} {WORDS.get(code, code.replace('_', ' '))}" for code in COUNTED if counted[code]
    ]
    if counted["unsupported"]:
        parts.append(f"{counted['unsupported']} don't support {model}")
    return ", ".join(parts) or "There is no account"
