"""llm: a prompt on the command line, for a model of its own list."""

import json
import os
import subprocess
from pathlib import Path

folder = Path(os.environ["HOME"]) / "llm"
folder.mkdir()
model = {"model_id": "house", "model_name": "house-words", "api_base": f"{os.environ['GATEWAY']}/v1"}
(folder / "extra-openai-models.yaml").write_text(json.dumps([model | {"api_key_name": "house"}]))
(folder / "keys.json").write_text(json.dumps({"house": os.environ["GATEWAY_KEY"]}))
environment = os.environ | {"LLM_USER_PATH": str(folder)}
for options in ([], ["--no-stream"]):
    command = ["llm", "prompt", "-m", "house", "hi", *options]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)
    assert done.stdout.strip() == "Hello from upstream", done.stdout + done.stderr
print("a prompt, streamed and whole")
