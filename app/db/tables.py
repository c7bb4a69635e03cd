"""The tables of the work itself. Times are UTC seconds since 1970 (float), ids are 32 hex digits unless noted.

Documents (requests, results, operations) are JSON text that pydantic reads and writes.
"""

from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Float,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    TextClause,
    text,
)
from sqlalchemy.engine import Dialect
from sqlalchemy.types import TypeDecorator

metadata = MetaData()
BILLION = 1_000_000_000
STEP = Decimal("0.000000001")
MOST_MONEY = Decimal(9 * BILLION)


class Money(TypeDecorator[Decimal]):
    """US dollars as a Decimal, stored as whole billionths, so that both stores add them exactly.

    At most 9 billion dollars either way; finer than a billionth is rounded half to even.
    """

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: Decimal | None, dialect: Dialect) -> int | None:
        return None if value is None else to_billionths(value)

    def process_result_value(self, value: Any, dialect: Dialect) -> Decimal | None:
        return None if value is None else Decimal(int(value)) / BILLION


def round_money(value: Decimal) -> Decimal:
    """Round to the precision of the column, and to what it holds: a sum beyond that comes from a nonsensical figure."""
    return min(max(value, -MOST_MONEY), MOST_MONEY).quantize(STEP, ROUND_HALF_EVEN)


def to_billionths(value: Decimal) -> int:
    return int(round_money(value) * BILLION)


def format_money(value: Decimal) -> str:
    """As text for people and JSON, with at least two decimal places and no trailing zeros beyond."""
    text = format(round_money(value).normalize(), "f")
    whole, _, fraction = text.partition(".")
    return f"{whole}.{fraction.ljust(2, '0')}"


def _flag_column(name: str, *, default: bool) -> Column[bool]:
    return Column(name, Boolean, nullable=False, server_default=text("true" if default else "false"))


def _partial_index(where: TextClause, name: str, *columns: Column[Any], unique: bool = False) -> None:
    Index(name, *columns, unique=unique, sqlite_where=where)  # the migrations make it, on PostgreSQL too


keys = Table(
    "keys",
    metadata,
    Column("id", String(16), primary_key=True),  # the public part of the key
    Column("name", String(200), nullable=False),
    Column("project", String(200)),
    Column("hash", String(64), nullable=False, unique=True),  # HMAC-SHA256 of the whole key
    Column("root", String(16)),  # which root key ``hash`` was made under; none: unknown
    _flag_column("enabled", default=True),
    Column("options", Text, nullable=False, server_default="{}"),
    Column("created_at", Float, nullable=False),
    Column("expires_at", Float),
    Column("old_hash", String(64)),  # of the key before a rotation, good until ``old_until``
    Column("old_root", String(16)),
    Column("old_until", Float),
    Column("models", Text, nullable=False, server_default="[]"),  # names it may use; none: all
    Column("networks", Text, nullable=False, server_default="[]"),  # CIDRs it may come from; none: all
    Column("rpm", Integer),  # requests a minute
    Column("tasks_limit", Integer),  # tasks in flight
    Column("budget_total", Money),
    Column("budget_daily", Money),
    Column("budget_monthly", Money),
    Column("note", Text, nullable=False, server_default=""),
    Column("source", String(8), nullable=False, server_default="store"),  # or file: declared, read-only
    _flag_column("keep_prompts", default=True),
    _flag_column("secret_given", default=False),  # the operator brought the secret: we did not make it
    _flag_column("may_rotate", default=False),  # its holder may replace the secret
    Column("priority", Integer, nullable=False, server_default="0"),  # of its tasks
    Column("most_priority", Integer, nullable=False, server_default="0"),  # that a request may ask for
)
Index("keys_old_hash", keys.c.old_hash, unique=True)

