"""characters have usernames"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "characters", sa.Column("username", sa.String(length=80), nullable=False, server_default="")
    )
    op.execute("UPDATE characters SET username = 'character.' || substr(id, 6, 12)")
    op.create_index("characters_by_username", "characters", ["owner", "username"], unique=True)


def downgrade() -> None:
    op.drop_index("characters_by_username", "characters")
    op.drop_column("characters", "username")
