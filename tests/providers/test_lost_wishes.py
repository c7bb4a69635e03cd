"""The lost-wish contract: whatever a client wishes, for every model of every provider, changes what is sent to the vendor,
or is refused before anything is sent, by the name of its field. What is sent is taken by the vendor's simulator."""

import itertools
import re
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractContextManager, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import pytest

from app.accounts.status import AccountStatus
from app.catalog.candidates import Candidate
from app.catalog.overrides import NO_OVERRIDES
from app.catalog.upstream_request import adapt_request, find_refusal
from app.errors import UpstreamError, UpstreamRejected
from app.generation import GenerationRequest, MediaInput, Role, Shot
from app.providers import registry
from app.providers.base import Account, Operation, Provider, Submission
from app.providers.model_facts import read_facts
from app.providers.transport import OpenAnswer, OutgoingRequest, UpstreamTransport
from tests.providers import test_vertex_veo
from tests.providers.contract import SECRET
from tests.upstream import FakeUpstream
from tests.upstream.media import tiny_png
from tests.upstream.vendors.ark import ArkServer
from tests.upstream.vendors.base import VendorServer
from tests.upstream.vendors.bfl import BFLServer
from tests.upstream.vendors.chat_relay import ChatServer
from tests.upstream.vendors.comfyui import ComfyServer
from tests.upstream.vendors.dashscope import DashScopeServer
from tests.upstream.vendors.fal import FalServer
from tests.upstream.vendors.feature_relay import FeatureServer
from tests.upstream.vendors.gemini import GeminiServer
from tests.upstream.vendors.jimeng import JimengServer
from tests.upstream.vendors.kling import KlingServer
from tests.upstream.vendors.lightx2v import LightServer
from tests.upstream.vendors.ltx import LTXServer
from tests.upstream.vendors.luma import LumaServer
from tests.upstream.vendors.midjourney import MidjourneyServer
from tests.upstream.vendors.minimax import MiniMaxServer
from tests.upstream.vendors.openrouter import OpenRouterServer
from tests.upstream.vendors.pixverse import PixVerseServer
from tests.upstream.vendors.predictions import PredictionsServer
from tests.upstream.vendors.replicate import ReplicateServer
from tests.upstream.vendors.runway import RunwayServer
from tests.upstream.vendors.siliconflow import SiliconFlowServer
from tests.upstream.vendors.suno import SunoServer
from tests.upstream.vendors.together import TogetherServer
from tests.upstream.vendors.unified_relay import UnifiedServer
from tests.upstream.vendors.vertex import VertexServer
from tests.upstream.vendors.vidu import ViduServer
from tests.upstream.vendors.xai import XAIServer
from tests.upstream.vendors.zhipu import ZhipuServer

BOUNDARY = re.compile(rb"boundary=([\w'()+,./:=?-]+)")


@dataclass(frozen=True)
class Upstream:
    """How one provider's simulator is reached."""

    server: Callable[[], AbstractContextManager[VendorServer | FakeUpstream]]
    at: str = ""
    secret: str = SECRET
    options: Mapping[str, Any] = field(default_factory=dict)
    models: tuple[str, ...] = ()
    """Beside the provider's sample models and those of its file of facts."""


UPSTREAMS: dict[str, Upstream] = {
    "ark": Upstream(ArkServer),
    "bfl": Upstream(BFLServer),
    "chat_relay": Upstream(ChatServer),
    "comfyui": Upstream(ComfyServer),
    "dashscope": Upstream(DashScopeServer),
    "declared": Upstream(SiliconFlowServer),
    "fal": Upstream(FalServer),
    "feature_relay": Upstream(FeatureServer),
    "gemini": Upstream(GeminiServer),
    "jimeng": Upstream(JimengServer, secret=f"AKLTcontract0123|{SECRET}"),
    "kling": Upstream(KlingServer),
    "lightx2v": Upstream(LightServer, secret="", models=("wan",)),
    "ltx": Upstream(LTXServer),
    "luma": Upstream(LumaServer, at="/v1", options={"api": "agents"}),
    "midjourney": Upstream(MidjourneyServer),
    "minimax": Upstream(MiniMaxServer),
    "openai_compatible": Upstream(FakeUpstream, at="/v1", models=("fake-video",)),
    "openrouter": Upstream(OpenRouterServer),
    "pixverse": Upstream(PixVerseServer),
    "predictions": Upstream(PredictionsServer),
    "replicate": Upstream(ReplicateServer),
    "runway": Upstream(RunwayServer),
    "siliconflow": Upstream(SiliconFlowServer),
    "suno": Upstream(SunoServer),
    "together": Upstream(TogetherServer),
    "unified_relay": Upstream(UnifiedServer, at="/v2"),
    "vertex_veo": Upstream(VertexServer),
    "vidu": Upstream(ViduServer),
    "xai": Upstream(XAIServer),
    "zhipu": Upstream(ZhipuServer),
}
MAKE_NOTHING = {"anthropic", "studio"}
"""Text only; and the embedded one, whose films its own tests look at."""


