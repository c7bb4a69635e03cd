"""admins may have a second factor, or sign in through a provider"""

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("admins", sa.Column("totp_secret", sa.Text(), nullable=True))
    op.add_column("admins", sa.Column("totp_step", sa.BigInteger(), nullable=True))
    op.add_column("admins", sa.Column("subject", sa.String(length=64), nullable=True))
    op.create_index("admins_by_subject", "admins", ["subject"], unique=True)
    op.add_column(
        "sessions", sa.Column("method", sa.String(length=8), nullable=False, server_default="password")
    )
    op.create_table(
        "recovery_codes",
        sa.Column("admin_id", sa.String(length=32), nullable=False),
        sa.Column("hash", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("admin_id", "hash"),
    )


def downgrade() -> None:
    op.drop_table("recovery_codes")
    op.drop_column("sessions", "method")
    op.drop_index("admins_by_subject", "admins")
    for name in ("subject", "totp_step", "totp_secret"):
        op.drop_column("admins", name)
