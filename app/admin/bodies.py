"""The base of every JSON body of the panel: unknown fields are refused, and so is what no store takes."""

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, StringConstraints, model_validator

Name = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200)]
Note = Annotated[str, StringConstraints(max_length=10_000)]


class PanelBody(BaseModel):
    """Fields that were not sent are left as they are: see ``given``."""

    model_config = ConfigDict(extra="forbid", str_max_length=1_000_000)

    @model_validator(mode="before")
    @classmethod
    def _refuse_nul(cls, value: Any) -> Any:
        if _has_nul(value):
            raise ValueError("a text contains a NUL character")
        return value

    def given_fields(self) -> dict[str, Any]:
        """Only what was sent, as Python values."""
        return {name: getattr(self, name) for name in self.model_fields_set}


def _has_nul(value: Any) -> bool:
    if isinstance(value, str):
        return "\0" in value
    if isinstance(value, dict):
        return any(_has_nul(item) for pair in value.items() for item in pair)
    return isinstance(value, list) and any(_has_nul(item) for item in value)
