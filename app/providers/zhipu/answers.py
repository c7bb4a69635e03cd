"""Response models of Zhipu and the meaning of its states and codes."""

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

from app.providers.base import Failed, ResultFile, Succeeded
from app.providers.http_errors import ErrorMeaning, missing_file
from app.providers.reading import Items, State, Text, mentions_moderation

STATES: Mapping[str, State] = {
    "PROCESSING": "running",
    "SUCCESS": "succeeded",
    "FAIL": "failed",
}
# https://docs.bigmodel.cn/cn/faq/api-code. An empty account and a busy one both answer 429. 1231: "you have a request of
# this request_id already", so the first copy of ours may have arrived.
CODES: Mapping[str, ErrorMeaning] = {
    **dict.fromkeys(("1000", "1001", "1002", "1003", "1004", "1005", "1110", "1111", "1112", "1121"), "auth"),
    **dict.fromkeys(("1113", "1304", "1308", "1309", "1310"), "quota"),
    **dict.fromkeys(("1211", "1220", "1221", "1222", "1311"), "forbidden"),
    **dict.fromkeys(("1210", "1212", "1213", "1214", "1215", "1261"), "rejected"),
    **dict.fromkeys(("1300", "1301"), "moderated"),
    **dict.fromkeys(("1120", "1302", "1303", "1305", "1312", "1313"), "busy"),
    **dict.fromkeys(("500", "1200", "1230", "1234"), "failed"),
    "1231": "unknown",
}
SEVEREST = "0"
"""The level of ``content_filter`` at which nothing is shown."""


class ErrorBody(BaseModel):
    code: Text = ""
    message: Text = ""


class VideoTask(BaseModel):
    """The answer to a submit and to a poll; ``error`` in place of the rest, or in a failed task."""

    id: Text = ""
    task_status: Text = ""
    video_result: Items = []
    content_filter: Items = []
    error: Any = None

    def first_error(self) -> ErrorBody:
        return ErrorBody.model_validate(self.error) if isinstance(self.error, dict) else ErrorBody()

    def is_error(self) -> bool:
        return self.first_error().code in CODES and not self.task_status

    @property
    def is_filtered(self) -> bool:
        levels = [str(entry.get("level")) for entry in self.content_filter if isinstance(entry, dict)]
        return SEVEREST in levels


def succeeded_answer(task: VideoTask) -> Succeeded:
    links = [video.get("url") for video in task.video_result if isinstance(video, dict)]
    files = [ResultFile("video", "video/mp4", url=link) for link in links if isinstance(link, str) and link]
    if not files:
        raise missing_file("Zhipu")
    return Succeeded(tuple(files))


def failed_answer(task: VideoTask, message: str) -> Failed:
    """``message``: the task's own, without secrets; empty when it has none."""
    code = task.first_error().code
    moderated = task.is_filtered or CODES.get(code) == "moderated" or mentions_moderation(message)
    return Failed.upstream_error(message or "Zhipu gave no reason.", moderated=moderated)
