"""Pictures, clips and sounds: what the client calls them, which role each one has, and their bytes."""

from collections.abc import Collection, Hashable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Literal

from app.catalog.presets import FRAMES, REFERENCES, ModelPreset
from app.dialects.fields.words import (
    TARGET,
    Stated,
    contradiction,
    is_flag,
    one_value,
    read_text,
    refuse_fields,
)
from app.dialects.http.body import Body, MediaSource, Upload
from app.dialects.http.gateway import Gateway
from app.dialects.http.media_sources import (
    OBJECT_FIELDS,
    read_source,
    refuse_unknown_keys,
    source_content,
)
from app.dialects.http.own_links import own_link
from app.dialects.prompt.directives import share_id
from app.errors import InvalidRequest, NotFound
from app.generation import GenerationRequest, MediaInput, Role
from app.keys.key import ClientKey
from app.tasks.task import Task, own_video_input

OpenRole = Role | Literal["picture", "clip"]
"""A role, or a picture or clip that was sent without one."""
INPUT_WORDS: dict[str, OpenRole] = {
    "input_reference": "picture",
    "image": "picture",
    "images": "picture",
    "image_url": "picture",
    "image_urls": "picture",
    "frame_images": "picture",
    "first_frame": "first_frame",
    "first_frame_image": "first_frame",
    "first_frame_url": "first_frame",
    "last_frame": "last_frame",
    "last_frame_image": "last_frame",
    "last_frame_url": "last_frame",
    "image_tail": "last_frame",
    "input_references": "reference_image",
    "reference_image": "reference_image",
    "reference_images": "reference_image",
    "video": "clip",
    "videos": "clip",
    "video_url": "clip",
    "reference_video": "reference_video",
    "reference_videos": "reference_video",
    "audio": "audio",
    "audio_url": "audio",
    "reference_audio": "audio",
    "reference_audios": "audio",
}
"""What each field holds, unless an object in it names its role."""
NAMED_ROLES: dict[str, OpenRole] = {
    "first_frame": "first_frame",
    "last_frame": "last_frame",
    "reference_image": "reference_image",
    "reference_video": "reference_video",
    "reference_audio": "audio",
}
"""Words of ``role`` and ``frame_type`` in an object."""
PART_ROLES: dict[str, dict[OpenRole, OpenRole]] = {
    "video_url": {"picture": "clip", "reference_image": "reference_video"},
    "audio_url": {"picture": "audio", "reference_image": "audio"},
}
"""By the ``type`` of an object: what it is in place of a picture."""
ONLY_VIDEO: frozenset[OpenRole] = frozenset({*FRAMES, "clip", "reference_video"})

ClientAction = Literal["generate", "remix", "edit", "extend"]


@dataclass(frozen=True, slots=True)
class StatedInput:
    """An input as it was sent, and the client's name of its field."""

    name: str
    source: MediaSource
    role: OpenRole


@dataclass(frozen=True, slots=True)
class ClientInputs:
    """What is to be made from what, before anything is fetched. ``source`` is the video of ours that is changed, and
    ``action`` how."""

    stated: tuple[StatedInput, ...] = ()
    source: Stated[Task] | None = None
    action: ClientAction = "generate"

    def names_of(self, *roles: OpenRole) -> list[str]:
        return [each.name for each in self.stated if each.role in roles]


# ---- reading ------------------------------------------------------------------------------------


def stated_inputs(body: Body, *, without: Collection[str] = ()) -> list[StatedInput]:
    """The inputs in every field but ``without``. One that stands in two fields counts once."""
    found: list[StatedInput] = []
    names: dict[Hashable, str] = {}
    for name in INPUT_WORDS:
        if name in without or (name == "audio" and is_flag(body.value(name))):
            continue
        for each in _inputs_of_field(body, name):
            if names.setdefault((each.role, _source_key(each)), name) == name:
                found.append(each)
    placed = {_source_key(each) for each in found if each.role in ("first_frame", "reference_image")}
    return [each for each in found if each.role != "picture" or _source_key(each) not in placed]


async def read_inputs(
    body: Body,
    services: Gateway,
    key: ClientKey,
    *,
    more: Sequence[StatedInput] = (),
    sources: Sequence[Stated[Task]] = (),
    action: ClientAction = "generate",
    without: Collection[str] = (),
) -> ClientInputs:
    """``more`` are inputs of the dialect's own fields, ``sources`` the video of ours to change where it names one.

    Nothing is fetched. Raises ``InvalidRequest``, or ``NotFound`` for a video that is not the key's.
    """
    stated = [*more, *stated_inputs(body, without=without)]
    _check_frames(stated)
    clips = [each for each in stated if each.role == "clip"]
    named = list(sources)
    for clip in clips:
        own = await find_own_task(clip.source, services, key, param=clip.name) if len(clips) == 1 else None
        if own is not None:
            named.append(Stated(clip.name, own))
            stated.remove(clip)
    target = await _read_target(body, services, key)
    source = one_value([*named, *([target] if target else [])], same=lambda task: task.id)
    if source is not None:
        own_video_input(source.value, param=source.name)  # refuses one that nothing can be made from
    left = [each.name for each in stated if each.role == "clip"]
    if source is not None and left:
        raise contradiction(left[0], source.name)
    if action == "generate" and source is not None and source == target:
        action = "remix"
    elif action == "generate" and (source is not None or len(left) == 1):
        action = "edit"
    return ClientInputs(tuple(stated), source, action)


