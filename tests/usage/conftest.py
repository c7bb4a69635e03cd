"""A store with every table, on both databases."""

from collections.abc import AsyncIterator

import pytest_asyncio

from app.db import operator_tables
from app.db.session import Database
from app.db.tables import metadata

assert operator_tables.rollup.metadata is metadata


@pytest_asyncio.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    opened = Database(database_url)
    yield opened
    await opened.close()
