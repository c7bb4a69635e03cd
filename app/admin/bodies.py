"""The base classes of what the panel's API reads and answers."""

from typing import Annotated, Any, Generic, TypeVar

from pydantic import BaseModel, ConfigDict, StringConstraints, model_validator

Name = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200)]
Note = Annotated[str, StringConstraints(max_length=10_000)]
Item = TypeVar("Item")


class PanelBody(BaseModel):
    """A JSON body. Unknown fields and NUL characters, which PostgreSQL cannot store, are rejected."""

    model_config = ConfigDict(extra="forbid", str_max_length=1_000_000)

    @model_validator(mode="before")
    @classmethod
    def _refuse_nul(cls, value: Any) -> Any:
        if _has_nul(value):
            raise ValueError("a text contains a NUL character")
        return value

    def given_fields(self) -> dict[str, Any]:
        """The fields that were sent, as Python values; the others stay as they are."""
        return {name: getattr(self, name) for name in self.model_fields_set}


class PanelAnswer(BaseModel):
    """A JSON answer. Every route names its class, so that the API's description has every field."""

    model_config = ConfigDict(extra="forbid")


class NamedItem(PanelAnswer):
    """A key or an account; ``name`` is None when it has been deleted."""

    id: str
    name: str | None


class ListAnswer(PanelAnswer, Generic[Item]):
    """A page of a list. ``next`` is the cursor of the following page (`after`), None on the last one."""

    data: list[Item]
    next: str | None = None


def _has_nul(value: Any) -> bool:
    if isinstance(value, str):
        return "\0" in value
    if isinstance(value, dict):
        return any(_has_nul(item) for pair in value.items() for item in pair)
    return isinstance(value, list) and any(_has_nul(item) for item in value)