accounts = Table(
    "accounts",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("provider", String(64), nullable=False),
    Column("name", String(200), nullable=False, unique=True),
    Column("base_url", Text, nullable=False, server_default=""),
    Column("secret", Text, nullable=False, server_default=""),  # sealed, see vault.py
    Column("models", Text, nullable=False, server_default="{}"),
    Column("kinds", Text, nullable=False, server_default="[]"),
    Column("slots", Integer, nullable=False, server_default="1"),
    Column("options", Text, nullable=False, server_default="{}"),
    _flag_column("enabled", default=True),
    Column("disabled_reason", Text),
    Column("created_at", Float, nullable=False),
    Column("tags", Text, nullable=False, server_default="[]"),  # ``pro`` and ``all`` are capabilities
    Column("plan", String(64), nullable=False, server_default=""),
    Column("note", Text, nullable=False, server_default=""),
    Column("weight", Float, nullable=False, server_default="1"),
    Column("tier", Integer, nullable=False, server_default="0"),  # lower ones are used up first
    Column("lengths", String(8), nullable=False, server_default="exact"),  # or nearest, at_least
    Column("sizes", String(8), nullable=False, server_default="exact"),
    Column("limits", Text, nullable=False, server_default="{}"),  # slots by kind where they differ
    Column("cost_factor", Float, nullable=False, server_default="1"),  # of the vendor's list price
    Column("rpm", Integer),  # submissions a minute
    Column("quota_unit", String(8), nullable=False, server_default="count"),  # or usd
    Column("quota_limit", Money),  # what a period gives; none: not counted
    Column("quota_left", Money),
    Column("quota_period", String(8), nullable=False, server_default="none"),  # day, month
    Column("quota_resets_at", Float),
    Column("expires_at", Float),
    Column("proxy", Text),  # sealed: it may hold a password
    Column("successes", Integer, nullable=False, server_default="0"),
    Column("failures", Integer, nullable=False, server_default="0"),
    Column("seconds", Float, nullable=False, server_default="0"),  # that all successes took together
    Column("outcomes", Text, nullable=False, server_default="[]"),  # the last 50, newest last
    Column("source", String(8), nullable=False, server_default="store"),
    Column("tested_at", Float),  # when its vendor last accepted its key in a test
)

cooldowns = Table(
    "cooldowns",
    metadata,
    Column("account_id", String(32), primary_key=True),
    Column("model", String(200), primary_key=True),  # of the upstream; ``*``: the whole account
    Column("reason", Text, nullable=False),
    Column("since", Float, nullable=False),
    Column("until", Float, nullable=False),
    Column("strikes", Integer, nullable=False, server_default="1"),  # in a row; each rests longer
    Column("trial_at", Float),  # one real request shows if it is over: 0 not yet sent
    Column("key_id", String(16), nullable=False, server_default=""),  # whose request led to it
)

routes = Table(
    "routes",
    metadata,
    Column("model", String(200), primary_key=True),  # a public name, or a family like ``veo*``
    Column("alias_of", String(200)),
    Column("candidates", Text, nullable=False, server_default="[]"),  # in order
    Column("retry", Text),  # how often a vendor's failure goes on elsewhere, as JSON
    _flag_column("enabled", default=True),
    Column("note", Text, nullable=False, server_default=""),
    Column("updated_at", Float, nullable=False),
    Column("source", String(8), nullable=False, server_default="store"),
)

prices = Table(
    "prices",
    metadata,
    Column("model", String(200), primary_key=True),  # a public name, or a family like ``veo*``
    Column("document", Text, nullable=False),
    Column("updated_at", Float, nullable=False),
    Column("source", String(8), nullable=False, server_default="store"),
)

tasks = Table(
    "tasks",
    metadata,
    Column("id", String(32), primary_key=True),  # time-ordered, so paging by id is paging by time
    Column("owner", String(200), nullable=False),  # the key's project, or the key itself
    Column("key_id", String(16), nullable=False),
    Column("dialect", String(32), nullable=False),
    Column("kind", String(16), nullable=False),
    Column("model", String(200), nullable=False),
    Column("request", Text, nullable=False),
    Column("state", String(16), nullable=False),
    Column("epoch", Integer, nullable=False, server_default="0"),  # raised by every taking; fences writes
    Column("account_id", String(32)),
    Column("excluded", Text, nullable=False, server_default="[]"),  # accounts that refused it
    Column("prefers", String(32)),  # the account that made what it remixes: it waits for that one
    Column("only_account", String(32)),  # the operator wants it made there or not at all
    Column("hook_url", Text),  # called once when it ends
    Column("hook_base", Text),  # what links in that call begin with
    Column("attempts", Integer, nullable=False, server_default="0"),  # to send it: refusals in a row
    Column("attempt", Integer, nullable=False, server_default="1"),  # as clients count them
    Column("attempt_epoch", Integer, nullable=False, server_default="0"),  # its receipts have this or more
    Column("not_before", Float, nullable=False, server_default="0"),
    Column("operation", Text),
    _flag_column("generating", default=False),  # running upstream, not only accepted there
    Column("progress", Float, nullable=False, server_default="0"),
    _flag_column("cancel_requested", default=False),
    _flag_column("deleted", default=False),
    Column("error_code", String(64)),
    Column("error_message", Text),
    Column("result", Text),
    Column("idempotency_key", String(255)),
    Column("fingerprint", String(64), nullable=False),
    Column("created_at", Float, nullable=False),
    Column("started_at", Float),
    Column("finished_at", Float),
    Column("deadline_at", Float, nullable=False),
    Column("upstream_model", String(200)),  # chosen with the account
    Column("fitted", Text),  # what was asked and what is made, where these differ
    Column("cost", Money),  # as settled; until then what earlier attempts cost
    Column("money", String(8)),  # settled, released or held, once it has ended; none: nothing was reserved
    Column("made_at", Float),  # when the upstream first said that it is done
    Column("expires_at", Float),  # when the stored files go
    _flag_column("purged", default=False),
    Column("request_id", String(128)),  # of the client's request, as the log has it
    Column("traceparent", String(55)),  # the span of that request, or the client's own
    Column("prompt_removed", Boolean),  # false: to be removed once it has ended; none: it is kept
    Column("end_user", String(200)),  # whom the client made it for, as its request says
    Column("tags", Text),  # a list: how the client labels the spending
    Column("priority", Integer, nullable=False, server_default="0"),
    Column(
        "place", Float, nullable=False, server_default="0"
    ),  # in the line of its key: see app/tasks/queueing.py
)

