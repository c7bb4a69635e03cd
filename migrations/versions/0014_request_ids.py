"""the id of the client's request, as the log has it, on tasks and usage"""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for table in ("tasks", "usage"):
        op.add_column(table, sa.Column("request_id", sa.String(length=128), nullable=True))


def downgrade() -> None:
    for table in ("usage", "tasks"):
        op.drop_column(table, "request_id")
