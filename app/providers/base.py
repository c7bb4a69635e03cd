"""What a provider is: a pure mapping between our waist and one vendor's protocol.

A provider looks once and answers. It never sleeps, loops, reads settings or touches the database; the
worker owns time, money, secrets, retries and storage.
"""

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field

from app.errors import OutcomeUnknown, UpstreamAuthFailed, UpstreamError
from app.generation import GenerationRequest, Kind, Role
from app.providers.checking import AccountBalance, AccountCheck, check_models_list
from app.providers.http import UpstreamClient
from app.providers.relay_target import RelayTarget

ANTHROPIC_PATHS = frozenset({"messages", "messages/count_tokens"})
"""Paths of Anthropic's API: a server that speaks OpenAI's does not speak them for that alone."""


@dataclass(frozen=True, slots=True)
class Account:
    """One credential at a provider, as much of it as a provider may know."""

    id: str
    provider: str
    name: str
    base_url: str = ""
    secret: str = field(default="", repr=False)
    models: Mapping[str, str] = field(default_factory=dict)
    """Public model name to the upstream's name; ``"*": "*"`` passes every name on."""
    kinds: frozenset[Kind] = frozenset()
    """What the operator uses it for; empty means all the provider can do."""
    slots: int = 1
    """How many tasks of one kind may run on it at the same time."""
    options: Mapping[str, Any] = field(default_factory=dict)
    tags: frozenset[str] = frozenset()
    """The operator's labels; ``pro`` (or ``all``) says that it can do what needs that tag."""
    limits: Mapping[Kind, int] = field(default_factory=dict)
    """Slots of the kinds for which they differ from ``slots``."""
    weight: float = 1.0
    """Its share of the work among accounts of its tier."""
    tier: int = 0
    """Lower ones are used while any of them has room."""
    rpm: int | None = None
    """Submissions a minute."""
    plan: str = ""
    expires_at: float | None = None
    """When it can't be used any more, in UTC seconds."""
    proxy: str | None = field(default=None, repr=False)
    """The address of an HTTP proxy that everything to its base URL goes through."""

    def slots_for(self, kind: Kind) -> int:
        return self.limits.get(kind, self.slots)


class Operation(BaseModel):
    """A piece of work that an upstream accepted. Holds paths, never whole URLs."""

    model_config = ConfigDict(frozen=True)

    id: str
    data: dict[str, Any] = Field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Submission:
    """What goes with a request when it is started."""

    idempotency_key: str
    """Stable over every try to submit one task."""
    remix_operation: Operation | None = None
    """The upstream operation of the task being remixed, when the same account made it."""


@dataclass(frozen=True, slots=True)
class ResultFile:
    """One file of a finished operation: a public ``url``, or behind the key (``Provider.fetch``)."""

    kind: Literal["video", "image", "audio"]
    content_type: str
    url: str | None = None
    data: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Queued:
    """Accepted, not begun. ``retry_after`` in seconds, when the upstream named a pace."""

    retry_after: float | None = None


@dataclass(frozen=True, slots=True)
class Running:
    """Being made; ``progress`` is 0 to 100, None when the upstream does not say."""

    progress: float | None = None
    retry_after: float | None = None


@dataclass(frozen=True, slots=True)
class Succeeded:
    """Done. ``usage`` holds what the upstream says it cost, in its own units."""

    files: tuple[ResultFile, ...]
    usage: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Failed:
    """The upstream's word that it will not come. ``code`` is ours: ``content_policy_violation``,
    ``upstream_error``, ``cancelled``, ``expired``; ``submission_unknown`` for work that was accepted and whose
    answer is lost for good."""

    code: str
    message: str


PollAnswer = Queued | Running | Succeeded | Failed


