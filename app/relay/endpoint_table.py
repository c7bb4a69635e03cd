"""The upstream endpoints that serve a model on a path, kept in memory until accounts or routes change."""

import asyncio
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

import structlog
from yarl import URL

from app import clock
from app.accounts.refusals import RefusalCause
from app.accounts.status import AccountStatus
from app.catalog.candidates import Candidate, usable_now
from app.catalog.catalog import Catalog
from app.catalog.presets import PRESETS
from app.db.session import DATABASE_AWAY
from app.errors import FilmgateError, InvalidRequest, NoAvailableAccount, ServiceUnavailable, UnknownModel
from app.generation import Kind
from app.providers.addresses import split_credential
from app.providers.base import Account
from app.relay.request import OwnHeaders

log = structlog.get_logger()
REFRESH_WAIT_SECONDS = 1.0
"""How long a call waits for the accounts to be read again before it uses those in memory."""
FIRST_REFRESH_WAIT_SECONDS = 10.0
"""The same, where the call would be refused otherwise."""
REFRESH_PAUSE_SECONDS = 2.0
"""No second attempt for this long after the database failed."""
MAX_CACHED = 4096
IDENTITY = ("Accept-Encoding", "identity")
KINDS_BY_PATH: dict[str, tuple[Kind, ...]] = {"images": ("image",), "audio": ("audio", "text")}
"""The kinds of account that serve a path, by the path's first part; ``text`` for all others. Speech servers are usually
set up as text accounts."""
TRANSLATED_PATHS = {"messages": "chat/completions"}
"""The path whose API a call is translated to, for upstreams that do not serve the call's own path."""


@dataclass(frozen=True, slots=True)
class UpstreamEndpoint:
    """One account's URL for one path, and its name for the model.

    ``path`` is the API that the upstream speaks there. ``limit_name`` is the field for the longest answer in tokens.
    """

    candidate: Candidate
    path: str
    url: URL
    headers: OwnHeaders = field(repr=False)
    limit_name: str = "max_tokens"
    account: Account = field(init=False, repr=False)
    model: str = field(init=False)
    status: AccountStatus = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """Looked up once: each of these is asked for several times in every call."""
        for name, value in (
            ("account", self.candidate.account),
            ("model", self.candidate.model),
            ("status", self.candidate.status),
        ):
            object.__setattr__(self, name, value)

    def is_trial(self, now: float) -> bool:
        """Whether a call tests if a cooldown is over."""
        if not self.status.cooldowns:
            return False
        return self.status.half_open(self.model, now) or self.status.cooldown_for(self.model, now) is not None


