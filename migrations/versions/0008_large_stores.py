"""lists of tasks by state and model, and hourly counts without accounts, for stores of millions of tasks"""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None
OPEN = sa.text("state IN ('queued', 'submitting', 'running', 'storing')")
UNKNOWN = sa.text("error_code = 'submission_unknown'")
COUNTED = "hour, model, outcome, bucket"


def upgrade() -> None:
    op.create_index("tasks_by_state", "tasks", ["state", "id"])
    op.drop_index("tasks_open", table_name="tasks", sqlite_where=OPEN, postgresql_where=OPEN)
    op.create_index("tasks_by_model", "tasks", ["model", "id"])
    op.create_index("tasks_unknown", "tasks", ["id"], sqlite_where=UNKNOWN, postgresql_where=UNKNOWN)
    _make_rollup("rollup_new")
    op.execute(
        f"INSERT INTO rollup_new ({COUNTED}, tasks, cost) "  # noqa: S608
        f"SELECT {COUNTED}, sum(tasks), sum(cost) FROM rollup GROUP BY {COUNTED}"
    )
    _replace_rollup()


def downgrade() -> None:
    account = sa.Column("account_id", sa.String(length=32), nullable=False)
    _make_rollup("rollup_new", account)
    op.execute(
        f"INSERT INTO rollup_new ({COUNTED}, account_id, tasks, cost) "  # noqa: S608
        f"SELECT {COUNTED}, '', tasks, cost FROM rollup"
    )
    _replace_rollup()
    op.drop_index("tasks_unknown", table_name="tasks", sqlite_where=UNKNOWN, postgresql_where=UNKNOWN)
    op.drop_index("tasks_by_model", table_name="tasks")
    op.create_index("tasks_open", "tasks", ["state", "id"], sqlite_where=OPEN, postgresql_where=OPEN)
    op.drop_index("tasks_by_state", table_name="tasks")


def _make_rollup(name: str, *more: sa.Column[str]) -> None:
    op.create_table(
        name,
        sa.Column("hour", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("model", sa.String(length=200), nullable=False),
        *more,
        sa.Column("outcome", sa.String(length=64), nullable=False),
        sa.Column("bucket", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("tasks", sa.Integer(), nullable=False),
        sa.Column("cost", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("hour", "model", *(column.name for column in more), "outcome", "bucket"),
    )


def _replace_rollup() -> None:
    op.drop_table("rollup")
    op.rename_table("rollup_new", "rollup")
