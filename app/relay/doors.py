"""Which upstream addresses a model name leads to, kept in memory until the accounts change."""

import asyncio
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

import structlog
from yarl import URL

from app.accounts import cooling
from app.accounts.standing import AccountStatus
from app.catalog.candidates import Candidate
from app.catalog.presets import PRESETS
from app.catalog.routes import Catalog
from app.db.session import DATABASE_AWAY
from app.errors import FilmgateError, InvalidRequest, NoAvailableAccount, Unavailable, UnknownModel
from app.generation import Kind
from app.providers.base import Account

log = structlog.get_logger()
LOOK_SECONDS = 1.0
FIRST_LOOK_SECONDS = 10.0
"""For a look without which a call would be refused."""
BLIND_SECONDS = 2.0
REMEMBERED = 4096
KINDS: dict[str, tuple[Kind, ...]] = {"images": ("image",), "audio": ("audio", "text")}
"""What an account must make to be asked for a path, by the path's first part; text for all others. Servers that
speak and listen are set up as servers of text more often than not."""
INSTEAD = {"messages": "chat/completions"}
"""The path that a call can be translated into for an upstream that does not speak its own."""


@dataclass(frozen=True, slots=True)
class Door:
    """One account's address for one path, and its own name for the model.

    ``path`` is what is spoken behind it; ``defaults`` go along where the client sent nothing of that name.
    """

    candidate: Candidate
    path: str
    url: URL
    headers: tuple[tuple[str, str], ...] = field(repr=False)
    defaults: tuple[tuple[str, str], ...] = ()
    limit_name: str = "max_tokens"

    @property
    def account(self) -> Account:
        return self.candidate.account

    @property
    def model(self) -> str:
        return self.candidate.model

    @property
    def standing(self) -> AccountStatus:
        return self.candidate.standing

    def tries(self, now: float) -> bool:
        """Whether a call through it would show if a rest is over."""
        if not self.standing.cooldowns:
            return False
        return self.standing.half_open(self.model, now) or self.standing.cooling(self.model, now) is not None


