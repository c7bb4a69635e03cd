"""`/admin/api/providers`: the providers that an account can be added for, and the fields each needs."""

from functools import lru_cache

from fastapi import APIRouter

from app.admin.access import AdminRequest, AdminRoute
from app.admin.bodies import ListAnswer, PanelAnswer
from app.errors import InvalidRequest
from app.providers import registry
from app.providers.base import Account, Provider
from app.providers.overview import ProviderOverview, all_overviews

router = APIRouter(route_class=AdminRoute, prefix="/providers")


class ProviderField(PanelAnswer):
    """A field of the form: ``base_url``, ``secret``, or an option such as ``options.region``."""

    name: str
    required: bool
    hint: str
    secret: bool = False
    default: str | None = None


class ProviderObject(PanelAnswer):
    """A provider; ``makes`` and ``takes`` are kinds of results and roles of inputs, ``verified`` says how it was
    tested, ``title`` is the vendor's own name. ``native_shots``: it takes a storyboard; ``progress``: it reports progress."""

    name: str
    title: str
    docs_url: str
    makes: list[str]
    takes: list[str]
    auth: str
    verified: str
    cancel: bool
    native_shots: bool
    progress: bool
    needs_base_url: bool
    default_base_url: str | None
    fields: list[ProviderField]


@router.get("", summary="List providers", response_model_exclude_unset=True)
async def list_providers(request: AdminRequest) -> ListAnswer[ProviderObject]:
    """Alphabetical, without built-in providers."""
    overviews = await _load_overviews()
    providers = [_provider_object(row) for row in overviews if not registry.provider_class(row.name).embedded]
    return ListAnswer(data=providers, next=None)


_cached_overviews: list[ProviderOverview] = []


async def _load_overviews() -> list[ProviderOverview]:
    """Loads every provider; the result is kept."""
    if not _cached_overviews:
        _cached_overviews[:] = await all_overviews()
    return _cached_overviews


def _provider_object(overview: ProviderOverview) -> ProviderObject:
    kind = registry.provider_class(overview.name)
    default = _default_address(overview.name)
    needs_address = default is None
    address = ProviderField(name="base_url", required=needs_address, default=default, hint="")
    secret = ProviderField(name="secret", required=kind.needs_secret, secret=True, hint=kind.secret_hint)
    return ProviderObject(
        name=overview.name,
        title=overview.title,
        docs_url=overview.docs_url,
        makes=list(overview.makes),
        takes=list(overview.takes),
        auth=overview.auth,
        verified=overview.verified,
        cancel=overview.cancel,
        native_shots=overview.native_shots,
        progress=overview.progress,
        needs_base_url=needs_address,
        default_base_url=default,
        fields=[address, secret, *_needed_options(kind)],
    )


@lru_cache(maxsize=64)
def _default_address(name: str) -> str | None:
    """The address of an account without one of its own; None when it must be given."""
    kind = registry.provider_class(name)
    account = Account(
        id="", provider=name, name=name, secret=kind.sample_secret(), options=kind.sample_options
    )
    try:
        return kind.base_url_for(account) or None
    except InvalidRequest:
        return None


def _needed_options(kind: type[Provider]) -> list[ProviderField]:
    return [
        ProviderField(name=f"options.{option}", required=True, hint="as in docs/accounts.md")
        for option in kind.sample_options
    ]
