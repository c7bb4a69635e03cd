"""Response models of SiliconFlow and the meaning of its states and codes."""

from collections.abc import Mapping

from pydantic import BaseModel, FiniteFloat

from app.providers.base import Failed, ResultFile, Succeeded
from app.providers.http_errors import ErrorMeaning, missing_file
from app.providers.reading import Fields, State, Text, mentions_moderation

STATES: Mapping[str, State] = {
    "InQueue": "queued",
    "InProgress": "running",
    "Succeed": "succeeded",
    "Failed": "failed",
}
# https://docs.siliconflow.cn/cn/faqs/error-code; an empty account answers 403, which elsewhere means a bad key.
CODES: Mapping[str, ErrorMeaning] = {
    **dict.fromkeys(("30001", "30011"), "quota"),
    **dict.fromkeys(("20012", "30003"), "forbidden"),
    **dict.fromkeys(("50505", "50603"), "busy"),
    "20015": "rejected",
}


class SiliconFlowAnswer(BaseModel):
    """Errors have ``code`` and ``message``; a 401 is one JSON string."""

    code: Text = ""
    message: Text = ""

    def is_error(self) -> bool:
        return self.code in CODES


class SubmitAnswer(SiliconFlowAnswer):
    requestId: Text = ""  # noqa: N815 - the vendor's name


class VideoStatus(SiliconFlowAnswer):
    status: Text = ""
    reason: Text = ""
    results: Fields = {}

    @property
    def video_links(self) -> list[str]:
        videos = self.results.get("videos")
        listed = videos if isinstance(videos, list) else []
        links = [video.get("url") for video in listed if isinstance(video, dict)]
        return [link for link in links if isinstance(link, str) and link]


class UserBalance(BaseModel):
    """In the money of the platform: yuan in China, US dollars abroad."""

    totalBalance: FiniteFloat  # noqa: N815 - the vendor's name


class UserInfo(BaseModel):
    data: UserBalance


def succeeded_answer(video: VideoStatus) -> Succeeded:
    """Its links live for ten minutes."""
    if not video.video_links:
        raise missing_file("SiliconFlow")
    timings = video.results.get("timings")
    inference = timings.get("inference") if isinstance(timings, dict) else None
    usage = {"seed": video.results.get("seed"), "inference_seconds": inference}
    return Succeeded(
        tuple(ResultFile("video", "video/mp4", url=link) for link in video.video_links),
        usage={name: value for name, value in usage.items() if isinstance(value, int | float)},
    )


def failed_answer(reason: str) -> Failed:
    return Failed.upstream_error(
        reason or "SiliconFlow gave no reason.", moderated=mentions_moderation(reason)
    )
