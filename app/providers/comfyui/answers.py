"""The parts of ComfyUI's answers about a prompt that are read: its history, its queue, its errors.

https://docs.comfy.org/development/comfyui-server/comms_routes
"""

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Literal

from pydantic import BaseModel, RootModel

from app.errors import UpstreamError
from app.providers.base import Failed, PollAnswer, ResultFile, Running, Succeeded
from app.providers.comfyui.workflow import Workflow
from app.providers.http_errors import submit_refused
from app.providers.reading import ErrorDetail, Fields, Items, State, Text, read_error, read_state

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


# A folder at the beginning of a path, absolute or of a drive, but not of an address.
FOLDERS = re.compile(r"(?<![\w:/.\\])(?:[A-Za-z]:)?[\\/](?:[^\s'\"\\/:]+[\\/])*(?=[^\s'\"\\/:]*)")
STATES: Mapping[str, State] = {"success": "succeeded", "error": "failed"}


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
        """The general error, and the first one of a node."""
        error = read_error({"error": self.error}) or ErrorDetail(f"HTTP {status}")
        detail = next(self._error_details(), "")
        text = cleaned(f"{error.message} {detail}".strip())
        return submit_refused(status, headers, ErrorDetail(text, code=error.code, param=error.param))

    def _error_details(self) -> Iterator[str]:
        for node, entry in self.node_errors.items():
            errors = entry.get("errors") if isinstance(entry, dict) else None
            for error in errors if isinstance(errors, list) else []:
                if isinstance(error, dict):
                    yield f"Node {node}: {error.get('message', '')} {error.get('details', '')}".strip()


class RunStatus(BaseModel):
    status_str: Text = ""
    messages: Items = []


class HistoryEntry(BaseModel):
    """A prompt that has been run. ``prompt`` is a list of number, id, graph, extra data and outputs."""

    prompt: Items = []
    outputs: Fields = {}
    status: RunStatus | None = None

    def poll_answer(self, workflow: Workflow | None, cleaned: Callable[[str], str]) -> PollAnswer:
        word = self.status.status_str if self.status else "success"
        state = read_state(word, STATES, provider="comfyui")
        if state == "succeeded":
            files = tuple(self._result_files(workflow))
            return (
                Succeeded(files) if files else Failed("upstream_error", "The workflow ended without a file.")
            )
        if state == "failed":
            return self._failed_answer(cleaned)
        return Running()

    def _failed_answer(self, cleaned: Callable[[str], str]) -> Failed:
        events = self.status.messages if self.status else []
        by_name = {event[0]: event[1] for event in events if isinstance(event, list) and len(event) == 2}
        if "execution_interrupted" in by_name:
            return Failed("cancelled", "It was interrupted at ComfyUI.")
        error = by_name.get("execution_error")
        message = error.get("exception_message") if isinstance(error, dict) else None
        return Failed("upstream_error", cleaned(str(message or "ComfyUI did not say why.")))

    def _result_files(self, workflow: Workflow | None) -> Iterator[ResultFile]:
        kind = workflow.kind if workflow else None
        files = [
            file
            for file in self._output_files(workflow.output if workflow else None)
            if file[0] == kind or not kind
        ]
        kept = [file for file in files if file[2].get("type") == "output"] or files
        for file_kind, content_type, entry in kept:
            data = {part: str(entry.get(part, "")) for part in ("filename", "subfolder", "type")}
            yield ResultFile(file_kind, content_type, data=data)

    def _output_files(self, node: str | None) -> Iterator[tuple[OutputKind, str, dict[str, Any]]]:
        for name, output in self.outputs.items():
            if isinstance(output, dict) and node in (None, name):
                yield from _files_in(output)


class PromptHistory(RootModel[dict[str, HistoryEntry]]):
    """Empty until the prompt has been run."""


class PromptQueue(BaseModel):
    queue_running: Items = []
    queue_pending: Items = []


def without_folders(text: str) -> str:
    """``text`` with only the last name of each path: clients must not read how the server's disk is laid out."""
    return FOLDERS.sub("", text)


def entry_id(item: Any, client: str) -> str | None:
    """The id of a prompt that ``client`` sent, else None. ``item`` is an entry of the queue or the history."""
    if not isinstance(item, list) or len(item) < 4 or not isinstance(item[3], dict):
        return None
    return str(item[1]) if item[3].get("client_id") == client else None


def contains_prompt(items: list[Any], prompt: str) -> bool:
    return any(isinstance(item, list) and len(item) > 1 and item[1] == prompt for item in items)


def _files_in(output: dict[str, Any]) -> Iterator[tuple[OutputKind, str, dict[str, Any]]]:
    # The names of the lists don't say what they hold: videos are in "images", "gifs" or "video".
    for files in output.values():
        for file in files if isinstance(files, list) else []:
            name = file.get("filename") if isinstance(file, dict) else None
            ending = str(name or "").rsplit(".", 1)[-1].lower()
            if ending in TYPES:
                kind, content_type = TYPES[ending]
                yield kind, content_type, file
