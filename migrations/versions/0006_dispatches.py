"""dispatches by time, for accounts with a rate"""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None
DISPATCHED = sa.text("event = 'dispatched'")


def upgrade() -> None:
    op.create_index(
        "timeline_dispatched",
        "timeline",
        ["at"],
        sqlite_where=DISPATCHED,
        postgresql_where=DISPATCHED,
    )


def downgrade() -> None:
    op.drop_index("timeline_dispatched", table_name="timeline")
