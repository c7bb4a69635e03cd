"""a task may prefer an account"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("tasks", sa.Column("prefers", sa.String(length=32), nullable=True))


def downgrade() -> None:
    op.drop_column("tasks", "prefers")
