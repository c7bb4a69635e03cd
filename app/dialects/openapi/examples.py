"""What `/docs` groups the routes by, and one request for each that people will copy."""

from typing import Any

BOAT = "A paper boat on a rainy street"
OWN_VIDEO = "video_0190f3a2c4d57e8f9a0b1c2d3e4f5a6b"
"""Stands for a video of the reader's own."""
ASYNC_PROMPT = {"prompt": BOAT, "async_mode": True}
PICTURE = "https://example.com/boat.png"
CLIP = "https://example.com/boat.mp4"
TEXT_MODEL = "gpt-5-mini"
"""Stands for any text model that an account maps."""
CHAT_BODY = {"model": TEXT_MODEL, "messages": [{"role": "user", "content": "Name a boat."}]}

TAGS: dict[str, str] = {
    "OpenAI Videos": "OpenAI's Videos API in full; its SDKs work with `base_url` and `api_key` changed.",
    "Chat and text": "Text goes to the upstream byte for byte; video and image models answer in chat form.",
    "Images": "OpenAI's images API: relayed, or made by a task where the upstream only makes tasks.",
    "Audio": "Speech and transcription, relayed. `WS /v1/realtime?model=` is relayed too, both ways.",
    "Anthropic Messages": "For Anthropic's SDKs and Claude Code; their base address is this host without a path.",
    "Unified tasks": "One form for videos, images and audio: submit, then look.",
    "Feature endpoints": "One route for each thing that can be made, told like a chat.",
    "Characters": "Kept by this gateway; `@username` in any prompt brings one in.",
    "Tasks": "Any task, made through any of these APIs.",
    "OpenRouter": "OpenRouter's video API; its base address here ends with `/api/v1`.",
    "new-api": "new-api's video route, in the form it documents and the one it answers with.",
    "Ark": "Volcengine Ark's content generation tasks; the base address here ends with `/api/v3`.",
    "Models": "The names this gateway serves now, with what each can do.",
    "Webhooks": "Signed calls when a task ends.",
    "Usage": "What the key has used, and what is left of its budgets.",
    "Files": "What links lead to.",
}

EXAMPLES: dict[str, dict[str, Any]] = {
    "CreateVideo": {"model": "sora-2", "prompt": BOAT, "seconds": "4", "size": "1280x720"},
    "RemixVideo": {"prompt": "The same street at night"},
    "EditVideo": {"prompt": "Make it snow", "video": {"id": OWN_VIDEO}},
    "ExtendVideo": {"prompt": "The boat sails on", "seconds": "4", "video": {"id": OWN_VIDEO}},
    "ChatRequest": {
        "model": "sora_video2",
        "stream": True,
        "messages": [{"role": "user", "content": BOAT}],
    },
    "CreateResponse": {"model": TEXT_MODEL, "input": "Name a boat."},
    "CreateCompletion": {"model": TEXT_MODEL, "prompt": "The boat is called"},
    "CreateEmbedding": {"model": TEXT_MODEL, "input": [BOAT, "A lighthouse"]},
    "CreateModeration": {"model": TEXT_MODEL, "input": BOAT},
    "Rerank": {"model": TEXT_MODEL, "query": "boats", "documents": [BOAT, "A lighthouse"]},
    "CreateImages": {"model": "gpt-image", "prompt": BOAT, "response_format": "url"},
    "EditImages": {"model": "gpt-image", "prompt": BOAT, "images": [{"image_url": PICTURE}]},
    "VaryImage": {"model": "gpt-image", "image": PICTURE},
    "CreateSpeech": {"model": TEXT_MODEL, "input": BOAT, "voice": "alloy"},
    "CreateMessage": {**CHAT_BODY, "max_tokens": 256},
    "CountTokens": CHAT_BODY,
    "CreateUnified": {"model": "sora-2", "prompt": BOAT, "duration": 10, "aspect_ratio": "16:9"},
    "MakeImage": ASYNC_PROMPT,
    "TransformImage": {**ASYNC_PROMPT, "image": PICTURE},
    "MakeVideo": {**ASYNC_PROMPT, "model": "sora2-landscape-10s", "style": "anime"},
    "TransformVideo": {**ASYNC_PROMPT, "image": PICTURE},
    "MakeStoryboard": {**ASYNC_PROMPT, "prompt": f"[5.0s]{BOAT} [5.0s]It reaches the sea"},
    "RemixFeature": {**ASYNC_PROMPT, "remix_target_id": OWN_VIDEO},
    "MakeCharacter": {"video": CLIP},
    "MakeVideoWithCharacter": {**ASYNC_PROMPT, "video": CLIP},
    "CreateCameo": {"from_task": OWN_VIDEO, "timestamps": "1,3"},
    "OpenRouterCreate": {"model": "sora-2", "prompt": BOAT, "duration": 10, "aspect_ratio": "16:9"},
    "NewApiCreate": {"model": "sora-2", "prompt": BOAT, "duration": 10, "width": 1280, "height": 720},
    "ArkCreate": {
        "model": "sora-2",
        "content": [{"type": "text", "text": BOAT}],
        "ratio": "16:9",
        "duration": 10,
    },
    "CreateWebhookEndpoint": {
        "name": "mine",
        "url": "https://example.com/hook",
        "event_types": ["video.completed", "video.failed"],
    },
    "UpdateWebhookEndpoint": {"url": "https://example.com/other"},
    "RotateWebhookSecret": {"keep_old_secret_active_for_24_hours": True},
    "TestWebhookEndpoint": {"event_type": "video.completed"},
}
"""By the name of the body's shape."""
