"""The tables behind the admin panel: options, users and sessions, sums by hour and by day, what tasks went through."""

from typing import Any

from sqlalchemy import BigInteger, Boolean, Column, Float, Index, Integer, String, Table, Text, text

from app.db.tables import Money, metadata

# Ended tasks by hour, those of older days in the day's first hour, for overviews that must not grow with history.
# ``bucket``: eighths of a power of two of the seconds a success took.
rollup = Table(
    "rollup",
    metadata,
    Column("hour", Integer, primary_key=True, autoincrement=False),  # since 1970
    Column("model", String(200), primary_key=True),
    Column("outcome", String(64), primary_key=True),  # completed, cancelled, or the error's code
    Column("bucket", Integer, primary_key=True, autoincrement=False),
    Column("tasks", Integer, nullable=False),
    Column("cost", Money, nullable=False),
)


def _usage_sums() -> tuple[Column[Any], ...]:
    """What rows of ``usage`` add up to. ``unknown_costs``: how many of them cost something that is not known."""
    counts = ("requests", "failed", "input_tokens", "output_tokens")
    return (
        *(Column(name, BigInteger, nullable=False, server_default="0") for name in counts),
        Column("cost", Money, nullable=False, server_default="0"),
        Column("films", BigInteger, nullable=False, server_default="0"),
        Column("film_milliseconds", BigInteger, nullable=False, server_default="0"),
        Column("vendor_cost", Money, nullable=False, server_default="0"),
        Column("unknown_costs", BigInteger, nullable=False, server_default="0"),
    )


# What the rows of ``usage`` add up to, by UTC day; it outlives them.
usage_days = Table(
    "usage_days",
    metadata,
    Column("day", Integer, primary_key=True, autoincrement=False),  # since 1970
    Column("key_id", String(16), primary_key=True),
    Column("account_id", String(32), primary_key=True),
    Column("model", String(200), primary_key=True),
    *_usage_sums(),
)

# The same by hour (see ``hour_of`` of usage/sums.py), once by key and once by account, for days of any zone.
usage_hours = Table(
    "usage_hours",
    metadata,
    Column("side", String(8), primary_key=True),  # key or account: what ``party`` is the id of
    Column("minute", Integer, primary_key=True, autoincrement=False),  # in which it begins, since 1970
    Column("party", String(32), primary_key=True),
    Column("model", String(200), primary_key=True),
    *_usage_sums(),
    sqlite_with_rowid=False,
)

# What the operator changes while it runs, by name; JSON.
options = Table(
    "options",
    metadata,
    Column("name", String(64), primary_key=True),
    Column("value", Text, nullable=False),
    Column("updated_at", Float, nullable=False),
)

# What no process may repeat before a given time: see marks.py.
marks = Table(
    "marks",
    metadata,
    Column("name", String(300), primary_key=True),
    Column("until", Float, nullable=False),
)

admins = Table(
    "admins",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("name", String(80), nullable=False, unique=True),
    Column("role", String(8), nullable=False),  # of ROLES in app/admin/rights.py
    Column("password", Text, nullable=False),  # argon2id; empty for who signs in through a provider
    Column("created_at", Float, nullable=False),
    Column("totp_secret", Text),  # sealed; none: no second factor
    Column("totp_step", BigInteger),  # of the last code that was used
    Column("subject", String(64)),  # hash of the issuer and its name for a person
)
Index("admins_by_subject", admins.c.subject, unique=True)

# Each works once, when the phone is lost.
recovery_codes = Table(
    "recovery_codes",
    metadata,
    Column("admin_id", String(32), primary_key=True),
    Column("hash", String(64), primary_key=True),
)

