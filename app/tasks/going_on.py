"""Whether a task goes on elsewhere after a vendor's own word that its work failed, and who may make it now.

Only verified, final words count: never an answer that was lost, and never an error that leaves open what came of it. How
often is the route's to say (``retry``); without a word of it, own hardware goes on, because nobody is paid for what failed.
Whoever failed is not asked again while another account can serve; no account of the same vendor is asked for what its
moderation stopped, or for what it has retired. The client's deadline and the budget of its key hold for all attempts together.
"""

import json
from dataclasses import dataclass

import structlog

from app import clock
from app.catalog.catalog import Catalog
from app.catalog.retirements import is_retired
from app.catalog.route_documents import NO_RETRY, OWN_HARDWARE_RETRY, RetryRule
from app.errors import InsufficientQuota, UpstreamError, UpstreamModelForbidden, UpstreamModelRetired
from app.tasks.attempts import VERDICTS, Attempt, EndedAttempt, Verdict, earlier_attempts, go_on
from app.tasks.billing import VendorWord
from app.tasks.task_run import RunStopped, TaskRun

log = structlog.get_logger()
AGAIN_SECONDS = 2.0
"""Before the same account is asked again, because no other can serve."""
REFUSED = "retry.refused"
"""In the timeline: the route would let it go on, and why it does not."""


@dataclass(frozen=True, slots=True)
class VendorFailure:
    """A vendor's word that there will be no result. ``code`` of ours."""

    code: str
    message: str
    word: VendorWord


def code_of(error: UpstreamError, *, provider: str, model: str) -> str:
    """Of a refused submission: a vendor says of some models that it does not know them, once their last day is over."""
    if isinstance(error, UpstreamModelForbidden) and is_retired(provider, model):
        return UpstreamModelRetired.code
    return error.code


async def go_on_elsewhere(run: TaskRun, catalog: Catalog, failure: VendorFailure) -> None:
    """Raises ``RunStopped`` when the task goes on, ``StaleRun`` when another run has it; returns when it has to end."""
    verdict, rule = VERDICTS.get(failure.code), _rule_of(run, catalog)
    run.receive()
    if verdict is None or not getattr(rule, verdict) or run.cancelled or run.is_overdue:
        return
    earlier = await run.retry_while_database_is_away(lambda: _read_earlier(run))
    if sum(each.verdict == verdict for each in earlier) >= getattr(rule, verdict):
        return
    excluded = await _next_excluded(run, catalog, verdict=verdict, earlier=earlier)
    if excluded is None:
        await run.add_timeline_row(REFUSED, because="no other account can make it")
        return
    again = run.task.account_id not in excluded
    ended = EndedAttempt(
        verdict,
        failure.code,
        run.clean_message(failure.message),
        failure.word,
        json.dumps(sorted(excluded)),
        clock.now() + (AGAIN_SECONDS if again else 0.0),
    )
    await _write(run, ended)


async def _write(run: TaskRun, ended: EndedAttempt) -> None:
    task, state, database = run.task, run.state, run.repository.database
    try:
        await run.retry_while_database_is_away(lambda: go_on(database, task, state=state, ended=ended))
    except InsufficientQuota as error:
        await run.add_timeline_row(REFUSED, because=error.message)
        return
    told = {"account": task.account_id, "verdict": ended.verdict, "attempt": task.attempt + 1}
    log.warning("task.goes_on", task=task.id, **told)
    run.state, run.ended_as = "queued", ended.code
    run.notify()
    raise RunStopped


def _rule_of(run: TaskRun, catalog: Catalog) -> RetryRule:
    route = catalog.resolve_name(run.task.model).route
    if route is not None and route.retry is not None:
        return route.retry
    return OWN_HARDWARE_RETRY if run.provider.remaking.own_hardware else NO_RETRY


async def _read_earlier(run: TaskRun) -> list[Attempt]:
    async with run.repository.database.read() as connection:
        return await earlier_attempts(connection, run.task)


async def _next_excluded(
    run: TaskRun, catalog: Catalog, *, verdict: Verdict, earlier: list[Attempt]
) -> set[str] | None:
    """Ids of the accounts that must not get the next attempt; None when nobody can make it."""
    task = run.task
    mine = task.account_id or ""
    able = await catalog.able_account_ids(task.kind, task.model)
    if task.only_account is not None:
        able &= {task.only_account}
    excluded = set(json.loads(task.excluded_text))
    gone = {mine} if verdict == "failed" else _same_model(run, catalog)
    failed_before = {each.account_id for each in earlier if each.verdict == "failed" and each.account_id}
    if able - excluded - gone:
        return excluded | gone
    if again := (able & failed_before) - gone:
        return (excluded - again) | gone
    return excluded - {mine} if verdict == "failed" and mine in able else None


def _same_model(run: TaskRun, catalog: Catalog) -> set[str]:
    """The accounts that would ask the same vendor for the same model, with the same answer."""
    task, vendor = run.task, run.provider
    same = (
        each.account.id
        for each in catalog.candidates(task.kind, task.model)
        if each.account.provider == vendor.name
        and each.account.base_url == vendor.account.base_url
        and each.model == task.upstream_model
    )
    return {task.account_id or "", *same}
