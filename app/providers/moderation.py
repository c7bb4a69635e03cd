"""Sentences of vendors that send no code: whether one speaks of a content filter."""

WORDS = (
    "moderat", "content policy", "content_policy", "usage guidelines", "usage policies", "flagged", "nsfw",
    "content filter", "safety filter", "safety system", "safety check", "inappropriate content",
)  # fmt: skip


def mentions_moderation(sentence: str) -> bool:
    return any(word in sentence.lower() for word in WORDS)
