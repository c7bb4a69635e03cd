"""`filmgate prove`: one film through all that can go wrong, made once and paid once, with a receipt at the end.

Its gateway and its vendors are processes of its own on this machine's loopback, which are really killed. It needs no
network and no account, and leaves nothing behind.
"""

import json
import secrets
import signal
import tempfile
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from queue import Empty, Queue
from string import Template
from types import FrameType
from typing import Any, TypeVar

import httpx2
from rich.markup import escape

from app.cli.child_gateway import ChildProcess, child_gateway, running
from app.cli.gateway_client import GatewayFailed, open_client
from app.cli.generate import describe_file
from app.cli.languages import Language, LanguageOption, chosen_language
from app.cli.output import out
from app.cli.receipts import KEYS_PATH, check_receipt
from app.cli.story_vendor import ASKED
from app.client import Video
from app.media.analysis import measure_clip
from app.media.inspection import MediaInfo
from app.signed_documents import read_jwks

LONGEST_SECONDS = 300.0
"""After that something has gone wrong: usually it takes a tenth of it."""
LOOK_SECONDS = 0.1
PRICE = "0.40"
MODEL = "sora-2"
PROMPT = "A lighthouse on a cliff at dusk"
CONFIGURATION = Path(__file__).with_name("prove.toml")
WORDS: Mapping[Language, Mapping[str, str]] = {
    "en": {
        "begin": "One film is asked for: “{prompt}”. It costs ${price}, reserved once.",
        "refused": "Vendor A refuses: its moderation does not like the prompt. The route lets the film go on.",
        "accepted": "Pod B, our own machine, accepts it and is making it.",
        "died": "Pod B dies in the middle (killed), and comes back without any memory of the film.",
        "forgotten": "The gateway hears that the film is forgotten, and sees that nobody was paid for it.",
        "retired": "Vendor C answers that it has retired the model. The film goes on.",
        "buying": "Vendor D accepts it: this one is paid.",
        "crashed": "The gateway itself is killed while D is making the film (SIGKILL, no goodbye).",
        "restarted": "The gateway starts again, finds the job of before in its store, and waits for it. Nothing is sent twice.",
        "made": "The film is there: {film}",
        "attempt": "  {number}. {account}: {verdict}{error}",
        "verdict.made": "made it",
        "verdict.failed": "said that it failed",
        "verdict.moderated": "said that it will not",
        "verdict.retired": "no longer has the model",
        "verdict.not_accepted": "did not take it",
        "verdict.forgotten": "forgot it",
        "receipt": "The receipt, checked offline: signature ✓  film ✓  prompt ✓",
        "once": "Made once: vendor D has made {made} film. Paid once: the key was charged ${paid}.",
        "end": "Proved in {seconds:.0f} s. Nothing is left behind.",
    },
    "zh": {
        "begin": "要求一部影片：“{prompt}”。价格 ${price}，只预留一次。",
        "refused": "厂商 A 拒绝：审核不接受这个提示词。路由允许影片另找出路。",
        "accepted": "自有机器 B 接受了任务，正在生成。",
        "died": "B 中途死掉（被强制结束），重启后完全不记得这部影片。",
        "forgotten": "网关得知影片已被遗忘，并确认没有向任何人付过钱。",
        "retired": "厂商 C 回答该模型已下线。影片继续另找出路。",
        "buying": "厂商 D 接受了任务：这一次要付钱。",
        "crashed": "D 正在生成时，网关自己被强制结束（SIGKILL，来不及做任何事）。",
        "restarted": "网关重新启动，从存储中找到之前的任务并继续等待。没有任何请求被发送两次。",
        "made": "影片完成：{film}",
        "attempt": "  {number}. {account}：{verdict}{error}",
        "verdict.made": "生成了影片",
        "verdict.failed": "明确失败",
        "verdict.moderated": "审核未通过",
        "verdict.retired": "模型已下线",
        "verdict.not_accepted": "没有接受",
        "verdict.forgotten": "已经遗忘",
        "receipt": "凭证离线验证：签名 ✓  影片 ✓  提示词 ✓",
        "once": "只生成一次：厂商 D 生成了 {made} 部影片。只付款一次：令牌被扣 ${paid}。",
        "end": "{seconds:.0f} 秒内证明完毕，没有留下任何东西。",
    },
}
Found = TypeVar("Found")


def prove_once(*, lang: LanguageOption = None) -> None:
    """One film through refusals, a dying pod, a retired model and a crash: made once, paid once, with a receipt."""
    words = WORDS[chosen_language(lang)]
    signal.signal(signal.SIGTERM, _raise_interrupt)
    began = time.monotonic()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="filmgate-prove-")))
        Story(folder, stack, words).tell()
    out.print(f"\n[bold green]✓[/] {words['end'].format(seconds=time.monotonic() - began)}")


