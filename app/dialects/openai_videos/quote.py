"""A quote as `POST /v1/videos/quote` answers it."""

from typing import Any

from app.db.tables import format_money
from app.dialects.fields.sizes import stated_size
from app.dialects.openai_videos.answer import DEFAULT_SECONDS, DEFAULT_SIZE
from app.tasks.quotes import Quote


def quote_object(quote: Quote) -> dict[str, Any]:
    """``upstream`` is the kind of upstream alone, as refusals name it: clients don't see accounts, nor what they cost us."""
    made = quote.made
    seconds = made.seconds if made.seconds is not None else sum(shot.seconds for shot in made.shots)
    answer: dict[str, Any] = {
        "object": "video.quote",
        "model": quote.request.model,
        "upstream": quote.candidate.account.provider,
        "price": None if quote.price is None else format_money(quote.price),
        "reserved": format_money(quote.reserved),
        "currency": "USD",
        "expected_seconds": None if quote.seconds is None else round(quote.seconds, 1),
        "seconds": f"{seconds:g}" if seconds else DEFAULT_SECONDS,
        "size": made.size or stated_size(made.aspect_ratio, made.resolution) or DEFAULT_SIZE,
    }
    fitted = {"fitted": quote.fitting.as_document()} if quote.fitting and quote.fitting.asked else {}
    return answer | fitted | ({"segments": list(quote.segments)} if quote.segments else {})
