"""Response models of PixVerse and the meaning of its codes."""

from collections.abc import Mapping

from pydantic import BaseModel, FiniteFloat

from app.errors import PollFailed
from app.providers.base import Failed, PollAnswer, ResultFile, Running, Succeeded
from app.providers.http_errors import ErrorMeaning
from app.providers.inputs import without_none
from app.providers.reading import State, Text, read_state

STATES: Mapping[str, State] = {
    "5": "running",
    "1": "succeeded",
    "8": "failed",
    "7": "moderated",
    "6": "missing",
}
# https://docs.platform.pixverse.ai/error-codes-796041m0
CODES: Mapping[int, ErrorMeaning] = {
    400012: "auth",
    **dict.fromkeys((400011, 400013, 400017, 400018, 400019, 400032), "rejected"),
    500008: "missing",
    # The plan of this account lacks it; another account may have it.
    **dict.fromkeys((500020, 500060, 500090), "quota"),
    **dict.fromkeys((500030, 500031, 500032, 500033, 500041, 500042, 500070, 500071), "rejected"),
    **dict.fromkeys((500044, 500069), "busy"),
    **dict.fromkeys((500054, 500063), "moderated"),
}


class PixVerseVideo(BaseModel):
    """The fields of a submitted video, an uploaded image and a poll."""

    video_id: Text = ""
    img_id: int | None = None
    status: Text = ""
    url: Text = ""
    credits: float | None = None
    outputWidth: int | None = None  # noqa: N815 - a field of PixVerse
    outputHeight: int | None = None  # noqa: N815


class CreditBalance(BaseModel):
    """Remaining credits of the plan and of bought packages."""

    credit_monthly: FiniteFloat
    credit_package: FiniteFloat


class AnswerEnvelope(BaseModel):
    """The fields of every answer."""

    ErrCode: int | None = None
    ErrMsg: Text = ""

    def is_error(self) -> bool:
        return bool(self.ErrCode)

    @property
    def error_meaning(self) -> ErrorMeaning | None:
        return CODES.get(self.ErrCode or 0)


class VideoAnswer(AnswerEnvelope):
    Resp: PixVerseVideo | None = None


class CreditsAnswer(AnswerEnvelope):
    Resp: CreditBalance | None = None


def read_outcome(video: PixVerseVideo) -> PollAnswer:
    state = read_state(video.status, STATES, provider="pixverse")
    if state == "succeeded":
        if not video.url:
            raise PollFailed("PixVerse reports success without a video URL")
        size = (
            f"{video.outputWidth}x{video.outputHeight}" if video.outputWidth and video.outputHeight else None
        )
        facts = {"credits": video.credits, "size": size}
        usage = without_none(facts)
        return Succeeded((ResultFile("video", "video/mp4", url=video.url),), usage=usage)
    if state == "moderated":
        return Failed("content_policy_violation", "PixVerse's moderation stopped the video.")
    if state == "failed":
        return Failed("upstream_error", "PixVerse reports: failed")
    if state == "missing":
        return Failed("upstream_error", "PixVerse reports: deleted")
    return Running()
