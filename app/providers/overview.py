"""The table of providers, made from their code: what each makes, takes and can do, and how its protocol was verified."""

from collections.abc import Iterable
from dataclasses import dataclass

import aiohttp

from app.providers import registry
from app.providers.base import Account, Capabilities
from app.providers.transport import UpstreamTransport

HEADINGS = (
    "provider",
    "makes",
    "takes",
    "native shots",
    "cancel",
    "asks again",
    "progress",
    "auth",
    "verified",
    "documentation",
)


@dataclass(frozen=True, slots=True)
class ProviderOverview:
    """One provider, over its ``sample_models``. ``asks_again``: ``recover`` can find out whether a submission whose
    answer was lost has arrived."""

    name: str
    title: str
    makes: tuple[str, ...]
    takes: tuple[str, ...]
    native_shots: bool
    cancel: bool
    asks_again: bool
    progress: bool
    auth: str
    verified: str
    docs_url: str

    def table_cells(self) -> tuple[str, ...]:
        """As many as ``HEADINGS``."""
        lists = [", ".join(words) or "–" for words in (self.makes, self.takes)]
        marks = [
            "yes" if able else "–"
            for able in (self.native_shots, self.cancel, self.asks_again, self.progress)
        ]
        return (self.name, *lists, *marks, self.auth, self.verified, self.docs_url or "–")


def sample_account(name: str) -> Account:
    """An account as an operator would write it, with a secret that opens nothing."""
    kind = registry.provider_class(name)
    return Account(
        id="sample",
        provider=name,
        name=name,
        base_url="https://upstream.example",
        secret=kind.sample_secret(),
        options=kind.sample_options,
    )


async def all_overviews() -> list[ProviderOverview]:
    """Every provider, alphabetical. Sends no request."""
    async with UpstreamTransport(aiohttp.TCPConnector()) as transport:
        return [await _build_overview(name, transport) for name in registry.PROVIDERS]


def markdown_table(rows: Iterable[ProviderOverview]) -> str:
    lines = [HEADINGS, tuple("---" for _ in HEADINGS), *(_markdown_cells(row) for row in rows)]
    return "".join("| " + " | ".join(cells) + " |\n" for cells in lines)


def _markdown_cells(row: ProviderOverview) -> tuple[str, ...]:
    name, *cells = (cell.replace("|", "\\|") for cell in row.table_cells())
    link = f"[{row.title}]({row.docs_url})" if row.docs_url else row.title
    return (f"`{name}`", *cells[:-1], link)


async def _build_overview(name: str, transport: UpstreamTransport) -> ProviderOverview:
    kind = registry.provider_class(name)
    provider = registry.create_provider(sample_account(name), transport)
    able = [provider.capabilities(model) for model in ("", *kind.sample_models)]
    await provider.close()
    return ProviderOverview(
        name=name,
        title=kind.title,
        makes=_union_of(able, "kinds"),
        takes=_union_of(able, "roles"),
        native_shots=any(each.native_shots for each in able),
        cancel=any(each.cancel for each in able),
        asks_again=any(each.idempotency_key for each in able),
        progress=kind.reports_progress,
        auth=kind.auth_scheme,
        verified=kind.verified,
        docs_url=kind.docs_url,
    )


def _union_of(able: list[Capabilities], name: str) -> tuple[str, ...]:
    return tuple(sorted(set().union(*(getattr(each, name) for each in able))))
