"""Which upstream addresses a model name leads to, kept in memory until the accounts change."""

import asyncio
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

import structlog
from yarl import URL

from app.accounts.status import AccountStatus
from app.catalog.candidates import Candidate, usable_now
from app.catalog.catalog import Catalog
from app.catalog.presets import PRESETS
from app.db.session import DATABASE_AWAY
from app.errors import FilmgateError, InvalidRequest, NoAvailableAccount, ServiceUnavailable, UnknownModel
from app.generation import Kind
from app.providers.base import Account

log = structlog.get_logger()
REFRESH_WAIT_SECONDS = 1.0
FIRST_REFRESH_WAIT_SECONDS = 10.0
"""For a look without which a call would be refused."""
REFRESH_PAUSE_SECONDS = 2.0
MAX_CACHED = 4096
KINDS_BY_PATH: dict[str, tuple[Kind, ...]] = {"images": ("image",), "audio": ("audio", "text")}
"""What an account must make to be asked for a path, by the path's first part; text for all others. Servers that
speak and listen are set up as servers of text more often than not."""
TRANSLATED_PATHS = {"messages": "chat/completions"}
"""The path that a call can be translated into for an upstream that does not speak its own."""


@dataclass(frozen=True, slots=True)
class UpstreamEndpoint:
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
    def status(self) -> AccountStatus:
        return self.candidate.status

    def is_trial(self, now: float) -> bool:
        """Whether a call through it would show if a rest is over."""
        if not self.status.cooldowns:
            return False
        return self.status.half_open(self.model, now) or self.status.cooldown_for(self.model, now) is not None


