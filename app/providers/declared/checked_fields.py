"""The kinds of fields of a declaration, each with its check: a mistake is told by the name of its field."""

from typing import Annotated, Any, get_args

import jmespath
from jmespath.exceptions import JMESPathError
from pydantic import AfterValidator, BeforeValidator

from app.generation import Role
from app.providers.declared.templates import Template, names_in

VALUES = (
    "model", "prompt", "negative_prompt", "seed", "seconds", "seconds_text", "size", "width", "height", "aspect_ratio",
    "resolution", "style", "sound", "watermark",
)  # fmt: skip
FILES = tuple(
    f"{role}{form}"
    for role in get_args(Role)
    for form in ("", ".url", ".base64", "[]", "[].url", "[].base64")
)
"""An input as a ``data:`` URI, as a public address, or as bare base64; ``[]``: a list of all of that role."""
SUBMIT_NAMES = frozenset({*VALUES, *FILES})
ID_NAMES = frozenset({"id"})
SECRET_NAMES = frozenset({"secret"})


def _check_pick(expression: str) -> str:
    try:
        jmespath.compile(expression)
    except JMESPathError as error:
        text = " ".join(str(error).split())
        raise ValueError(f"is no JMESPath ({text[:200]}); https://jmespath.org has examples") from error
    return expression


def check_names(known: frozenset[str]) -> AfterValidator:
    def check(template: Any) -> Any:
        unknown = sorted(names_in(template) - known)
        if unknown:
            near = ", ".join(sorted(name for name in known if "." not in name and "[" not in name))
            raise ValueError(f"{{{unknown[0]}}} stands for nothing here; there are {near}")
        return template

    return AfterValidator(check)


def check_path(path: str) -> str:
    if not path.startswith("/") or path.startswith("//"):
        raise ValueError("must be a path that begins with /, below base_url")
    return path


def _as_list(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


Pick = Annotated[str, AfterValidator(_check_pick)]
"""A JMESPath expression: where an answer holds something."""
Words = Annotated[tuple[str, ...], BeforeValidator(_as_list)]
IdPath = Annotated[str, AfterValidator(check_path), check_names(ID_NAMES)]
IdTemplate = Annotated[dict[str, Template], check_names(ID_NAMES)]
