"""what an account's vendor charges, as a factor of its list price"""

import sqlalchemy as sa
from alembic import op

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("accounts", sa.Column("cost_factor", sa.Float(), nullable=False, server_default="1"))


def downgrade() -> None:
    op.drop_column("accounts", "cost_factor")
