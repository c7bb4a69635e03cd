"""which root key the hashes of a client key were made under"""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("keys", sa.Column("root", sa.String(length=16)))
    op.add_column("keys", sa.Column("old_root", sa.String(length=16)))


def downgrade() -> None:
    op.drop_column("keys", "old_root")
    op.drop_column("keys", "root")