sessions = Table(
    "sessions",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("hash", String(64), nullable=False, unique=True),  # of the cookie
    Column("admin_id", String(32), nullable=False, index=True),
    Column("created_at", Float, nullable=False),
    Column("seen_at", Float, nullable=False),
    Column("expires_at", Float, nullable=False),
    Column("address", String(64), nullable=False, server_default=""),
    Column("agent", String(200), nullable=False, server_default=""),
    Column("method", String(8), nullable=False, server_default="password"),  # password, oidc
)

audit = Table(
    "audit",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("at", Float, nullable=False, index=True),
    Column("actor", String(80), nullable=False),
    Column("action", String(64), nullable=False),
    Column("target", String(200), nullable=False),
    Column("before", Text),
    Column("after", Text),
)

# Who disabled an account, and when it is looked at again. The row outlives the disabling for as long as a test is under way.
suspensions = Table(
    "suspensions",
    metadata,
    Column("account_id", String(32), primary_key=True),
    Column("by", String(16), nullable=False),  # operator, refusal, look
    Column("since", Float, nullable=False),
    Column("next_look_at", Float),  # none: only the operator enables it
    Column("looks", Integer, nullable=False, server_default="0"),  # in vain so far
    Column("key_id", String(16), nullable=False, server_default=""),  # whose request led to it
)

# Deleted accounts while the deletion can be undone: their rows as JSON, the secrets still sealed.
removed_accounts = Table(
    "removed_accounts",
    metadata,
    Column("account_id", String(32), primary_key=True),
    Column("removed_at", Float, nullable=False),
    Column("rows", Text, nullable=False),
)

# The SHA-256 of labelled films, which outlives them.
film_hashes = Table(
    "film_hashes",
    metadata,
    Column("sha256", String(64), primary_key=True),
    Column("task_id", String(32), primary_key=True),
    Column("owner", String(200), nullable=False),
    Column("model", String(200), nullable=False),
    Column("layers", Text, nullable=False),  # a list
    Column("made_at", Float, nullable=False),
)
Index("film_hashes_made", film_hashes.c.made_at)

# Webhook endpoints whose last call failed: see webhooks/endpoint_health.py.
endpoint_failures = Table(
    "endpoint_failures",
    metadata,
    Column("endpoint_id", String(40), primary_key=True),
    Column("calls", Integer, nullable=False),  # in a row
    Column("since", Float, nullable=False),
    Column("status", Integer),  # of the last one, as is the error
    Column("error", Text),
)

# What the playground's form holds, kept by an admin under a name.
drafts = Table(
    "drafts",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("name", String(200), nullable=False),
    Column("document", Text, nullable=False),
    Column("author", String(200), nullable=False),
    Column("updated_at", Float, nullable=False),
)

# Receipts of films as they were first given: the same bytes are given again while the facts are the same.
film_receipts = Table(
    "film_receipts",
    metadata,
    Column("task_id", String(32), primary_key=True),
    Column("reader", String(8), primary_key=True),  # client, or operator: who also sees costs
    Column("facts", String(64), nullable=False),  # SHA-256 of what may still change
    Column("document", Text, nullable=False),
    Column("made_at", Float, nullable=False),
)

# Attempts that a vendor ended, and after which the task went on elsewhere. The one that runs, or was the last, is the task's
# own row.
attempts = Table(
    "attempts",
    metadata,
    Column("task_id", String(32), primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),  # from 1
    Column("account_id", String(32), nullable=False),
    Column("provider", String(64), nullable=False),
    Column("model", String(200), nullable=False),  # the upstream's name
    Column("operation", Text),  # the vendor's id of the job; none: refused at once
    Column("verdict", String(16), nullable=False),  # failed, moderated, retired
    Column("word", Text, nullable=False),  # what the vendor said
    Column("cost", Money),  # as charged, in the ledger's ``attempt`` too; none: nothing was reserved
    Column("began_at", Float, nullable=False),
    Column("ended_at", Float, nullable=False),
)

webhook_attempts = Table(
    "webhook_attempts",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("delivery_id", String(40), nullable=False, index=True),
    Column("at", Float, nullable=False),
    Column("status", Integer),
    Column("error", Text),
    Column("milliseconds", Float, nullable=False),
)

