"""The table of providers, made from their code: what each makes, takes and can, and how sure we are."""

from collections.abc import Iterable
from dataclasses import dataclass

import httpx2

from app.providers import registry
from app.providers.base import Capabilities
from app.providers.samples import MODELS, sample_account

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
)


@dataclass(frozen=True, slots=True)
class ProviderOverview:
    """One provider, over the models that stand for it. ``asks_again``: ``recover`` can learn what became of
    a submission whose answer was lost."""

    name: str
    makes: tuple[str, ...]
    takes: tuple[str, ...]
    native_shots: bool
    cancel: bool
    asks_again: bool
    progress: bool
    auth: str
    verified: str

    def table_cells(self) -> tuple[str, ...]:
        words = [", ".join(part) or "–" for part in (self.makes, self.takes)]
        marks = [
            "yes" if able else "–"
            for able in (self.native_shots, self.cancel, self.asks_again, self.progress)
        ]
        return (f"`{self.name}`", *words, *marks, self.auth, self.verified)


async def all_overviews() -> list[ProviderOverview]:
    """Every provider, alphabetical. Nothing is sent anywhere."""
    async with httpx2.AsyncHTTPTransport() as transport:
        return [await _build_overview(name, transport) for name in registry.PROVIDERS]


def markdown_table(rows: Iterable[ProviderOverview]) -> str:
    lines = [HEADINGS, tuple("---" for _ in HEADINGS), *(row.table_cells() for row in rows)]
    return "".join("| " + " | ".join(_in_a_cell(cell) for cell in cells) + " |\n" for cells in lines)


def _in_a_cell(text: str) -> str:
    return text.replace("|", "\\|")


async def _build_overview(name: str, transport: httpx2.AsyncBaseTransport) -> ProviderOverview:
    provider = registry.create_provider(sample_account(name), transport)
    able = [provider.capabilities(model) for model in ("", *MODELS.get(name, ()))]
    kind = type(provider)
    await provider.close()
    return ProviderOverview(
        name=name,
        makes=_union_of(able, "kinds"),
        takes=_union_of(able, "roles"),
        native_shots=any(each.native_shots for each in able),
        cancel=any(each.cancel for each in able),
        asks_again=any(each.idempotency_key for each in able),
        progress=kind.reports_progress,
        auth=kind.auth_scheme,
        verified=kind.verified,
    )


def _union_of(able: list[Capabilities], name: str) -> tuple[str, ...]:
    return tuple(sorted(set().union(*(getattr(each, name) for each in able))))
