"""The schema that a marketplace publishes for a model, read as the names and bounds of its fields.

What a schema calls by an unusual name is not found, so a wish for it is refused; ``options.models`` may name it.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from app.generation import MediaKind, Role
from app.providers.hosted_models import LARGE_NUMBER, RATIOS, TIERS, Length, ModelFamily

SINGLES: Mapping[Role, Sequence[str]] = {
    "first_frame": (
        "start_image_url", "first_frame_url", "first_frame_image_url", "image_url", "start_image",
        "first_frame_image", "first_frame", "image", "input_image", "input_image_url",
    ),
    "last_frame": (
        "end_image_url", "last_frame_url", "last_frame_image_url", "tail_image_url", "end_image",
        "last_frame_image", "last_frame", "last_image", "tail_image",
    ),
    "source_video": ("video_url", "video", "input_video", "input_video_url"),
    "reference_video": ("reference_video_url", "reference_video"),
    "audio": ("audio_url", "audio", "input_audio", "input_audio_url"),
}  # fmt: skip
"""What vendors call an input, the surest name first."""
LISTS: Mapping[Role, Sequence[str]] = {
    "reference_image": (
        "reference_image_urls", "image_urls", "reference_images", "input_images", "image_input", "images",
        "input_image_urls",
    ),
    "reference_video": ("reference_video_urls", "video_urls", "reference_videos"),
    "audio": ("reference_audio_urls", "audio_urls", "reference_audios"),
}  # fmt: skip
SOUND_NAMES = ("generate_audio", "enable_audio", "with_audio", "audio", "sound")
LINES: Mapping[str, int] = {"1k": 1024, "2k": 1440, "4k": 2160, "8k": 4320}
OUTPUTS: Mapping[str, MediaKind] = {
    "video": "video", "videos": "video", "image": "image", "images": "image", "audio": "audio",
    "audio_file": "audio",
}  # fmt: skip
DEPTH = 5
LONGEST_SECONDS = 3600


@dataclass(frozen=True, slots=True)
class InputSchema:
    """A model's input: its fields with everything that they refer to put in their place."""

    fields: Mapping[str, Mapping[str, Any]]
    required: tuple[str, ...] = ()
    kinds: frozenset[MediaKind] = field(default=frozenset())
    """What it makes, where the schema tells."""

    def find(self, names: Sequence[str], *kinds: str) -> str:
        """The first of ``names`` that is a field of one of these types; empty when there is none."""
        return next((name for name in names if self.fields.get(name, {}).get("type") in kinds), "")

    def family(self) -> ModelFamily:
        singles = {role: self.find(names, "string") for role, names in SINGLES.items()}
        lists = {role: self.find(names, "array") for role, names in LISTS.items()}
        lists = {role: name for role, name in lists.items() if name}
        fields = {role: name for role, name in singles.items() if name and role not in lists}
        if "video" not in self.kinds and self.kinds and "reference_image" in lists:
            lists["first_frame"] = lists["reference_image"]  # a picture's source is one of its references
            fields.pop("first_frame", None)
        duration = self.find(("duration", "seconds"), "string", "integer", "number")
        ratio, tier = (self.find((name,), "string") for name in ("aspect_ratio", "resolution"))
        told = self.fields.get(duration, {})
        return ModelFamily(
            kinds=self.kinds or frozenset({"video", "image", "audio"}),
            fields=fields,
            lists=lists,
            inputs={role: _most_items(self.fields[name]) for role, name in lists.items()},
            seconds=None if told.get("enum") else _bounds_of(told),
            lengths=_lengths_of(told),
            length=_length_form(told),
            duration_field=duration,
            ratios=_ratios_of(self.fields[ratio]) if ratio else (),
            ratio_field=ratio or "aspect_ratio",
            tiers=_tiers_of(self.fields[tier]) if tier else {},
            tier_field=tier or "resolution",
            size_field=self.find(("image_size", "video_size"), "object"),
            lacks=tuple(name for name in ("seed", "negative_prompt") if name not in self.fields),
            sound=self.find(SOUND_NAMES, "boolean"),
            names=frozenset(self.fields),
            required=self._required_names({**fields, **lists}),
        )

    def _required_names(self, inputs: Mapping[Role, str]) -> dict[str, str]:
        """Fields that the client has to give, and by which name it gives them."""
        roles = {name: role for role, name in inputs.items()}
        needed = [name for name in self.required if self.fields.get(name, {}).get("default") is None]
        return {name: roles.get(name, name) for name in needed}