class EndpointTable:
    """Answers from memory. While the database is down or slow, it goes on with what it read last."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self._pool = catalog.pool
        self._revision = -1
        self._endpoints: dict[tuple[str, str], tuple[UpstreamEndpoint, ...]] = {}
        self._wanted_ids: dict[tuple[str, str], frozenset[str]] = {}
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
        """Endpoints that may be tried now, not yet ranked. Raises ``UnknownModel``, ``NoAvailableAccount``, or
        ``InvalidRequest`` when no account that serves the model speaks the path's API."""
        if not self._is_current:
            await self._refresh_if_stale()
        usable = self._usable_now(model, path)
        if not usable and self._refreshing is not None:
            # The accounts are being read again: wait for that before the call is refused.
            await asyncio.wait({self._refreshing}, timeout=FIRST_REFRESH_WAIT_SECONDS)
            self._drop_stale()
            usable = self._usable_now(model, path)
        if not usable:
            raise self._refusal_for(model, path)
        return usable

    def cause_for(self, key_id: str, model: str, path: str) -> RefusalCause:
        """What a refusal of this key's call is counted against: the accounts that the operator has for it."""
        ids = self._wanted_ids.get((model, path))
        if ids is None:
            candidates = self._catalog.candidates(self._served_kind(model, path), model)
            ids = frozenset(each.account.id for each in candidates if self._is_wanted(each, path))
            if len(self._wanted_ids) >= MAX_CACHED:  # clients choose the names
                self._wanted_ids.clear()
            self._wanted_ids[(model, path)] = ids
        return RefusalCause(key_id, ids)

    async def serves_path(self, model: str, path: str) -> bool:
        """Whether an account that serves the model, usable now or not, speaks ``path`` or can be translated to."""
        if not self._is_current:
            await self._refresh_if_stale()
        return bool(self._endpoints_for(model, path))

    async def serves_images(self, model: str, path: str) -> bool:
        """Whether a call to ``/v1/images/…`` can be relayed. Preset names with a size in them mean nothing to an
        upstream."""
        preset = PRESETS.get(model)
        known = preset is None or (preset.kind == "image" and preset.base == model)
        return known and await self.serves_path(model, path)

    async def unavailable_error(self, model: str, path: str) -> NoAvailableAccount:
        """The error for the client after every usable endpoint has refused."""
        await self._refresh_if_stale()
        return self._unavailable_for(model, path)

    def _usable_now(self, model: str, path: str) -> list[UpstreamEndpoint]:
        endpoints, now = self._endpoints_for(model, path), clock.now()
        if all(each.status.blocked_by(each.model, now) is None for each in endpoints):
            return list(endpoints)
        usable = usable_now([each.candidate for each in endpoints], now, can_wait=False).candidates
        ids = {candidate.account.id for candidate in usable}
        return [each for each in endpoints if each.account.id in ids]

    def _endpoints_for(self, model: str, path: str) -> tuple[UpstreamEndpoint, ...]:
        endpoints = self._endpoints.get((model, path))
        if endpoints is None:
            endpoints = tuple(self._find_endpoints(model, path))
            if len(self._endpoints) >= MAX_CACHED:  # clients choose the names
                self._endpoints.clear()
            self._endpoints[(model, path)] = endpoints
        return endpoints

    def _served_kind(self, model: str, path: str) -> Kind:
        kinds = KINDS_BY_PATH.get(path.partition("/")[0], ("text",))
        return next((kind for kind in kinds if self._catalog.candidates(kind, model)), kinds[0])

    def _find_endpoints(self, model: str, path: str) -> Iterator[UpstreamEndpoint]:
        for candidate in self._catalog.candidates(self._served_kind(model, path), model):
            if not candidate.status.enabled:
                continue
            try:
                endpoint = self._endpoint_of(candidate, path)
            except InvalidRequest as error:  # for example an account that an older version stored
                log.warning("account.unusable", account=candidate.account.id, reason=error.message)
                continue
            if endpoint is not None:
                yield endpoint

    def _is_wanted(self, candidate: Candidate, path: str) -> bool:
        try:
            return candidate.status.is_wanted and self._endpoint_of(candidate, path) is not None
        except InvalidRequest:
            return False

    def _endpoint_of(self, candidate: Candidate, path: str) -> UpstreamEndpoint | None:
        provider = self._pool.provider_for(candidate.account)
        upstream_path, target = path, provider.relay_target(path)
        if target is None and path in TRANSLATED_PATHS:
            upstream_path = TRANSLATED_PATHS[path]
            target = provider.relay_target(upstream_path)
        if target is None:
            return None
        _, credential = split_credential(target.url)
        own = (IDENTITY, *target.headers.items(), *credential.items())
        return UpstreamEndpoint(
            candidate,
            upstream_path,
            # The provider has escaped the path already; yarl must not normalise it.
            URL(target.url, encoded=True).with_user(None),
            OwnHeaders(own, defaults=tuple(target.defaults.items())),
            target.limit_name,
        )

    def _refusal_for(self, model: str, path: str) -> FilmgateError:
        candidates = self._catalog.candidates(self._served_kind(model, path), model)
        if not candidates and not self._catalog.knows_model(model):
            return UnknownModel(model)
        is_served = any(candidate.status.enabled for candidate in candidates)
        if is_served and not self._endpoints_for(model, path):
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
            self._wanted_ids.clear()
            self._kinds.clear()

    async def _wait_for_refresh(self) -> None:
        """One refresh at a time; a call that finds one under way goes on with the accounts in memory."""
        was_read = self._pool.revision > 0
        if was_read and (self._refreshing is not None or time.monotonic() < self._next_refresh_at):
            return
        if self._refreshing is None:
            self._refreshing = asyncio.create_task(self._refresh_catalog())
        await asyncio.wait(
            {self._refreshing}, timeout=REFRESH_WAIT_SECONDS if was_read else FIRST_REFRESH_WAIT_SECONDS
        )
        if self._pool.revision == 0:
            raise ServiceUnavailable("The database does not answer; please try again.", retry_after=2)

    async def _refresh_catalog(self) -> None:
        try:
            await self._catalog.current_statuses()
        except (*DATABASE_AWAY, FilmgateError) as error:
            log.warning("accounts.unread", error=type(error).__name__)
            self._next_refresh_at = time.monotonic() + REFRESH_PAUSE_SECONDS
        finally:
            self._refreshing = None