def _raise_interrupt(_signal: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


class Vendor:
    """A process of ``story_vendor.py``."""

    def __init__(self, folder: Path, part: str, *, port: str = "0") -> None:
        self.child = ChildProcess(folder, "app.cli.story_vendor", part, port)
        self._lines: Queue[str] = Queue()

    def start(self) -> None:
        self.child.start()
        threading.Thread(target=self._read, args=(self.child.output,), daemon=True).start()

    def wait_until_asked(self) -> None:
        """Raises ``GatewayFailed`` when nobody asks."""
        try:
            line = self._lines.get(timeout=LONGEST_SECONDS)
        except Empty:
            line = ""
        if line != ASKED:
            raise GatewayFailed("A vendor of the story was never asked for the film.")

    def _read(self, output: Any) -> None:
        try:
            for line in output:
                self._lines.put(line.strip())
        except ValueError:
            return  # it was stopped


class Story:
    """Each step waits for what must happen, and says it in one line."""

    def __init__(self, folder: Path, stack: ExitStack, words: Mapping[str, str]) -> None:
        self._folder, self._stack, self._words = folder, stack, words
        self._key = f"sk-fg-prove-{secrets.token_hex(12)}"

    def tell(self) -> None:
        refusing, pod, retired = (self._vendor(part) for part in ("refusing", "pod", "retired"))
        maker = self._stack.enter_context(running(child_gateway(self._folder / "maker", key=self._key)))
        gateway = self._gateway(refusing, pod, retired, maker=maker)
        with open_client(f"{gateway.address}/v1", self._key) as client:
            video = client.videos.create(prompt=PROMPT, seconds="4", size="640x360", model=MODEL)
            self._say("begin", prompt=PROMPT, price=PRICE)
            refusing.wait_until_asked()
            self._say("refused")
            pod.wait_until_asked()
            _wait(lambda: client.videos.retrieve(video.id).status == "in_progress")
            self._say("accepted")
            self._replace_pod(pod)
            self._say("died")
            retired.wait_until_asked()
            self._say("forgotten")
            self._say("retired")
            _wait(lambda: _films_of(maker, self._key))
            self._say("buying")
            _refuse_unless(client.videos.retrieve(video.id).status != "completed", "it was made too soon")
            gateway.kill()
            self._say("crashed")
        gateway.start()
        self._say("restarted")
        self._end(gateway, maker, video)

    def _end(self, gateway: ChildProcess, maker: ChildProcess, video: Video) -> None:
        film, receipt = self._folder / "film.mp4", self._folder / "receipt.json"
        with open_client(f"{gateway.address}/v1", self._key) as client:
            ended = client.videos.poll(video.id, poll_interval_ms=200)
            reason = ended.error.message if ended.error else ended.status
            _refuse_unless(ended.status == "completed", reason)
            client.videos.download_content(video.id).write_to_file(film)
            client.videos.receipt(video.id).write_to_file(receipt)
        keys = httpx2.get(f"{gateway.address}{KEYS_PATH}", timeout=30).content
        paid = _get(gateway, "/v1/usage", self._key)["total"]["cost"]
        made = _films_of(maker, self._key)
        gateway.stop()
        maker.stop()
        self._check(film, receipt, keys, paid=paid, made=len(made))

    def _check(self, film: Path, receipt: Path, keys: bytes, *, paid: str, made: int) -> None:
        """All is stopped: what is left are three files."""
        info: MediaInfo = measure_clip(film)
        self._say("made", film=describe_file(info))
        findings, content = check_receipt(receipt.read_bytes(), read_jwks(keys), film=film, prompt=PROMPT)
        wrong = [each.word for each in findings if not each.is_right]
        _refuse_unless(not wrong and content is not None, f"the receipt: {', '.join(wrong)}")
        assert content is not None
        for each in content["attempts"]:
            error = f" ({each['error']})" if each["error"] else ""
            verdict = self._words[f"verdict.{each['verdict']}"]
            self._say("attempt", number=each["number"], account=each["model"], verdict=verdict, error=error)
        self._say("receipt")
        sale = content["money"]["sale"]
        _refuse_unless(
            (made, paid, sale) == (1, PRICE, PRICE), f"{made} films, ${paid} paid, receipt of ${sale}"
        )
        self._say("once", made=made, paid=paid)

    def _say(self, word: str, **values: Any) -> None:
        text = self._words[word].format(**values)
        mark = "" if word == "attempt" else "[green]•[/] "
        out.print(f"{mark}{escape(text)}", soft_wrap=True)

    def _vendor(self, part: str, *, port: str = "0") -> Vendor:
        vendor = Vendor(self._folder, part, port=port)
        self._stack.callback(vendor.child.stop)
        vendor.start()
        return vendor

    def _replace_pod(self, pod: Vendor) -> None:
        port = pod.child.address.rpartition(":")[2]
        pod.child.kill()
        self._vendor("restarted-pod", port=port)

    def _gateway(
        self, refusing: Vendor, pod: Vendor, retired: Vendor, *, maker: ChildProcess
    ) -> ChildProcess:
        path = self._folder / "filmgate.toml"
        addresses = {"refusing": refusing, "pod": pod, "retired": retired}
        values = {name: vendor.child.address for name, vendor in addresses.items()}
        told = Template(CONFIGURATION.read_text())
        path.write_text(told.substitute(values, maker=maker.address, model=MODEL, price=PRICE))
        child = child_gateway(
            self._folder / "gateway",
            key=f"sk-fg-other-{secrets.token_hex(12)}",
            FILMGATE_STUDIO="off",
            FILMGATE_CONFIG=str(path),
            FILMGATE_OUTBOUND_ALLOW="127.0.0.1/32",
            PROVE_KEY=self._key,
            PROVE_SECRET="a-secret-of-the-story",  # noqa: S106
        )
        return self._stack.enter_context(running(child))


def _films_of(maker: ChildProcess, key: str) -> list[Any]:
    return list(_get(maker, "/v1/videos?limit=100", key)["data"])


def _get(gateway: ChildProcess, path: str, key: str) -> Any:
    answer = httpx2.get(f"{gateway.address}{path}", headers={"authorization": f"Bearer {key}"}, timeout=30)
    return json.loads(answer.raise_for_status().content)


def _wait(holds: Callable[[], Found]) -> Found:
    end = time.monotonic() + LONGEST_SECONDS
    while not (found := holds()):
        _refuse_unless(time.monotonic() < end, "it took too long")
        time.sleep(LOOK_SECONDS)
    return found


def _refuse_unless(holds: bool, reason: str) -> None:
    if not holds:
        raise GatewayFailed(f"The story has another end: {reason}.")
