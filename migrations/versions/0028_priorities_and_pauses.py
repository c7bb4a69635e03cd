"""priorities of tasks, and what the operator holds back"""

import sqlalchemy as sa
from alembic import op

revision = "0028"
down_revision = "0027"
branch_labels = None
depends_on = None
WAITING = sa.text("state = 'queued' AND account_id IS NULL")
ONLY_WAITING = {"sqlite_where": WAITING, "postgresql_where": WAITING}


def upgrade() -> None:
    op.add_column("keys", sa.Column("priority", sa.Integer(), nullable=False, server_default="0"))
    op.add_column("keys", sa.Column("most_priority", sa.Integer(), nullable=False, server_default="0"))
    op.add_column("tasks", sa.Column("priority", sa.Integer(), nullable=False, server_default="0"))
    op.add_column("tasks", sa.Column("place", sa.Float(), nullable=False, server_default="0"))
    op.execute("UPDATE tasks SET place = created_at WHERE state = 'queued'")
    op.drop_index("tasks_waiting", table_name="tasks", **ONLY_WAITING)
    op.create_index("tasks_queue", "tasks", ["kind", "model", "key_id", "place", "id"], **ONLY_WAITING)
    op.create_table(
        "pauses",
        sa.Column("side", sa.String(length=8), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("since", sa.Float(), nullable=False),
        sa.Column("by", sa.String(length=80), nullable=False),
        sa.Column("note", sa.Text(), nullable=False, server_default=""),
        sa.PrimaryKeyConstraint("side", "name"),
    )


def downgrade() -> None:
    op.drop_table("pauses")
    op.drop_index("tasks_queue", table_name="tasks", **ONLY_WAITING)
    op.create_index("tasks_waiting", "tasks", ["kind", "model", "key_id", "id"], **ONLY_WAITING)
    for column in ("place", "priority"):
        op.drop_column("tasks", column)
    for column in ("most_priority", "priority"):
        op.drop_column("keys", column)
