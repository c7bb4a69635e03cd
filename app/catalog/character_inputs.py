"""Characters in the form that an upstream takes: as a subject, a reference image or a reference video."""

from collections.abc import Collection

from app.generation import GenerationRequest, MediaInput, Role


def adapt_characters(request: GenerationRequest, roles: Collection[Role]) -> GenerationRequest:
    """``request`` for an upstream that takes ``roles``; unchanged where no form of a character is among them."""
    if "subject" in roles or not request.media_with("subject"):
        return request
    return request.model_copy(update={"media": tuple(_adapt_input(item, roles) for item in request.media)})


def _adapt_input(item: MediaInput, roles: Collection[Role]) -> MediaInput:
    if item.role != "subject":
        return item
    if "reference_image" in roles:
        return item.model_copy(update={"role": "reference_image"})
    if "reference_video" in roles and item.clip:
        clip = {"role": "reference_video", "content_type": "video/mp4", "key": item.clip}
        return item.model_copy(update=clip)
    return item