@dataclass(frozen=True, slots=True)
class PollInterval:
    """How often to look, in seconds: ``first``, then times ``factor`` up to ``cap``."""

    first: float = 1.0
    factor: float = 1.3
    cap: float = 30.0


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What one model can take; routing and the texts of 400 answers come from it.

    Empty ``sizes`` or None ``seconds`` mean: we do not know, the upstream decides.
    """

    kinds: frozenset[Kind]
    roles: frozenset[Role] = frozenset()
    seconds: tuple[float, float] | None = None
    """Shortest and longest, in seconds."""
    sizes: frozenset[str] = frozenset()
    max_pixels: int | None = None
    native_shots: bool = False
    remix: bool = False
    cancel: bool = False
    idempotency_key: bool = False
    """``recover`` can learn the fate of a submission whose answer was lost."""


class Provider(ABC):
    """One vendor's protocol, bound to one account."""

    name: ClassVar[str]
    verified: ClassVar[str] = "documented"
    """How sure we are of the protocol: ``verified against <package> <version>``, ``documented``, ``third party``."""
    auth_scheme: ClassVar[str] = "Bearer"
    reports_progress: ClassVar[bool] = False
    """Whether its looks say how far the work is."""
    poll_interval: PollInterval = PollInterval()

    def __init__(self, account: Account, http: UpstreamClient) -> None:
        """``account.options["poll_cap_seconds"]`` is the operator's word on how often to look at most seldom."""
        self.account = account
        self.http = http
        cap = account.options.get("poll_cap_seconds")
        if cap is not None:
            self.poll_interval = replace(
                self.poll_interval, first=min(self.poll_interval.first, float(cap)), cap=float(cap)
            )

    @classmethod
    def base_url_for(cls, account: Account) -> str:
        """What every path of this account is joined to. Raises ``InvalidRequest`` for one that can't work."""
        return account.base_url

    @classmethod
    def auth_headers(cls, account: Account) -> Mapping[str, str]:
        """The headers that carry the account's secret."""
        return {"Authorization": f"Bearer {account.secret}"} if account.secret else {}

    @abstractmethod
    def capabilities(self, model: str) -> Capabilities:
        """What ``model`` (the upstream's name) can take."""

    @abstractmethod
    async def start(self, request: GenerationRequest, submission: Submission) -> Operation:
        """Send ``request`` once; ``request.model`` is the upstream's name.

        Raises a subclass of ``UpstreamError``: its ``next_step`` says whether it can have been
        accepted (``OutcomeUnknown``), surely was not, or was refused.
        """

    @abstractmethod
    async def poll(self, operation: Operation) -> PollAnswer:
        """Look once. Raises ``PollFailed``, ``UpstreamBusy`` or ``OperationNotFound``."""

    async def cancel(self, operation: Operation) -> bool:
        """Ask the vendor to stop; True when it said yes. The default vendor can't."""
        return False

    async def recover(self, request: GenerationRequest, submission: Submission) -> Operation | None:
        """What became of a submission whose answer was lost; None when it surely never arrived.

        Raises ``OutcomeUnknown`` when the vendor can't be asked, which is the default, and ``PollFailed``
        when it can but did not answer this time: ask again later.
        """
        raise OutcomeUnknown("The upstream offers no way to look this submission up.")

    def fetch(self, operation: Operation, file: ResultFile) -> AsyncIterator[bytes]:
        """Bytes of a result that has no public ``url``. Raises ``PollFailed``."""
        raise NotImplementedError(f"{self.name} has no results behind a key")

    def relay_target(self, path: str) -> RelayTarget | None:
        """Where ``/v1/<path>`` of this account lies; None when the vendor speaks no such API."""
        return None

    async def balance(self) -> AccountBalance | None:
        """What is left on the account; None when the vendor does not tell. Raises like ``poll``."""
        return None

    async def check_account(self) -> AccountCheck:
        """Whether the upstream answers and takes the secret: by the balance, else by its list of models."""
        target = self.relay_target("models")
        try:
            told = await self.balance()
        except UpstreamAuthFailed as error:
            if target is None:
                return AccountCheck("refused", error.message)
        except UpstreamError:
            pass  # what its balance is worth asking for, the way below finds out too
        else:
            if type(self).balance is not Provider.balance:
                return AccountCheck("accepted", "it answered about its balance", told)
        try:
            return await check_models_list(self.http, target, has_secret=bool(self.account.secret))
        except UpstreamError as error:
            return AccountCheck("silent", error.message)

    async def close(self) -> None:
        """Let go of what this provider holds (a process pool, a connection)."""
        await self.http.aclose()
