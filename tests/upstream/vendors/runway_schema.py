"""Runway's request schemas as its own SDK (runwayml) types them: what a body may, must and can't have."""

from collections.abc import Mapping
from functools import cache
from typing import Any, get_args

from runwayml.types.image_to_video_create_params import ImageToVideoCreateParams
from runwayml.types.text_to_image_create_params import TextToImageCreateParams
from runwayml.types.text_to_video_create_params import TextToVideoCreateParams
from runwayml.types.video_to_video_create_params import VideoToVideoCreateParams

from tests.upstream.vendors.typed_dicts import fields_error, fields_of

UNIONS = {
    "text_to_video": TextToVideoCreateParams,
    "image_to_video": ImageToVideoCreateParams,
    "video_to_video": VideoToVideoCreateParams,
    "text_to_image": TextToImageCreateParams,
}


@cache
def schemas() -> Mapping[tuple[str, str], Any]:
    """The TypedDict of each endpoint and model."""
    return {
        (endpoint, get_args(fields_of(typed)["model"][0])[0]): typed
        for endpoint, union in UNIONS.items()
        for typed in get_args(union)
    }


def schema_error(endpoint: str, body: Mapping[str, Any]) -> tuple[str, str] | None:
    """The field of ``body`` that its model's schema refuses, and why; None for a model that the SDK does not know."""
    model = body.get("model")
    typed = schemas().get((endpoint, str(model)))
    if typed is None:
        known = {name for _, name in schemas()}
        return ("model", "Invalid discriminator value") if model in known else None
    return fields_error(typed, body)
