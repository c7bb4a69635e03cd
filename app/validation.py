"""Reads what people wrote into a typed form: what is wrong is one line that names the field."""

from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from app.errors import InvalidRequest

Form = TypeVar("Form", bound=BaseModel)
PLAIN = {"missing": "is required", "extra_forbidden": "is not known here"}


def validate_document(form: type[Form], document: Any, *, whole: str, below: str = "") -> Form:
    """Raises ``InvalidRequest`` whose ``param`` is like ``candidates.1.weight``, or ``whole`` when the fault is in
    no one field. ``below`` is where the document stands in a larger one."""
    try:
        return form.model_validate(document)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        field, text = describe_problem(first)
        if first["type"] == "extra_forbidden" and "." not in field:
            text += f"; known are {', '.join(form.model_fields)}"
        where = ".".join(part for part in (below, field) if part) or whole
        raise InvalidRequest(f"{where}: {text}", param=where) from None  # the cause repeats what was given


def describe_problem(error: Mapping[str, Any]) -> tuple[str, str]:
    """The field of one of pydantic's errors, empty when it is in no one field, and what is wrong with it."""
    field = ".".join(str(part) for part in error["loc"] if part != "[key]")
    text = str(error["msg"]).removeprefix("Value error, ").removeprefix("Input ")
    return field, PLAIN.get(error["type"], text[:1].lower() + text[1:])