def picture(role: Role, number: int = 1) -> MediaInput:
    return MediaInput(
        role=role, content_type="image/png", content=tiny_png(), url=f"https://media.test/{role}-{number}.png"
    )


def other_input(role: Role, content_type: str) -> MediaInput:
    ending = content_type.split("/")[1]
    return MediaInput(
        role=role, content_type=content_type, content=b"bytes", url=f"https://media.test/{role}.{ending}"
    )


@dataclass(frozen=True)
class Wish:
    """What is added to a plain request, and the names by which it may be refused."""

    told: Mapping[str, Any]
    params: frozenset[str]


def wish(*params: str, **told: Any) -> Wish:
    return Wish(told, frozenset(params) or frozenset(told))


FRAME, LAST = picture("first_frame"), picture("last_frame")
ONE = (picture("reference_image"),)
WISHES: dict[str, Wish] = {
    "seconds": wish("seconds", "shots", seconds=8),
    "long": wish("seconds", seconds=33),
    "size": wish("size", "aspect_ratio", "resolution", size="720x1280"),
    "aspect_ratio": wish(aspect_ratio="1:1"),
    "resolution": wish(resolution="1080p"),
    "first_frame": wish("first_frame", "input_reference", media=(FRAME,)),
    "last_frame": wish("last_frame", "input_reference", "first_frame", media=(FRAME, LAST)),
    "reference": wish("reference_image", "input_reference", "images", media=ONE),
    "references": wish(
        "reference_image", "input_reference", "images", media=(*ONE, picture("reference_image", 2))
    ),
    "frame and reference": wish(
        "reference_image", "first_frame", "input_reference", "images", media=(FRAME, *ONE)
    ),
    "source_video": wish("source_video", "video", media=(other_input("source_video", "video/mp4"),)),
    "reference_video": wish("reference_video", "video", media=(other_input("reference_video", "video/mp4"),)),
    "sound file": wish("audio", media=(other_input("audio", "audio/mpeg"),)),
    "seed": wish(seed=7),
    "negative_prompt": wish(negative_prompt="rain"),
    "style": wish(style="anime"),
    "shots": wish(
        "shots", "seconds", shots=(Shot(seconds=5, prompt="A kite"), Shot(seconds=5, prompt="A boat"))
    ),
    "sound": wish("generate_audio", "sound", sound=True),
    "silence": wish("generate_audio", "sound", sound=False),
    "watermark": wish(watermark=True),
    "characters": wish(characters=("kim",)),
    "remix": wish(
        "video", "remix_of", "action", "source_video",
        action="remix", remix_of="0" * 32, media=(other_input("source_video", "video/mp4"),),
    ),
    "edit": wish(
        "video", "action", "source_video", action="edit", media=(other_input("source_video", "video/mp4"),)
    ),
    "extend": wish(
        "video", "action", "source_video", "seconds",
        action="extend", seconds=5, media=(other_input("source_video", "video/mp4"),),
    ),
    "another word": wish("zoom_of_the_camera", extra={"zoom_of_the_camera": "slow"}),
}  # fmt: skip


OTHER_VALUES = {"aspect_ratio": "9:16", "resolution": "720p", "size": "1280x720"}


class RecordingTransport(UpstreamTransport):
    """Keeps what the last submit said: path, query and body, in which the submission's own key is replaced."""

    def __init__(self) -> None:
        super().__init__(aiohttp.TCPConnector())
        self.keys = itertools.count()
        self.sent: tuple[str, bytes] | None = None

    async def open(self, request: OutgoingRequest) -> OpenAnswer:
        if request.method == "POST":
            body = request.content or b""
            if not isinstance(body, bytes):
                body = request.content = b"".join([part async for part in body])
            mark = BOUNDARY.search(request.headers.get("content-type", "").encode())
            told = body.replace(mark[1], b"--") if mark else body
            self.sent = request.url.raw_path_qs, re.sub(rb"filmgate-lost-wishes-\d+", b"key", told)
        return await super().open(request)


def test_every_provider_is_here() -> None:
    assert set(UPSTREAMS) | MAKE_NOTHING == set(registry.PROVIDERS)


@pytest.fixture(scope="module", params=sorted(UPSTREAMS))
def upstream(request: pytest.FixtureRequest) -> Any:
    with UPSTREAMS[request.param].server() as server:
        yield request.param, server


@asynccontextmanager
async def open_recorded(name: str, server: Any) -> AsyncIterator[tuple[Provider, RecordingTransport]]:
    known, kind = UPSTREAMS[name], registry.provider_class(name)
    secret, options = known.secret, {**kind.sample_options, **known.options}
    if name == "vertex_veo":
        secret, options["token_url"] = test_vertex_veo.secret(server), f"{server.url}/token"
    account = Account(
        id="a1", provider=name, name="fake", base_url=server.url + known.at, secret=secret, options=options
    )
    async with RecordingTransport() as transport:
        provider = registry.create_provider(account, transport)
        yield provider, transport
        await provider.close()


def models_of(name: str) -> list[str]:
    known = [(*facts.ids, *facts.starts)[0] for facts in read_facts(name).models]
    return list(
        dict.fromkeys((*UPSTREAMS[name].models, *registry.provider_class(name).sample_models, *known))
    )