# Limits over all keys that name the project. Its sums stand in ``spending`` under its id.
projects = Table(
    "projects",
    metadata,
    Column("id", String(16), primary_key=True),  # ``prj_`` and twelve more
    Column("name", String(190), nullable=False, unique=True),
    Column("enabled", Boolean, nullable=False, server_default=text("true")),
    Column("rpm", Integer),
    Column("tasks_limit", Integer),
    Column("budget_total", Money),  # its credits are added to it
    Column("budget_daily", Money),
    Column("budget_monthly", Money),
    Column("credited", Money, nullable=False, server_default="0"),  # the sum of its credits
    Column("credit_secret", Text),  # sealed: signs top-ups; none: only admins may make them
    Column("note", Text, nullable=False, server_default=""),
    Column("created_at", Float, nullable=False),
)

# Insert-only: what was paid into a project. The reference is the payer's own, and counts once.
project_credits = Table(
    "project_credits",
    metadata,
    Column("project_id", String(16), primary_key=True),
    Column("reference", String(200), primary_key=True),
    Column("amount", Money, nullable=False),  # below zero: taken back
    Column("at", Float, nullable=False),
    Column("by", String(80), nullable=False),
    Column("note", Text, nullable=False, server_default=""),
)
Index("project_credits_by_time", project_credits.c.project_id, project_credits.c.at)

# What the operator holds back: tasks wait for it, and nothing new is sent there.
pauses = Table(
    "pauses",
    metadata,
    Column("side", String(8), primary_key=True),  # model or account
    Column("name", String(200), primary_key=True),  # a public model's name, or an account's id
    Column("since", Float, nullable=False),
    Column("by", String(80), nullable=False),
    Column("note", Text, nullable=False, server_default=""),
)

# Files that clients brought for batches, and those that batches have written. Their bytes are in the media store.
client_files = Table(
    "client_files",
    metadata,
    Column("id", String(40), primary_key=True),  # time-ordered, as are those of batches
    Column("owner", String(200), nullable=False),
    Column("name", String(255), nullable=False),
    Column("purpose", String(16), nullable=False),  # batch, or batch_output
    Column("bytes", BigInteger, nullable=False),
    Column("created_at", Float, nullable=False),
)
Index("client_files_by_owner", client_files.c.owner, client_files.c.id)

batches = Table(
    "batches",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("owner", String(200), nullable=False),
    Column("key_id", String(16), nullable=False),
    Column("input_file_id", String(40), nullable=False),
    Column("labels", Text, nullable=False, server_default="{}"),  # its metadata
    Column("base_url", Text, nullable=False),  # what links in its output begin with
    Column("status", String(16), nullable=False),
    Column("errors", Text),  # of a file that was refused: a list
    Column("total", Integer, nullable=False, server_default="0"),
    Column("completed", Integer, nullable=False, server_default="0"),
    Column("failed", Integer, nullable=False, server_default="0"),
    Column("output_file_id", String(40)),
    Column("error_file_id", String(40)),
    Column("created_at", Float, nullable=False),
    Column("begun_at", Float),
    Column("cancelling_at", Float),
    Column("ended_at", Float),
    Column("expires_at", Float, nullable=False),
    Column("claimed_until", Float, nullable=False, server_default="0"),  # by the process that advances it
)
Index("batches_by_owner", batches.c.owner, batches.c.id)
Index("batches_open", batches.c.ended_at, batches.c.claimed_until)

# Insert-only: what became of each line; the task that was made for it, or why none was.
batch_lines = Table(
    "batch_lines",
    metadata,
    Column("batch_id", String(40), primary_key=True),
    Column("line", Integer, primary_key=True, autoincrement=False),  # from 1
    Column("custom_id", String(512), nullable=False),
    Column("task_id", String(32)),
    Column("error", Text),
)
