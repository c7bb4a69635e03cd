"""usage added up by day, for reports whose cost does not grow with history"""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

FILL = """
INSERT INTO usage_days (day, key_id, account_id, model, requests, failed, input_tokens, output_tokens, cost)
SELECT {day}, key_id, account_id, model, count(*), sum(CASE WHEN status >= 400 THEN 1 ELSE 0 END),
       coalesce(sum(input_tokens), 0), coalesce(sum(output_tokens), 0), sum(cost)
FROM usage GROUP BY {day}, key_id, account_id, model
"""


def upgrade() -> None:
    op.create_table(
        "usage_days",
        sa.Column("day", sa.Integer(), nullable=False, autoincrement=False),
        sa.Column("key_id", sa.String(length=16), nullable=False),
        sa.Column("account_id", sa.String(length=32), nullable=False),
        sa.Column("model", sa.String(length=200), nullable=False),
        sa.Column("requests", sa.BigInteger(), nullable=False),
        sa.Column("failed", sa.BigInteger(), nullable=False),
        sa.Column("input_tokens", sa.BigInteger(), nullable=False),
        sa.Column("output_tokens", sa.BigInteger(), nullable=False),
        sa.Column("cost", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("day", "key_id", "account_id", "model"),
    )
    # PostgreSQL rounds where it casts, SQLite has no floor.
    postgres = op.get_bind().dialect.name == "postgresql"
    op.execute(FILL.format(day="floor(at / 86400)::int" if postgres else "CAST(at / 86400 AS INTEGER)"))


def downgrade() -> None:
    op.drop_table("usage_days")
