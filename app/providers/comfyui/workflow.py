"""A workflow of the operator, a graph in API format and a map of named inputs, filled in for one request."""

import copy
import hashlib
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from app.errors import UnsupportedWish
from app.generation import GenerationRequest, MediaInput, Role
from app.providers.inputs import (
    check_request,
    file_ending,
    parse_size,
    refuse_fields,
    refuse_flags,
    without_none,
)
from app.providers.own_hardware import OwnHardwareOptions

ROLES: tuple[Role, ...] = (
    "first_frame", "last_frame", "reference_image", "source_video", "reference_video", "audio", "subject",
)  # fmt: skip
OWN = {
    "prompt", "negative_prompt", "seed", "width", "height", "seconds", "frames", "aspect_ratio", "resolution",
    "style", "generate_audio", *ROLES,
}  # fmt: skip
"""Inputs that are filled from the request's own fields, never from ``extra``."""
PICTURES: frozenset[Role] = frozenset({"first_frame", "reference_image"})
SEED_RANGE = 2**32


class NodeField(BaseModel):
    """One field of one node."""

    node: str
    field: str


class GraphNode(BaseModel):
    model_config = ConfigDict(extra="allow")

    class_type: str
    inputs: dict[str, Any] = {}


def _as_list(value: Any) -> Any:
    return value if isinstance(value, list) else [value]


Targets = Annotated[list[NodeField], BeforeValidator(_as_list)]


class Workflow(BaseModel):
    """One model. An input named like a media role has one node for each file, in order; the nodes of any other
    input all get its value. Names that are none of ours are filled from ``extra``."""

    graph: dict[str, GraphNode]
    inputs: dict[str, Targets] = {}
    kind: Literal["video", "image", "audio"] = "video"
    output: str | None = None
    """The node whose files are the result; None: all files of the kind."""
    fps: float | None = None
    """Frames per second, for ``frames``."""
    frame_step: int = 1
    frame_offset: int = 0
    """Wan models make 4n + 1 frames: step 4, offset 1."""
    seconds: tuple[float, float] | None = None
    max_pixels: int | None = None
    optional: frozenset[str] = frozenset()
    """Roles without which the graph works: it names a file of its own."""

    @model_validator(mode="after")
    def _targets_exist(self) -> Self:
        for name, targets in self.inputs.items():
            missing = [target.node for target in targets if target.node not in self.graph]
            if missing:
                raise ValueError(f"inputs.{name} names node {missing[0]}, which the graph does not have")
        if "frames" in self.inputs and not self.fps:
            raise ValueError("inputs.frames needs fps")
        return self

    @property
    def roles(self) -> frozenset[Role]:
        return frozenset(role for role in ROLES if role in self.inputs)

    def check_inputs(self, request: GenerationRequest) -> None:
        """Raises ``UnsupportedWish`` for what the workflow has no input for, and for an input that it can't do without. A
        prompt, which every client must send, is not used by a workflow without one."""
        check_request(request, self.roles, kinds={self.kind})
        refuse_fields(request, "shots", "characters")
        refuse_flags(request, "watermark", "private")
        for item in request.media:
            if item.content is None:
                raise UnsupportedWish(f"the {item.role} is no longer there", param=item.role)
        for role in self.roles:
            if len(request.media_with(role)) > len(self.inputs[role]):
                text = f"{request.model} takes {len(self.inputs[role])} {role}(s)"
                raise UnsupportedWish(text, param=role)
        self._check_needed(request)
        unknown = [
            name for name in (*_request_values(request, self), *request.extra) if name not in self.inputs
        ]
        if unknown:
            raise UnsupportedWish(f"{request.model} has no {unknown[0]}", param=_request_field(unknown[0]))

    def _check_needed(self, request: GenerationRequest) -> None:
        """An example file in the graph stands for no client's picture; it does in the second of several nodes."""
        for role in (role for role in ROLES if role in self.inputs and role not in self.optional):
            given = len(request.media_with(role))
            for number, target in enumerate(self.inputs[role]):
                has_default = number > 0 and self.graph[target.node].inputs.get(target.field)
                if number >= given and not has_default and self._is_used(target.node):
                    param = "input_reference" if role in PICTURES else role
                    raise UnsupportedWish(f"{request.model} needs {param} ({role})", param=param)

    def _is_used(self, node: str) -> bool:
        """Whether another node is linked to ``node``; ComfyUI leaves out what leads to no output."""
        links = (value for other in self.graph.values() for value in other.inputs.values())
        return any(isinstance(link, list) and link[:1] == [node] for link in links)

    def fill_graph(self, request: GenerationRequest, files: Mapping[int, str], *, key: str) -> dict[str, Any]:
        """The graph for one request. ``files`` are the names of its inputs at ComfyUI, by their index in
        ``request.media``. The seed is derived from ``key`` when the client named none: ComfyUI answers an equal
        graph with its old result."""
        values: dict[str, Any] = {name: value for name, value in request.extra.items() if name not in OWN}
        values |= _request_values(request, self)
        if "seed" in self.inputs:
            values.setdefault("seed", _seed_from(key))
        graph = {name: copy.deepcopy(node.model_dump()) for name, node in self.graph.items()}
        for name, value in values.items():
            for target in self.inputs[name]:
                graph[target.node]["inputs"][target.field] = value
        for role in self.roles:
            numbers = [number for number, item in enumerate(request.media) if item.role == role]
            for number, target in zip(numbers, self.inputs[role], strict=False):
                graph[target.node]["inputs"][target.field] = files[number]
        return graph

    def frame_count(self, seconds: float) -> int:
        steps = round((seconds * (self.fps or 0) - self.frame_offset) / self.frame_step)
        return max(steps, 1) * self.frame_step + self.frame_offset


class ComfyUIOptions(OwnHardwareOptions):
    workflows: dict[str, Workflow] = Field(default_factory=dict)
    lost_after_seconds: float = 60
    """How long a submission must be unknown to ComfyUI before it counts as never arrived."""

    def workflow_of(self, request: GenerationRequest) -> Workflow:
        """Raises ``UnsupportedWish`` for a name that no workflow has."""
        workflow = self.workflows.get(request.model)
        if workflow is None:
            raise UnsupportedWish(f"there is no workflow {request.model}", param="model")
        return workflow


def file_name(item: MediaInput, *, key: str, number: int) -> str:
    ending = file_ending(item)
    return f"{key}-{number}-{item.role}.{'jpg' if ending == 'jpeg' else ending}"


def _request_values(request: GenerationRequest, workflow: Workflow) -> dict[str, Any]:
    values: dict[str, Any] = {
        "prompt": (request.prompt or None) if "prompt" in workflow.inputs else None,
        "negative_prompt": request.negative_prompt,
        "seed": request.seed,
        "aspect_ratio": request.aspect_ratio,
        "resolution": request.resolution,
        "style": request.style,
        "generate_audio": request.sound,
    }
    if request.size:
        values["width"], values["height"] = parse_size(request.size)
    if request.seconds is not None and "frames" in workflow.inputs:
        values["frames"] = workflow.frame_count(request.seconds)
    else:
        values["seconds"] = request.seconds
    return without_none(values)


def _request_field(name: str) -> str:
    return "size" if name in {"width", "height"} else name


def _seed_from(key: str) -> int:
    return int.from_bytes(hashlib.sha256(key.encode()).digest()[:8]) % SEED_RANGE
