"""Suno-style proxies: ``POST /suno/submit/MUSIC``, then ``POST /suno/fetch`` with the task's id."""

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

from app.errors import InvalidRequest, PollFailed, UnsupportedWish
from app.generation import GenerationRequest, Kind
from app.providers.base import (
    Account,
    Capabilities,
    Failed,
    Operation,
    PollAnswer,
    PollInterval,
    Provider,
    Queued,
    ResultFile,
    Running,
    Submission,
    Succeeded,
    base_url_or,
)
from app.providers.http_errors import ErrorMeaning, poll_error, submit_error, unknown_task, unnamed_task
from app.providers.inputs import check_request, extra_fields, refuse_fields, refuse_flags
from app.providers.reading import Fields, Items, Percent, State, Text, read_state, retry_after_of

KINDS: frozenset[Kind] = frozenset({"audio"})
STATES: Mapping[str, State] = {
    **dict.fromkeys(("NOT_START", "SUBMITTED", "QUEUED"), "queued"),
    "IN_PROGRESS": "running",
    "SUCCESS": "succeeded",
    "FAILURE": "failed",
}
CODES: Mapping[str, ErrorMeaning] = {
    "task_not_exist": "missing",
    "insufficient_user_quota": "quota",
    "invalid_api_key": "auth",
}
GENERAL_NAMES = {"suno", "suno_music", "suno-music"}
"""Models whose version the proxy chooses; any other name is the version (``chirp-v4`` …)."""
LYRICS = {"suno_lyrics", "suno-lyrics"}
MODERATED_WORDS = ("moderation", "policy", "artist name", "copyright", "explicit", "sensitive")
RESERVED = {"mv", "model", "gpt_description_prompt", "notify_hook", "api_key", "key"}
"""What ``extra`` can't set: these choose the model, the account or the price."""


class SubmitAnswer(BaseModel):
    """``data`` is the task's id when ``code`` is "success"."""

    code: Text = ""
    message: Text = ""
    data: Text = ""

    def is_error(self) -> bool:
        return bool(self.code) and self.code != "success"


class SunoSong(BaseModel):
    audio_url: Text = ""
    metadata: Fields = {}
    duration: Any = None

    @property
    def seconds(self) -> float | None:
        seconds = self.duration if self.duration is not None else self.metadata.get("duration")
        return float(seconds) if isinstance(seconds, int | float) else None


class SunoTask(BaseModel):
    task_id: Text = ""
    status: Text = ""
    fail_reason: Text = ""
    progress: Percent = None
    data: Items = []

    def song_list(self) -> list[SunoSong]:
        return [SunoSong.model_validate(song) for song in self.data if isinstance(song, dict)]


class FetchAnswer(BaseModel):
    code: Text = ""
    message: Text = ""
    data: list[SunoTask] | None = None

    def is_error(self) -> bool:
        return bool(self.code) and self.code != "success"


class SunoProvider(Provider):
    name = "suno"
    title = "Suno proxies"
    docs_url = "https://github.com/Suno-API/Suno-API"
    reports_progress = True
    poll_interval = PollInterval(first=3.0, factor=1.3, cap=15.0)

    @classmethod
    def base_url_for(cls, account: Account) -> str:
        if not account.base_url.strip():
            raise InvalidRequest("base_url must be like https://host", param="base_url")
        return base_url_or(account, "https://host").removesuffix("/suno")

    def capabilities(self, model: str) -> Capabilities:
        return Capabilities(kinds=KINDS, native_styles=True)

    def check(self, request: GenerationRequest) -> None:
        _request_body(request)

    async def start(self, request: GenerationRequest, submission: Submission) -> Operation:
        answer = await self.http.post_json(
            "/suno/submit/MUSIC", _request_body(request), answer=SubmitAnswer, even_if=SubmitAnswer.is_error
        )
        accepted = answer.body
        if accepted.is_error():
            meaning = CODES.get(accepted.code) or _meaning_of(accepted.message)
            raise submit_error(
                meaning,
                self._error_text(accepted.message, accepted.code),
                status=answer.status,
                headers=answer.headers,
            )
        if not accepted.data:
            raise unnamed_task("the proxy")
        return Operation(id=accepted.data)

    async def poll(self, operation: Operation) -> PollAnswer:
        body = {"ids": [operation.id]}
        answer = await self.http.post_json(
            "/suno/fetch", body, answer=FetchAnswer, purpose="poll", even_if=FetchAnswer.is_error
        )
        fetched = answer.body
        if fetched.is_error():
            text, meaning = self._error_text(fetched.message, fetched.code), CODES.get(fetched.code)
            raise poll_error(meaning, text, status=answer.status, headers=answer.headers)
        if not fetched.code and fetched.data is None:
            raise PollFailed("the proxy answered without a task")
        task = next((task for task in fetched.data or [] if task.task_id == operation.id), None)
        if task is None:
            raise unknown_task("the proxy")
        return self._poll_answer(task, retry_after_of(answer.headers))

    def _poll_answer(self, task: SunoTask, retry_after: float | None) -> PollAnswer:
        state = read_state(task.status.upper(), STATES, provider=self.name)
        if state == "queued":
            return Queued(retry_after=retry_after)
        if state == "succeeded":
            songs = [song for song in task.song_list() if song.audio_url]
            files = tuple(ResultFile("audio", "audio/mpeg", url=song.audio_url) for song in songs)
            lengths = [song.seconds for song in songs if song.seconds is not None]
            return Succeeded(
                files, usage={"songs": len(songs)} | ({"seconds": sum(lengths)} if lengths else {})
            )
        if state == "failed":
            text = self.http.clean_text(task.fail_reason) or "The proxy did not say why."
            moderated = _meaning_of(text) == "moderated"
            return Failed.upstream_error(text, moderated=moderated)
        return Running(progress=task.progress, retry_after=retry_after)

    def _error_text(self, message: str, code: str) -> str:
        return self.http.clean_text(f"{message} ({code})")


def _meaning_of(message: str) -> ErrorMeaning | None:
    """Suno's own refusals reach us only as a sentence."""
    return "moderated" if any(word in message.lower() for word in MODERATED_WORDS) else None


def _request_body(request: GenerationRequest) -> dict[str, Any]:
    """The body of a submit. Raises ``UnsupportedWish`` for what it has no field for. Lyrics are ``extra``'s ``prompt``."""
    check_request(request, (), kinds=KINDS)
    refuse_fields(request, "seconds", "size", "aspect_ratio", "resolution", "shots", "seed")
    refuse_flags(request, "watermark")
    if request.model in LYRICS:
        raise UnsupportedWish("lyrics are text, which is not made as a task", param="model")
    extra = extra_fields(request, RESERVED)
    fields: dict[str, Any] = {"make_instrumental": bool(extra.get("make_instrumental", False))}
    if "prompt" in extra or "lyrics" in extra:
        fields["prompt"] = extra.pop("lyrics", None) or extra["prompt"]
        fields["tags"] = request.style or extra.get("tags") or request.prompt
    else:
        fields["gpt_description_prompt"] = request.prompt
        if request.style:
            fields["tags"] = request.style
    if request.negative_prompt:
        fields["negative_tags"] = request.negative_prompt
    if request.model not in GENERAL_NAMES:
        fields["mv"] = request.model
    return extra | fields