_waiting = text("state = 'queued' AND account_id IS NULL")
_keyed = text("idempotency_key IS NOT NULL")
_unknown = text("error_code = 'submission_unknown'")
_held = text("money = 'held'")
_stored = text("expires_at IS NOT NULL AND NOT purged")
_removing = text("NOT prompt_removed")
_partial_index(_removing, "tasks_removing", tasks.c.id)
Index("tasks_by_owner", tasks.c.owner, tasks.c.id)
Index("tasks_by_state", tasks.c.state, tasks.c.id)
Index("tasks_by_model", tasks.c.model, tasks.c.id)
_partial_index(_unknown, "tasks_unknown", tasks.c.id)
_partial_index(_held, "tasks_held", tasks.c.id)
_partial_index(_waiting, "tasks_queue", *(tasks.c[n] for n in ("kind", "model", "key_id", "place", "id")))
_partial_index(_keyed, "tasks_idempotency", tasks.c.owner, tasks.c.idempotency_key, unique=True)
Index("tasks_by_account", tasks.c.account_id, tasks.c.id)
Index("tasks_by_key", tasks.c.key_id, tasks.c.id)
Index("tasks_finished", tasks.c.finished_at)
Index("tasks_fingerprint", tasks.c.owner, tasks.c.fingerprint, tasks.c.created_at)
_partial_index(_stored, "tasks_expiring", tasks.c.expires_at)

timeline = Table(
    "timeline",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("task_id", String(32), nullable=False),
    Column("at", Float, nullable=False),
    Column("epoch", Integer, nullable=False),
    Column("event", String(64), nullable=False),
    Column("detail", Text, nullable=False, server_default="{}"),
)
Index("timeline_by_task", timeline.c.task_id, timeline.c.id)
_dispatched = text("event = 'dispatched'")
_partial_index(_dispatched, "timeline_dispatched", timeline.c.at)

# Insert-only: what a vendor accepted, written the moment its id is known, whoever holds the task by then.
receipts = Table(
    "receipts",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("task_id", String(32), nullable=False, index=True),
    Column("epoch", Integer, nullable=False),
    Column("account_id", String(32), nullable=False),
    Column("operation", Text, nullable=False),
    Column("at", Float, nullable=False),
    # SHA-256 of the account and the operation: the first task that got it owns it; none for any later receipt of it.
    Column("claim", String(64)),
)
Index("receipts_claim", receipts.c.claim, unique=True)

# A row is one running task on one account; freed in the transaction that ends or requeues the task.
slots = Table(
    "slots",
    metadata,
    Column("task_id", String(32), primary_key=True),
    Column("account_id", String(32), nullable=False, index=True),
    Column("kind", String(16), nullable=False, server_default="video"),
    Column("at", Float, nullable=False),
)

