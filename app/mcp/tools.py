"""The tools. Their texts are read by language models: units, defaults, and what costs money stand in them."""

from collections.abc import Awaitable, Callable
from typing import Annotated, Any, Literal

from mcp.server.elicitation import AcceptedElicitation, ElicitationResult
from mcp.server.mcpserver.exceptions import ToolError
from mcp.server.mcpserver.resolve import Resolve
from mcp_types import CallToolResult
from pydantic import Field

from app.client import Video
from app.mcp.access import Here, open_calls
from app.mcp.answers import (
    FilmResult,
    Models,
    ModelsResult,
    PicturesResult,
    Quote,
    QuoteResult,
    film_result,
    written,
)
from app.mcp.consent import Consent, ask_person, video_fields
from app.mcp.gateway import GatewayCalls
from app.mcp.pictures import pictures_result
from app.mcp.waiting import LONGEST_SECONDS, wait_for_film

Prompt = Annotated[
    str, Field(description="What it shows, in any language: subject, action, camera, light, style, sound.")
]
VideoId = Annotated[str, Field(description="The id that make_video, edit_video or extend_video answered.")]
SourceVideo = Annotated[
    str, Field(description="The id of a finished video of this key, or the https address of an MP4.")
]
Model = Annotated[
    str | None,
    Field(description="A name from list_models. Left out: the gateway's usual model."),
]
Size = Annotated[
    str | None, Field(description="Width x height in pixels, like 1280x720. Left out: the model's own.")
]
Length = Annotated[
    float | None, Field(gt=0, description="Length in seconds. Left out: the model's own, often 4.")
]
FirstPicture = Annotated[
    str | None, Field(description="First frame or reference picture: an https address or a data: URI.")
]
MaxCost = Annotated[
    float | None,
    Field(ge=0, description="The most that it may cost, in US dollars; refused where it would be more."),
]
Wait = Annotated[
    float,
    Field(
        ge=0,
        le=LONGEST_SECONDS,
        description="Seconds to wait for the end before answering, 0 to 50. The video is made in any case.",
    ),
]
WishKey = Annotated[
    str | None,
    Field(
        max_length=200,
        description="Any text of your own for this wish. A call with the same text answers the same result instead of "
        "buying another: use it when you repeat a call because you did not see its answer.",
    ),
]


async def make_video(
    context: Here,
    *,
    consent: Annotated[ElicitationResult[Consent], Resolve(ask_person)],
    prompt: Prompt,
    model: Model = None,
    seconds: Length = None,
    size: Size = None,
    image: FirstPicture = None,
    max_cost: MaxCost = None,
    confirm_above: Annotated[
        float | None,
        Field(ge=0, description="US dollars above which the person is asked before it is made."),
    ] = None,
    confirmed: Annotated[
        bool, Field(description="True only after the person has said yes to the price.")
    ] = False,
    wait_seconds: Wait = LONGEST_SECONDS,
    idempotency_key: WishKey = None,
) -> FilmResult:
    """Make a video from a text, or from a picture and a text. COSTS MONEY: each call buys one video, at the price that
    list_models names. Takes one to ten minutes: if it is not finished after wait_seconds (50 by default), the answer
    holds its id, and get_video tells the rest; never call make_video again for the same wish. A finished video comes
    with a link to an MP4, its price in US dollars and a still."""
    if not isinstance(consent, AcceptedElicitation) or not consent.data.make_it:
        raise ToolError("The person does not want it at this price. Nothing was made. [code: declined]")
    fields = video_fields(prompt, model, seconds=seconds, size=size, image=image) | {"max_cost": max_cost}
    wish = {**fields, "idempotency_key": idempotency_key}
    return await _order(
        context,
        "make_video",
        wish,
        begin=lambda calls, key: calls.create(fields, key),
        seconds=wait_seconds,
    )


async def edit_video(
    context: Here,
    *,
    video: SourceVideo,
    prompt: Annotated[str, Field(description="What to change.")],
    model: Model = None,
    wait_seconds: Wait = LONGEST_SECONDS,
    idempotency_key: WishKey = None,
) -> FilmResult:
    """Make a changed copy of a video; the video itself stays as it is. COSTS MONEY like make_video, and answers like
    it. Not every model can: list_models says which take source_video."""
    fields = {"prompt": prompt, "model": model, "video": _source(video)}
    wish = {**fields, "idempotency_key": idempotency_key}
    return await _order(
        context,
        "edit_video",
        wish,
        begin=lambda calls, key: calls.edit(fields, key),
        seconds=wait_seconds,
    )


