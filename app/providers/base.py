"""What a provider is: a pure mapping between a ``GenerationRequest`` and one vendor's protocol.

A provider sends one request and returns what was answered. It never sleeps, loops, reads settings or touches the
database; the worker owns time, money, secrets, retries and storage.
"""

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Annotated, Any, ClassVar, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from app.errors import (
    InvalidRequest,
    OutcomeUnknown,
    PollFailed,
    UpstreamAuthFailed,
    UpstreamError,
    UpstreamRejected,
)
from app.foreign import ID_LIMIT, clean_document, writable_text
from app.generation import GenerationRequest, Kind, Role
from app.providers.account_checks import Verdict, look_at_models, look_at_start
from app.providers.http import UpstreamClient
from app.providers.own_hardware import NO_REMAKING, Remaking
from app.validation import Form, validate_document

ANTHROPIC_PATHS = frozenset({"messages", "messages/count_tokens"})
"""Paths of Anthropic's API: a server with OpenAI's API usually lacks them."""

FileKind = Literal["video", "image", "audio"]
Fit = Literal["exact", "nearest", "at_least"]
"""What may be made where the model lacks the length or the size that is asked for: nothing else, the nearest one that it
makes, or the nearest of those that are not less."""
RouteFit = Fit | Literal["join"]
"""Of lengths on a line of a route: ``join`` makes a film that is too long of segments (``app/catalog/segments.py``)."""


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
    """Accounts of a lower tier are used while any of them has a free slot."""
    cost_factor: float = 1.0
    """What its vendor charges for a list price of 1: 0.8 with a discount of a fifth, 0 where nobody is paid."""
    rpm: int | None = None
    """Submissions a minute."""
    plan: str = ""
    lengths: Fit = "exact"
    sizes: Fit = "exact"
    expires_at: float | None = None
    """When it can't be used any more, in UTC seconds."""
    proxy: str | None = field(default=None, repr=False)
    """The address of an HTTP proxy for all requests to its base URL."""

    def slots_for(self, kind: Kind) -> int:
        return self.limits.get(kind, self.slots)


def read_options(account: Account, form: type[Form]) -> Form:
    """``account.options`` as ``form``. Raises ``InvalidRequest`` that names the option which can't be read."""
    return validate_document(form, dict(account.options), whole="options", below="options")


def base_url_or(account: Account, default: str) -> str:
    """Scheme, host and path of ``account.base_url``, else ``default``. Raises ``InvalidRequest``."""
    given = account.base_url.strip().rstrip("/")
    if not given:
        return default
    parts = urlsplit(given)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise InvalidRequest(f"base_url must be like {default}", param="base_url")
    return f"{parts.scheme}://{parts.netloc}{parts.path}"


class Operation(BaseModel):
    """A piece of work that an upstream accepted. Holds paths, never whole URLs, and only what a row can hold: a receipt
    must never be lost to one odd character in it."""

    model_config = ConfigDict(frozen=True)

    id: Annotated[str, AfterValidator(lambda text: writable_text(text[:ID_LIMIT]))]
    data: Annotated[dict[str, Any], AfterValidator(clean_document)] = Field(default_factory=dict)


EARLIER = Operation(id="earlier")
"""Stands for the operation of a remix's source where a request is only checked."""


@dataclass(frozen=True, slots=True)
class Submission:
    """What goes with a request when it is started."""

    idempotency_key: str
    """The same for every attempt to submit one task."""
    remix_operation: Operation | None = None
    """The upstream operation of the task being remixed, when the same account made it."""


@dataclass(frozen=True, slots=True)
class ResultFile:
    """One file of a finished operation: a public ``url``, or one that needs the key (``Provider.fetch``)."""

    kind: FileKind
    content_type: str
    url: str | None = None
    data: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Queued:
    """Accepted, not begun. ``retry_after`` in seconds, when the upstream named an interval."""

    retry_after: float | None = None


@dataclass(frozen=True, slots=True)
class Running:
    """Begun; ``progress`` is 0 to 100, None when the upstream does not report it."""

    progress: float | None = None
    retry_after: float | None = None


@dataclass(frozen=True, slots=True)
class Succeeded:
    """Done. ``usage`` is what the upstream says it cost, in the upstream's own units."""

    files: tuple[ResultFile, ...]
    usage: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Failed:
    """The upstream says that there will be no result. ``code`` is ours: ``content_policy_violation``,
    ``upstream_error``, ``model_retired``, ``cancelled``, ``expired``; ``submission_unknown`` for work that was accepted and whose
    answer is lost for good. ``usage`` is what the upstream says it cost all the same."""

    code: str
    message: str
    usage: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def upstream_error(cls, message: str, *, moderated: bool = False) -> Self:
        """``content_policy_violation`` for work that the upstream's content filter ended, else ``upstream_error``."""
        return cls("content_policy_violation" if moderated else "upstream_error", message)


