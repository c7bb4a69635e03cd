"""what became of a task's money, when its result was made, and which task owns an operation"""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

HELD = sa.text("money = 'held'")
MARK_HELD = """
UPDATE tasks SET money = 'held' WHERE error_code = 'submission_unknown'
AND EXISTS (SELECT 1 FROM ledger WHERE ledger.task_id = tasks.id AND ledger.kind = 'reserve')
AND NOT EXISTS (SELECT 1 FROM ledger WHERE ledger.task_id = tasks.id AND ledger.kind IN ('settle', 'release'))
"""


def upgrade() -> None:
    op.add_column("tasks", sa.Column("money", sa.String(length=8)))
    op.add_column("tasks", sa.Column("made_at", sa.Float()))
    op.add_column("receipts", sa.Column("claim", sa.String(length=64)))
    op.create_index("tasks_held", "tasks", ["id"], sqlite_where=HELD, postgresql_where=HELD)
    op.create_index("receipts_claim", "receipts", ["claim"], unique=True)
    op.execute(MARK_HELD)


def downgrade() -> None:
    op.drop_index("receipts_claim", table_name="receipts")
    op.drop_index("tasks_held", table_name="tasks")
    op.drop_column("receipts", "claim")
    op.drop_column("tasks", "made_at")
    op.drop_column("tasks", "money")
