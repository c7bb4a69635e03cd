"""Films on the upstream's own host, at one of several places."""

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

from app.errors import OperationNotFound, PollFailed
from app.providers.http import UpstreamClient


async def download_first(
    origin: UpstreamClient, places: Sequence[Mapping[str, Any]], headers: Mapping[str, str]
) -> AsyncIterator[bytes]:
    """The film at the first of ``places`` that has it: some servers name a link of their own and have no ``/content``,
    others name one that leads nowhere. Raises ``PollFailed`` or ``OperationNotFound``."""
    for number, place in enumerate(places, 1):
        began = False
        try:
            async for chunk in _download(origin, place, headers):
                began = True
                yield chunk
        except (PollFailed, OperationNotFound):
            if began or number == len(places):
                raise
        else:
            return


async def _download(
    origin: UpstreamClient, place: Mapping[str, Any], headers: Mapping[str, str]
) -> AsyncIterator[bytes]:
    async with origin.open_download(place["path"], params=place["query"], headers=headers) as film:
        if film.content_type in {"application/json", "text/html"}:
            raise PollFailed(f"the upstream answered {film.content_type} in place of a video")
        async for chunk in film.chunks:
            yield chunk
