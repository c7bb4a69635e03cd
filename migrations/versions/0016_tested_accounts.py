"""when an account passed a test: until then the studio does not step aside for it"""

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("accounts", sa.Column("tested_at", sa.Float(), nullable=True))
    # For accounts that were there before, the studio has stepped aside already.
    op.execute("UPDATE accounts SET tested_at = created_at")


def downgrade() -> None:
    op.drop_column("accounts", "tested_at")