async def extend_video(
    context: Here,
    *,
    video: SourceVideo,
    prompt: Annotated[str, Field(description="What happens next.")],
    seconds: Annotated[float, Field(gt=0, description="How many seconds to add.")],
    wait_seconds: Wait = LONGEST_SECONDS,
    idempotency_key: WishKey = None,
) -> FilmResult:
    """Make a longer copy of a video that goes on after its end; the video itself stays as it is. COSTS MONEY like
    make_video, and answers like it."""
    fields = {"prompt": prompt, "seconds": f"{seconds:g}", "video": _source(video)}
    wish = {**fields, "idempotency_key": idempotency_key}
    return await _order(
        context,
        "extend_video",
        wish,
        begin=lambda calls, key: calls.extend(fields, key),
        seconds=wait_seconds,
    )


async def _order(
    context: Here,
    tool: str,
    wish: dict[str, Any],
    *,
    begin: Callable[[GatewayCalls, str], Awaitable[Video]],
    seconds: float,
) -> CallToolResult:
    async with open_calls(context) as calls:
        video = await begin(calls, calls.conversation.key_of(context.request_id, tool, wish))
        video = await wait_for_film(calls, video, context, seconds=seconds)
        return await film_result(calls, video)


async def quote_video(
    context: Here,
    *,
    prompt: Prompt,
    model: Model = None,
    seconds: Length = None,
    size: Size = None,
    image: FirstPicture = None,
) -> QuoteResult:
    """What make_video with the same arguments would make and cost now, in US dollars: price is the estimate (left out where
    it is known only afterwards), reserved the most. expected_seconds is how long it takes to make. Free; nothing is made."""
    fields = video_fields(prompt, model, seconds=seconds, size=size, image=image)
    async with open_calls(context) as calls:
        return written(Quote.model_validate((await calls.quote(fields)).to_dict()))


async def get_video(context: Here, video_id: VideoId, wait_seconds: Wait = 0.0) -> FilmResult:
    """How far a video is, and once it is finished its link, price and a still. Free. With wait_seconds it waits for the
    end: call it with 50 again and again until status is completed or failed."""
    async with open_calls(context) as calls:
        video = await wait_for_film(calls, await calls.find(video_id), context, seconds=wait_seconds)
        return await film_result(calls, video)


async def cancel_video(context: Here, video_id: VideoId) -> FilmResult:
    """Stop a video that is not finished. Free, and cannot be undone. What the maker has already charged for is still
    paid. A video that has ended stays as it is."""
    async with open_calls(context) as calls:
        return await film_result(calls, await calls.cancel(video_id))


async def list_models(
    context: Here,
    kind: Annotated[Literal["video", "image"], Field(description="What the models make.")] = "video",
) -> ModelsResult:
    """The models that this key may use: lengths in seconds, sizes in pixels, what they take (inputs: first_frame,
    reference_image, source_video …), whether they make sound, and their price in US dollars. What is not known of a model is left out. Free."""
    async with open_calls(context) as calls:
        found = await calls.models()
    able = [each for each in found if kind in ((each.get("capabilities") or {}).get("kinds") or ())]
    return written(Models(models=[_told(each["id"], each["capabilities"]) for each in able]))


async def make_image(
    context: Here,
    *,
    prompt: Prompt,
    model: Annotated[str | None, Field(description="A name from list_models with kind image.")] = None,
    size: Size = None,
    idempotency_key: WishKey = None,
) -> PicturesResult:
    """Make a picture from a text. COSTS MONEY: each call buys one picture. Answers when it is finished, mostly within a
    minute, with the picture itself and, where the gateway keeps it, a link. A link can be make_video's image."""
    fields = {"prompt": prompt, "model": model, "size": size}
    wish = {**fields, "idempotency_key": idempotency_key}
    async with open_calls(context) as calls:
        key = calls.conversation.key_of(context.request_id, "make_image", wish)
        return await pictures_result(calls, context, fields, key=key)


def _source(video: str) -> Any:
    return video if "://" in video or video.startswith("data:") else {"id": video}


def _told(name: str, capabilities: dict[str, Any]) -> dict[str, Any]:
    """There may be hundreds, and a language model reads every word."""
    return {"name": name} | {
        word: value for word, value in capabilities.items() if value not in (None, [], {})
    }
