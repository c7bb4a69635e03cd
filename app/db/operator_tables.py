"""The tables behind the admin panel: options, users and sessions, and sums by hour and by day."""

from typing import Any

from sqlalchemy import BigInteger, Column, Float, Index, Integer, String, Table, Text

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
