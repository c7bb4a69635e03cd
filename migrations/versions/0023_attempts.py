"""attempts of a task, and how often routes allow them"""

import sqlalchemy as sa
from alembic import op

revision = "0023"
down_revision = "0022"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("routes", sa.Column("retry", sa.Text(), nullable=True))
    op.add_column("tasks", sa.Column("attempt", sa.Integer(), nullable=False, server_default="1"))
    op.add_column("tasks", sa.Column("attempt_epoch", sa.Integer(), nullable=False, server_default="0"))
    op.create_table(
        "attempts",
        sa.Column("task_id", sa.String(length=32), nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("account_id", sa.String(length=32), nullable=False),
        sa.Column("provider", sa.String(length=64), nullable=False),
        sa.Column("model", sa.String(length=200), nullable=False),
        sa.Column("operation", sa.Text(), nullable=True),
        sa.Column("verdict", sa.String(length=16), nullable=False),
        sa.Column("word", sa.Text(), nullable=False),
        sa.Column("cost", sa.BigInteger(), nullable=True),
        sa.Column("began_at", sa.Float(), nullable=False),
        sa.Column("ended_at", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("task_id", "number"),
    )


def downgrade() -> None:
    op.drop_table("attempts")
    op.drop_column("tasks", "attempt_epoch")
    op.drop_column("tasks", "attempt")
    op.drop_column("routes", "retry")
