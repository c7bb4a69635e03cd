"""Prometheus metrics. Labels are bounded: routes, states, codes, so many accounts and models; never a key, an id or a
prompt."""

import fcntl
import math
import os
import warnings
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path

from prometheus_client import REGISTRY, Counter, Gauge, Histogram, Info, Metric, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

from app import __version__
from app.ops.ended_counts import held_folder
from app.providers.base import Account

REQUESTS = Counter("filmgate_requests_total", "Requests answered", ["route", "method", "status"])
REQUEST_SECONDS = Histogram(
    "filmgate_request_seconds",
    "Time to answer, streams included",
    ["route"],
    buckets=(0.005, 0.02, 0.1, 0.5, 2.5, 10, 60, 600),
)
TASKS_ENDED = Counter(
    "filmgate_tasks_ended_total",
    "Tasks that ended; without a provider those that never had an account",
    ["kind", "state", "code", "provider"],
)
TASK_SECONDS = Histogram(
    "filmgate_task_seconds",
    "From creation to the end of a completed task",
    ["kind"],
    buckets=(1, 5, 15, 60, 180, 600, 1800, 3600),
)
SUBMISSION_SECONDS = Histogram(
    "filmgate_submission_seconds",
    "Time until an upstream answered a submission; class: accepted, or that of its refusal",
    ["provider", "class"],
    buckets=(0.1, 0.5, 1, 2.5, 5, 15, 60, 300),
)
REFUSALS = Counter(
    "filmgate_upstream_refusals_total",
    "Submissions, polls and relayed calls that an upstream refused or left without an answer",
    ["provider", "class"],
)
PLACE = ["provider", "account", "model"]
"""Where something happened: an account by its name, and the upstream's name of the model. Bounded by ``place_labels``."""
ANSWERS = Counter(
    "filmgate_upstream_answers_total",
    "Answers to submissions and relayed calls; class: accepted, or that of the refusal",
    [*PLACE, "class"],
)
ANSWER_SECONDS = Histogram(
    "filmgate_upstream_seconds",
    "Time until an upstream answered a submission, or began to answer a relayed call",
    PLACE,
    buckets=(0.1, 0.5, 1, 2.5, 5, 15, 60, 300),
)
QUEUE_WAIT_SECONDS = Histogram(
    "filmgate_queue_wait_seconds",
    "Time that a task waited for its account, each time that it did",
    PLACE,
    buckets=(0.1, 0.5, 2.5, 10, 60, 300, 1800, 3600),
)
GENERATION_SECONDS = Histogram(
    "filmgate_generation_seconds",
    "From a vendor's acceptance until its result was there",
    PLACE,
    buckets=(1, 5, 15, 60, 180, 600, 1800, 3600),
)
OUTCOMES = Counter(
    "filmgate_task_outcomes_total",
    "Tasks that ended on an account; class: completed, cancelled, or the error's code",
    [*PLACE, "class"],
)
COST_TODAY = Gauge(
    "filmgate_cost_today_dollars", "US dollars booked on this UTC day, by account and model", PLACE
)
COOLDOWN_SECONDS = Gauge(
    "filmgate_cooldown_seconds",
    "For how long an account, or one model on it (*: all), still cools down; 0 while a request tests it",
    [*PLACE, "class"],
)
GATE_VERDICTS = Counter(
    "filmgate_gate_verdicts_total",
    "What gates said of requests: allow, deny, rewrite, failed",
    ["gate", "verdict"],
)
STORE_ERRORS = Counter("filmgate_store_errors_total", "Actions of the file store that failed", ["action"])
BUILD = Info("filmgate_build", "The version that runs")
BUILD.info({"version": __version__})
DATABASE_UP = Gauge(
    "filmgate_database_up", "1 while the database answers; at 0, what is counted in it is left out"
)
TASKS_OPEN = Gauge("filmgate_tasks_open", "Tasks that have not ended", ["state"])
ACCOUNTS = Gauge("filmgate_accounts", "Upstream accounts by standing", ["standing"])
TASKS_HELD = Gauge("filmgate_tasks_held", "Ended tasks whose money waits for the operator's decision")
MONEY_HELD = Gauge("filmgate_money_held_dollars", "US dollars that are held for those tasks")
SLOTS_USED = Gauge("filmgate_slots_used", "Tasks running on accounts", [])
OLDEST_QUEUED = Gauge(
    "filmgate_oldest_queued_seconds", "How long the oldest task without an account has waited"
)
DELIVERIES_PENDING = Gauge(
    "filmgate_webhook_deliveries_pending", "Webhook calls and notices still to be delivered"
)
DISK_FREE = Gauge("filmgate_data_disk_free_bytes", "Free space where the data directory is")
SPENT_TODAY = Gauge(
    "filmgate_spent_today_dollars",
    "US dollars booked on this UTC day; empty: of removed accounts",
    ["provider"],
)
VENDOR_COST_TODAY = Gauge(
    "filmgate_vendor_cost_today_dollars",
    "US dollars that vendors charged for this UTC day, as far as that is known; empty: of removed accounts",
    ["provider"],
)
LIMITS_ALONE = Gauge("filmgate_limits_alone", "1 while Redis is away and each process counts requests alone")
LIMITS_COUNTED_ALONE = Counter("filmgate_limits_counted_alone_total", "Requests counted without Redis")

