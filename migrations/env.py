"""Alembic's entry: runs the migrations on SQLite or PostgreSQL with the application's own drivers."""

import asyncio

import asyncpg
from alembic import context
from sqlalchemy import Connection, pool, text
from sqlalchemy.ext.asyncio import create_async_engine

from app.db.operator_tables import metadata
from app.db.postgres_address import read_address

MIGRATION_LOCK = 727_001  # any number that nothing else in the database locks


def run(connection: Connection) -> None:
    context.configure(connection=connection, target_metadata=metadata, render_as_batch=True)
    with context.begin_transaction():
        if connection.dialect.name == "postgresql":
            connection.execute(text(f"SELECT pg_advisory_xact_lock({MIGRATION_LOCK})"))
        context.run_migrations()


async def run_async() -> None:
    url = context.config.attributes.get("url") or context.config.get_main_option("sqlalchemy.url")
    assert url, "give the database's URL: alembic -x is not used, see app/db/migrate.py"
    if url.startswith("postgresql"):  # without the time-outs of `open_connection`: a migration may take long
        target = read_address(url).url
        engine = create_async_engine(
            "postgresql+asyncpg://", async_creator=lambda: asyncpg.connect(target), poolclass=pool.NullPool
        )
    else:
        engine = create_async_engine(url, poolclass=pool.NullPool)
    async with engine.connect() as connection:
        await connection.run_sync(run)
        await connection.commit()
    await engine.dispose()


asyncio.run(run_async())
