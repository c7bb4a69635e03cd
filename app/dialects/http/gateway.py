"""What routes of dialects work with: the gateway object, the client's key, the request context, links, files. It needs no web
framework, which comes with the routes."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from starlette.requests import HTTPConnection, Request

from app.catalog.catalog import Catalog
from app.catalog.prices import PriceRepository
from app.dialects.http.body import Body, BodyLimits, read_body
from app.errors import InvalidRequest
from app.keys.key import ClientKey
from app.keys.service import KeyRing, key_in_headers, retry_number
from app.keys.spender import end_user_of
from app.media.fetch import LINK_OWNER
from app.media.inputs import InputReader
from app.media.links import LinkSigner
from app.media.store import MediaStore
from app.ops.access import notes_of
from app.options import OptionsRepository
from app.tasks.batches import BatchRepository
from app.tasks.characters import CharacterLibrary
from app.tasks.derived_files import DerivedFileMaker
from app.tasks.film_hashes import FilmHashes
from app.tasks.service import RequestContext, TaskService
from app.tasks.task import DerivedFile, StoredFile, Task, file_link, files_are_kept
from app.usage.money_options import MoneyOptions
from app.usage.reports import UsageReports
from app.webhooks.endpoints import EndpointRepository

if TYPE_CHECKING:  # loaded when the first receipt is asked for
    from app.tasks.film_receipts.office import ReceiptOffice

HOST = re.compile(r"[A-Za-z0-9.-]{1,253}(:\d{1,5})?|\[[0-9a-fA-F:]{2,45}\](:\d{1,5})?")
SIZE = re.compile(r"(\d{2,5})[xX*](\d{2,5})")
LONGEST_PROMPT = 32_000
IDEMPOTENCY_KEY = re.compile(r"[\x21-\x7e]{1,255}")


class RecordChange(Protocol):
    """Writes a row of the operator's audit log."""

    async def __call__(self, actor: str, action: str, target: str, *, after: Any = None) -> None: ...


@dataclass(frozen=True, slots=True)
class Gateway:
    """The services that dialects may use."""

    keys: KeyRing
    tasks: TaskService
    catalog: Catalog
    characters: CharacterLibrary
    inputs: InputReader
    store: MediaStore
    derived_files: DerivedFileMaker
    film_hashes: FilmHashes
    signer: LinkSigner
    endpoints: EndpointRepository
    prices: PriceRepository
    reports: UsageReports
    receipts: "Callable[[], ReceiptOffice]"
    batches: BatchRepository
    options: OptionsRepository
    record_change: RecordChange
    limits: BodyLimits
    public_url: str | None
    chat_wait_seconds: float

    async def currency(self) -> str:
        """What amounts are called where people read them."""
        return (await self.options.read_if_possible(MoneyOptions)).currency

    async def read_body(self, request: Request) -> Body:
        body = await read_body(request, limits=self.limits)
        notes_of(request.scope).end_user = end_user_of(body.fields)
        return body

    def read_query(self, connection: HTTPConnection) -> Body:
        return Body(dict(connection.query_params), limits=self.limits)

    def file_link(self, connection: HTTPConnection, task: Task, file: StoredFile | DerivedFile) -> str:
        return file_link(task, file, base=self.base_url(connection), signer=self.signer)

    def file_links(self, connection: HTTPConnection, task: Task) -> list[str]:
        """Links to the files of a completed task that are still kept."""
        files = task.result.files if task.result and files_are_kept(task) else ()
        return [self.file_link(connection, task, file) for file in files]

    def base_url(self, connection: HTTPConnection) -> str:
        """The beginning of links: the operator's public address, else the address that the client used."""
        if self.public_url:
            return self.public_url.rstrip("/")
        host = connection.headers.get("host", "")
        if not HOST.fullmatch(host):
            server = connection.scope.get("server") or ("127.0.0.1", 80)
            host = f"{server[0]}:{server[1]}"
        return f"{connection.scope.get('scheme', 'http')}://{host}"


def gateway_of(connection: HTTPConnection) -> Gateway:
    found = connection.app.state.gateway
    assert isinstance(found, Gateway)
    return found


async def gateway_dependency(connection: HTTPConnection) -> Gateway:
    """A coroutine, because FastAPI would run a plain function in a thread."""
    return gateway_of(connection)


async def authenticate_key(connection: HTTPConnection) -> ClientKey:
    """Raises ``AuthenticationFailed``, ``PermissionDenied`` or ``RateLimited``."""
    key = await gateway_of(connection).keys.admit(
        key_in_headers(connection.scope["headers"]), connection.scope
    )
    LINK_OWNER.set(key.owner)
    return key


def request_context(
    connection: HTTPConnection, dialect: str, *, hook_url: str | None = None, hook_param: str = "notify_hook"
) -> RequestContext:
    """The request's idempotency key, retry mark and webhook. ``hook_url`` is called when the task ends; ``hook_param`` is
    the client's name for that field. Raises ``InvalidRequest`` for an idempotency key that cannot be stored.
    """
    key = connection.headers.get("idempotency-key")
    if key is not None and not IDEMPOTENCY_KEY.fullmatch(key):
        raise InvalidRequest("Idempotency-Key must be 1 to 255 printable characters", param="Idempotency-Key")
    attempt = retry_number(connection.scope["headers"])
    return RequestContext(
        dialect,
        idempotency_key=key,
        is_retry=attempt > 0,
        attempt=attempt,
        hook_url=hook_url,
        hook_base=gateway_of(connection).base_url(connection) if hook_url else None,
        hook_param=hook_param,
        notes=notes_of(connection.scope),
    )


def check_prompt(prompt: str, *, param: str) -> None:
    """Raises ``InvalidRequest`` for more characters than OpenAI allows."""
    if len(prompt) > LONGEST_PROMPT:
        raise InvalidRequest(f"{param} must be at most {LONGEST_PROMPT} characters", param=param)


def read_size(text: str | None, *, param: str = "size") -> str | None:
    """``WxH`` in pixels. Raises ``InvalidRequest``."""
    if text is None or not text.strip():
        return None
    match = SIZE.fullmatch(text.strip())
    if match is None or 0 in (int(match[1]), int(match[2])):
        raise InvalidRequest(f"{param} must be WIDTHxHEIGHT in pixels, like 1280x720", param=param)
    return f"{int(match[1])}x{int(match[2])}"
