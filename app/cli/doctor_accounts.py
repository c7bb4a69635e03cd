"""What `filmgate doctor` finds about accounts, and about tasks that no account can take."""

import time
from collections.abc import Iterable, Sequence

import sqlalchemy as sa

from app.accounts.status import WHOLE_ACCOUNT, AccountStatus
from app.catalog.candidates import Candidate
from app.catalog.catalog import Catalog
from app.cli.doctor_catalog import CheckResult, lacks_root, open_pool
from app.db.session import Database
from app.db.tables import accounts, keys, tasks
from app.errors import SettingsInvalid
from app.settings import Settings

MOST_NAMED = 3
"""More accounts are counted only: a report is read, not searched."""
STUDIO = "studio"


async def check_accounts(settings: Settings, database: Database) -> CheckResult:
    if lacks_root(settings):
        return await _check_sealed(database)
    try:
        async with open_pool(settings, database) as pool:
            statuses = await pool.current_statuses()
            wrong = [(each.account.name, each.problem or "") for each in pool.misconfigured()]
            return _wrong_result(wrong) if wrong else _accounts_result(statuses)
    except SettingsInvalid as error:
        return CheckResult("fail", "accounts", error.message)


async def _check_sealed(database: Database) -> CheckResult:
    """Without a root key: whether the store holds what only the lost one can read."""
    async with database.read() as connection:
        counts = [
            (await connection.execute(sa.select(sa.func.count()).select_from(table))).scalar_one()
            for table in (accounts, keys)
        ]
    if not any(counts):
        return CheckResult("ok", "accounts", "none yet, and no key: nothing is sealed")
    summary = "the root key is lost: {} accounts and {} client keys can't be read without it".format(*counts)
    advice = "Restore root.key from a backup, or set FILMGATE_SECRET_KEY to it, before the next start."
    return CheckResult("fail", "accounts", summary, advice)


def _wrong_result(wrong: Sequence[tuple[str, str]]) -> CheckResult:
    """Accounts that no provider can be built for: an option, an address or a secret is not what it takes."""
    advice = "Correct what is named, or remove the account: until then it serves nothing."
    return CheckResult("fail", "accounts", "; ".join(_named_or_counted("can't work", wrong)), advice)


def _accounts_result(statuses: list[AccountStatus]) -> CheckResult:
    now = time.time()
    blocked = [(s, o) for s in statuses if s.enabled and (o := s.blocked_by(WHOLE_ACCOUNT, now))]
    disabled = [s for s in statuses if not s.enabled]
    parts = [f"{len(statuses) - len(blocked) - len(disabled)} ready"]
    parts += _named_or_counted(
        "can't be used now", [(each.account.name, reason.text) for each, reason in blocked]
    )
    parts += _named_or_counted(
        "disabled", [(each.account.name, each.disabled_reason or "by the operator") for each in disabled]
    )
    summary = "; ".join(parts)
    if not statuses:
        advice = "Add one with `filmgate accounts add`, or set FILMGATE_STUDIO=on."
        return CheckResult("fail", "accounts", "there is none", advice)
    if len(disabled) == len(statuses):
        advice = "Correct the account, then `filmgate accounts enable NAME`."
        return CheckResult("fail", "accounts", summary, advice)
    if disabled or blocked:
        return CheckResult("warn", "accounts", summary, "`filmgate accounts list` shows more.")
    if [s.account.provider for s in statuses] == [STUDIO]:
        return CheckResult("ok", "accounts", "the embedded studio; `filmgate accounts add` adds a real one")
    return CheckResult("ok", "accounts", summary)


def _named_or_counted(what: str, named: Sequence[tuple[str, str]]) -> Iterable[str]:
    """A few with the reason of each; many as their number, the first names, and how often which reason."""
    if len(named) <= MOST_NAMED:
        return [
            f"{name} is {what}: {reason}" if what == "disabled" else f"{name} {what}: {reason}"
            for name, reason in named
        ]
    first = ", ".join(name for name, _ in named[:MOST_NAMED])
    return [f"{len(named)} {what} ({first} and {len(named) - MOST_NAMED} more)"]


async def check_waiting(settings: Settings, database: Database) -> CheckResult:
    """Whether tasks wait that no account serves any more, as those of the studio after it was turned off."""
    counted = sa.select(tasks.c.kind, tasks.c.model, sa.func.count().label("waiting")).group_by(
        tasks.c.kind, tasks.c.model
    )
    async with database.read() as connection:
        rows = (await connection.execute(counted.where(tasks.c.state == "queued"))).all()
    if not rows:
        return CheckResult("ok", "waiting", "no task waits")
    if lacks_root(settings):
        return CheckResult("warn", "waiting", "can't be compared with the accounts without the root key")
    try:
        async with open_pool(settings, database) as pool:
            catalog = Catalog(pool)
            await catalog.current_statuses()
            lost = [row for row in rows if not _is_served(catalog, row)]
    except SettingsInvalid as error:
        return CheckResult("fail", "waiting", error.message)
    if not lost:
        return CheckResult(
            "ok", "waiting", f"{sum(row.waiting for row in rows)} tasks, and accounts serve them"
        )
    shown = ", ".join(f"{row.model} ({row.waiting})" for row in lost[:5])
    advice = "Add an account for it, or cancel them."
    if any(row.model == STUDIO for row in lost):
        advice = "The studio is gone: FILMGATE_STUDIO=on brings it back; or cancel them."
    return CheckResult("warn", "waiting", f"tasks wait for what no account serves: {shown}", advice)


def _is_served(catalog: Catalog, row: sa.Row[tuple[str, str, int]]) -> bool:
    return any(isinstance(each, Candidate) for each in catalog.assessed_accounts(row.kind, row.model))
