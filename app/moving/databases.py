"""Reads tables of another gateway's database: SQLite, PostgreSQL or MySQL. Nothing is ever written there."""

import asyncio
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from app.db.postgres import create_postgres_engine
from app.db.postgres_address import check_parameters
from app.errors import InvalidRequest
from app.moving.plan import Tables

SQLITE_MAGIC = b"SQLite format 3\0"
GO_DSN = re.compile(
    r"(?P<user>[^:@/]*)(:(?P<password>.*))?@(tcp\((?P<host>[^):]+)(:(?P<port>\d+))?\))?/(?P<name>[^?]+)(?P<query>\?.*)?"
)
"""A MySQL address as Go programs write it: ``user:password@tcp(host:3306)/name?charset=utf8mb4``."""
CLIENT_PARAMETERS = frozenset({"schema", "connection_limit", "pool_timeout", "pgbouncer"})
"""Prisma's own, for its client: https://www.prisma.io/docs/orm/overview/databases/postgresql"""
SECONDS = 30


def names_database(place: str) -> bool:
    """Whether it is the address of a database, or a file that is one."""
    if place.startswith(("postgres://", "postgresql", "mysql", "sqlite:")) or "@tcp(" in place:
        return True
    path = Path(place)
    return path.is_file() and _begins_as_sqlite(path)


async def read_tables(place: str, names: Sequence[str]) -> Tables:
    """Those of the tables that exist. Raises ``InvalidRequest`` when the database can't be read."""
    try:
        if place.startswith("postgres"):
            return await _read_postgres(place, names)
        if place.startswith("mysql") or "@tcp(" in place:
            return await asyncio.to_thread(_read_mysql, place, names)
        return await asyncio.to_thread(_read_sqlite, _sqlite_path(place), names)
    except (SQLAlchemyError, OSError, TimeoutError) as error:
        reason = str(getattr(error, "orig", None) or error).splitlines()[0][:200]
        raise InvalidRequest(f"PLACE: the database can't be read: {reason}") from error


def _begins_as_sqlite(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return file.read(len(SQLITE_MAGIC)) == SQLITE_MAGIC
    except OSError as error:
        raise InvalidRequest(f"PLACE: {path} can't be read: {error.strerror}") from error


def _sqlite_path(place: str) -> Path:
    path = Path(
        re.sub(r"^sqlite:(//)?/?", "", place).partition("?")[0] if place.startswith("sqlite:") else place
    )
    if not path.is_file():
        raise InvalidRequest(f"PLACE: there is no file {path}")
    return path


def _read_sqlite(path: Path, names: Sequence[str]) -> Tables:
    engine = sa.create_engine(f"sqlite:///{path.resolve().as_uri()}?mode=ro&uri=true")
    return _read_and_close(engine, names)


def _read_mysql(place: str, names: Sequence[str]) -> Tables:
    timeouts = {"connect_timeout": SECONDS, "read_timeout": SECONDS}
    try:
        engine = sa.create_engine(_mysql_url(place), connect_args=timeouts)
    except ModuleNotFoundError as error:
        raise needed_package(error) from None
    return _read_and_close(engine, names)


def needed_package(error: ModuleNotFoundError) -> InvalidRequest:
    """For one of the extra ``import`` that is not installed."""
    return InvalidRequest(f"this needs {error.name}: pip install 'filmgate[import]'")


def _mysql_url(place: str) -> sa.URL:
    """Raises ``InvalidRequest``."""
    written = GO_DSN.fullmatch(place) if "@tcp(" in place else None
    if written is not None:
        if "tls=" in (written["query"] or "").replace("tls=false", ""):
            raise InvalidRequest("PLACE: for TLS give it as mysql://user:password@host:3306/name?ssl_ca=FILE")
        return sa.URL.create(
            "mysql+pymysql",
            username=written["user"],
            password=written["password"],
            host=written["host"],
            port=int(written["port"] or 3306),
            database=written["name"],
        )
    try:
        url = sa.make_url(place)
    except SQLAlchemyError:
        raise InvalidRequest("PLACE: a MySQL address is like mysql://user:password@host:3306/name") from None
    return url.set(drivername="mysql+pymysql")


def _read_and_close(engine: sa.Engine, names: Sequence[str]) -> Tables:
    try:
        with engine.connect() as connection:
            if engine.dialect.name == "mysql":
                connection.exec_driver_sql("SET SESSION TRANSACTION READ ONLY")
            return _read_all(connection, names, None)
    finally:
        engine.dispose()


async def _read_postgres(place: str, names: Sequence[str]) -> Tables:
    address, schema = _without_client_parameters(place)
    try:
        check_parameters(address)
    except ValueError as error:
        raise InvalidRequest(f"PLACE: the address {error}") from error
    engine = create_postgres_engine(address, pool_size=1)
    try:
        async with engine.connect() as connection:
            reader = await connection.execution_options(postgresql_readonly=True)
            return await reader.run_sync(_read_all, names, schema)
    finally:
        await engine.dispose()


def _without_client_parameters(place: str) -> tuple[str, str | None]:
    """The address for our driver, and the schema that it names."""
    parts = urlsplit(place)
    kept = [
        pair for pair in parts.query.split("&") if pair and pair.partition("=")[0] not in CLIENT_PARAMETERS
    ]
    schema = parse_qs(parts.query).get("schema", [None])[0]
    plain = parts._replace(scheme="postgresql+asyncpg", query="&".join(kept)).geturl()
    return plain, schema


def _read_all(connection: sa.Connection, names: Sequence[str], schema: str | None) -> Tables:
    present = set(sa.inspect(connection).get_table_names(schema=schema))
    return {name: _read_rows(connection, name, schema) for name in names if name in present}


def _read_rows(connection: sa.Connection, name: str, schema: str | None) -> list[dict[str, Any]]:
    """Every column that the table has: versions of the other gateway differ."""
    everything = sa.select(sa.text("*")).select_from(sa.table(name, schema=schema))
    try:
        return [dict(row._mapping) for row in connection.execute(everything)]
    except DBAPIError as error:
        reason = str(error.orig).splitlines()[0][:200]
        raise InvalidRequest(f"PLACE: the table {name} can't be read: {reason}") from error
