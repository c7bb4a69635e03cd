"""Bodies against the TypedDicts by which vendors' own SDKs type them: unknown, missing and mistyped fields."""

from collections.abc import Iterable, Mapping
from functools import cache
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from typing_extensions import Required, get_type_hints, is_typeddict  # noqa: UP035


def unwrap(hint: Any) -> tuple[Any, bool, str | None]:
    """The type of a field, whether it is required, and its name in JSON."""
    required, alias = False, None
    while get_origin(hint) in {Required, Annotated}:
        if get_origin(hint) is Required:
            required = True
        else:
            names = [getattr(note, "alias", None) for note in get_args(hint)[1:]]
            alias = next((name for name in names if name), alias)
        hint = get_args(hint)[0]
    return hint, required, alias


@cache
def fields_of(typed: Any) -> Mapping[str, tuple[Any, bool]]:
    """Of a TypedDict: the type of each field by its name in JSON, and whether it is required."""
    found = {}
    for name, hint in get_type_hints(typed, include_extras=True).items():
        kind, required, alias = unwrap(hint)
        found[alias or name] = (kind, required)
    return found


def fields_error(typed: Any, body: Mapping[str, Any], where: str = "") -> tuple[str, str] | None:
    """The field of ``body`` that the type refuses, and why."""
    fields = fields_of(typed)
    for name in body:
        if name not in fields:
            return where + name, "Unrecognized key"
    for name, (_, required) in fields.items():
        if required and name not in body:
            return where + name, "Required"
    errors = (value_error(fields[name][0], value, where + name) for name, value in body.items())
    return next((error for error in errors if error), None)


def value_error(hint: Any, value: Any, where: str) -> tuple[str, str] | None:
    hint, _, _ = unwrap(hint)
    if hint is Any or hint is object:
        return None
    if is_typeddict(hint):
        return (
            fields_error(hint, value, f"{where}.") if isinstance(value, dict) else (where, "Expected object")
        )
    if get_origin(hint) is Literal:
        return None if value in get_args(hint) else (where, "Invalid enum value")
    if get_origin(hint) is Union:
        errors = [value_error(one, value, where) for one in get_args(hint)]
        return None if None in errors else errors[-1]
    if get_origin(hint) is not None and issubclass(get_origin(hint), Iterable):
        if not isinstance(value, list):
            return where, "Expected array"
        found = (value_error(get_args(hint)[0], item, where) for item in value)
        return next((error for error in found if error), None)
    allowed = (int, float) if hint is float else hint
    right = isinstance(value, allowed) and (hint is bool or not isinstance(value, bool))
    return None if right else (where, "Invalid type")