PollAnswer = Queued | Running | Succeeded | Failed


@dataclass(frozen=True, slots=True)
class PollInterval:
    """Seconds between two polls: ``first``, then times ``factor`` up to ``cap``."""

    first: float = 1.0
    factor: float = 1.3
    cap: float = 30.0


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What one model can take; routing and the texts of 400 answers come from it.

    What is empty or None is unknown: the upstream decides.
    """

    kinds: frozenset[Kind]
    roles: frozenset[Role] = frozenset()
    most: Mapping[Role, int] = field(default_factory=dict)
    """The most inputs of a role; none stated: unknown."""
    seconds: tuple[float, float] | None = None
    """Shortest and longest, in seconds."""
    lengths: tuple[float, ...] = ()
    """The only lengths, where it does not make every one from the shortest to the longest."""
    sizes: frozenset[str] = frozenset()
    tiers: Mapping[str, int] = field(default_factory=dict)
    """The vendor's words for resolutions, and the short side of each in pixels."""
    ratios: tuple[str, ...] = ()
    sound: Literal["choice", "always", "never"] | None = None
    prompt_limit: int | None = None
    max_pixels: int | None = None
    native_shots: bool = False
    """It has a field for a storyboard. Without one the shots stand in the prompt."""
    native_styles: bool | frozenset[str] = False
    """It has a field for a style, or for these. Without one the style stands in the prompt."""
    remix: bool = False
    cancel: bool = False
    idempotency_key: bool = False
    """``recover`` can find out whether a submission whose answer was lost has arrived."""


@dataclass(frozen=True, slots=True)
class RelayTarget:
    """Where a relayed call goes; ``headers`` carry the account's secret."""

    url: str
    headers: Mapping[str, str] = field(repr=False)
    defaults: Mapping[str, str] = field(default_factory=dict)
    """Headers that are added only where the client sent none of that name."""
    limit_name: Literal["max_tokens", "max_completion_tokens"] = "max_tokens"
    """The field for the most tokens of an answer in this server's chat API, for calls translated into it."""


@dataclass(frozen=True, slots=True)
class AccountBalance:
    """What is left on an account, in the vendor's own ``unit`` (``credits``, ``USD``)."""

    left: float
    unit: str


@dataclass(frozen=True, slots=True)
class AccountCheck:
    """The outcome of a check that costs nothing."""

    verdict: Verdict
    text: str
    balance: AccountBalance | None = None


