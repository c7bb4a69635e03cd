"""Gateways that make videos and images through streamed ``/v1/chat/completions``.

Another Filmgate names its task in a header: then the stream is closed and its ``/v1/tasks`` is polled. Any other
gateway reports the result only at the end of the stream that asked for it. This process then keeps the stream open.
The result can't be asked for again, so when the process ends before the stream does, the task ends as
``submission_unknown``: it is never bought twice, and its reservation is held until the operator resolves it.
"""

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
from app.providers.chat_relay.requests import (
    KINDS,
    ROLES,
    OptionStyle,
    allowed_lengths,
    allowed_range,
    request_body,
)
from app.providers.chat_relay.streams import LONGEST_STREAM, LONGEST_WITH_PICTURES, HeldStream, StreamState
from app.providers.gateway import GatewayOptions, GatewayRelay, busy_or_failed, file_kind, is_moderated
from app.providers.http import UpstreamClient
from app.providers.http_errors import submit_refused
from app.providers.reading import ErrorDetail

PATH = "/v1/chat/completions"
BUSY_CODES = {"rate_limit_exceeded", "rate_limit_error", "no_available_account", "unavailable"}
KEPT_STREAMS = 2000
HELD: dict[str, HeldStream] = {}
"""By account and task. It outlives a provider, as a changed account gets a new one while streams run."""


class ChatOptions(GatewayOptions):
    told_by: OptionStyle | None = None
    """Where shape, length and quality go: into the model's ``name``, into the ``prompt``, or into ``fields`` beside
    the messages. Default: the name where it is of a known family, else the prompt."""
    silence_seconds: float = 600
    """The longest pause within a stream."""


class ChatRelayProvider(GatewayRelay):
    name = "chat_relay"
    title = "Gateway with streamed chat completions"
    reports_progress = True

    def __init__(self, account: Account, http: UpstreamClient) -> None:
        super().__init__(account, http)
        self.chat = read_options(account, ChatOptions)
        self._own_streams: dict[str, HeldStream] = {}

    def capabilities(self, model: str) -> Capabilities:
        options = self.chat
        return Capabilities(
            kinds=self.account.kinds or KINDS,
            roles=ROLES,
            seconds=options.seconds or allowed_range(model, options.told_by),
            lengths=() if options.seconds else allowed_lengths(model, options.told_by),
            native_shots=True,
            native_styles=True,
            cancel=options.cancel,
            idempotency_key=options.idempotency,
        )

    def check(self, request: GenerationRequest) -> None:
        request_body(request, style=self.chat.told_by, references=self.chat.references)

    async def start(self, request: GenerationRequest, submission: Submission) -> Operation:
        body = request_body(request, style=self.chat.told_by, references=self.chat.references)
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
        longest = LONGEST_WITH_PICTURES if request.kind == "image" else LONGEST_STREAM
        state = await self._hold_stream(HeldStream(stream, longest=longest), key)
        return Operation(id=state.id[:512] or key, data=data | {"held": key})

    async def poll(self, operation: Operation) -> PollAnswer:
        if "held" not in operation.data:
            return await self.poll_task(operation)
        held = HELD.get(self._stream_key(operation.data["held"]))
        if held is None:
            return Failed(
                OutcomeUnknown.code,
                "It was accepted, but the stream that would have told its result ended with the process.",
            )
        return self._answer_from(held.state, operation)

    async def cancel(self, operation: Operation) -> bool:
        if "held" not in operation.data:
            return await self.cancel_task(operation)
        held = HELD.pop(self._stream_key(operation.data["held"]), None)
        if held:
            await held.close()
        return False  # the stream is closed, but the gateway may go on working

    async def close(self) -> None:
        for key, held in self._own_streams.items():
            await held.close()
            _drop_stream(key, held)
        await super().close()

    def _answer_from(self, state: StreamState, operation: Operation) -> PollAnswer:
        if state.error:
            failed = self.failed_answer(state.error.message)
            moderated = state.error.is_moderated
            return Failed("content_policy_violation", failed.message) if moderated else failed
        links = state.file_urls() if state.is_over else []
        if links:
            wanted = links if operation.data["kind"] == "image" else links[-1:]
            return self.succeeded_answer(wanted, operation, usage=state.usage)
        if state.broken:
            text = "Moderated content ends a stream early, too." if is_moderated(state.last_text) else ""
            return Failed(OutcomeUnknown.code, f"It was accepted, but {state.broken}. {text}".strip())
        if state.ended:
            return self.failed_answer(state.last_text)
        return Queued() if state.is_queued else Running(progress=state.progress)

    async def _hold_stream(self, held: HeldStream, key: str) -> StreamState:
        """Keeps the stream open unless its first chunk is an error, which is raised."""
        kept = False
        try:
            await held.wait_until_begun(within=self.http.timeouts.submit)
            state = held.state
            if state.error and not state.text:
                raise self._refusal_error(state.error)
            if state.broken and not state.has_begun:
                raise OutcomeUnknown(f"sent, but no readable answer came: {state.broken}")
            kept = True
        finally:
            if not kept:
                await held.close()
        over = [name for name, other in self._own_streams.items() if other.state.is_over]
        for name in over[: max(0, len(self._own_streams) - KEPT_STREAMS)]:
            _drop_stream(name, self._own_streams.pop(name))
        stream_key = self._stream_key(key)
        HELD[stream_key] = self._own_streams[stream_key] = held
        return state

    def _stream_key(self, key: str) -> str:
        return f"{self.account.id}/{key}"

    def _refusal_error(self, error: ErrorDetail) -> UpstreamError:
        """The error for a stream whose first chunk is a refusal, as if that had come with its HTTP status."""
        text = self.http.clean_text(error.message)
        detail = ErrorDetail(text, code=error.code, param=error.param)
        if detail.code in BUSY_CODES:
            return UpstreamBusy(text)
        status = int(detail.code) if detail.code.isdigit() and 400 <= int(detail.code) < 600 else 0
        if status or detail.is_moderated or detail.out_of_money or detail.param:
            return submit_refused(status or 400, {}, detail)
        return busy_or_failed(UpstreamFailed(text))


def _drop_stream(key: str, held: HeldStream) -> None:
    if HELD.get(key) is held:
        del HELD[key]
