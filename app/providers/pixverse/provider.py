"""PixVerse's video API (``/openapi/v2``): images are uploaded first, errors are HTTP 200 with a code."""

import uuid
from collections.abc import Mapping

from app.errors import OutcomeUnknown, PollFailed, UpstreamBusy, UpstreamFailed
from app.generation import GenerationRequest, MediaInput
from app.providers.base import (
    Account,
    AccountBalance,
    Capabilities,
    Operation,
    PollAnswer,
    PollInterval,
    Provider,
    Submission,
    base_url_or,
)
from app.providers.http import UpstreamClient
from app.providers.http_errors import poll_error, submit_error
from app.providers.http_messages import FormFile
from app.providers.inputs import as_data_uri, public_url
from app.providers.pixverse import requests
from app.providers.pixverse.answers import AnswerEnvelope, CreditsAnswer, VideoAnswer, read_outcome
from app.providers.reselling import ResellerOptions, bearer_headers, read_reseller

HOST = "https://app-api.pixverse.ai"
UPLOAD, BALANCE = "/openapi/v2/image/upload", "/openapi/v2/account/balance"
RESULT = "/openapi/v2/video/result/{task}"
PATHS = (
    requests.TEXT,
    requests.IMAGE,
    requests.TRANSITION,
    requests.FUSION,
    UPLOAD,
    BALANCE,
    RESULT,
)


class PixVerseOptions(ResellerOptions):
    """``account.options``, all optional."""

    inline_pictures: bool = False
    """The cloud takes a picture itself in place of the id of an upload, as Tencent's TokenHub does."""


class PixVerseProvider(Provider):
    name = "pixverse"
    title = "PixVerse"
    docs_url = "https://docs.platform.pixverse.ai"
    sample_models = ("v6",)
    auth_scheme = "API-KEY"
    poll_interval = PollInterval(first=4.0, factor=1.2, cap=15.0)

    def __init__(self, account: Account, http: UpstreamClient) -> None:
        super().__init__(account, http)
        self.options = read_reseller(account, PixVerseOptions, paths=PATHS)

    @classmethod
    def base_url_for(cls, account: Account) -> str:
        return base_url_or(account, HOST).removesuffix("/openapi/v2")

    @classmethod
    def auth_headers(cls, account: Account) -> Mapping[str, str]:
        own = {"API-KEY": account.secret} if account.secret else {}
        bearer = bearer_headers(account)
        return own if bearer is None else bearer

    def capabilities(self, model: str) -> Capabilities:
        known = requests.model_of(model)
        return known.capabilities() if known else Capabilities(frozenset({"video"}), roles=requests.ROLES)

    def check(self, request: GenerationRequest) -> None:
        requests.request_body(request)
        requests.picture_inputs(request)

    async def start(self, request: GenerationRequest, submission: Submission) -> Operation:
        body, pictures = requests.request_body(request), requests.picture_inputs(request)
        named = [await self._name_picture(item) for item in pictures]
        body |= requests.picture_fields(requests.submit_path(request), named)
        path, params = self.options.find_place(requests.submit_path(request))
        answer = await self.http.post_json(
            path,
            body,
            answer=VideoAnswer,
            headers=_trace_header(),
            params=params,
            even_if=VideoAnswer.is_error,
        )
        reply = answer.body
        if reply.is_error():
            meaning = reply.error_meaning
            raise submit_error(meaning, self._error_text(reply), status=answer.status, headers=answer.headers)
        if reply.Resp is None or not reply.Resp.video_id:
            raise OutcomeUnknown("PixVerse accepted the request without a video id")
        return Operation(id=reply.Resp.video_id)

    async def poll(self, operation: Operation) -> PollAnswer:
        path, params = self.options.find_place(RESULT, task=operation.id)
        answer = await self.http.get(
            path, answer=VideoAnswer, params=params, headers=_trace_header(), even_if=VideoAnswer.is_error
        )
        reply = answer.body
        if reply.is_error():
            meaning = reply.error_meaning
            raise poll_error(meaning, self._error_text(reply), status=answer.status, headers=answer.headers)
        if reply.Resp is None:
            raise PollFailed("PixVerse answered without a video")
        return read_outcome(reply.Resp)

    async def balance(self) -> AccountBalance | None:
        path, headers = self.options.find_place(BALANCE).path, _trace_header()
        answer = await self.http.get(
            path, answer=CreditsAnswer, headers=headers, even_if=CreditsAnswer.is_error
        )
        reply = answer.body
        if reply.is_error():
            meaning = reply.error_meaning
            raise poll_error(meaning, self._error_text(reply), status=answer.status, headers=answer.headers)
        if reply.Resp is None:
            raise PollFailed("PixVerse answered without credits")
        return AccountBalance(reply.Resp.credit_monthly + reply.Resp.credit_package, "credits")

    async def _name_picture(self, item: MediaInput) -> int | str:
        """What stands for a picture in a request."""
        return as_data_uri(item) if self.options.inline_pictures else await self._upload_image(item)

    async def _upload_image(self, item: MediaInput) -> int:
        """Upload one image; returns its ``img_id``. An upload starts no video, so every failure may be retried."""
        path, headers = self.options.find_place(UPLOAD).path, _trace_header()
        fields, files = ({}, [_form_file(item)]) if item.content else ({"image_url": public_url(item)}, [])
        try:
            answer = await self.http.post_form(
                path, fields, files=files, answer=VideoAnswer, headers=headers, even_if=VideoAnswer.is_error
            )
        except (OutcomeUnknown, UpstreamFailed) as error:
            raise UpstreamBusy(f"the {item.role} could not be uploaded: {error.message}") from error
        reply = answer.body
        if reply.is_error():
            meaning = reply.error_meaning or "busy"
            raise submit_error(meaning, self._error_text(reply), status=answer.status, headers=answer.headers)
        if reply.Resp is None or reply.Resp.img_id is None:
            raise UpstreamBusy(f"the {item.role} was uploaded, but PixVerse returned no img_id")
        return reply.Resp.img_id

    def _error_text(self, reply: AnswerEnvelope) -> str:
        return self.http.clean_text(f"{reply.ErrMsg} ({reply.ErrCode})")


def _trace_header() -> dict[str, str]:
    """A new id for every request: PixVerse returns the earlier video for an id that it has seen."""
    return {"Ai-trace-id": str(uuid.uuid4())}


def _form_file(item: MediaInput) -> FormFile:
    ending = item.content_type.rsplit("/", 1)[-1]
    return FormFile("image", item.content or b"", item.content_type, f"{item.role}.{ending}")