class Provider(ABC):
    """One vendor's protocol, bound to one account."""

    name: ClassVar[str]
    """As the accounts name it; also the name of its folder. ``title`` is the vendor's own name."""
    title: ClassVar[str]
    docs_url: ClassVar[str] = ""
    """The vendor's documentation of this API; empty where no vendor stands behind it."""
    verified: ClassVar[str] = "documented"
    """How sure we are of the protocol: ``verified against <package> <version>``, ``documented``, ``third party``."""
    auth_scheme: ClassVar[str] = "Bearer"
    needs_secret: ClassVar[bool] = True
    secret_hint: ClassVar[str] = ""
    """What the secret looks like, where it is more than one word."""
    embedded: ClassVar[bool] = False
    """Part of Filmgate itself: no account of it can be added."""
    media_schemes: ClassVar[frozenset[str]] = frozenset()
    """Schemes of addresses (``asset``) in the vendor's own store."""
    reports_progress: ClassVar[bool] = False
    sample_models: ClassVar[tuple[str, ...]] = ()
    """Models whose abilities stand for the provider's in the table of providers."""
    sample_options: ClassVar[Mapping[str, Any]] = {}
    """The options without which no account of it works."""
    poll_interval: PollInterval = PollInterval()
    remaking: Remaking = NO_REMAKING
    """Of what the upstream has forgotten: only where nobody is paid for it."""

    def __init__(self, account: Account, http: UpstreamClient) -> None:
        """``account.options["poll_cap_seconds"]``: the longest interval between two polls."""
        self.account = account
        self.http = http
        cap = account.options.get("poll_cap_seconds")
        if cap is not None:
            first = min(self.poll_interval.first, float(cap))
            self.poll_interval = replace(self.poll_interval, first=first, cap=float(cap))

    @classmethod
    def sample_secret(cls) -> str:
        """A secret of the right form that opens nothing; the table of providers is made with it."""
        return "key"

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
    def check(self, request: GenerationRequest) -> None:
        """Raises ``UnsupportedWish`` for the first wish that this upstream can't be told; ``request.model`` is the
        upstream's name. Builds what ``start`` sends, and sends nothing. Inputs may come with empty ``content``, and
        a remix's source counts as known: ``start`` may refuse more."""

    def ask_about(self, model: str) -> None:  # noqa: B027 - most vendors can't be asked
        """After a refusal: asks the vendor, beside the requests, what ``model`` takes. Returns at once."""

    @abstractmethod
    async def start(self, request: GenerationRequest, submission: Submission) -> Operation:
        """Send ``request`` once; ``request.model`` is the upstream's name.

        Raises a subclass of ``UpstreamError``: its ``next_step`` says whether the request may have been
        accepted (``OutcomeUnknown``), surely was not, or was refused.
        """

    @abstractmethod
    async def poll(self, operation: Operation) -> PollAnswer:
        """Ask once. Raises ``PollFailed``, ``UpstreamBusy`` or ``OperationNotFound``."""

    async def cancel(self, operation: Operation) -> bool:
        """Ask the vendor to stop; True when it agreed. The default vendor can't."""
        return False

    async def recover(self, request: GenerationRequest, submission: Submission) -> Operation | None:
        """The operation of a submission whose answer was lost; None when it surely never arrived.

        Raises ``OutcomeUnknown`` when the vendor can't be asked, which is the default, and ``PollFailed``
        when it can but did not answer this time: ask again later.
        """
        raise OutcomeUnknown("The upstream offers no way to look this submission up.")

    async def start_again(self, request: GenerationRequest, submission: Submission) -> Operation:
        """``recover`` for upstreams that honour the idempotency key: the same submission again. Raises
        ``UpstreamRejected``, else ``PollFailed``: "not accepted" is true of this copy only, the first may be running."""
        try:
            return await self.start(request, submission)
        except UpstreamRejected:
            raise
        except UpstreamError as error:
            raise PollFailed(f"asked again: {error.message}", retry_after=error.retry_after) from error

    def fetch(self, operation: Operation, file: ResultFile) -> AsyncIterator[bytes]:
        """Bytes of a result that has no public ``url``. Raises ``PollFailed``."""
        raise NotImplementedError(f"{self.name} has no results behind a key")

    async def download(
        self, path: str, *, what: str, params: Mapping[str, str | int] | None = None
    ) -> AsyncIterator[bytes]:
        """The bytes at ``path``. Raises ``PollFailed``, also for a page or an error document in place of ``what``."""
        async with self.http.open_download(path, params=params) as result:
            if result.content_type in {"application/json", "text/html"}:
                raise PollFailed(f"the upstream answered {result.content_type} in place of {what}")
            async for chunk in result.chunks:
                yield chunk

    def relay_target(self, path: str) -> RelayTarget | None:
        """Where ``/v1/<path>`` of this account lies; None when the vendor has no such API."""
        return None

    async def published(self, model: str) -> Capabilities | None:
        """What the vendor itself publishes of ``model`` now; None where it publishes nothing. Raises like ``poll``."""
        return None

    async def listed_models(self) -> frozenset[str] | None:
        """The vendor's names of all its models; None where it does not list them. Raises like ``poll``."""
        return None

    async def balance(self) -> AccountBalance | None:
        """What is left on the account; None when the vendor does not report it. Raises like ``poll``."""
        return None

    async def check_account(self) -> AccountCheck:
        """Whether the upstream answers and takes the secret: by the balance, else by its list of models."""
        target = self.relay_target("models")
        try:
            balance = await self.balance()
        except UpstreamAuthFailed as error:
            if target is None:
                return AccountCheck("refused", error.message)
        except UpstreamError:
            pass  # the list of models shows the same trouble, if it is the whole account's
        else:
            if type(self).balance is not Provider.balance:
                return AccountCheck("accepted", "it answered about its balance", balance)
        try:
            return await self._check_models_list(target)
        except UpstreamError as error:
            refused = isinstance(error, UpstreamAuthFailed)
            return AccountCheck("refused" if refused else "silent", error.message)

    async def _check_models_list(self, target: RelayTarget | None) -> AccountCheck:
        """By the list of models at ``target``, else by any answer. Raises ``UpstreamAuthFailed`` for a bad secret."""
        if target is None:
            return AccountCheck(*await look_at_start(self.http))
        path, secret = target.url.removeprefix(self.http.base_url), bool(self.account.secret)
        return AccountCheck(*await look_at_models(self.http, path, target.headers, with_secret=secret))

    async def close(self) -> None:  # noqa: B027 - most hold nothing
        """Let go of what this provider holds (a process pool, a stream). Connections belong to the transport."""
