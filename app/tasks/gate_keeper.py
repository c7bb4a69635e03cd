"""Which gates judge a request, before anything is reserved, kept or sent. They are loaded with the first request that has any.

Crash points: nothing is written here. A process that dies meanwhile has made no task; the client's next request is judged
anew. A task that exists is never judged again, by whichever process it is run.
"""

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Protocol

import httpx2

from app.errors import ServiceUnavailable
from app.generation import GenerationRequest
from app.keys.gate_options import GATE_CHOICES, GateOptions
from app.keys.key import ClientKey
from app.options import OptionsRepository

if TYPE_CHECKING:
    from app.tasks.gates.asking import GateAsker


class TextCalls(Protocol):
    """Calls to text accounts."""

    async def ask(self, path: str, body: Mapping[str, Any], *, key: ClientKey, request_id: str) -> Any:
        """What ``/v1/<path>`` of the first account that answers says. ``body`` names the model. Raises ``FilmgateError``."""
        ...


@dataclass(frozen=True, slots=True)
class JudgedRequest:
    """The request as it may be made, and what the task's timeline says of its gates."""

    request: GenerationRequest
    detail: dict[str, Any]


class GateKeeper:
    """``open_calls`` is set by the process that relays calls."""

    def __init__(
        self, options: OptionsRepository, open_transport: Callable[[], httpx2.AsyncBaseTransport]
    ) -> None:
        """``open_transport``: what the webhook is called through."""
        self._options = options
        self._open_transport = open_transport
        self.open_calls: Callable[[], TextCalls] = _no_calls

    async def close(self) -> None:
        if "_asker" in vars(self):
            await self._asker.close()

    async def ask_gates(
        self, request: GenerationRequest, *, key: ClientKey, request_id: str
    ) -> JudgedRequest:
        """Raises ``ContentPolicyViolation`` for what a gate denies, and ``ServiceUnavailable`` for a gate that does not answer,
        unless the operator lets such requests pass."""
        # Not ``read_if_possible``: without the options nobody would know that there is a gate.
        options = await self._options.read(GateOptions)
        gates = GATE_CHOICES[key.options.get("gates", options.default)]
        enhances = key.options.get("enhance", "on" if options.enhance else "off") == "on"
        if not gates and not enhances:
            return JudgedRequest(request, {})
        return await self._asker.judge_request(
            request, options, gates, enhances=enhances, key=key, request_id=request_id
        )

    @cached_property
    def _asker(self) -> "GateAsker":
        asker: GateAsker = importlib.import_module("app.tasks.gates.asking").GateAsker(
            self._open_transport(), lambda: self.open_calls()
        )
        return asker


def _no_calls() -> TextCalls:
    raise ServiceUnavailable("This process makes no calls to accounts.")