async def find_target(target: str, services: Gateway, key: ClientKey, *, param: str) -> Task:
    """A task of ours by its id in any form, by our link to its film, or as Sora's share links write it. Raises
    ``InvalidRequest``."""
    link = own_link(target, services.tasks.parse_id)
    name = link.task_id if link else (share_id(target) or target.strip()).removeprefix("s_")
    try:
        return await services.tasks.get(name, key)
    except NotFound:
        text = f"{target[:100]} is not a video of this gateway; Sora's own share links ended with Sora."
        raise InvalidRequest(text, param=param) from None


async def _read_target(body: Body, services: Gateway, key: ClientKey) -> Stated[Task] | None:
    name = TARGET[0]
    text = read_text(body, name)
    if text is None:
        return None
    return Stated(name, await find_target(text, services, key, param=name))


def _inputs_of_field(body: Body, name: str) -> Iterator[StatedInput]:
    for source in body.sources(name):
        role = INPUT_WORDS[name]
        if isinstance(source, Body):
            role = _role_in_object(source, role, name=name)
        if name == "frame_images" and role not in FRAMES:
            text = f"{name}: each object needs frame_type first_frame or last_frame"
            raise InvalidRequest(text, param=name)
        yield StatedInput(name, source, role)


def _role_in_object(source: Body, role: OpenRole, *, name: str) -> OpenRole:
    word = source.text("role") or source.text("frame_type")
    if word and word not in NAMED_ROLES:
        raise InvalidRequest(f"{source.path}.role must be one of {', '.join(NAMED_ROLES)}", param=name)
    if word:
        return NAMED_ROLES[word]
    return PART_ROLES.get(source.text("type") or "", {}).get(role, role)


def _source_key(stated: StatedInput) -> Hashable:
    if isinstance(stated.source, Upload):
        return stated.source.sha256
    if isinstance(stated.source, Body) and "id" in stated.source:
        return stated.source.text("id")
    content = source_content(stated.source, stated.name)
    return content.strip() if isinstance(content, str) else content


def _check_frames(stated: Collection[StatedInput]) -> None:
    """Raises ``InvalidRequest`` for a second first or last frame."""
    for role in FRAMES:
        names = [each.name for each in stated if each.role == role]
        if len(set(names)) > 1:
            raise contradiction(names[0], names[1])
        if len(names) > 1:
            raise InvalidRequest(f"{names[0]} takes one {role}, not {len(names)}", param=names[0])


async def find_own_task(source: MediaSource, services: Gateway, key: ClientKey, *, param: str) -> Task | None:
    """The task that ``{"id": …}`` or a text names by its id in any dialect's form, or by our link to its film. Raises
    ``NotFound`` for an id that is not the key's; such a link may be somebody else's, and is fetched as any other."""
    if isinstance(source, Body) and source.text("id"):
        refuse_unknown_keys(source.fields, OBJECT_FIELDS, where=source.path or param, param=param)
        return await services.tasks.get(source.text("id") or "", key)
    content = None if isinstance(source, Upload) else source_content(source, param)
    if not isinstance(content, str):
        return None
    if services.tasks.parse_id(content.strip()):
        return await services.tasks.get(content, key)
    link = own_link(content, services.tasks.parse_id)
    with suppress(NotFound):
        return await services.tasks.get(link.task_id, key) if link else None
    return None


# ---- roles --------------------------------------------------------------------------------------


def input_roles(inputs: ClientInputs, preset: ModelPreset) -> list[Role]:
    """The role of each input, in order.

    A picture without a role is the first frame when it stands alone or beside a last frame, else a reference; a clip
    without one is what is changed, several are references. Raises ``InvalidRequest`` for what an image can't be made from.
    """
    if preset.kind == "image":
        refuse_fields(_video_names(inputs), preset)
    pictures = iter(_picture_roles(inputs, preset))
    clip: Role = "source_video" if len(inputs.names_of("clip")) == 1 else "reference_video"
    roles: list[Role] = []
    for each in inputs.stated:
        if each.role == "picture":
            roles.append(next(pictures))
        else:
            roles.append(clip if each.role == "clip" else each.role)
    return roles


def _video_names(inputs: ClientInputs) -> list[str]:
    source = [inputs.source.name] if inputs.source else []
    return [*source, *inputs.names_of(*ONLY_VIDEO)]


def _picture_roles(inputs: ClientInputs, preset: ModelPreset) -> Sequence[Role]:
    names = inputs.names_of("picture")
    if preset.images == "frames":
        free = [role for role in FRAMES if not inputs.names_of(role)]
        preset.image_roles(len(names) + len(FRAMES) - len(free), param=names[-1] if names else "images")
        return free[: len(names)]
    changed = inputs.source is not None or bool(inputs.names_of("clip"))
    if changed or inputs.names_of("first_frame", "reference_image", "reference_video"):
        return REFERENCES * len(names)
    return preset.image_roles(len(names))


# ---- bytes --------------------------------------------------------------------------------------


async def add_inputs(
    generation: GenerationRequest,
    inputs: ClientInputs,
    services: Gateway,
    *,
    preset: ModelPreset,
    more: Sequence[MediaInput] = (),
    picture_factor: int = 1,
) -> GenerationRequest:
    """``generation`` with its inputs, which may have to be downloaded: call this last. ``more`` stand behind them."""
    media = [
        await read_source(each.source, services, role=role, param=each.name, picture_factor=picture_factor)
        for each, role in zip(inputs.stated, input_roles(inputs, preset), strict=True)
    ]
    media = [await services.inputs.measured(each) if each.role == "source_video" else each for each in media]
    media += more
    if inputs.source is not None:
        media.append(own_video_input(inputs.source.value, param=inputs.source.name))
    changed = {"media": tuple(media), "action": inputs.action}
    return generation.model_copy(
        update=changed | {"remix_of": inputs.source.value.id if inputs.source else None}
    )
