"""What tools answer: structured, for programs, and the same as text, for the model that reads it."""

import base64
from collections.abc import Sequence
from typing import Annotated, Any, Literal, NoReturn

from mcp.server.mcpserver.exceptions import ToolError
from mcp_types import CallToolResult, ContentBlock, ImageContent, TextContent
from pydantic import BaseModel, Field

from app.client import APIError, APIStatusError, Video
from app.mcp.gateway import GatewayCalls

COMING = ("queued", "in_progress")


class Failure(BaseModel):
    code: str
    message: str


class Film(BaseModel):
    """A video, or an order for one."""

    id: Annotated[str, Field(description="Names the video in every other tool.")]
    status: Literal["queued", "in_progress", "completed", "failed"]
    progress: Annotated[int, Field(description="Percent.")]
    model: str
    seconds: Annotated[str, Field(description="Length.")]
    size: Annotated[str, Field(description="Width x height in pixels.")]
    price_usd: Annotated[
        float | None,
        Field(description="What it has cost. null while that is open, or where no price is known."),
    ] = None
    url: Annotated[str | None, Field(description="A signed link to the MP4, which opens without a key.")] = (
        None
    )
    expires_at: Annotated[int | None, Field(description="Unix time at which the file is removed.")] = None
    error: Failure | None = None
    wait_reason: Annotated[str | None, Field(description="Why it has not begun.")] = None
    fitted: Annotated[
        dict[str, Any] | None, Field(description="What was asked for and what is made instead.")
    ] = None
    next: Annotated[str, Field(description="What to do now.")]


class Quote(BaseModel):
    """Money in US dollars, as text."""

    model: str
    price: str | None = None
    reserved: str
    seconds: str
    size: str
    expected_seconds: float | None = None
    fitted: dict[str, Any] | None = None


class Picture(BaseModel):
    url: str | None = None


class Pictures(BaseModel):
    model: str | None
    images: list[Picture]


class Models(BaseModel):
    models: list[dict[str, Any]]


FilmResult = Annotated[CallToolResult, Film]
QuoteResult = Annotated[CallToolResult, Quote]
PicturesResult = Annotated[CallToolResult, Pictures]
ModelsResult = Annotated[CallToolResult, Models]


async def film_result(calls: GatewayCalls, video: Video) -> CallToolResult:
    """A finished film comes with its price and a still. One that failed is an answer too: the call has worked."""
    done = video.status == "completed"
    price = None if video.status in COMING else await calls.price_of(video.id)
    film = Film.model_validate(video.to_dict() | {"price_usd": price, "next": _next_step(video)})
    still = await calls.thumbnail(video.id) if done else None
    return written(film, [picture_block(*still)] if still else [])


def _next_step(video: Video) -> str:
    if video.status in COMING:
        return (
            f'Call get_video with video_id "{video.id}" and wait_seconds 50 until status is completed or failed. It is '
            "being made and paid for once; do not call make_video again."
        )
    if video.status == "completed":
        return "Give the person the link in url. edit_video and extend_video take this id."
    return "Tell the person the error. What is charged for it, if anything, is in price_usd."


def written(document: BaseModel, pictures: Sequence[ContentBlock] = ()) -> CallToolResult:
    fields = document.model_dump(mode="json", exclude_none=True)
    text = TextContent(type="text", text=document.model_dump_json(exclude_none=True))
    return CallToolResult(content=[text, *pictures], structured_content=fields)


def picture_block(content: bytes, media_type: str) -> ImageContent:
    return ImageContent(type="image", data=base64.b64encode(content).decode(), mime_type=media_type)


def raise_refusal(error: APIError) -> NoReturn:
    """The gateway's refusal, or its silence, as the error of a tool. Raises ``ToolError``."""
    parts = [error.message]
    if error.param:
        parts.append(f"(field: {error.param})")
    if isinstance(error, APIStatusError):
        parts.append(f"[code: {error.code or error.status_code}, request id: {error.request_id}]")
    raise ToolError(" ".join(parts)) from error
