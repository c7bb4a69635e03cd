"""One gateway for all of these tests: the studio for videos, a fake upstream for text, three keys."""

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import httpx2
import pytest
from openai import OpenAI

from app.components import Components
from app.generation import Kind
from app.providers.base import Account
from tests.e2e.cutting import CuttingProxy
from tests.node_packages import install_packages
from tests.serving import KEY, GatewayProcess
from tests.upstream import FakeUpstream
from tests.upstream.vendors.anthropic import AnthropicServer
from tests.upstream.vendors.openai_words import WordsServer

ROOT_KEY = "a-root-key-for-tests-0123456789abcdef"
NODE = Path(__file__).parent / "node"
collect_ignore = [] if os.environ.get("FILMGATE_TEST_COMFYUI") else ["test_comfyui_installed.py"]
"""A real ComfyUI is gigabytes of PyTorch: its tests are there where one is."""
UPSTREAM_SECRET = "upstream-secret-canary-4711"


@dataclass(frozen=True)
class Keys:
    """``other`` is somebody else's; ``few`` may have two tasks in flight; ``manual`` speaks the async-videos manual's dialect; ``project`` are two
    keys of one project."""

    other: str
    manual: str
    lister: str
    pages: str
    node: str
    ark: str
    few: str
    project: tuple[str, str]


@dataclass(frozen=True)
class Setting:
    """A running gateway and what stands around it."""

    gateway: GatewayProcess
    upstream: FakeUpstream
    words: WordsServer
    claude: AnthropicServer
    keys: Keys

    @property
    def base(self) -> str:
        return f"{self.gateway.url}/v1"


async def _fill(components: Components, upstream: str, *, words: str, claude: str) -> Keys:
    account = Account(
        id="",
        provider="openai_compatible",
        name="text",
        base_url=f"{upstream}/v1",
        secret=UPSTREAM_SECRET,
        models={"house-chat": "fake-chat", "house-embedding": "fake-embedding"},
        kinds=frozenset({"text"}),
        slots=20,
    )
    await components.pool.add(account)
    models = {"house-words": "vendor-words", "house-image": "gpt-image-house"}
    kinds = frozenset[Kind]({"text", "image", "audio"})
    await components.pool.add(
        replace(account, name="words", base_url=f"{words}/v1", models=models, kinds=kinds)
    )
    native = replace(account, name="claude", provider="anthropic", base_url=claude)
    await components.pool.add(
        replace(native, secret=AnthropicServer.key, models={"house-claude": "vendor-claude"})
    )
    return Keys(
        other=await components.keys.create("other"),
        manual=await components.keys.create("manual", options={"videos_dialect": "manual"}),
        lister=await components.keys.create("lister"),
        pages=await components.keys.create("pages"),
        node=await components.keys.create("node"),
        ark=await components.keys.create("ark"),
        few=await components.keys.create("few", tasks_limit=2),
        project=(
            await components.keys.create("one", project="film"),
            await components.keys.create("two", project="film"),
        ),
    )


@contextmanager
def running_setting(folder: Path, **environment: str) -> Iterator[Setting]:
    gateway = GatewayProcess(folder, FILMGATE_STUDIO="on", **environment)
    with ExitStack() as stack:
        upstream = stack.enter_context(FakeUpstream())
        words, claude = stack.enter_context(WordsServer()), stack.enter_context(AnthropicServer())
        keys = gateway.prepare(
            lambda components: _fill(components, upstream.url, words=words.url, claude=claude.url)
        )
        stack.enter_context(gateway)
        yield Setting(gateway, upstream, words, claude, keys)


@pytest.fixture(scope="package")
def setting(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Setting]:
    with running_setting(tmp_path_factory.mktemp("gateway"), FILMGATE_SECRET_KEY=ROOT_KEY) as found:
        yield found


@pytest.fixture(scope="package")
def short_lived(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Setting]:
    """A gateway of its own that keeps what it made for one second."""
    with running_setting(tmp_path_factory.mktemp("short"), FILMGATE_RESULT_TTL_SECONDS="1") as found:
        yield found


@pytest.fixture(scope="package")
def client(setting: Setting) -> Iterator[OpenAI]:
    """The official SDK, which repeats nothing by itself here."""
    with OpenAI(base_url=setting.base, api_key=KEY, max_retries=0) as found:
        yield found


@pytest.fixture(scope="package")
def stranger(setting: Setting) -> Iterator[OpenAI]:
    """The same with somebody else's key."""
    with OpenAI(base_url=setting.base, api_key=setting.keys.other, max_retries=0) as found:
        yield found


@pytest.fixture(scope="package")
def http(setting: Setting) -> Iterator[httpx2.Client]:
    """Plain HTTP with the key."""
    with setting.gateway.client() as found:
        yield found


@pytest.fixture(scope="package")
def keyless(setting: Setting) -> Iterator[httpx2.Client]:
    with httpx2.Client(base_url=setting.gateway.url, timeout=60) as found:
        yield found


@pytest.fixture(scope="package")
def packages(node: str) -> Path:
    """The scripts beside their packages: those of the lock file, or the newest ones, which `make clients` installs."""
    newest = os.environ.get("FILMGATE_TEST_NODE_FOLDER")
    if newest:
        return Path(newest)
    install_packages(NODE)
    return NODE


@pytest.fixture
def cutting(setting: Setting) -> Iterator[CuttingProxy]:
    proxy = CuttingProxy(int(setting.gateway.url.rpartition(":")[2]), cuts=2)
    yield proxy
    proxy.close()
