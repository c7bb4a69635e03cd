"""the hashes of labelled films"""

import sqlalchemy as sa
from alembic import op

revision = "0024"
down_revision = "0023"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "film_hashes",
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("task_id", sa.String(length=32), nullable=False),
        sa.Column("owner", sa.String(length=200), nullable=False),
        sa.Column("model", sa.String(length=200), nullable=False),
        sa.Column("layers", sa.Text(), nullable=False),
        sa.Column("made_at", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("sha256", "task_id"),
    )
    op.create_index("film_hashes_made", "film_hashes", ["made_at"])


def downgrade() -> None:
    op.drop_index("film_hashes_made", table_name="film_hashes")
    op.drop_table("film_hashes")
