"""The parts we read of what ComfyUI answers about a prompt: its history, its queue, its refusals."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Literal

from pydantic import BaseModel, RootModel

from app.errors import UpstreamError
from app.providers.base import Failed, PollAnswer, ResultFile, Running, Succeeded
from app.providers.comfyui.workflow import Workflow
from app.providers.http_errors import submit_refused
from app.providers.reading import UNKNOWN_STATES, ErrorDetail, Fields, Items, Text, read_error

OutputKind = Literal["video", "image", "audio"]

TYPES: Mapping[str, tuple[OutputKind, str]] = {
    "mp4": ("video", "video/mp4"),
    "webm": ("video", "video/webm"),
    "mov": ("video", "video/quicktime"),
    "mkv": ("video", "video/x-matroska"),
    "gif": ("image", "image/gif"),
    "png": ("image", "image/png"),
    "jpg": ("image", "image/jpeg"),
    "jpeg": ("image", "image/jpeg"),
    "webp": ("image", "image/webp"),
    "mp3": ("audio", "audio/mpeg"),
    "wav": ("audio", "audio/wav"),
    "flac": ("audio", "audio/flac"),
    "opus": ("audio", "audio/ogg"),
    "ogg": ("audio", "audio/ogg"),
}


class PromptAnswer(BaseModel):
    """What ``POST /prompt`` answers."""

    prompt_id: Text = ""
    error: Any = None
    node_errors: Fields = {}

    def is_error(self) -> bool:
        return bool(self.error)

    def submit_error(
        self, status: int, headers: Mapping[str, str], cleaned: Callable[[str], str]
    ) -> UpstreamError:
        """The general word, and the first thing that is wrong with a node."""
        said = read_error({"error": self.error}) or ErrorDetail(f"HTTP {status}")
        detail = next(self._error_details(), "")
        text = cleaned(f"{said.message} {detail}".strip())
        return submit_refused(status, headers, ErrorDetail(text, code=said.code, param=said.param))

    def _error_details(self) -> Iterator[str]:
        for node, told in self.node_errors.items():
            errors = told.get("errors") if isinstance(told, dict) else None
            for error in errors if isinstance(errors, list) else []:
                if isinstance(error, dict):
                    yield f"Node {node}: {error.get('message', '')} {error.get('details', '')}".strip()


class RunStatus(BaseModel):
    status_str: Text = ""
    messages: Items = []


class HistoryEntry(BaseModel):
    """A prompt that has been run. ``prompt`` is number, id, graph, extra data, outputs."""

    prompt: Items = []
    outputs: Fields = {}
    status: RunStatus | None = None

    def poll_answer(self, workflow: Workflow | None, cleaned: Callable[[str], str]) -> PollAnswer:
        word = self.status.status_str if self.status else "success"
        if word == "success":
            files = tuple(self._result_files(workflow))
            return (
                Succeeded(files) if files else Failed("upstream_error", "The workflow ended without a file.")
            )
        if word == "error":
            return self._failed_answer(cleaned)
        UNKNOWN_STATES.labels(provider="comfyui").inc()
        return Running()

    def _failed_answer(self, cleaned: Callable[[str], str]) -> Failed:
        events = self.status.messages if self.status else []
        told = {event[0]: event[1] for event in events if isinstance(event, list) and len(event) == 2}
        if "execution_interrupted" in told:
            return Failed("cancelled", "It was interrupted at ComfyUI.")
        error = told.get("execution_error")
        said = error.get("exception_message") if isinstance(error, dict) else None
        return Failed("upstream_error", cleaned(str(said or "ComfyUI did not say why.")))

    def _result_files(self, workflow: Workflow | None) -> Iterator[ResultFile]:
        kind = workflow.kind if workflow else None
        found = [
            file
            for file in self._output_files(workflow.output if workflow else None)
            if file[0] == kind or not kind
        ]
        kept = [file for file in found if file[2].get("type") == "output"] or found
        for made, content_type, where in kept:
            data = {part: str(where.get(part, "")) for part in ("filename", "subfolder", "type")}
            yield ResultFile(made, content_type, data=data)

    def _output_files(self, node: str | None) -> Iterator[tuple[OutputKind, str, dict[str, Any]]]:
        for name, output in self.outputs.items():
            if isinstance(output, dict) and node in (None, name):
                yield from _files_in(output)


class PromptHistory(RootModel[dict[str, HistoryEntry]]):
    """Empty until the prompt has been run."""


class PromptQueue(BaseModel):
    queue_running: Items = []
    queue_pending: Items = []


def entry_id(item: Any, client: str) -> str | None:
    """The id of a prompt, when ``client`` sent it; ``item`` as the queue and the history hold it."""
    if not isinstance(item, list) or len(item) < 4 or not isinstance(item[3], dict):
        return None
    return str(item[1]) if item[3].get("client_id") == client else None


def contains_prompt(items: list[Any], prompt: str) -> bool:
    return any(isinstance(item, list) and len(item) > 1 and item[1] == prompt for item in items)


def _files_in(output: dict[str, Any]) -> Iterator[tuple[OutputKind, str, dict[str, Any]]]:
    # The lists' names say little: videos come as "images", "gifs" or "video".
    for files in output.values():
        for file in files if isinstance(files, list) else []:
            name = file.get("filename") if isinstance(file, dict) else None
            ending = str(name or "").rsplit(".", 1)[-1].lower()
            if ending in TYPES:
                kind, content_type = TYPES[ending]
                yield kind, content_type, file
