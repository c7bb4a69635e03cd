"""What a dialect that makes films does with every word: a sample of each, and how an answer is held against it."""

import base64
import io
import json
import wave
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal

from app.dialects.fields.inputs import INPUT_WORDS
from app.dialects.fields.words import COUNT, HOOK, SECONDS, SHOTS, SOUND, TARGET
from tests.dialects.conftest import HEARING, FilmGateway, new_task_id, roles_in
from tests.e2e.footage import make_picture
from tests.media.clips import make_clip

Document = dict[str, Any]
Media = Literal["image", "video", "audio"]
PROMPT = "[studio:reject] a paper boat"
SHOT_LIST = [{"seconds": 1, "prompt": "a door"}, {"duration": 2, "text": "a hall"}]


# ---- the words ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Used:
    """The word is in the task's request: these fields, or an input with this role."""

    fields: Mapping[str, Any] = field(default_factory=dict)
    role: str = ""


@dataclass(frozen=True)
class Refused:
    """A 400 that names one of these fields, or the word itself."""

    names: tuple[str, ...] = ()


@dataclass(frozen=True)
class Sample:
    """A value of a word; ``beside`` are fields that it needs, ``file`` is sent as an upload in multipart."""

    value: Any
    does: Used | Refused
    beside: Mapping[str, Any] = field(default_factory=dict)
    model: str = "studio"
    file: Media | None = None


