"""what may be made in place of a length or size that a model lacks, and what was"""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for name in ("lengths", "sizes"):
        column = sa.Column(name, sa.String(length=8), server_default="exact", nullable=False)
        op.add_column("accounts", column)
    op.add_column("tasks", sa.Column("fitted", sa.Text(), nullable=True))


def downgrade() -> None:
    op.drop_column("tasks", "fitted")
    for name in ("sizes", "lengths"):
        op.drop_column("accounts", name)
