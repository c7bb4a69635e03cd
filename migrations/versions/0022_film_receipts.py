"""receipts of films as they were first given"""

import sqlalchemy as sa
from alembic import op

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "film_receipts",
        sa.Column("task_id", sa.String(length=32), nullable=False),
        sa.Column("reader", sa.String(length=8), nullable=False),
        sa.Column("facts", sa.String(length=64), nullable=False),
        sa.Column("document", sa.Text(), nullable=False),
        sa.Column("made_at", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("task_id", "reader"),
    )


def downgrade() -> None:
    op.drop_table("film_receipts")
