"""which keys' prompts are not kept, which tasks' are removed; keys whose secret was brought along"""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for name, default in (("keep_prompts", sa.true()), ("secret_given", sa.false())):
        op.add_column("keys", sa.Column(name, sa.Boolean(), server_default=default, nullable=False))
    op.add_column("tasks", sa.Column("prompt_removed", sa.Boolean(), nullable=True))
    wanted = sa.text("NOT prompt_removed")
    op.create_index("tasks_removing", "tasks", ["id"], sqlite_where=wanted, postgresql_where=wanted)


def downgrade() -> None:
    op.drop_index("tasks_removing", table_name="tasks")
    op.drop_column("tasks", "prompt_removed")
    for name in ("secret_given", "keep_prompts"):
        op.drop_column("keys", name)