SHARED_FOLDER = os.environ.get("PROMETHEUS_MULTIPROC_DIR", "")
"""Where the processes of one `serve` count together; the supervisor sets it. Empty: this process counts alone."""
SUMMED = frozenset({"counter", "histogram"})
if SHARED_FOLDER:  # gauges are read from this process alone, where clearing labels works
    warnings.filterwarnings("ignore", message=".*labels has not been implemented in")
MOST_CODES = 100
_codes: set[str] = set()
MOST_PLACES = 300
"""Accounts times models that are told apart by one process."""
OTHER = "other"
_places: set[tuple[str, str]] = set()
_COUNTED = (TASKS_HELD, MONEY_HELD, SLOTS_USED, OLDEST_QUEUED, DELIVERIES_PENDING)


def count_end(kind: str, state: str, code: str, *, provider: str = "") -> None:
    """Count a task that has ended. Vendors choose some of the codes: as many as vendors need are told apart."""
    TASKS_ENDED.labels(kind, state, _bounded_code(code), provider).inc()


def _bounded_code(code: str) -> str:
    if code not in _codes:
        if len(_codes) >= MOST_CODES:
            code = OTHER
        _codes.add(code)
    return code


def place_labels(account: Account, model: str | None) -> tuple[str, str, str]:
    """Provider, account and upstream model; ``other`` for what comes when enough are told apart. Clients may choose models."""
    name, model = account.name, model or ""
    if (name, model) not in _places:
        if len(_places) >= MOST_PLACES:
            name = model = OTHER
        _places.add((name, model))
    return account.provider, name, model


def count_outcome(account: Account, model: str | None, outcome: str) -> None:
    """Count a task that ended on an account."""
    OUTCOMES.labels(*place_labels(account, model), _bounded_code(outcome)).inc()


def count_answer(account: Account, model: str, outcome: str, *, seconds: float) -> None:
    """Count an upstream's answer to a submission or a call. ``outcome``: ``accepted``, or the class of the refusal."""
    counter, histogram = _answer_counters(place_labels(account, model), outcome)
    counter.inc()
    histogram.observe(seconds)


@lru_cache(maxsize=4096)
def _answer_counters(place: tuple[str, str, str], outcome: str) -> tuple[Counter, Histogram]:
    return ANSWERS.labels(*place, outcome), ANSWER_SECONDS.labels(*place)


def forget_counted() -> None:
    """Leave out what is counted in the database, while it does not answer: an old figure looks like a true one."""
    DATABASE_UP.set(0)
    TASKS_OPEN.clear()
    ACCOUNTS.clear()
    SPENT_TODAY.clear()
    VENDOR_COST_TODAY.clear()
    COST_TODAY.clear()
    COOLDOWN_SECONDS.clear()
    for gauge in _COUNTED:
        gauge.set(math.nan)


class AllProcesses(Collector):
    """Counters and histograms summed over the processes of one `serve`, also those that have ended. Gauges are of the
    process that answers: what they tell is counted in the database, or the same for all."""

    def collect(self) -> Iterable[Metric]:
        yield from (family for family in REGISTRY.collect() if family.type not in SUMMED)
        with held_folder(Path(SHARED_FOLDER), fcntl.LOCK_SH):
            shared = list(MultiProcessCollector(None, SHARED_FOLDER).collect())
        yield from (family for family in shared if family.type in SUMMED)


def exposition() -> bytes:
    """All metrics in Prometheus' format."""
    return generate_latest(AllProcesses() if SHARED_FOLDER else REGISTRY)
