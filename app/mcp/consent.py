"""Asks the person before a film that costs more than a bound, or says how the agent goes on where no question can be put.

The bound is the agent's ``confirm_above``, or the host's where that is lower. What counts is the amount that would be
reserved: the upstream that is first in line may be cheaper than another that gets the film.
"""

from typing import Any

from mcp.server.mcpserver import Context
from mcp.server.mcpserver.exceptions import ToolError
from mcp.server.mcpserver.resolve import Elicit
from mcp_types.version import MODERN_PROTOCOL_VERSIONS
from pydantic import BaseModel, Field

from app.client import VideoQuote
from app.mcp.access import Here, open_calls


class Consent(BaseModel):
    """The question that a person answers."""

    make_it: bool = Field(default=True, description="Make the film at this price")


async def ask_person(
    context: Here,
    *,
    prompt: str,
    model: str | None,
    seconds: float | None,
    size: str | None,
    image: str | None,
    confirm_above: float | None,
    confirmed: bool,
) -> Consent | Elicit[Consent]:
    """Raises ``ToolError`` where the person would have to be asked and can't be."""
    async with open_calls(context) as calls:
        bounds = [bound for bound in (confirm_above, calls.confirm_above) if bound is not None]
        if confirmed or not bounds:
            return Consent()
        quote = await calls.quote(video_fields(prompt, model, seconds=seconds, size=size, image=image))
    if quote.price is not None and float(quote.reserved) <= min(bounds):
        return Consent()
    question = f"{_price_text(quote)}, and that needs a person's yes (above {min(bounds):g} US dollars)."
    if can_ask(context):
        return Elicit(f"{question} Make it? {prompt[:300]}", Consent)
    raise ToolError(
        f"Nothing was made. {question} Ask the person, and after a yes call make_video again with confirmed true. "
        "[code: confirmation_required]"
    )


def video_fields(
    prompt: str, model: str | None, *, seconds: float | None, size: str | None, image: str | None
) -> dict[str, Any]:
    length = None if seconds is None else f"{seconds:g}"
    return {"prompt": prompt, "model": model, "seconds": length, "size": size, "input_reference": image}


def _price_text(quote: VideoQuote) -> str:
    what = f"A film of {quote.seconds} seconds, {quote.size}, by {quote.model}"
    if quote.price is None:
        return f"{what} has a price that is known only afterwards"
    most = "" if float(quote.reserved) <= float(quote.price) else f", at most {quote.reserved},"
    return f"{what} costs about {quote.price}{most} US dollars"


def can_ask(context: Context[Any, Any]) -> bool:
    """Whether a question reaches a person: the client says so, and there is a way to it. Without sessions there is one in
    the protocol of 2026-07-28 alone."""
    able = context.client_capabilities.elicitation if context.client_capabilities else None
    if able is None or (able.form is None and able.url is not None):
        return False
    modern = context.protocol_version in MODERN_PROTOCOL_VERSIONS
    return modern or context.session.can_send_request
