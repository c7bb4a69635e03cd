"""Servers on the operator's own machines: nobody is paid for what they make, so what they forget can be made again."""

from dataclasses import dataclass
from typing import Annotated

from pydantic import BaseModel, Field


@dataclass(frozen=True, slots=True)
class Remaking:
    """How often a task is made again that its upstream has forgotten, and after how many seconds without any other answer.
    ``own_hardware``: nobody is paid for what fails there."""

    times: int = 0
    after_seconds: float = 60.0
    own_hardware: bool = False


NO_REMAKING = Remaking()


class OwnHardwareOptions(BaseModel):
    """A part of ``account.options``."""

    own_hardware: bool = False
    """Nobody is paid for what this server makes: a restart forgets its tasks, and they are made again."""
    remakes: Annotated[int, Field(ge=0, le=10)] = 2
    """How often one task is made again on ``own_hardware``."""
    remake_after_seconds: Annotated[float, Field(ge=0, le=3600)] = 60
    """For so long the server must have said that it does not know the task."""

    def remaking(self) -> Remaking:
        return Remaking(self.remakes, self.remake_after_seconds, True) if self.own_hardware else NO_REMAKING
