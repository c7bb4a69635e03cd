"""deleted accounts, while the deletion can be undone"""

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "removed_accounts",
        sa.Column("account_id", sa.String(length=32), nullable=False),
        sa.Column("removed_at", sa.Float(), nullable=False),
        sa.Column("rows", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("account_id"),
    )


def downgrade() -> None:
    op.drop_table("removed_accounts")