class DoorBook:
    """Answers from memory. A database that is away or slow only makes it old, never silent."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self._pool = catalog.pool
        self._edition = -1
        self._doors: dict[tuple[str, str], tuple[Door, ...]] = {}
        self._kinds: dict[str, Kind] = {}
        self._looking: asyncio.Task[None] | None = None
        self._blind_until = 0.0

    async def kind_of(self, model: str) -> Kind:
        if not self._is_current:
            await self._look()
        kind = self._kinds.get(model)
        if kind is None:
            kind = self._catalog.kind_of(model)
            if len(self._kinds) >= REMEMBERED:  # clients choose the names
                self._kinds.clear()
            self._kinds[model] = kind
        return kind

    async def usable(self, model: str, path: str) -> list[Door]:
        """Those that may be tried now. Raises ``UnknownModel``, ``NoAvailableAccount``, or ``InvalidRequest``
        where nobody who serves the model speaks such an API."""
        if not self._is_current:
            await self._look()
        usable = self._usable(model, path)
        if not usable and self._looking is not None:
            # Nobody is refused for what is being read again just now.
            await asyncio.wait({self._looking}, timeout=FIRST_LOOK_SECONDS)
            self._forget_old()
            usable = self._usable(model, path)
        if not usable:
            raise self._refusal(model, path, spoken=bool(self._remembered(model, path)))
        return usable

    async def speaks(self, model: str, path: str) -> bool:
        """Whether an account that serves the model, usable now or not, speaks ``path`` or what stands for it."""
        if not self._is_current:
            await self._look()
        return bool(self._remembered(model, path))

    async def draws(self, model: str, path: str) -> bool:
        """Whether a call to ``/v1/images/…`` can be relayed. A name of the manuals that says a size says nothing
        to an upstream."""
        preset = PRESETS.get(model)
        known = preset is None or (preset.kind == "image" and preset.base == model)
        return known and await self.speaks(model, path)

    async def unavailable(self, model: str, path: str) -> NoAvailableAccount:
        """The refusal, when all that looked usable have refused."""
        await self._look()
        return self._unavailable(model, path)

    def _usable(self, model: str, path: str) -> list[Door]:
        doors = self._remembered(model, path)
        now = time.time()
        usable = [door for door in doors if door.standing.blocked_by(door.model, now) is None]
        return usable or [door for door in doors if _better_than_none(door, now)]

    def _remembered(self, model: str, path: str) -> tuple[Door, ...]:
        doors = self._doors.get((model, path))
        if doors is None:
            doors = tuple(self._find(model, path))
            if len(self._doors) >= REMEMBERED:
                self._doors.clear()
            self._doors[(model, path)] = doors
        return doors

    def _kind(self, model: str, path: str) -> Kind:
        kinds = KINDS.get(path.partition("/")[0], ("text",))
        return next((kind for kind in kinds if self._catalog.candidates(kind, model)), kinds[0])

    def _find(self, model: str, path: str) -> Iterator[Door]:
        for candidate in self._catalog.candidates(self._kind(model, path), model):
            if not candidate.standing.enabled:
                continue
            try:
                door = self._door(candidate, path)
            except InvalidRequest as error:  # an account that was kept by an older version, say
                log.warning("account.unusable", account=candidate.account.id, reason=error.message)
                continue
            if door is not None:
                yield door

    def _door(self, candidate: Candidate, path: str) -> Door | None:
        speaker = self._pool.provider_for(candidate.account)
        spoken, target = path, speaker.relay(path)
        if target is None and path in INSTEAD:
            spoken = INSTEAD[path]
            target = speaker.relay(spoken)
        if target is None:
            return None
        # The path is the provider's word: not to be normalised on its way.
        return Door(
            candidate,
            spoken,
            URL(target.url, encoded=True),
            tuple(target.headers.items()),
            tuple(target.defaults.items()),
            target.limit_name,
        )

    def _refusal(self, model: str, path: str, *, spoken: bool) -> FilmgateError:
        found = self._catalog.candidates(self._kind(model, path), model)
        if not found and not self._catalog.knows(model):
            return UnknownModel(model)
        if not spoken and any(candidate.standing.enabled for candidate in found):
            text = f"{model} is served here, but by no upstream that speaks /v1/{path}."
            return InvalidRequest(text, param="model")
        return self._unavailable(model, path)

    def _unavailable(self, model: str, path: str) -> NoAvailableAccount:
        word = "audio" if path.startswith("audio/") else None
        return self._catalog.refused(self._kind(model, path), model, word=word)

    @property
    def _is_current(self) -> bool:
        return self._catalog.is_fresh and self._edition == self._catalog.edition

    async def _look(self) -> None:
        if not self._catalog.is_fresh:
            await self._look_again()
        self._forget_old()

    def _forget_old(self) -> None:
        if self._edition != self._catalog.edition:
            self._edition = self._catalog.edition
            self._doors.clear()
            self._kinds.clear()

    async def _look_again(self) -> None:
        """One at a time; who finds a look under way goes on with what is remembered."""
        seen = self._pool.edition > 0
        if seen and (self._looking is not None or time.monotonic() < self._blind_until):
            return
        if self._looking is None:
            self._looking = asyncio.create_task(self._refresh())
        await asyncio.wait({self._looking}, timeout=LOOK_SECONDS if seen else FIRST_LOOK_SECONDS)
        if self._pool.edition == 0:
            raise Unavailable("The database does not answer; please try again.", retry_after=2)

    async def _refresh(self) -> None:
        try:
            await self._catalog.refresh()
        except (*DATABASE_AWAY, FilmgateError) as error:
            log.warning("accounts.unread", error=type(error).__name__)
            self._blind_until = time.monotonic() + BLIND_SECONDS
        finally:
            self._looking = None


def _better_than_none(door: Door, now: float) -> bool:
    """Where all rest: an upstream that fails or forbids is asked all the same, as a call can't wait; others now and
    then."""
    obstacle = door.standing.blocked_by(door.model, now)
    if obstacle is None or obstacle.code != "cooling":
        return obstacle is None
    cooldown = door.standing.cooling(door.model, now)
    asked = cooldown is not None and cooldown.code in ("failing", "forbidden")
    return asked or cooling.may_try(cooldown, now, last=True)
