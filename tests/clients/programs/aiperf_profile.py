"""AIPerf: measures a streamed chat. Its own tokenizers come from the internet, so a small one of bytes lies in the cache."""

import os
import subprocess
from pathlib import Path

from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

alphabet = {sign: number for number, sign in enumerate(sorted(pre_tokenizers.ByteLevel.alphabet()))}
tokenizer = Tokenizer(models.BPE(vocab=alphabet | {"<end>": len(alphabet)}, merges=[]))
tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
tokenizer.decoder = decoders.ByteLevel()
cache, revision = Path("cache").resolve(), "0" * 40
place = cache / "models--house--bytes"
PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<end>", bos_token="<end>").save_pretrained(
    place / "snapshots" / revision
)
(place / "refs").mkdir()
(place / "refs" / "main").write_text(revision)
command = [
    "aiperf", "profile", "--model", "house-words", "--url", os.environ["GATEWAY"], "--endpoint-type", "chat",
    "--streaming", "--api-key", os.environ["GATEWAY_KEY"], "--request-count", "5", "--concurrency", "2",
    "--tokenizer", "house/bytes", "--ui", "simple",
]  # fmt: skip
environment = os.environ | {"HF_HUB_CACHE": str(cache), "HF_HUB_OFFLINE": "1"}
done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=600)
assert done.returncode == 0, (done.stdout + done.stderr)[-2000:]
print("a profile of five calls")
