"""Where a relayed call goes, as a provider tells it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal


@dataclass(frozen=True, slots=True)
class RelayTarget:
    """Where a relayed call goes; ``headers`` carry the account's secret."""

    url: str
    headers: Mapping[str, str] = field(repr=False)
    defaults: Mapping[str, str] = field(default_factory=dict)
    """Headers that go along only where the client sent none of that name."""
    limit_name: Literal["max_tokens", "max_completion_tokens"] = "max_tokens"
    """What this server's chat calls the most tokens of an answer, for calls translated into it."""