# Money held for and taken from keys, in US dollars. A task is reserved once and closed once; ``attempt``: see ``attempts``.
ledger = Table(
    "ledger",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("at", Float, nullable=False),
    Column("task_id", String(32), nullable=False),
    Column("kind", String(8), nullable=False),  # reserve; settle or release close it; or attempt
    Column("owner", String(200), nullable=False),
    Column("key_id", String(16), nullable=False),
    Column("model", String(200), nullable=False),
    Column("amount", Money, nullable=False),
    Column("detail", Text, nullable=False, server_default="{}"),
    Column("project_id", String(16)),  # whose sums it is counted in too
)
_close = text("kind IN ('settle', 'release')")
Index("ledger_once", ledger.c.task_id, ledger.c.kind, unique=True)
_partial_index(_close, "ledger_closed_once", ledger.c.task_id, unique=True)
Index("ledger_by_key", ledger.c.key_id, ledger.c.id)

# The ledger's sums by key and period (``total``, ``2026-11``, ``2026-11-21``), raised with every row of it.
spending = Table(
    "spending",
    metadata,
    Column("key_id", String(16), primary_key=True),  # or that of a project, which has sums of its own
    Column("period", String(10), primary_key=True),
    Column("reserved", Money, nullable=False),
    Column("spent", Money, nullable=False),
)

characters = Table(
    "characters",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("owner", String(200), nullable=False, index=True),
    Column("name", String(80), nullable=False),
    Column("username", String(80), nullable=False, server_default=""),
    Column("clip", Text, nullable=False),  # key in the media store
    Column("still", Text, nullable=False),
    Column("created_at", Float, nullable=False),
)
Index("characters_by_username", characters.c.owner, characters.c.username, unique=True)

usage = Table(
    "usage",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("at", Float, nullable=False, index=True),
    Column("key_id", String(16), nullable=False),
    Column("account_id", String(32), nullable=False),
    Column("model", String(200), nullable=False),
    Column("path", String(64), nullable=False),
    Column("status", Integer, nullable=False),
    Column("input_tokens", Integer),
    Column("output_tokens", Integer),
    Column("milliseconds", Float, nullable=False),
    Column("cost", Money, nullable=False, server_default="0"),
    Column("task_id", String(32)),  # of a task's row, written when it is settled
    Column("request_id", String(128)),  # of the client's request, as the log has it
    Column("films", Integer),  # that were made
    Column("film_milliseconds", BigInteger),  # the length of all of them
    Column("vendor_cost", Money),  # by its own word, else its list price; none: not known
    Column("project_id", String(16)),  # as in the ledger
    Column("end_user", String(200)),  # and the tags: as of a task
    Column("tags", Text),
)
Index("usage_by_key", usage.c.key_id, usage.c.at)

webhook_endpoints = Table(
    "webhook_endpoints",
    metadata,
    Column("id", String(40), primary_key=True),  # time-ordered, as are those of deliveries
    Column("owner", String(200), nullable=False),
    Column("name", String(200), nullable=False),
    Column("url", Text, nullable=False),
    Column("event_types", Text, nullable=False),
    Column("secret", Text, nullable=False),  # sealed, see vault.py
    Column("old_secret", Text),  # signs along until ``old_until``
    Column("old_until", Float),
    _flag_column("enabled", default=True),
    Column("disabled_reason", Text),
    Column("created_at", Float, nullable=False),
    Column("updated_at", Float, nullable=False),
)
Index("webhook_endpoints_by_owner", webhook_endpoints.c.owner, webhook_endpoints.c.id)

webhook_deliveries = Table(
    "webhook_deliveries",  # the outbox: written with what it tells of, delivered after it
    metadata,
    Column("id", String(40), primary_key=True),  # the webhook-id that receivers see
    Column("endpoint_id", String(40)),  # none: the hook of one task
    Column("task_id", String(32), index=True),
    Column("owner", String(200), nullable=False),
    Column("receiver", String(255), nullable=False),  # the host of ``url``
    Column("url", Text, nullable=False),
    Column("base_url", Text),  # what links in the body begin with
    Column("event", String(64), nullable=False),
    Column("body", Text),  # of a task's hook: none until the first attempt
    Column("state", String(16), nullable=False, server_default="pending"),
    Column("attempts", Integer, nullable=False, server_default="0"),
    Column("next_at", Float, nullable=False),
    Column("claimed_at", Float),  # an attempt is under way; fences what it writes
    Column("created_at", Float, nullable=False),
    Column("delivered_at", Float),
)
_pending = text("state = 'pending'")
_partial_index(_pending, "webhook_deliveries_due", webhook_deliveries.c.next_at)
Index("webhook_deliveries_by_owner", webhook_deliveries.c.owner, webhook_deliveries.c.id)
Index("webhook_deliveries_by_endpoint", webhook_deliveries.c.endpoint_id, webhook_deliveries.c.id)