class EndpointTable:
    """Answers from memory. A database that is away or slow only makes it old, never silent."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self._pool = catalog.pool
        self._revision = -1
        self._endpoints: dict[tuple[str, str], tuple[UpstreamEndpoint, ...]] = {}
        self._kinds: dict[str, Kind] = {}
        self._refreshing: asyncio.Task[None] | None = None
        self._next_refresh_at = 0.0

    async def kind_of(self, model: str) -> Kind:
        if not self._is_current:
            await self._refresh_if_stale()
        kind = self._kinds.get(model)
        if kind is None:
            kind = self._catalog.kind_of(model)
            if len(self._kinds) >= MAX_CACHED:  # clients choose the names
                self._kinds.clear()
            self._kinds[model] = kind
        return kind

    async def usable_endpoints(self, model: str, path: str) -> list[UpstreamEndpoint]:
        """Those that may be tried now. Raises ``UnknownModel``, ``NoAvailableAccount``, or ``InvalidRequest``
        where nobody who serves the model speaks such an API."""
        if not self._is_current:
            await self._refresh_if_stale()
        usable = self._usable_now(model, path)
        if not usable and self._refreshing is not None:
            # Nobody is refused for what is being read again just now.
            await asyncio.wait({self._refreshing}, timeout=FIRST_REFRESH_WAIT_SECONDS)
            self._drop_stale()
            usable = self._usable_now(model, path)
        if not usable:
            raise self._refusal_for(model, path, spoken=bool(self._endpoints_for(model, path)))
        return usable

    async def serves_path(self, model: str, path: str) -> bool:
        """Whether an account that serves the model, usable now or not, speaks ``path`` or what stands for it."""
        if not self._is_current:
            await self._refresh_if_stale()
        return bool(self._endpoints_for(model, path))

    async def serves_images(self, model: str, path: str) -> bool:
        """Whether a call to ``/v1/images/…`` can be relayed. A name of the manuals that says a size says nothing
        to an upstream."""
        preset = PRESETS.get(model)
        known = preset is None or (preset.kind == "image" and preset.base == model)
        return known and await self.serves_path(model, path)

    async def unavailable_error(self, model: str, path: str) -> NoAvailableAccount:
        """The refusal, when all that looked usable have refused."""
        await self._refresh_if_stale()
        return self._unavailable_for(model, path)

    def _usable_now(self, model: str, path: str) -> list[UpstreamEndpoint]:
        endpoints = self._endpoints_for(model, path)
        usable = usable_now((each.candidate for each in endpoints), time.time(), can_wait=False).candidates
        if len(usable) == len(endpoints):
            return list(endpoints)
        ids = {candidate.account.id for candidate in usable}
        return [each for each in endpoints if each.account.id in ids]

    def _endpoints_for(self, model: str, path: str) -> tuple[UpstreamEndpoint, ...]:
        doors = self._endpoints.get((model, path))
        if doors is None:
            doors = tuple(self._find_endpoints(model, path))
            if len(self._endpoints) >= MAX_CACHED:
                self._endpoints.clear()
            self._endpoints[(model, path)] = doors
        return doors

    def _served_kind(self, model: str, path: str) -> Kind:
        kinds = KINDS_BY_PATH.get(path.partition("/")[0], ("text",))
        return next((kind for kind in kinds if self._catalog.candidates(kind, model)), kinds[0])

    def _find_endpoints(self, model: str, path: str) -> Iterator[UpstreamEndpoint]:
        for candidate in self._catalog.candidates(self._served_kind(model, path), model):
            if not candidate.status.enabled:
                continue
            try:
                door = self._endpoint_of(candidate, path)
            except InvalidRequest as error:  # an account that was kept by an older version, say
                log.warning("account.unusable", account=candidate.account.id, reason=error.message)
                continue
            if door is not None:
                yield door

    def _endpoint_of(self, candidate: Candidate, path: str) -> UpstreamEndpoint | None:
        speaker = self._pool.provider_for(candidate.account)
        spoken, target = path, speaker.relay_target(path)
        if target is None and path in TRANSLATED_PATHS:
            spoken = TRANSLATED_PATHS[path]
            target = speaker.relay_target(spoken)
        if target is None:
            return None
        # The path is the provider's word: not to be normalised on its way.
        return UpstreamEndpoint(
            candidate,
            spoken,
            URL(target.url, encoded=True),
            tuple(target.headers.items()),
            tuple(target.defaults.items()),
            target.limit_name,
        )

    def _refusal_for(self, model: str, path: str, *, spoken: bool) -> FilmgateError:
        found = self._catalog.candidates(self._served_kind(model, path), model)
        if not found and not self._catalog.knows_model(model):
            return UnknownModel(model)
        if not spoken and any(candidate.status.enabled for candidate in found):
            text = f"{model} is served here, but by no upstream that speaks /v1/{path}."
            return InvalidRequest(text, param="model")
        return self._unavailable_for(model, path)

    def _unavailable_for(self, model: str, path: str) -> NoAvailableAccount:
        word = "audio" if path.startswith("audio/") else None
        return self._catalog.report_unavailable(self._served_kind(model, path), model, word=word)

    @property
    def _is_current(self) -> bool:
        return self._catalog.is_fresh and self._revision == self._catalog.revision

    async def _refresh_if_stale(self) -> None:
        if not self._catalog.is_fresh:
            await self._wait_for_refresh()
        self._drop_stale()

    def _drop_stale(self) -> None:
        if self._revision != self._catalog.revision:
            self._revision = self._catalog.revision
            self._endpoints.clear()
            self._kinds.clear()

    async def _wait_for_refresh(self) -> None:
        """One at a time; who finds a look under way goes on with what is remembered."""
        seen = self._pool.revision > 0
        if seen and (self._refreshing is not None or time.monotonic() < self._next_refresh_at):
            return
        if self._refreshing is None:
            self._refreshing = asyncio.create_task(self._refresh_catalog())
        await asyncio.wait(
            {self._refreshing}, timeout=REFRESH_WAIT_SECONDS if seen else FIRST_REFRESH_WAIT_SECONDS
        )
        if self._pool.revision == 0:
            raise ServiceUnavailable("The database does not answer; please try again.", retry_after=2)

    async def _refresh_catalog(self) -> None:
        try:
            await self._catalog.refresh()
        except (*DATABASE_AWAY, FilmgateError) as error:
            log.warning("accounts.unread", error=type(error).__name__)
            self._next_refresh_at = time.monotonic() + REFRESH_PAUSE_SECONDS
        finally:
            self._refreshing = None
