"""Whether a column has one of many texts: a parameter that is a list, so the statement is the same however long that is."""

from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Dialect
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.types import TypeDecorator, TypeEngine


class TextList(TypeDecorator[list[str]]):
    """An array, which SQLite has not: there it is JSON."""

    impl = sa.JSON
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        return sa.ARRAY(sa.String) if dialect.name == "postgresql" else sa.JSON()


class Among(FunctionElement[bool]):
    """Without SQLAlchemy's type of booleans, which it compares with 1 on SQLite: no index answers that."""

    inherit_cache = True


def among(column: sa.Column[str], name: str) -> Among:
    """Whether ``column`` has one of the texts that the parameter ``name`` lists."""
    return Among(column, sa.bindparam(name, type_=TextList()))


@compiles(Among, "postgresql")
def _compare_with_array(element: Among, compiler: SQLCompiler, **more: Any) -> str:
    column, given = element.clauses
    return compiler.process(column == sa.any_(given), **more)


@compiles(Among, "sqlite")
def _compare_with_json(element: Among, compiler: SQLCompiler, **more: Any) -> str:
    column, given = element.clauses
    texts = sa.func.json_each(given).table_valued("value")
    return compiler.process(column.in_(sa.select(texts.c.value)), **more)
