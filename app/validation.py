"""Validates documents that people write. An error is one line that names the field."""

from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from app.errors import InvalidRequest, Reason

Form = TypeVar("Form", bound=BaseModel)
REASONS: Mapping[str, Reason] = {
    "missing": "missing",
    "extra_forbidden": "unknown_field",
    "string_too_short": "too_short",
    "too_short": "too_short",
    "string_too_long": "too_long",
    "too_long": "too_long",
    "greater_than": "too_small",
    "greater_than_equal": "too_small",
    "less_than": "too_large",
    "less_than_equal": "too_large",
    "literal_error": "not_an_option",
    "int_parsing": "not_a_number",
    "int_type": "not_a_number",
    "float_parsing": "not_a_number",
    "float_type": "not_a_number",
    "decimal_parsing": "not_a_number",
    "json_invalid": "invalid_json",
    "address": "invalid_address",
}
"""By the type of pydantic's error; whatever is not named here is an ``invalid_value``."""
PLAIN = {"missing": "is required", "extra_forbidden": "is not known here"}


def validate_document(form: type[Form], document: Any, *, whole: str, below: str = "") -> Form:
    """``document`` as a ``form``; ``below`` is the path of the document inside a larger one.

    Raises ``InvalidRequest``. Its ``param`` is a path like ``candidates.1.weight``, or ``whole`` when the problem
    concerns more than one field.
    """
    try:
        return form.model_validate(document)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        field, text = describe_problem(first)
        if first["type"] == "extra_forbidden" and "." not in field:
            text += f"; known are {', '.join(form.model_fields)}"
        where = ".".join(part for part in (below, field) if part) or whole
        # The cause repeats what was given.
        raise InvalidRequest(f"{where}: {text}", param=where, reason=problem_reason(first)) from None


def problem_reason(error: Mapping[str, Any]) -> Reason:
    """Of one of pydantic's errors."""
    return REASONS.get(error["type"], "invalid_value")


def describe_problem(error: Mapping[str, Any]) -> tuple[str, str]:
    """The path of the field in one of pydantic's errors (empty: the whole document), and the problem as text."""
    field = ".".join(str(part) for part in error["loc"] if part != "[key]")
    text = str(error["msg"]).removeprefix("Value error, ").removeprefix("Input ")
    return field, PLAIN.get(error["type"], text[:1].lower() + text[1:])
