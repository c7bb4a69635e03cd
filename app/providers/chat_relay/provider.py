"""Gateways that make videos and images through streamed ``/v1/chat/completions``.

Another Filmgate names its task in a header: then nothing is held, and its ``/v1/tasks`` is polled. Any other
gateway tells the result only at the end of the stream that asked for it. This process then holds the stream
open; it can't be asked for again, so when the process ends before the stream does, the task ends as
``submission_unknown``: it is never bought twice, and the money waits for the operator.
"""

from typing import ClassVar

from app.errors import OutcomeUnknown, UpstreamBusy, UpstreamError, UpstreamFailed
from app.generation import GenerationRequest
from app.providers.base import (
    Account,
    Capabilities,
    Failed,
    Operation,
    PollAnswer,
    Queued,
    Running,
    Submission,
    read_options,
)
from app.providers.chat_relay.requests import KINDS, ROLES, OptionStyle, allowed_range, request_body
from app.providers.chat_relay.streams import HeldStream, StreamState
from app.providers.gateway import GatewayOptions, GatewayRelay, busy_or_failed, file_kind, is_moderated
from app.providers.http import UpstreamClient
from app.providers.http_errors import submit_refused
from app.providers.http_messages import OpenStream
from app.providers.reading import ErrorDetail

PATH = "/v1/chat/completions"
BUSY_CODES = {"rate_limit_exceeded", "rate_limit_error", "no_available_account", "unavailable"}
KEPT_STORIES = 2000
HELD: dict[str, HeldStream] = {}
"""By account and task. It outlives a provider, as a changed account gets a new one while streams run."""


class ChatOptions(GatewayOptions):
    told_by: OptionStyle | None = None
    """How shape, length and quality are said: in the model's ``name``, in the ``prompt``, or in ``fields``
    beside the messages. Without it: by name where the name is of a known family, else in the prompt."""
    silence_seconds: float = 600
    """The longest pause of a stream."""


class ChatRelayProvider(GatewayRelay):
    name = "chat_relay"
    reports_progress = True
    verified: ClassVar[str] = "documented"

    def __init__(self, account: Account, http: UpstreamClient) -> None:
        super().__init__(account, http)
        self.chat = read_options(account, ChatOptions)
        self._mine: dict[str, HeldStream] = {}

    def capabilities(self, model: str) -> Capabilities:
        told = self.chat
        return Capabilities(
            kinds=self.account.kinds or KINDS,
            roles=ROLES,
            seconds=told.seconds or allowed_range(model, told.told_by),
            native_shots=True,
            cancel=told.cancel,
            idempotency_key=told.idempotency,
        )

    async def start(self, request: GenerationRequest, submission: Submission) -> Operation:
        body = request_body(request, told_by=self.chat.told_by, references=self.chat.references)
        headers = {"Idempotency-Key": submission.idempotency_key, "Accept": "text/event-stream"}
        try:
            stream = await self.http.post_stream(
                PATH, body, headers=headers, silence=self.chat.silence_seconds
            )
        except UpstreamFailed as error:
            raise busy_or_failed(error) from error
        data = {"kind": file_kind(request.kind)}
        task = stream.headers.get("x-task-id", "").strip()
        if task:
            await stream.close()
            return Operation(id=task[:512], data=data)
        key = submission.idempotency_key
        story = await self._hold_stream(stream, key)
        return Operation(id=story.id[:512] or key, data=data | {"held": key})

    async def poll(self, operation: Operation) -> PollAnswer:
        if "held" not in operation.data:
            return await self.poll_task(operation)
        held = HELD.get(self._stream_key(operation.data["held"]))
        if held is None:
            return Failed(
                OutcomeUnknown.code,
                "It was accepted, but the stream that would have told its result ended with the process.",
            )
        return self._answer_from(held.story, operation)

    async def cancel(self, operation: Operation) -> bool:
        if "held" not in operation.data:
            return await self.cancel_task(operation)
        held = HELD.pop(self._stream_key(operation.data["held"]), None)
        if held:
            await held.close()
        return False  # nobody listens any more, but the gateway may go on

    async def close(self) -> None:
        for place, held in self._mine.items():
            await held.close()
            _drop_stream(place, held)
        await super().close()

    def _answer_from(self, story: StreamState, operation: Operation) -> PollAnswer:
        if story.complaint:
            failed = self.failed_answer(story.complaint.message)
            moderated = story.complaint.is_moderated
            return Failed("content_policy_violation", failed.message) if moderated else failed
        links = story.file_urls() if story.is_over else []
        if links:
            wanted = links if operation.data["kind"] == "image" else links[-1:]
            return self.succeeded_answer(wanted, operation, usage=story.usage)
        if story.broken:
            text = "Moderated content ends a stream early, too." if is_moderated(story.last) else ""
            return Failed(OutcomeUnknown.code, f"It was accepted, but {story.broken}. {text}".strip())
        if story.ended:
            return self.failed_answer(story.last)
        return Queued() if story.is_queued else Running(progress=story.progress)

    async def _hold_stream(self, stream: OpenStream, key: str) -> StreamState:
        """Hold ``stream`` once its first word is no refusal."""
        held, place, kept = HeldStream(stream), self._stream_key(key), False
        try:
            await held.wait_until_begun(within=self.http.timeouts.submit)
            story = held.story
            if story.complaint and not story.said:
                raise self._refusal_error(story.complaint)
            if story.broken and not story.has_begun:
                raise OutcomeUnknown(f"sent, but no readable answer came: {story.broken}")
            kept = True
        finally:
            if not kept:
                await held.close()
        over = [place for place, other in self._mine.items() if other.story.is_over]
        for old in over[: max(0, len(self._mine) - KEPT_STORIES)]:
            _drop_stream(old, self._mine.pop(old))
        HELD[place] = self._mine[place] = held
        return story

    def _stream_key(self, key: str) -> str:
        return f"{self.account.id}/{key}"

    def _refusal_error(self, complaint: ErrorDetail) -> UpstreamError:
        """The first word was a refusal: as if it had come with its HTTP status."""
        text = self.http.clean_text(complaint.message)
        said = ErrorDetail(text, code=complaint.code, param=complaint.param)
        if said.code in BUSY_CODES:
            return UpstreamBusy(text)
        status = int(said.code) if said.code.isdigit() and 400 <= int(said.code) < 600 else 0
        if status or said.is_moderated or said.out_of_money or said.param:
            return submit_refused(status or 400, {}, said)
        return busy_or_failed(UpstreamFailed(text))


def _drop_stream(place: str, held: HeldStream) -> None:
    if HELD.get(place) is held:
        del HELD[place]
