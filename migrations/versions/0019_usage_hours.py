"""films, their seconds and what vendors charge in the sums of usage, and sums by hour, which any zone can cut at midnight"""

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None

SIDES = {"key": "key_id", "account": "account_id"}
SUMS = ("requests", "failed", "input_tokens", "output_tokens", "cost", "films", "film_milliseconds")
# Files of completed tasks that are films. PostgreSQL's ->> gives text, SQLite's json_extract a number.
FILMS = {
    "sqlite": "SELECT count(*), CAST(coalesce(sum(1000 * coalesce(json_extract(value, '$.made_seconds'), "
    "json_extract(value, '$.seconds'), 0)), 0) AS INTEGER) FROM json_each(tasks.result, '$.files') "
    "WHERE json_extract(value, '$.content_type') LIKE 'video/%'",
    "postgresql": "SELECT count(*), CAST(coalesce(sum(1000 * coalesce(CAST(value ->> 'made_seconds' AS float), "
    "CAST(value ->> 'seconds' AS float), 0)), 0) AS bigint) FROM "
    "json_array_elements(CAST(tasks.result AS json) -> 'files') AS each(value) "
    "WHERE value ->> 'content_type' LIKE 'video/%'",
}
COUNT_FILMS = """
UPDATE usage SET (films, film_milliseconds) = ({films}) FROM tasks
WHERE tasks.id = usage.task_id AND tasks.state = 'completed' AND tasks.result IS NOT NULL
"""
ADD_TO_DAYS = """
UPDATE usage_days SET films = found.films, film_milliseconds = found.film_milliseconds,
       unknown_costs = found.unknown_costs
FROM (SELECT {day} AS day, key_id, account_id, model, coalesce(sum(films), 0) AS films,
             coalesce(sum(film_milliseconds), 0) AS film_milliseconds,
             sum(CASE WHEN status < 400 OR cost > 0 THEN 1 ELSE 0 END) AS unknown_costs
      FROM usage GROUP BY {day}, key_id, account_id, model) AS found
WHERE found.day = usage_days.day AND found.key_id = usage_days.key_id
  AND found.account_id = usage_days.account_id AND found.model = usage_days.model
"""
FILL_HOURS = """
INSERT INTO usage_hours (side, minute, party, model, {sums}, unknown_costs)
SELECT '{side}', {minute}, {column}, model, count(*), sum(CASE WHEN status >= 400 THEN 1 ELSE 0 END),
       coalesce(sum(input_tokens), 0), coalesce(sum(output_tokens), 0), sum(cost), coalesce(sum(films), 0),
       coalesce(sum(film_milliseconds), 0), sum(CASE WHEN status < 400 OR cost > 0 THEN 1 ELSE 0 END)
FROM usage GROUP BY {minute}, {column}, model
"""
# Of days whose rows are gone: at noon of UTC, which is on the same date in all but the zones farthest east.
FILL_OLDER = """
INSERT INTO usage_hours (side, minute, party, model, {sums}, unknown_costs)
SELECT '{side}', whole.day * 1440 + 720, whole.party, whole.model, {rest}, whole.requests - coalesce(kept.requests, 0)
FROM (SELECT day, {column} AS party, model, {whole} FROM usage_days GROUP BY day, {column}, model) AS whole
LEFT JOIN (SELECT minute / 1440 AS day, party, model, {whole} FROM usage_hours WHERE side = '{side}'
           GROUP BY minute / 1440, party, model) AS kept
ON kept.day = whole.day AND kept.party = whole.party AND kept.model = whole.model
WHERE whole.requests > coalesce(kept.requests, 0)
ON CONFLICT (side, minute, party, model)
DO UPDATE SET {raised}, unknown_costs = usage_hours.unknown_costs + excluded.unknown_costs
"""


def upgrade() -> None:
    op.add_column("usage", sa.Column("films", sa.Integer()))
    op.add_column("usage", sa.Column("film_milliseconds", sa.BigInteger()))
    op.add_column("usage", sa.Column("vendor_cost", sa.BigInteger()))
    for name in ("films", "film_milliseconds", "vendor_cost", "unknown_costs"):
        op.add_column("usage_days", sa.Column(name, sa.BigInteger(), nullable=False, server_default="0"))
    op.add_column(
        "keys", sa.Column("may_rotate", sa.Boolean(), nullable=False, server_default=sa.text("false"))
    )
    figures = (*SUMS, "vendor_cost", "unknown_costs")
    op.create_table(
        "usage_hours",
        sa.Column("side", sa.String(length=8), nullable=False),
        sa.Column("minute", sa.Integer(), nullable=False),
        sa.Column("party", sa.String(length=32), nullable=False),
        sa.Column("model", sa.String(length=200), nullable=False),
        *(sa.Column(name, sa.BigInteger(), nullable=False, server_default="0") for name in figures),
        sa.PrimaryKeyConstraint("side", "minute", "party", "model"),
        sqlite_with_rowid=False,
    )
    dialect = op.get_bind().dialect.name
    # PostgreSQL rounds where it casts, SQLite has no floor.
    whole = "CAST(floor(at / {}) AS integer)" if dialect == "postgresql" else "CAST(at / {} AS INTEGER)"
    op.execute(COUNT_FILMS.format(films=FILMS[dialect]))
    op.execute(ADD_TO_DAYS.format(day=whole.format(86400)))
    names = {
        "sums": ", ".join(SUMS),
        "whole": ", ".join(f"CAST(sum({name}) AS bigint) AS {name}" for name in SUMS),
        "rest": ", ".join(f"whole.{name} - coalesce(kept.{name}, 0)" for name in SUMS),
        "raised": ", ".join(f"{name} = usage_hours.{name} + excluded.{name}" for name in SUMS),
    }
    for side, column in SIDES.items():
        op.execute(FILL_HOURS.format(side=side, column=column, minute=_hour_of(whole.format(60)), **names))
        op.execute(FILL_OLDER.format(side=side, column=column, **names))


def _hour_of(minute: str) -> str:
    """As ``hour_of`` of app/usage/sums.py."""
    return (
        f"CASE WHEN {minute} / 60 % 24 IN (10, 11, 15, 18) THEN {minute} / 15 * 15 "
        f"WHEN {minute} / 60 % 24 IN (2, 3, 9, 13, 14, 17, 19, 20) THEN {minute} / 30 * 30 "
        f"ELSE {minute} / 60 * 60 END"
    )


def downgrade() -> None:
    op.drop_table("usage_hours")
    op.drop_column("keys", "may_rotate")
    for name in ("unknown_costs", "vendor_cost", "film_milliseconds", "films"):
        op.drop_column("usage_days", name)
    for name in ("vendor_cost", "film_milliseconds", "films"):
        op.drop_column("usage", name)
