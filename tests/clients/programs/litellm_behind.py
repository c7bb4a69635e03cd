"""LiteLLM's proxy as an upstream of the gateway: a text and a stream."""

import json
import os
import socket
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

MASTER = "sk-of-the-proxy-0123456789abcdef"
os.environ |= {"LITELLM_MASTER_KEY": MASTER, "LITELLM_LOCAL_MODEL_COST_MAP": "True"}

with socket.socket() as free:
    free.bind(("127.0.0.1", 0))
    port = free.getsockname()[1]
proxied = f"http://127.0.0.1:{port}"
upstream = {"model": "openai/vendor-words", "api_base": f"{os.environ['WORDS']}/v1", "api_key": "x"}
config = {"model_list": [{"model_name": "behind", "litellm_params": upstream}]}
Path("config.yaml").write_text(json.dumps(config))


def call(address: str, key: str, body: dict[str, Any] | None = None) -> bytes:
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
    request = urllib.request.Request(address, body and json.dumps(body).encode(), headers)
    with urllib.request.urlopen(request, timeout=60) as answer:
        return bytes(answer.read())


def wait_for_proxy(process: subprocess.Popen[bytes]) -> None:
    while process.poll() is None:
        try:
            call(f"{proxied}/health/liveliness", "x")
        except (urllib.error.URLError, ConnectionError):
            time.sleep(0.5)
        else:
            return
    raise SystemExit("the proxy did not start")


with subprocess.Popen(
    ["litellm", "--config", "config.yaml", "--host", "127.0.0.1", "--port", str(port)]
) as proxy:
    try:
        wait_for_proxy(proxy)
        account = {
            "name": "litellm",
            "provider": "openai_compatible",
            "base_url": f"{proxied}/v1",
            "secret": MASTER,
        }
        account |= {"models": {"house-behind": "behind"}, "kinds": ["text"], "slots": 4}
        call(f"{os.environ['GATEWAY']}/admin/api/accounts", os.environ["ADMIN_TOKEN"], account)
        asked = {"model": "house-behind", "messages": [{"role": "user", "content": "hi"}]}
        address, key = f"{os.environ['GATEWAY']}/v1/chat/completions", os.environ["GATEWAY_KEY"]
        assert (
            json.loads(call(address, key, asked))["choices"][0]["message"]["content"] == "Hello from upstream"
        )
        streamed = call(address, key, asked | {"stream": True}).decode()
        assert "Hello" in streamed and "[DONE]" in streamed, streamed
    finally:
        proxy.terminate()
print("a text, a stream")
