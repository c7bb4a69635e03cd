"""Which accounts serve a model, under which upstream name, and which of them gets the next task or call."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from app.accounts.cooldown_rules import may_probe
from app.accounts.status import WHOLE_ACCOUNT, AccountStatus
from app.catalog.fitting import EXACT, FittingRules
from app.catalog.overrides import NO_OVERRIDES, Overrides
from app.catalog.presets import PRESETS, family_kind
from app.catalog.retirements import current_model
from app.catalog.route_documents import FAMILY, CandidateDocument, Preference, RouteDocument
from app.generation import Kind
from app.providers.base import Account
from app.providers.model_facts import kind_by_name

ANY_MODEL = "*"
MAX_ALIASES = 8
KindsOfAccount = Callable[[Account], frozenset[Kind]]
ExclusionCode = Literal["not_in_route", "kind", "needs_pro", "unmapped", "fault", "stands_in"]


@dataclass(frozen=True, slots=True)
class Candidate:
    """An account that serves a model, and the upstream's name for it.

    Candidates of a higher ``order`` are fallbacks. Within one order, load is split by ``weight`` (the route's) × the
    account's weight.
    """

    status: AccountStatus
    model: str
    order: int = 0
    weight: float = 1.0
    overrides: Overrides = field(default=NO_OVERRIDES, repr=False)
    rules: FittingRules = EXACT
    """What may be made where the model lacks what is asked."""
    retiring: str = ""
    """The model that the route names, where its line may take the successor."""
    prefer: Preference | None = None
    """Which candidates of its order come first, by their ``figure``; None where that is not known."""
    figure: float | None = None
    merit: float = 0.0
    """Made of the figure: the least is best."""

    @property
    def account(self) -> Account:
        return self.status.account

    @property
    def share(self) -> float:
        """Its part of the load, relative to other candidates of the same order and tier."""
        return self.weight * self.account.weight


@dataclass(frozen=True, slots=True)
class ExcludedAccount:
    """An account that does not serve a model, whatever its status, and why."""

    status: AccountStatus
    code: ExclusionCode
    text: str


# ---- who gets the next task or call -------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class UsableCandidates:
    """The candidates that may get a task or a call now.

    ``trial_scopes``: account id to what one request, and not more, tests there: an upstream model, or ``*`` for the
    whole account.
    """

    candidates: list[Candidate]
    trial_scopes: dict[str, str]


def usable_now(candidates: Sequence[Candidate], now: float, *, can_wait: bool = True) -> UsableCandidates:
    """Candidates that nothing blocks; if there are none, those whose cooldown may be tested by one request.

    A relayed call can't wait (``can_wait=False``): it also goes to accounts that cool down because of failures,
    blocked requests or a forbidden model.
    """
    usable = [each for each in candidates if each.status.blocked_by(each.model, now) is None]
    if usable:
        tested = [each for each in usable if each.status.cooldowns and each.status.half_open(each.model, now)]
    else:
        usable = tested = [each for each in candidates if may_be_tested(each, now, can_wait=can_wait)]
    return UsableCandidates(usable, {each.account.id: _trial_scope(each, now) for each in tested})


def may_be_tested(candidate: Candidate, now: float, *, can_wait: bool = True) -> bool:
    """Whether one request may find out if the candidate's cooldown is over."""
    status = candidate.status
    cooldown = status.cooldown_for(candidate.model, now)
    if cooldown is None or replace(status, cooldowns={}).blocked_by(candidate.model, now) is not None:
        return False
    if not can_wait and cooldown.code in ("failing", "blocked", "forbidden"):
        return True
    return may_probe(cooldown, now, last=True)


def _trial_scope(candidate: Candidate, now: float) -> str:
    whole = candidate.status.cooldowns.get(WHOLE_ACCOUNT)
    cools = whole is not None and (whole.is_active(now) or whole.half_open(now))
    return WHOLE_ACCOUNT if cools else candidate.model


class RoundRobin:
    """Start-time fair queueing: names take turns by their shares, also when their work never overlaps, and a name
    that joins late does not catch up on the turns it missed."""

    def __init__(self) -> None:
        self._turns: dict[str, float] = {}
        self._clock = 0.0

    def turn_of(self, name: str) -> float:
        """The virtual time of its next turn: the smallest is next."""
        return max(self._turns.get(name, 0.0), self._clock)

    def take_turn(self, name: str, share: float = 1.0) -> None:
        self._clock = self.turn_of(name)
        self._turns[name] = self._clock + 1 / share


RankKey = tuple[int, float, int, float, float]


def rank_key(candidate: Candidate, load: float, turns: RoundRobin | None = None) -> RankKey:
    """What candidates that are usable now are ranked by: the smallest gets the next task or call.

    The route's order and what it prefers there, the account's tier, the ``load`` (tasks or calls under way) by share, then turns. Without
    ``turns``, equal keys mean that any of them may be next.
    """
    account = candidate.account
    turn = turns.turn_of(account.id) if turns is not None else 0.0
    return candidate.order, candidate.merit, account.tier, load / candidate.share, turn


# ---- what a model's name leads to ---------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class NameResolution:
    """``name`` is the model's name at upstreams unless an account or a route states another.

    ``path``: the public name and the names that its aliases lead to. Without a ``route``, the accounts' model maps decide.
    ``problem`` says why an alias leads nowhere.
    """

    name: str
    path: tuple[str, ...]
    route: RouteDocument | None = None
    problem: str | None = None


def resolve_name(routes: Mapping[str, RouteDocument], model: str) -> NameResolution:
    """The enabled route of a name: its own, its alias's, that of the preset it is a variant of, or a family's.

    ``routes`` by model name.
    """
    path = [model]
    while True:
        route = _route_for(routes, path[-1])
        if route is None:
            return NameResolution(path[-1], tuple(path))
        if route.alias_of is None:
            return NameResolution(_upstream_name(route, path[-1]), tuple(path), route)
        target = route.alias_of
        if target in path or len(path) > MAX_ALIASES:
            text = " → ".join([*path, target])
            why = "goes round in a circle" if target in path else f"is longer than {MAX_ALIASES} steps"
            return NameResolution(path[-1], tuple(path), problem=f"the chain of aliases {text} {why}")
        path.append(target)


def _route_for(routes: Mapping[str, RouteDocument], name: str) -> RouteDocument | None:
    preset = PRESETS.get(name)
    for own in (name, preset.base if preset else name):
        if own in routes and routes[own].enabled:
            return routes[own]
    families = [
        route
        for route in routes.values()
        if route.enabled and route.model.endswith(FAMILY) and name.startswith(route.model[:-1])
    ]
    return max(families, key=lambda route: len(route.model), default=None)


def _upstream_name(route: RouteDocument, name: str) -> str:
    """The base's name for a preset's variant; members of a family keep their names."""
    return name if route.model.endswith(FAMILY) else route.model


# ---- which accounts serve it --------------------------------------------------------------------


def assess_accounts(
    statuses: Iterable[AccountStatus], resolution: NameResolution, *, kind: Kind, kinds: KindsOfAccount
) -> list[Candidate | ExcludedAccount]:
    """Every account, those that serve the model first and in their order."""
    statuses = list(statuses)
    if resolution.route is not None:
        assessed = [_assess_by_route(status, resolution, kind=kind, kinds=kinds) for status in statuses]
    else:
        assessed = _assess_by_map(statuses, resolution, kind=kind, kinds=kinds)
    return sorted(assessed, key=lambda each: each.order if isinstance(each, Candidate) else 1_000_000)


def mapped_name(account: Account, model: str) -> str | None:
    """The account's own name for a model that its map knows, directly, by family, or by ``*``."""
    preset = PRESETS.get(model)
    for name in (model, preset.base if preset else model):
        if name in account.models:
            return account.models[name]
    if ANY_MODEL in account.models:
        return model if account.models[ANY_MODEL] == ANY_MODEL else account.models[ANY_MODEL]
    return None


def default_name(account: Account, kind: Kind, model: str) -> str | None:
    """The account's name for a model that its map does not know; None when it does not serve the model.

    A preset's name becomes the account's default model, or its first when it makes one kind only. Without either, an
    account without a map uses the public name; so does one whose map names no pictures, for the names of image models.
    """
    meant = model in PRESETS or kind == family_kind(model)
    if meant and (stated := _stated_model(account, kind)):
        return stated
    if not account.models:
        return model
    maps_images = meant and kind == "image" and any(map(_names_image_model, account.models.values()))
    return model if meant and kind == "image" and not maps_images else None


def _names_image_model(upstream: str) -> bool:
    return kind_by_name(upstream) == "image"


def selects_account(candidate: CandidateDocument, account: Account) -> bool:
    """Whether this line of a route means ``account``."""
    if candidate.account is not None:
        return candidate.account in (account.name, account.id)
    if candidate.provider is not None:
        return candidate.provider == account.provider
    return candidate.tag is None or candidate.tag in account.tags


def _assess_by_route(
    status: AccountStatus, resolution: NameResolution, *, kind: Kind, kinds: KindsOfAccount
) -> Candidate | ExcludedAccount:
    account = status.account
    assert resolution.route is not None
    lines = [
        (order, line)
        for order, line in resolution.route.numbered_candidates()
        if selects_account(line, account)
    ]
    if not lines:
        return ExcludedAccount(status, "not_in_route", f"not in the route {resolution.route.model}")
    # An account that the operator names needs no tag.
    named = any(line.account is not None for _, line in lines)
    excluded = _find_exclusion(status, resolution, kind=kind, kinds=kinds, tagged=named)
    if excluded is not None:
        return excluded
    order, line = lines[0]
    stated = line.model or _own_model_name(account, kind, resolution)
    model = current_model(account.provider, stated) if line.successor else stated
    rules = fitting_rules(account, resolution, line)
    retiring, prefer = stated if line.successor else "", resolution.route.preference_at(order)
    return Candidate(status, model, order, line.weight, line.overrides, rules, retiring, prefer)


def _assess_by_map(
    statuses: Iterable[AccountStatus], resolution: NameResolution, *, kind: Kind, kinds: KindsOfAccount
) -> list[Candidate | ExcludedAccount]:
    """If any account maps the name, only those serve it; an unmapped preset is served by every account of its kind."""
    assessed: list[Candidate | ExcludedAccount] = []
    serving: list[AccountStatus] = []
    for status in statuses:
        excluded = _find_exclusion(status, resolution, kind=kind, kinds=kinds, tagged=False)
        if excluded is not None:
            assessed.append(excluded)
        else:
            serving.append(status)
    name = resolution.name
    known = any(mapped_name(status.account, name) for status in serving)
    for status in serving:
        account = status.account
        upstream = mapped_name(account, name)
        if not known or (status.stands_in and upstream is None):
            upstream = default_name(account, kind, name)
        if upstream:
            assessed.append(Candidate(status, upstream, rules=fitting_rules(account, resolution)))
        else:
            why = "others map it by name, this one does not" if known else "its model map does not know it"
            assessed.append(ExcludedAccount(status, "unmapped", why))
    return assessed


def hold_back_stand_in(
    assessed: Sequence[Candidate | ExcludedAccount], route: RouteDocument | None, now: float
) -> list[Candidate | ExcludedAccount]:
    """Without the studio that stands in for accounts which are not proven, while one of them may work. A route that names
    it means it."""
    others = [each for each in assessed if isinstance(each, Candidate) and not each.status.stands_in]
    if all(each.status.blocked_by(each.model, now) for each in others):
        return list(assessed)
    return [
        ExcludedAccount(each.status, "stands_in", "it works only while no other account can")
        if isinstance(each, Candidate) and each.status.stands_in and not _is_named(each.account, route)
        else each
        for each in assessed
    ]


def _is_named(account: Account, route: RouteDocument | None) -> bool:
    lines = route.candidates if route is not None else ()
    return any((each.account or each.provider) and selects_account(each, account) for each in lines)


def fitting_rules(
    account: Account, resolution: NameResolution, line: CandidateDocument | None = None
) -> FittingRules:
    """``line``: of the route that led to the account."""
    lengths, sizes = (line.lengths, line.sizes) if line is not None else (None, None)
    preset = PRESETS.get(resolution.path[-1])
    return FittingRules.of(account, preset, lengths=lengths, sizes=sizes)


def _find_exclusion(
    status: AccountStatus, resolution: NameResolution, *, kind: Kind, kinds: KindsOfAccount, tagged: bool
) -> ExcludedAccount | None:
    account = status.account
    made = kinds(account)
    if kind not in made:
        return ExcludedAccount(status, "kind", f"it makes {', '.join(sorted(made)) or 'nothing'}, not {kind}")
    preset = PRESETS.get(resolution.path[-1])
    if preset is None or tagged or "all" in account.tags or preset.needs <= account.tags:
        return None
    return ExcludedAccount(status, "needs_pro", f"{preset.name} needs the tag {', '.join(preset.needs)}")


def _own_model_name(account: Account, kind: Kind, resolution: NameResolution) -> str:
    """The upstream's name for a route that states none: the account's map, else its default, else the public name."""
    asked = resolution.path[-1]
    own = mapped_name(account, asked)
    if own is not None and own != asked:
        return own
    if asked in account.models:
        return asked
    return (_stated_model(account, kind) if account.models and own is None else None) or resolution.name


def _stated_model(account: Account, kind: Kind) -> str | None:
    """The model that the account uses for names that its map does not know."""
    stated = account.options.get("default_model")
    if stated is None and account.kinds == frozenset({kind}):
        stated = next(iter(account.models.values()), None)
    return None if stated is None or stated == ANY_MODEL else str(stated)
