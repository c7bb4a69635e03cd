"""genblaze: a film by its provider for OpenAI."""

import os

os.environ["OPENAI_BASE_URL"] = f"{os.environ['GATEWAY']}/v1"
os.environ["OPENAI_API_KEY"] = os.environ["GATEWAY_KEY"]

from genblaze import Modality, Pipeline
from genblaze_openai import SoraProvider

pipeline = Pipeline("film").step(
    SoraProvider(poll_interval=1), model="sora-2", prompt="[studio:fast] a boat", modality=Modality.VIDEO
)
run, _manifest = pipeline.run(timeout=300)
(step,) = run.steps
assert step.status.value == "succeeded" and step.assets, step
print("a film")
