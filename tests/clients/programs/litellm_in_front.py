"""LiteLLM as a library in front of the gateway: a text, a stream, a film."""

import os
import time

os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"  # it would ask the internet

import litellm

place = {"api_base": f"{os.environ['GATEWAY']}/v1", "api_key": os.environ["GATEWAY_KEY"]}
asked = {"model": "openai/house-words", "messages": [{"role": "user", "content": "hi"}], **place}
assert litellm.completion(**asked).choices[0].message.content == "Hello from upstream"
pieces = [chunk.choices[0].delta.content or "" for chunk in litellm.completion(stream=True, **asked)]
assert "".join(pieces) == "Hello from upstream"
video = litellm.video_generation(
    prompt="[studio:fast] a boat", model="openai/sora-2", seconds="4", size="1280x720", **place
)
while video.status in ("queued", "in_progress"):
    time.sleep(0.5)
    video = litellm.video_status(video_id=video.id, **place)
assert video.status == "completed", video
print("a text, a stream, a film")
