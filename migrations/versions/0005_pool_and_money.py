"""accounts in full, cooldowns, routes, prices, the ledger, and who signs in to the panel"""

import json

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None
CLOSE = sa.text("kind IN ('settle', 'release')")


def upgrade() -> None:
    _make_tables()
    _add_columns()


def downgrade() -> None:
    _drop_columns()
    _drop_tables()


def _make_tables() -> None:
    op.create_table(
        "admins",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("name", sa.String(length=80), nullable=False),
        sa.Column("role", sa.String(length=8), nullable=False),
        sa.Column("password", sa.Text(), nullable=False),
        sa.Column("created_at", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("name"),
    )
    op.create_table(
        "audit",
        sa.Column("id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("at", sa.Float(), nullable=False),
        sa.Column("actor", sa.String(length=80), nullable=False),
        sa.Column("action", sa.String(length=64), nullable=False),
        sa.Column("target", sa.String(length=200), nullable=False),
        sa.Column("before", sa.Text(), nullable=True),
        sa.Column("after", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_audit_at", "audit", ["at"], unique=False)
    op.create_table(
        "cooldowns",
        sa.Column("account_id", sa.String(length=32), nullable=False),
        sa.Column("model", sa.String(length=200), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("since", sa.Float(), nullable=False),
        sa.Column("until", sa.Float(), nullable=False),
        sa.Column("strikes", sa.Integer(), server_default="1", nullable=False),
        sa.Column("trial_at", sa.Float(), nullable=True),
        sa.PrimaryKeyConstraint("account_id", "model"),
    )
    op.create_table(
        "ledger",
        sa.Column("id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("at", sa.Float(), nullable=False),
        sa.Column("task_id", sa.String(length=32), nullable=False),
        sa.Column("kind", sa.String(length=8), nullable=False),
        sa.Column("owner", sa.String(length=200), nullable=False),
        sa.Column("key_id", sa.String(length=16), nullable=False),
        sa.Column("model", sa.String(length=200), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.Column("detail", sa.Text(), server_default="{}", nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ledger_by_key", "ledger", ["key_id", "id"], unique=False)
    op.create_index(
        "ledger_closed_once", "ledger", ["task_id"], unique=True, sqlite_where=CLOSE, postgresql_where=CLOSE
    )
    op.create_index("ledger_once", "ledger", ["task_id", "kind"], unique=True)
    op.create_table(
        "options",
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.Column("updated_at", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("name"),
    )
    op.create_table(
        "prices",
        sa.Column("model", sa.String(length=200), nullable=False),
        sa.Column("document", sa.Text(), nullable=False),
        sa.Column("updated_at", sa.Float(), nullable=False),
        sa.Column("source", sa.String(length=8), server_default="store", nullable=False),
        sa.PrimaryKeyConstraint("model"),
    )
    op.create_table(
        "rollup",
        sa.Column("hour", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("model", sa.String(length=200), nullable=False),
        sa.Column("account_id", sa.String(length=32), nullable=False),
        sa.Column("outcome", sa.String(length=64), nullable=False),
        sa.Column("bucket", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("tasks", sa.Integer(), nullable=False),
        sa.Column("cost", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("hour", "model", "account_id", "outcome", "bucket"),
    )
    op.create_table(
        "routes",
        sa.Column("model", sa.String(length=200), nullable=False),
        sa.Column("alias_of", sa.String(length=200), nullable=True),
        sa.Column("candidates", sa.Text(), server_default="[]", nullable=False),
        sa.Column("enabled", sa.Boolean(), server_default=sa.text("true"), nullable=False),
        sa.Column("note", sa.Text(), server_default="", nullable=False),
        sa.Column("updated_at", sa.Float(), nullable=False),
        sa.Column("source", sa.String(length=8), server_default="store", nullable=False),
        sa.PrimaryKeyConstraint("model"),
    )
    op.create_table(
        "sessions",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("hash", sa.String(length=64), nullable=False),
        sa.Column("admin_id", sa.String(length=32), nullable=False),
        sa.Column("created_at", sa.Float(), nullable=False),
        sa.Column("seen_at", sa.Float(), nullable=False),
        sa.Column("expires_at", sa.Float(), nullable=False),
        sa.Column("address", sa.String(length=64), server_default="", nullable=False),
        sa.Column("agent", sa.String(length=200), server_default="", nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("hash"),
    )
    op.create_index("ix_sessions_admin_id", "sessions", ["admin_id"], unique=False)
    op.create_table(
        "spending",
        sa.Column("key_id", sa.String(length=16), nullable=False),
        sa.Column("period", sa.String(length=10), nullable=False),
        sa.Column("reserved", sa.BigInteger(), nullable=False),
        sa.Column("spent", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("key_id", "period"),
    )
    op.add_column("accounts", sa.Column("tags", sa.Text(), server_default="[]", nullable=False))
    op.add_column("accounts", sa.Column("plan", sa.String(length=64), server_default="", nullable=False))
    op.add_column("accounts", sa.Column("note", sa.Text(), server_default="", nullable=False))
    op.add_column("accounts", sa.Column("weight", sa.Float(), server_default="1", nullable=False))
    op.add_column("accounts", sa.Column("tier", sa.Integer(), server_default="0", nullable=False))
    op.add_column("accounts", sa.Column("limits", sa.Text(), server_default="{}", nullable=False))
    op.add_column("accounts", sa.Column("rpm", sa.Integer(), nullable=True))


def _add_columns() -> None:
    op.add_column(
        "accounts", sa.Column("quota_unit", sa.String(length=8), server_default="count", nullable=False)
    )
    op.add_column("accounts", sa.Column("quota_limit", sa.BigInteger(), nullable=True))
    op.add_column("accounts", sa.Column("quota_left", sa.BigInteger(), nullable=True))
    op.add_column(
        "accounts", sa.Column("quota_period", sa.String(length=8), server_default="none", nullable=False)
    )
    op.add_column("accounts", sa.Column("quota_resets_at", sa.Float(), nullable=True))
    op.add_column("accounts", sa.Column("expires_at", sa.Float(), nullable=True))
    op.add_column("accounts", sa.Column("proxy", sa.Text(), nullable=True))
    op.add_column("accounts", sa.Column("successes", sa.Integer(), server_default="0", nullable=False))
    op.add_column("accounts", sa.Column("failures", sa.Integer(), server_default="0", nullable=False))
    op.add_column("accounts", sa.Column("seconds", sa.Float(), server_default="0", nullable=False))
    op.add_column("accounts", sa.Column("outcomes", sa.Text(), server_default="[]", nullable=False))
    op.add_column(
        "accounts", sa.Column("source", sa.String(length=8), server_default="store", nullable=False)
    )
    _move_tags()
    op.drop_column("accounts", "cooling_reason")
    op.drop_column("accounts", "cooling_until")
    op.add_column("keys", sa.Column("old_hash", sa.String(length=64), nullable=True))
    op.add_column("keys", sa.Column("old_until", sa.Float(), nullable=True))
    op.add_column("keys", sa.Column("models", sa.Text(), server_default="[]", nullable=False))
    op.add_column("keys", sa.Column("networks", sa.Text(), server_default="[]", nullable=False))
    op.add_column("keys", sa.Column("rpm", sa.Integer(), nullable=True))
    op.add_column("keys", sa.Column("tasks_limit", sa.Integer(), nullable=True))
    op.add_column("keys", sa.Column("budget_total", sa.BigInteger(), nullable=True))
    op.add_column("keys", sa.Column("budget_daily", sa.BigInteger(), nullable=True))
    op.add_column("keys", sa.Column("budget_monthly", sa.BigInteger(), nullable=True))
    op.add_column("keys", sa.Column("note", sa.Text(), server_default="", nullable=False))
    op.add_column("keys", sa.Column("source", sa.String(length=8), server_default="store", nullable=False))
    op.create_index("keys_old_hash", "keys", ["old_hash"], unique=True)
    op.add_column("slots", sa.Column("kind", sa.String(length=16), server_default="video", nullable=False))
    op.add_column("tasks", sa.Column("upstream_model", sa.String(length=200), nullable=True))
    op.add_column("tasks", sa.Column("cost", sa.BigInteger(), nullable=True))
    op.create_index("tasks_by_account", "tasks", ["account_id", "id"], unique=False)
    op.create_index("tasks_by_key", "tasks", ["key_id", "id"], unique=False)
    op.create_index("tasks_finished", "tasks", ["finished_at"], unique=False)
    op.add_column("usage", sa.Column("cost", sa.BigInteger(), server_default="0", nullable=False))
    op.add_column("usage", sa.Column("task_id", sa.String(length=32), nullable=True))
    op.create_index("usage_by_key", "usage", ["key_id", "at"], unique=False)


def _drop_columns() -> None:
    op.drop_index("usage_by_key", table_name="usage")
    op.drop_column("usage", "task_id")
    op.drop_column("usage", "cost")
    op.drop_index("tasks_finished", table_name="tasks")
    op.drop_index("tasks_by_key", table_name="tasks")
    op.drop_index("tasks_by_account", table_name="tasks")
    op.drop_column("tasks", "cost")
    op.drop_column("tasks", "upstream_model")
    op.drop_column("slots", "kind")
    op.drop_index("keys_old_hash", table_name="keys")
    op.drop_column("keys", "source")
    op.drop_column("keys", "note")
    op.drop_column("keys", "budget_monthly")
    op.drop_column("keys", "budget_daily")
    op.drop_column("keys", "budget_total")
    op.drop_column("keys", "tasks_limit")
    op.drop_column("keys", "rpm")
    op.drop_column("keys", "networks")
    op.drop_column("keys", "models")
    op.drop_column("keys", "old_until")
    op.drop_column("keys", "old_hash")
    op.add_column("accounts", sa.Column("cooling_until", sa.Float(), nullable=True))
    op.add_column("accounts", sa.Column("cooling_reason", sa.Text(), nullable=True))
    op.drop_column("accounts", "source")
    op.drop_column("accounts", "outcomes")
    op.drop_column("accounts", "seconds")
    op.drop_column("accounts", "failures")
    op.drop_column("accounts", "successes")
    op.drop_column("accounts", "proxy")
    op.drop_column("accounts", "expires_at")
    op.drop_column("accounts", "quota_resets_at")
    op.drop_column("accounts", "quota_period")
    op.drop_column("accounts", "quota_left")
    op.drop_column("accounts", "quota_limit")
    op.drop_column("accounts", "quota_unit")
    op.drop_column("accounts", "rpm")
    op.drop_column("accounts", "limits")
    op.drop_column("accounts", "tier")
    op.drop_column("accounts", "weight")
    op.drop_column("accounts", "note")
    op.drop_column("accounts", "plan")
    op.drop_column("accounts", "tags")


def _drop_tables() -> None:
    op.drop_table("spending")
    op.drop_index("ix_sessions_admin_id", table_name="sessions")
    op.drop_table("sessions")
    op.drop_table("routes")
    op.drop_table("rollup")
    op.drop_table("prices")
    op.drop_table("options")
    op.drop_index("ledger_once", table_name="ledger")
    op.drop_index("ledger_closed_once", table_name="ledger", sqlite_where=CLOSE, postgresql_where=CLOSE)
    op.drop_index("ledger_by_key", table_name="ledger")
    op.drop_table("ledger")
    op.drop_table("cooldowns")
    op.drop_index("ix_audit_at", table_name="audit")
    op.drop_table("audit")
    op.drop_table("admins")


def _move_tags() -> None:
    """Tags were an option of accounts."""
    connection = op.get_bind()
    for account_id, text in connection.execute(sa.text("SELECT id, options FROM accounts")).all():
        options = json.loads(text)
        tags = options.pop("tags", None)
        if tags:
            connection.execute(
                sa.text("UPDATE accounts SET tags = :tags, options = :options WHERE id = :id"),
                {"tags": json.dumps(tags), "options": json.dumps(options), "id": account_id},
            )