@pytest.mark.server
async def test_no_wish_is_lost(upstream: tuple[str, Any]) -> None:
    name, server = upstream
    lost: list[str] = []
    async with open_recorded(name, server) as (provider, transport):
        for model in models_of(name):
            server.reset()
            for kind in sorted(provider.capabilities(model).kinds & {"video", "image"}):
                plain = GenerationRequest(kind=kind, model=model, prompt="A red kite")
                lost += await lost_wishes(provider, transport, plain)
    assert not lost, "\n".join(lost)


@pytest.mark.server
async def test_an_account_that_names_no_kind_makes_what_its_provider_makes(upstream: tuple[str, Any]) -> None:
    name, server = upstream
    async with open_recorded(name, server) as (provider, _):
        made = {kind for model in models_of(name) for kind in provider.capabilities(model).kinds}
        assert made <= provider.capabilities("").kinds


async def lost_wishes(
    provider: Provider, transport: RecordingTransport, plain: GenerationRequest
) -> list[str]:
    plain = complete(provider, plain)
    try:
        said, operation = await send(provider, transport, plain)
    except UpstreamError as error:
        return [f"{plain.model}: a plain {plain.kind} is refused: {error!r}"]
    found = []
    for name, each in WISHES.items():
        media = (*plain.media, *(item for item in each.told.get("media", ()) if item not in plain.media))
        extra = {**plain.extra, **each.told.get("extra", {})}
        wished = plain.model_copy(update={**each.told, "media": media, "extra": extra})
        if wished == plain:
            continue
        answer = refused_by(provider, wished)
        if answer is not None:
            if answer not in each.params | set(each.told.get("extra", {})):
                found.append(f"{plain.model} {plain.kind}: {name} is refused by the name {answer}")
            continue
        try:
            sent, _ = await send(provider, transport, wished, earlier=operation)
        except UpstreamError as error:
            if not (
                each.told.get("extra") and isinstance(error, UpstreamRejected)
            ):  # the vendor judges those
                found.append(f"{plain.model} {plain.kind}: {name} is refused after 200: {error!r}")
            continue
        if sent != said or fulfilled_anyway(provider, wished):
            continue
        if not await is_usual(provider, transport, (plain, said), name):
            found.append(f"{plain.model} {plain.kind}: {name} is lost")
    return found


def fulfilled_anyway(provider: Provider, wished: GenerationRequest) -> bool:
    """Whether the model always, or never, makes sound, as it is wished."""
    known = {"always": True, "never": False}
    sound = provider.capabilities(wished.model).sound
    return wished.sound is not None and known.get(sound or "") is wished.sound


async def is_usual(
    provider: Provider,
    transport: RecordingTransport,
    known: tuple[GenerationRequest, tuple[str, bytes]],
    name: str,
) -> bool:
    """Whether the wish is what ``known``, a plain request and what it said, makes anyway: then another value is told, or
    refused; and a source video is there to be changed."""
    plain, said = known
    if name in {"edit", "remix"}:
        return bool(plain.media_with("source_video"))
    if name not in OTHER_VALUES:
        return False
    other = plain.model_copy(update={name: OTHER_VALUES[name]})
    return refused_by(provider, other) is not None or (await send(provider, transport, other))[0] != said


INPUTS: dict[str, MediaInput] = {
    **dict.fromkeys(("first_frame", "input_reference", "images"), FRAME),
    "last_frame": LAST,
    "reference_image": ONE[0],
    **dict.fromkeys(("source_video", "video"), other_input("source_video", "video/mp4")),
}
"""By the name under which their lack is refused."""


def complete(provider: Provider, plain: GenerationRequest) -> GenerationRequest:
    """With the inputs that the model can't do without."""
    if refused_by(provider, plain.model_copy(update={"media": (FRAME,)})) == "template_id":
        plain = plain.model_copy(update={"extra": {"template_id": "orbit"}})
    for _ in range(2):
        needed = INPUTS.get(refused_by(provider, plain) or "")
        if needed is None or needed in plain.media:
            return plain
        plain = plain.model_copy(update={"media": (*plain.media, needed)})
    return plain


def refused_by(provider: Provider, request: GenerationRequest) -> str | None:
    """The field by which it is refused, empty when the refusal names none; None when it is not refused."""
    candidate = Candidate(AccountStatus(provider.account, enabled=True), request.model)
    refusal = find_refusal(request, candidate, provider)
    return None if refusal is None else refusal.param or ""


async def send(
    provider: Provider,
    transport: RecordingTransport,
    request: GenerationRequest,
    *,
    earlier: Operation | None = None,
) -> tuple[tuple[str, bytes], Operation]:
    """What the submit said. Raises ``UpstreamError`` when the simulator refused it."""
    transport.sent = None
    adapted = adapt_request(request, NO_OVERRIDES, provider, model=request.model)
    submission = Submission(f"filmgate-lost-wishes-{next(transport.keys)}", remix_operation=earlier)
    operation = await provider.start(adapted, submission)
    assert transport.sent is not None
    return transport.sent, operation
