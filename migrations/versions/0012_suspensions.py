"""who disabled an account and when it is looked at again; which client key led to a cooldown"""

import time

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

# Until now a refusal disabled an account for good; its reason began with these words.
FILL = """
INSERT INTO suspensions (account_id, "by", since, next_look_at)
SELECT id, 'refusal', :now, :now FROM accounts WHERE NOT enabled AND disabled_reason LIKE 'upstream answered 4%'
"""


def upgrade() -> None:
    op.create_table(
        "suspensions",
        sa.Column("account_id", sa.String(length=32), nullable=False),
        sa.Column("by", sa.String(length=16), nullable=False),
        sa.Column("since", sa.Float(), nullable=False),
        sa.Column("next_look_at", sa.Float(), nullable=True),
        sa.Column("looks", sa.Integer(), server_default="0", nullable=False),
        sa.Column("key_id", sa.String(length=16), server_default="", nullable=False),
        sa.PrimaryKeyConstraint("account_id"),
    )
    op.add_column("cooldowns", sa.Column("key_id", sa.String(length=16), server_default="", nullable=False))
    op.get_bind().execute(sa.text(FILL), {"now": time.time()})


def downgrade() -> None:
    op.drop_column("cooldowns", "key_id")
    op.drop_table("suspensions")
