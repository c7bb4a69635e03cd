"""The name of a connection in signatures. SQLAlchemy's own brings its whole object mapper along, which nothing here uses, so
only PostgreSQL loads it."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection
else:
    AsyncConnection = Any

__all__ = ["AsyncConnection"]