def _make_files() -> dict[Media, bytes]:
    sound = io.BytesIO()
    with wave.open(sound, "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(8000)
        out.writeframes(bytes(16000))
    with TemporaryDirectory() as folder:
        clip = make_clip(Path(folder) / "clip.mp4", seconds=0.5, size=(64, 64)).read_bytes()
    return {"image": make_picture(64, 64), "video": clip, "audio": sound.getvalue()}


FILES = _make_files()
TYPES: dict[Media, str] = {"image": "image/png", "video": "video/mp4", "audio": "audio/wav"}


def data_uri(kind: Media, *, shade: int = 90) -> str:
    content = make_picture(64, 64, shade=shade) if kind == "image" else FILES[kind]
    return f"data:{TYPES[kind]};base64,{base64.b64encode(content).decode()}"


def _option(value: Any, **fields: Any) -> Sample:
    return Sample(value, Used(fields))


def _input(word: str, role: str) -> Sample:
    kind: Media = "audio" if role == "audio" else "video" if "video" in role else "image"
    value: Any = data_uri(kind)
    model = HEARING if role in ("audio", "reference_video") else "studio"
    if word == "frame_images":
        part = {"frame_type": "last_frame", "type": "image_url", "image_url": {"url": value}}
        return Sample([part], Used(role="last_frame"))
    return Sample([value] if word.endswith("s") else value, Used(role=role), model=model, file=kind)


OPEN_ROLES = {"picture": "first_frame", "clip": "source_video"}
SAMPLES: dict[str, Sample] = {
    **{word: _option(3, seconds=3.0) for word in SECONDS},
    "size": _option("96x64", size="96x64"),
    "width": Sample(96, Used({"size": "96x64"}), {"height": 64}),
    "height": Sample(64, Used({"size": "96x64"}), {"width": 96}),
    "aspect_ratio": _option("9:16", aspect_ratio="9:16"),
    "ratio": _option("9:16", aspect_ratio="9:16"),
    "orientation": _option("portrait", aspect_ratio="9:16"),
    "resolution": _option("360p", resolution="360p"),
    "quality": _option("360p", resolution="360p"),
    "hd": _option(True, resolution="1080p"),
    "enable_upsample": _option(True, resolution="1080p"),
    **{word: _option(False, sound=False) for word in SOUND if word != "audio"},
    "style": _option("anime", style="anime"),
    "seed": _option(7, seed=7),
    "negative_prompt": _option("rain", negative_prompt="rain"),
    "watermark": _option(False, watermark=False),
    "private": _option(True, private=True),
    "max_cost": _option(5, max_cost="5.0"),
    "priority": _option(-1, priority=-1),
    "start_after": _option("1970-01-01T00:00:09Z", start_after=9.0),
    "shots": _option(
        SHOT_LIST, shots=[{"seconds": 1.0, "prompt": "a door"}, {"seconds": 2.0, "prompt": "a hall"}]
    ),
    **{word: Sample(2, Refused()) for word in COUNT},
    # What is read of these shows in what is refused.
    **{word: Sample("nowhere", Refused()) for word in HOOK},
    "character_timestamps": Sample("soon", Refused()),
    "character_url": Sample("bm8gdmlkZW8=", Refused()),
    "remix_target_id": Sample("$own", Used({"action": "remix", "remix_of": "$own"}, role="source_video")),
    **{word: _input(word, OPEN_ROLES.get(role, role)) for word, role in INPUT_WORDS.items()},
}


# ---- the routes ---------------------------------------------------------------------------------

CLIPS = tuple(word for word, role in INPUT_WORDS.items() if role == "clip")
PICTURES = tuple(word for word, role in INPUT_WORDS.items() if role == "picture" and word != "frame_images")
FRAME_WORDS = ("frame_images", *(word for word, role in INPUT_WORDS.items() if "frame" in role))
FAR_WORDS = tuple(word for word, role in INPUT_WORDS.items() if role in ("audio", "reference_video"))
AS_REFERENCES = {word: Used(role="reference_image") for word in PICTURES}
ONE_SOURCE: dict[str, Used | Refused] = {
    **{word: Refused((*CLIPS, "video_id", *TARGET)) for word in CLIPS},
    "remix_target_id": Used({"remix_of": "$own"}),  # the same video
    **AS_REFERENCES,
}
"""Where the path or another field names the video that is changed."""
ON_IMAGES: dict[str, Used | Refused] = {
    **{word: Refused() for word in (*SECONDS, *SHOTS, *SOUND, *TARGET, *FRAME_WORDS, *CLIPS)},
    **AS_REFERENCES,
}
"""Where a picture is made."""
STUDIO_LACKS: dict[str, Used | Refused] = {word: Refused(("video", "audio")) for word in FAR_WORDS}
"""Read, and then refused by the account: the studio takes neither sounds nor reference videos."""
ALL_FORMS = ("json", "form", "multipart")


@dataclass(frozen=True)
class FilmRoute:
    """A route that makes a film, with the body that it needs; in ``path`` and ``body``, ``$own`` is a finished film.
    ``unlike`` is what differs from the samples there. With ``fixed_model``, the studio makes it whatever the body says."""

    path: str
    body: Document
    unlike: Mapping[str, Used | Refused] = field(default_factory=dict)
    forms: tuple[str, ...] = ("json",)
    fixed_model: bool = False

    def expected(self, word: str) -> Used | Refused:
        lacking = STUDIO_LACKS if self.fixed_model else {}
        return {**lacking, **self.unlike}.get(word, SAMPLES[word].does)

    def body_for(self, word: str, own: str) -> Document:
        """The body with ``word`` in it, without what says the same."""
        sample = SAMPLES[word]
        body = {name: value for name, value in self.body.items() if not _says_the_same(name, word)}
        if sample.model != "studio" and not self.fixed_model:
            body |= {"model": sample.model}
        body |= {word: sample.value, **sample.beside}
        return json.loads(json.dumps(body).replace("$own", own))  # type: ignore[no-any-return]


def _says_the_same(name: str, word: str) -> bool:
    groups = (SECONDS, PICTURES)
    return name == word or any(name in group and word in group for group in groups)


# ---- asking -------------------------------------------------------------------------------------


def misread_words(films: FilmGateway, route: FilmRoute, *, form: str) -> dict[str, str]:
    """By word, what is wrong with the answer to it."""
    return {word: found for word in sorted(SAMPLES) if (found := _misread(films, route, word, form=form))}


def _misread(films: FilmGateway, route: FilmRoute, word: str, *, form: str) -> str:
    expected = route.expected(word)
    status, found = _send(films, route, word, form=form)
    if isinstance(expected, Refused):
        return "" if status == 400 and found in (word, *expected.names) else f"not refused: {status} {found}"
    if status not in (200, 202):
        return f"refused: {status} {found}"
    return _unlike(films.request_of(found), expected, own=films.own)


def _unlike(request: Document, expected: Used, *, own: str) -> str:
    for name, value in expected.fields.items():
        if request.get(name) != (own if value == "$own" else value):
            return f"{name} is {request.get(name)!r}, not {value!r}"
    if expected.role and expected.role not in roles_in(request):
        return f"the inputs are {roles_in(request)}, without {expected.role}"
    return f"passed on: {request['extra']}" if request.get("extra") else ""


def _send(films: FilmGateway, route: FilmRoute, word: str, *, form: str) -> tuple[int, str]:
    """The status, and the id of the new task or the field that the refusal names."""
    body = route.body_for(word, films.own)
    path = route.path.replace("$own", films.own)
    with films.http.stream("POST", path, **_encoded(body, word, form=form)) as answer:
        if "x-task-id" in answer.headers:
            return answer.status_code, answer.headers["x-task-id"]
        document = json.loads(answer.read())
    if answer.status_code < 400:
        return answer.status_code, new_task_id(document)
    error = document["error"]
    return answer.status_code, error.get("param") or error.get("metadata", {}).get("param") or str(error)


def _encoded(body: Document, word: str, *, form: str) -> Document:
    """The body as JSON, as a form, or as a form in which the word's file is an upload."""
    if form == "json":
        return {"json": body}
    fields = {name: value if isinstance(value, str) else json.dumps(value) for name, value in body.items()}
    if form == "form":
        return {"data": fields}
    parts: Document = {name: (None, value) for name, value in fields.items()}
    kind = SAMPLES[word].file
    if kind is not None:
        del parts[word]
        parts[f"{word}[]" if word.endswith("s") else word] = (f"file.{kind}", FILES[kind], TYPES[kind])
    return {"files": parts}