def read_schema(document: Mapping[str, Any], *, where: Sequence[str]) -> InputSchema | None:
    """The object at the path ``where`` in ``document``, which holds what it refers to; None when there is none."""
    found: Any = document
    for part in where:
        found = found.get(part) if isinstance(found, Mapping) else None
    whole = _resolve(found, document)
    fields = whole.get("properties")
    if not isinstance(fields, Mapping) or not fields:
        return None
    resolved = {str(name): _resolve(each, document) for name, each in fields.items()}
    required = whole.get("required")
    names = tuple(str(name) for name in required) if isinstance(required, list) else ()
    return InputSchema(resolved, names)


def kinds_of_output(output: InputSchema | None) -> frozenset[MediaKind]:
    """What a model makes, by the names of the files in its output. A video may come with a preview picture."""
    found = frozenset(OUTPUTS[name] for name in (output.fields if output else ()) if name in OUTPUTS)
    return frozenset({"video"}) if "video" in found else found


def _resolve(value: Any, document: Mapping[str, Any], depth: int = DEPTH) -> dict[str, Any]:
    """``value`` with its ``$ref`` and its first alternative that is not null put into it."""
    if not isinstance(value, Mapping) or depth == 0:
        return {}
    merged = {name: each for name, each in value.items() if name not in {"$ref", "allOf", "anyOf", "oneOf"}}
    for part in _parts_of(value, document):
        merged = {**_resolve(part, document, depth - 1), **merged}
    if "type" not in merged and isinstance(merged.get("enum"), list) and merged["enum"]:
        merged["type"] = "integer" if isinstance(merged["enum"][0], int) else "string"
    if "type" not in merged and "properties" in merged:
        merged["type"] = "object"
    return merged


def _parts_of(value: Mapping[str, Any], document: Mapping[str, Any]) -> list[Any]:
    parts: list[Any] = []
    reference = value.get("$ref")
    if isinstance(reference, str) and reference.startswith("#/"):
        found: Any = document
        for part in reference[2:].split("/"):
            found = found.get(part) if isinstance(found, Mapping) else None
        parts.append(found)
    parts += value["allOf"] if isinstance(value.get("allOf"), list) else []
    for name in ("anyOf", "oneOf"):
        each = value.get(name)
        options = [one for one in each if isinstance(one, Mapping)] if isinstance(each, list) else []
        # An object beside words is a size in pixels, which says more than "square".
        options.sort(key=lambda one: ("$ref" not in one, one.get("type") == "null"))
        parts += options[:1]
    return parts


def _words_of(told: Mapping[str, Any], fits: Any) -> tuple[str, ...]:
    words = told.get("enum")
    return (
        tuple(word for word in words if isinstance(word, str) and fits(word))
        if isinstance(words, list)
        else ()
    )


def _is_ratio(word: str) -> bool:
    return re.fullmatch(r"\d{1,3}:\d{1,3}", word, re.ASCII) is not None


def _ratios_of(told: Mapping[str, Any]) -> Sequence[str]:
    return _words_of(told, _is_ratio) if "enum" in told else RATIOS


def _tiers_of(told: Mapping[str, Any]) -> Mapping[str, int]:
    """The vendor's words, and the lines of each."""
    if "enum" not in told:
        return TIERS
    tiers: dict[str, int] = {}
    for word in _words_of(told, bool):
        match = re.fullmatch(r"(\d{3,4})p?", word, re.ASCII | re.IGNORECASE)
        lines = int(match[1]) if match else LINES.get(word.lower())
        if lines:
            tiers[word] = lines
    return tiers


def _length_form(told: Mapping[str, Any]) -> Length:
    if told.get("type") != "string":
        return "number"
    words = [*_words_of(told, bool), str(told.get("default") or "")]
    return "suffixed" if any(word.endswith("s") for word in words) else "text"


def _lengths_of(told: Mapping[str, Any]) -> tuple[float, ...]:
    """In seconds, the shortest first; a word as ``auto`` is no length."""
    values = told.get("enum")
    texts = [str(value).removesuffix("s") for value in values] if isinstance(values, list) else []
    return tuple(sorted(float(text) for text in texts if re.fullmatch(r"\d{1,4}(\.\d+)?", text, re.ASCII)))


def _bounds_of(told: Mapping[str, Any]) -> tuple[float, float] | None:
    low, high = told.get("minimum"), told.get("maximum")
    if not isinstance(low, int | float) or not isinstance(high, int | float):
        return None
    return max(float(low), 0.0), min(float(high), LONGEST_SECONDS)


def _most_items(told: Mapping[str, Any]) -> int:
    most = told.get("maxItems")
    return most if isinstance(most, int) else LARGE_NUMBER
