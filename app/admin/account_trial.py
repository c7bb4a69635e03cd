"""`/admin/api/accounts/try`: an account that is not saved yet is tested, and the models of its vendor are listed."""

from fastapi import APIRouter

from app.accounts.definition import AccountDraft
from app.admin.access import AdminRequest, AdminRoute
from app.admin.accounts import CheckResult, check_result
from app.admin.bodies import PanelAnswer
from app.catalog.presets import PRESETS
from app.errors import UpstreamError
from app.providers.base import Provider
from app.providers.model_facts import ModelFacts, kind_by_name, read_facts

router = APIRouter(route_class=AdminRoute, prefix="/accounts")
MOST_MODELS = 2000


class UpstreamModel(PanelAnswer):
    """A model under the vendor's name. ``per_second`` are list prices in US dollars by resolution, `*` for any other;
    ``retires`` is the vendor's last day for it."""

    name: str
    kind: str | None
    per_second: dict[str, str]
    retires: str | None


class TrialAnswer(PanelAnswer):
    """``listed``: the vendor itself named these models; else they are those that Filmgate knows of it. ``public`` are
    names that clients ask for."""

    check: CheckResult
    listed: bool
    models: list[UpstreamModel]
    public: list[str]


@router.post("/try", summary="Test an account before it is saved")
async def try_account(draft: AccountDraft, request: AdminRequest) -> TrialAnswer:
    """Costs nothing and stores nothing. The models are the vendor's own list, where it has one."""
    pool = request.panel.pool
    account = draft.as_account("")
    await pool.check_account(account)
    provider = pool.build_provider(account)
    try:
        check = await check_result(provider)
        names = await _listed_models(provider) if check.ok else None
    finally:
        await provider.close()
    served = {card.name for card in await request.panel.gateway.catalog.list_models()}
    return TrialAnswer(
        check=check,
        listed=names is not None,
        models=_known_models(draft.provider) if names is None else _named_models(draft.provider, names),
        public=sorted({*served, *(preset.base for preset in PRESETS.values())}),
    )


async def _listed_models(provider: Provider) -> frozenset[str] | None:
    try:
        return await provider.listed_models()
    except UpstreamError:
        return None  # a server of the same API may lack this path


def _known_models(vendor: str) -> list[UpstreamModel]:
    facts = [(name, model) for model in read_facts(vendor).models for name in model.ids]
    return [_model_object(name, model) for name, model in facts][:MOST_MODELS]


def _named_models(vendor: str, names: frozenset[str]) -> list[UpstreamModel]:
    """Those that make films first."""
    facts = read_facts(vendor)
    found = [_model_object(name, facts.find_model(name)) for name in sorted(names)]
    return sorted(found, key=lambda model: model.kind != "video")[:MOST_MODELS]


def _model_object(name: str, facts: ModelFacts | None) -> UpstreamModel:
    prices = (
        {("*" if key == "any" else key.lower()): amount for key, amount in facts.prices.items()}
        if facts
        else {}
    )
    if prices:
        prices.setdefault("*", max(prices.values()))
    return UpstreamModel(
        name=name,
        kind=facts.kind if facts else kind_by_name(name),
        per_second={key: f"{amount:g}" for key, amount in prices.items()},
        retires=facts.retires.isoformat() if facts and facts.retires else None,
    )
