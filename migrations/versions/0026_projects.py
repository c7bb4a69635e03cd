"""projects over keys, their credits, and whom spending was for"""

import sqlalchemy as sa
from alembic import op

revision = "0026"
down_revision = "0025"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "projects",
        sa.Column("id", sa.String(length=16), nullable=False),
        sa.Column("name", sa.String(length=190), nullable=False),
        sa.Column("enabled", sa.Boolean(), nullable=False, server_default=sa.text("true")),
        sa.Column("rpm", sa.Integer(), nullable=True),
        sa.Column("tasks_limit", sa.Integer(), nullable=True),
        sa.Column("budget_total", sa.BigInteger(), nullable=True),
        sa.Column("budget_daily", sa.BigInteger(), nullable=True),
        sa.Column("budget_monthly", sa.BigInteger(), nullable=True),
        sa.Column("credited", sa.BigInteger(), nullable=False, server_default="0"),
        sa.Column("credit_secret", sa.Text(), nullable=True),
        sa.Column("note", sa.Text(), nullable=False, server_default=""),
        sa.Column("created_at", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("name"),
    )
    op.create_table(
        "project_credits",
        sa.Column("project_id", sa.String(length=16), nullable=False),
        sa.Column("reference", sa.String(length=200), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.Column("at", sa.Float(), nullable=False),
        sa.Column("by", sa.String(length=80), nullable=False),
        sa.Column("note", sa.Text(), nullable=False, server_default=""),
        sa.PrimaryKeyConstraint("project_id", "reference"),
    )
    op.create_index("project_credits_by_time", "project_credits", ["project_id", "at"])
    op.add_column("ledger", sa.Column("project_id", sa.String(length=16), nullable=True))
    op.add_column("usage", sa.Column("project_id", sa.String(length=16), nullable=True))
    for table in ("usage", "tasks"):
        op.add_column(table, sa.Column("end_user", sa.String(length=200), nullable=True))
        op.add_column(table, sa.Column("tags", sa.Text(), nullable=True))


def downgrade() -> None:
    for table in ("usage", "tasks"):
        op.drop_column(table, "tags")
        op.drop_column(table, "end_user")
    op.drop_column("usage", "project_id")
    op.drop_column("ledger", "project_id")
    op.drop_table("project_credits")
    op.drop_table("projects")
