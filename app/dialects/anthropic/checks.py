"""Types of the fields of a messages request; each check raises ``InvalidRequest`` that names the field."""

from typing import Any

from app.errors import InvalidRequest, MissingField


def require_list(value: Any, where: str) -> list[Any]:
    if not isinstance(value, list):
        raise InvalidRequest("must be a list", param=where)
    return value


def require_object(value: Any, where: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise InvalidRequest("must be an object", param=where)
    return value


def require_text(value: Any, where: str, *, empty: bool = False) -> str:
    if value is None or (value == "" and not empty):
        raise MissingField(where)
    if not isinstance(value, str):
        raise InvalidRequest("must be a string", param=where)
    return value


def require_whole(value: Any, where: str) -> int:
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise InvalidRequest("must be a whole number of 0 or more", param=where)
    return value


def require_flag(value: Any, where: str) -> bool:
    if value is not None and not isinstance(value, bool):
        raise InvalidRequest("must be true or false", param=where)
    return bool(value)
