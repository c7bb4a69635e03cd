"""fal against its simulator, which fal's own client (fal-client 1.0.3) uses, too."""

import asyncio
import base64
import datetime
import ipaddress
import json
import os
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from app.errors import (
    InvalidRequest,
    OperationNotFound,
    OutcomeUnknown,
    PollFailed,
    UnsupportedWish,
    UpstreamAuthFailed,
    UpstreamError,
    UpstreamModelForbidden,
    UpstreamModerated,
    UpstreamQuotaExhausted,
    UpstreamRejected,
)
from app.generation import GenerationRequest, MediaInput, Role, Shot
from app.providers import registry
from app.providers.base import Account, Failed, Operation, Provider, Submission, Succeeded
from tests.providers.contract import SECRET
from tests.providers.vendor_contract import VendorContract, open_provider
from tests.upstream.media import tiny_png
from tests.upstream.transport import loopback_transport
from tests.upstream.vendors.fal import FalServer

SUBMISSION = Submission("filmgate-0123")
KLING = "fal-ai/kling-video/v3/pro"
SEEDANCE = "bytedance/seedance-2.0"
RESERVED_NAMES = ("duration", "model", "prompt", "start_image_url", "num_videos", "Aspect_Ratio", "seed")
NEW, FOUR = "someone/new-model", "fal-ai/kling-video/v4/image-to-video"
INLINE = "data:image/png;base64," + base64.b64encode(tiny_png()).decode()


@pytest.fixture(scope="module")
def vendor() -> Iterator[FalServer]:
    with FalServer() as server:
        yield server


@pytest.fixture
async def fal(vendor: FalServer) -> AsyncIterator[Provider]:
    vendor.reset()
    async with open_provider("fal", vendor) as provider:
        yield provider


def make_request(model: str = KLING, **told: Any) -> GenerationRequest:
    return GenerationRequest(**{"kind": "video", "model": model, "prompt": "A red kite", **told})


def picture(role: Role = "first_frame") -> MediaInput:
    return MediaInput(role=role, content_type="image/png", content=tiny_png())


def sent(vendor: FalServer) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(next(s for s in reversed(vendor.seen) if s.method == "POST").body)
    return found


def endpoint(vendor: FalServer) -> str:
    return next(seen.path for seen in reversed(vendor.seen) if seen.method == "POST")


class TestContract(VendorContract):
    provider_name = "fal"
    routes = [("POST", r"/.+", "create"), ("GET", r"/.+/requests/[^/]+/status", "poll")]  # noqa: RUF012
    states = {"queued": "IN_QUEUE", "running": "IN_PROGRESS", "done": "COMPLETED", "failed": "FAILED"}  # noqa: RUF012
    moderated = {"message": "Not this.", "error_type": "content_policy_violation"}  # noqa: RUF012

    def request(self) -> GenerationRequest:
        return make_request(seconds=5)

    def refusal(self, code: str, message: str = "No.", param: str | None = None) -> dict[str, Any]:
        if code == "moderation_blocked":
            return {
                "detail": [{"loc": ["body", "prompt"], "msg": message, "type": "content_policy_violation"}]
            }
        return {"detail": message}


# ---- submit ----


async def test_text(vendor: FalServer, fal: Provider) -> None:
    asked = make_request(
        seconds=10, size="720x1280", negative_prompt="rain", sound=False, extra={"cfg_scale": 0.5},
    )  # fmt: skip
    operation = await fal.start(asked, SUBMISSION)
    assert endpoint(vendor) == f"/{KLING}/text-to-video"
    assert vendor.seen[-1].headers["authorization"] == f"Key {SECRET}"
    assert sent(vendor) == {
        "prompt": "A red kite", "negative_prompt": "rain", "duration": "10", "aspect_ratio": "9:16",
        "cfg_scale": 0.5, "generate_audio": False,
    }  # fmt: skip
    assert operation.data == {"path": f"/fal-ai/kling-video/requests/{operation.id}", "kind": "video"}


@pytest.mark.parametrize(
    ("model", "roles", "path", "fields"),
    [
        (KLING, ["first_frame"], "image-to-video", {"start_image_url"}),
        (KLING, ["first_frame", "last_frame"], "image-to-video", {"start_image_url", "end_image_url"}),
        (SEEDANCE, ["first_frame", "last_frame"], "image-to-video", {"image_url", "end_image_url"}),
        (SEEDANCE, ["reference_image", "reference_image"], "reference-to-video", {"image_urls"}),
        (SEEDANCE, ["reference_video", "audio"], "reference-to-video", {"video_urls", "audio_urls"}),
        ("fal-ai/veo3.1", [], "", set()),
        ("fal-ai/veo3.1/fast", ["first_frame"], "image-to-video", {"image_url"}),
        ("fal-ai/veo3.1", ["first_frame", "last_frame"], "first-last-frame-to-video",
         {"first_frame_url", "last_frame_url"}),
        ("fal-ai/veo3.1", ["reference_image"], "reference-to-video", {"image_urls"}),
        ("fal-ai/ltx-2.3/image-to-video/fast", ["first_frame"], "", {"image_url"}),
        ("fal-ai/veo3.1/first-last-frame-to-video", ["first_frame", "last_frame"], "",
         {"first_frame_url", "last_frame_url"}),
    ],
)  # fmt: skip
async def test_inputs_choose_the_endpoint(
    vendor: FalServer, fal: Provider, model: str, roles: list[Role], path: str, fields: set[str]
) -> None:
    await fal.start(make_request(model, media=tuple(picture(role) for role in roles)), SUBMISSION)
    assert endpoint(vendor) == f"/{model}/{path}".rstrip("/")
    body = sent(vendor)
    assert set(body) == {"prompt", *fields}
    for name in fields:
        assert body[name] == (INLINE if not name.endswith("_urls") else [INLINE] * len(body[name]))


@pytest.mark.parametrize(
    ("model", "told", "expected"),
    [
        (SEEDANCE, {"seconds": 4, "size": "1920x1080", "seed": 7},
         {"duration": "4", "aspect_ratio": "16:9", "resolution": "1080p", "seed": 7}),
        ("fal-ai/veo3.1", {"seconds": 8, "resolution": "4K", "aspect_ratio": "9:16"},
         {"duration": "8s", "resolution": "4k", "aspect_ratio": "9:16"}),
        ("fal-ai/ltx-2.3", {"seconds": 6, "size": "3840x2160"},
         {"duration": 6, "resolution": "2160p", "aspect_ratio": "16:9"}),
        ("fal-ai/kling-video/v3/pro/text-to-video", {"seconds": 3}, {"duration": "3"}),
    ],
)  # fmt: skip
async def test_length_and_shape(
    vendor: FalServer, fal: Provider, model: str, told: dict[str, Any], expected: dict[str, Any]
) -> None:
    await fal.start(make_request(model, **told), SUBMISSION)
    assert sent(vendor) == {"prompt": "A red kite", **expected}


async def test_storyboard(vendor: FalServer, fal: Provider) -> None:
    shots = (Shot(seconds=2, prompt="A"), Shot(seconds=3, prompt="B"))
    await fal.start(make_request(shots=shots), SUBMISSION)
    assert sent(vendor) == {
        "multi_prompt": [{"prompt": "A", "duration": "2"}, {"prompt": "B", "duration": "3"}],
        "duration": "5",
    }


async def test_picture(vendor: FalServer, fal: Provider) -> None:
    asked = make_request("fal-ai/flux/dev", kind="image", size="1024x768", seed=7)
    operation = await fal.start(asked, SUBMISSION)
    assert sent(vendor) == {
        "prompt": "A red kite", "image_size": {"width": 1024, "height": 768}, "seed": 7,
    }  # fmt: skip
    answer = await fal.poll(operation)
    assert isinstance(answer, Succeeded)
    assert [(file.kind, file.content_type) for file in answer.files] == [("image", "image/png")]
    assert answer.usage["width"] == 16


async def test_edit_pictures(vendor: FalServer, fal: Provider) -> None:
    media = (picture("first_frame"), picture("reference_image"))
    asked = make_request("fal-ai/nano-banana-2/edit", kind="image", media=media, aspect_ratio="16:9")
    await fal.start(asked, SUBMISSION)
    assert sent(vendor) == {
        "prompt": "A red kite", "image_urls": [INLINE, INLINE], "aspect_ratio": "16:9",
    }  # fmt: skip


async def test_what_the_operator_knows(vendor: FalServer) -> None:
    vendor.reset()
    models = {
        "someone/new-model": {"fields": {"last_frame": "tail_url"}, "length": "text", "seconds": [1, 4]}
    }
    async with open_provider("fal", vendor, models=models, priority="low", start_timeout=30) as provider:
        assert provider.capabilities("someone/new-model").seconds == (1, 4)
        await provider.start(
            make_request("someone/new-model", seconds=4, media=(picture("last_frame"),)), SUBMISSION
        )
    assert sent(vendor) == {"prompt": "A red kite", "tail_url": INLINE, "duration": "4"}
    assert vendor.seen[-1].headers["x-fal-queue-priority"] == "low"
    assert vendor.seen[-1].headers["x-fal-request-timeout"] == "30.0"


# ---- models that only their published schema describes ----


@pytest.mark.parametrize(
    ("told", "param"),
    [
        ({"seconds": 5}, "seconds"), ({"media": (picture(),)}, "first_frame"), ({"sound": False}, "generate_audio"),
        ({"aspect_ratio": "1:1"}, "aspect_ratio"), ({"seed": 7}, "seed"), ({"size": "1280x720"}, "size"),
    ],
)  # fmt: skip
async def test_unread_model_is_told_a_prompt_only(
    vendor: FalServer, fal: Provider, told: dict[str, Any], param: str
) -> None:
    with pytest.raises(UnsupportedWish) as caught:
        fal.check(make_request(NEW, **told))
    assert caught.value.param == param
    assert "try again" in caught.value.message
    assert vendor.seen == []
    fal.check(make_request(NEW))


async def test_schema_is_read_once_before_the_first_submission(vendor: FalServer, fal: Provider) -> None:
    for _ in range(2):
        await fal.start(make_request(NEW), SUBMISSION)
    assert (vendor.counts["schema"], vendor.counts["submit"]) == (1, 2)
    assert vendor.seen[0].query == {"endpoint_id": NEW}
    assert "authorization" not in vendor.seen[0].headers
    wished = make_request(NEW, seconds=7, size="1024x1024", media=(picture(),))
    await fal.start(wished, SUBMISSION)
    assert sent(vendor) == {
        "prompt": "A red kite", "duration": "7", "aspect_ratio": "1:1", "resolution": "1080p",
        "image_url": INLINE,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("model", "told", "param"),
    [
        (NEW, {"sound": False}, "generate_audio"),
        (NEW, {"seed": 7}, "seed"),
        (NEW, {"negative_prompt": "rain"}, "negative_prompt"),
        (NEW, {"media": (picture("reference_image"),)}, "reference_image"),
        (NEW, {"resolution": "4k"}, "resolution"),
        (NEW, {"extra": {"camera": "pan"}}, "camera"),
        ("fal-ai/hunyuan-video", {"seconds": 8}, "seconds"),
        ("fal-ai/hunyuan-video", {"media": (picture(),)}, "first_frame"),
        (FOUR, {}, "first_frame"),
        (FOUR, {"media": (picture(), picture("source_video"))}, "source_video"),
    ],
)
async def test_the_schema_judges(
    vendor: FalServer, fal: Provider, model: str, told: dict[str, Any], param: str
) -> None:
    await learn(fal, model)
    with pytest.raises(UnsupportedWish) as caught:
        fal.check(make_request(model, **told))
    assert caught.value.param == param


async def test_new_generation_has_the_bounds_of_its_schema(vendor: FalServer, fal: Provider) -> None:
    await learn(fal, FOUR)
    able = fal.capabilities(FOUR)
    assert (able.kinds, able.seconds, able.ratios[-1]) == ({"video"}, (3, 30), "21:9")
    assert able.most == {"reference_image": 10}
    told = {"seconds": 30, "aspect_ratio": "21:9", "resolution": "4k", "seed": 7, "sound": True}
    media = (picture(), picture("last_frame"), picture("reference_image"))
    await fal.start(make_request(FOUR, media=media, **told), SUBMISSION)
    assert sent(vendor) == {
        "prompt": "A red kite", "duration": "30", "aspect_ratio": "21:9", "resolution": "4K", "seed": 7,
        "generate_audio": True, "start_image_url": INLINE, "tail_image_url": INLINE,
        "reference_image_urls": [INLINE],
    }  # fmt: skip


async def test_what_was_refused_is_asked_beside_the_requests(vendor: FalServer, fal: Provider) -> None:
    wished = make_request(NEW, seconds=5)
    for _ in range(2):
        with pytest.raises(UnsupportedWish):
            fal.check(wished)
        fal.ask_about(NEW)
    fal.ask_about(KLING)
    for task in asyncio.all_tasks() - {asyncio.current_task()}:
        await task
    fal.check(wished)
    assert (vendor.counts["schema"], vendor.counts["submit"]) == (1, 0)


async def test_a_tested_account_reads_what_it_maps(vendor: FalServer) -> None:
    vendor.reset()
    account = Account(
        id="a1", provider="fal", name="fake", base_url=vendor.url, secret=SECRET,
        models={"new": NEW, "known": SEEDANCE, "*": "*"},
    )  # fmt: skip
    async with loopback_transport() as transport:
        made = registry.create_provider(account, transport)
        await made.check_account()
        assert made.capabilities(NEW).lengths == tuple(range(1, 11))
        await made.close()
    assert vendor.counts["schema"] == 1


async def test_schema_that_is_not_told_leaves_the_prompt(vendor: FalServer, fal: Provider) -> None:
    vendor.publishes = False
    await fal.start(make_request(NEW), SUBMISSION)
    with pytest.raises(UnsupportedWish):
        await fal.start(make_request(NEW, seconds=5), SUBMISSION)
    assert (vendor.counts["schema"], vendor.counts["submit"]) == (1, 1)


async def test_a_word_that_the_endpoint_lacks_is_not_sent(vendor: FalServer, fal: Provider) -> None:
    """fal ignores unknown fields, so their names are compared with the schema, also of a family that we know."""
    asked = make_request(extra={"camera_control": "pan"})
    with pytest.raises(UnsupportedWish) as caught:
        await fal.start(asked, SUBMISSION)
    assert caught.value.param == "camera_control"
    with pytest.raises(UnsupportedWish):
        fal.check(asked)
    await fal.start(make_request(extra={"cfg_scale": 0.5}), SUBMISSION)
    assert (vendor.counts["submit"], vendor.counts["schema"]) == (1, 1)


async def learn(fal: Provider, model: str) -> None:
    """Its first submission, which may be refused for what the schema says."""
    try:
        await fal.start(make_request(model), SUBMISSION)
    except UnsupportedWish as refusal:
        assert refusal.param == "first_frame"


@pytest.mark.parametrize(
    "options",
    [{"models": {"a/b": {"nonsense": 1}}}, {"models": 7}, {"priority": "high"}, {"start_timeout": 1}],
)
async def test_options_that_cannot_work(vendor: FalServer, options: dict[str, Any]) -> None:
    with pytest.raises(InvalidRequest):
        async with open_provider("fal", vendor, **options):
            raise AssertionError("made")


@pytest.mark.parametrize(
    ("asked", "param"),
    [
        (make_request(seed=7), "seed"),
        (make_request(seconds=5.5), "seconds"),
        (make_request(aspect_ratio="21:9"), "aspect_ratio"),
        (make_request(resolution="1080p"), "resolution"),
        (make_request(watermark=True), "watermark"),
        (make_request(style="noir"), "style"),
        (make_request(media=(picture("last_frame"),)), "last_frame"),
        (make_request(media=(picture(), picture())), "first_frame"),
        (make_request(media=(picture("reference_image"),)), "reference_image"),
        (make_request(SEEDANCE, media=(picture(), picture("reference_image"))), "reference_image"),
        (make_request(SEEDANCE, media=(picture("reference_image"),) * 10), "reference_image"),
        (make_request(SEEDANCE, shots=(Shot(seconds=2, prompt="A"),)), "shots"),
        (make_request(shots=(Shot(seconds=2.5, prompt="A"),)), "shots"),
        (make_request(SEEDANCE, media=(picture(), picture("audio"))), "audio"),
        (make_request(f"{SEEDANCE}/text-to-video", media=(picture(),)), "first_frame"),
        (make_request(f"{SEEDANCE}/image-to-video"), "first_frame"),
        (make_request(f"{SEEDANCE}/image-to-video", media=(picture("reference_image"),)), "reference_image"),
        (make_request(f"{SEEDANCE}/reference-to-video", media=(picture(),)), "first_frame"),
        *((make_request(extra={name: "x"}), name) for name in RESERVED_NAMES),
        (make_request(action="extend"), "video"),
        (make_request("kling"), "model"),
        (make_request("../../secrets"), "model"),
        (make_request(KLING, kind="image"), "model"),
        (make_request("fal-ai/flux/dev", kind="image", seconds=4), "seconds"),
    ],
)
async def test_what_cannot_be_told(
    vendor: FalServer, fal: Provider, asked: GenerationRequest, param: str
) -> None:
    with pytest.raises(UpstreamRejected) as caught:
        await fal.start(asked, SUBMISSION)
    assert caught.value.param == param
    assert vendor.counts["submit"] == 0


@pytest.mark.parametrize(
    ("status", "detail", "expected"),
    [
        (403, "User is locked. Reason: Exhausted balance.", UpstreamQuotaExhausted),
        (403, "Key lacks the permission", UpstreamAuthFailed),
        (403, "Access to this application is not allowed.", UpstreamModelForbidden),
        (422, [{"loc": ["body", "prompt"], "msg": "Flagged", "type": "content_policy_violation"}],
         UpstreamModerated),
    ],
)  # fmt: skip
async def test_refused(
    vendor: FalServer, fal: Provider, status: int, detail: Any, expected: type[UpstreamError]
) -> None:
    vendor.refuse = (status, {"detail": detail}, {})
    with pytest.raises(UpstreamError) as caught:
        await fal.start(make_request(), SUBMISSION)
    assert type(caught.value) is expected


async def test_refusal_names_the_parameter(fal: Provider, vendor: FalServer) -> None:
    with pytest.raises(UpstreamRejected) as caught:
        await fal.start(make_request(prompt=""), SUBMISSION)
    assert caught.value.param == "prompt"


@pytest.mark.parametrize(
    "body", [{}, {"request_id": "r-1"}, {"request_id": "r-1", "response_url": "https://x/"}]
)
async def test_accepted_without_a_place(vendor: FalServer, fal: Provider, body: dict[str, Any]) -> None:
    vendor.refuse = (200, body, {})
    with pytest.raises(OutcomeUnknown):
        await fal.start(make_request(), SUBMISSION)


# ---- result ----


async def test_result(vendor: FalServer, fal: Provider) -> None:
    operation = await fal.start(make_request(), SUBMISSION)
    answer = await fal.poll(operation)
    assert isinstance(answer, Succeeded)
    assert answer.files[0].url == f"{vendor.url}/files/{operation.id}.mp4"
    assert answer.usage == {"inference_seconds": 12.5, "seed": 7, "billable_units": "5"}


@pytest.mark.parametrize(
    ("status", "body", "code"),
    [
        (422, {"detail": [{"msg": "Flagged", "type": "content_policy_violation", "loc": ["body"]}]},
         "content_policy_violation"),
        (422, {"detail": [{"msg": "Too big", "type": "image_too_large", "loc": ["body"]}]}, "upstream_error"),
        (504, {"detail": "Request timed out", "error_type": "request_timeout"}, "upstream_error"),
        (503, {"detail": "No runner", "error_type": "runner_scheduling_failure"}, "upstream_error"),
        (499, {"detail": "Cancelled", "error_type": "client_cancelled"}, "cancelled"),
        (200, {"images": [{"url": "https://x.test/a.png"}], "has_nsfw_concepts": [True]},
         "content_policy_violation"),
    ],
)  # fmt: skip
async def test_result_is_a_failure(
    vendor: FalServer, fal: Provider, status: int, body: dict[str, Any], code: str
) -> None:
    vendor.result = (status, body)
    answer = await fal.poll(await fal.start(make_request(), SUBMISSION))
    assert isinstance(answer, Failed)
    assert answer.code == code


@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [
        (429, {"detail": "Slow down"}, PollFailed),
        (503, {"detail": "Unavailable"}, PollFailed),
        (500, "nonsense", PollFailed),
        (200, {"seed": 7}, PollFailed),
        (401, {"detail": "Who are you?"}, UpstreamAuthFailed),
        (404, {"detail": "Request not found"}, OperationNotFound),
    ],
)
async def test_result_not_told_yet(
    vendor: FalServer, fal: Provider, status: int, body: Any, expected: type[UpstreamError]
) -> None:
    vendor.result = (status, body)
    operation = await fal.start(make_request(), SUBMISSION)
    with pytest.raises(UpstreamError) as caught:
        await fal.poll(operation)
    assert type(caught.value) is expected


async def test_cancel(vendor: FalServer, fal: Provider) -> None:
    vendor.states = ["IN_QUEUE", "IN_QUEUE", "COMPLETED"]
    operation = await fal.start(make_request(), SUBMISSION)
    assert await fal.cancel(operation)
    assert (vendor.seen[-1].method, vendor.seen[-1].path) == ("PUT", f"{operation.data['path']}/cancel")
    answer = await fal.poll(operation)
    assert isinstance(answer, Failed)
    assert answer.code == "cancelled"


async def test_cancel_too_late(vendor: FalServer, fal: Provider) -> None:
    operation = await fal.start(make_request(), SUBMISSION)
    await fal.poll(operation)
    assert not await fal.cancel(operation)


@pytest.mark.parametrize(
    ("model", "kinds", "roles", "seconds", "shots"),
    [
        (KLING, {"video"}, {"first_frame", "last_frame"}, (3, 15), True),
        (f"{KLING}/text-to-video", {"video"}, set(), (3, 15), True),
        ("fal-ai/flux/dev", {"image"}, {"first_frame", "reference_image"}, None, False),
        (NEW, {"video", "image", "audio"},
         {"first_frame", "last_frame", "reference_image", "reference_video", "source_video", "audio"}, None, False),
    ],
)  # fmt: skip
async def test_capabilities(
    fal: Provider, model: str, kinds: set[str], roles: set[str], seconds: Any, shots: bool
) -> None:
    able = fal.capabilities(model)
    assert (able.kinds, able.roles, able.seconds, able.native_shots) == (kinds, roles, seconds, shots)
    assert able.cancel
    assert not able.idempotency_key


# ---- the vendor's own client ----

SCRIPT = """
import json, sys, fal_client
client = fal_client.SyncClient(key="sk-contract-0123456789")
handle = client.submit(sys.argv[1], {"prompt": "A red kite"}, priority="low", start_timeout=20)
words = [type(event).__name__ for event in handle.iter_events(interval=0.01)]
result = handle.get(interval=0.01)
other = client.submit(sys.argv[1], {"prompt": "Another"})
other.cancel()
again = client.get_handle(sys.argv[1], handle.request_id)
print(json.dumps({"words": words, "result": result, "id": handle.request_id, "again": again.get()}))
"""


@pytest.fixture
def certificate(tmp_path: Path) -> tuple[str, str]:
    """fal's client speaks nothing but https; this makes the simulator one that it trusts."""
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.datetime.now(datetime.UTC)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "fal simulator")])
    address = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(hours=1))
        .add_extension(address, critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    chain, secret = tmp_path / "chain.pem", tmp_path / "key.pem"
    chain.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    secret.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    return str(chain), str(secret)


class SecureFal(FalServer):
    def __init__(self, certificate: tuple[str, str]) -> None:
        super().__init__()
        self.certificate = certificate


async def test_own_client(certificate: tuple[str, str], tmp_path: Path) -> None:
    with SecureFal(certificate) as vendor:
        vendor.states = ["IN_QUEUE", "IN_PROGRESS", "COMPLETED"]
        environment = {
            **os.environ, "FAL_QUEUE_RUN_HOST": vendor.url.removeprefix("https://"),
            "SSL_CERT_FILE": certificate[0], "FAL_HOME_DIR": str(tmp_path),
        }  # fmt: skip
        child = await asyncio.create_subprocess_exec(
            sys.executable, "-c", SCRIPT, f"{KLING}/text-to-video",
            env=environment, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        out, problems = await child.communicate()
        assert child.returncode == 0, problems.decode()
        told = json.loads(out)
        assert told["words"] == ["Queued", "InProgress", "Completed"]
        assert told["result"]["video"]["url"] == f"{vendor.url}/files/{told['id']}.mp4"
        assert told["again"] == told["result"]
        assert [job.cancelled for job in vendor.jobs.values()] == [False, True]
        submit = vendor.seen[0]
        assert (submit.method, submit.path) == ("POST", f"/{KLING}/text-to-video")
        assert submit.headers["authorization"] == f"Key {SECRET}"
        assert submit.headers["x-fal-queue-priority"] == "low"
        assert submit.headers["x-fal-request-timeout"] == "20.0"


async def test_an_operation_is_plain(fal: Provider) -> None:
    operation = await fal.start(make_request(), SUBMISSION)
    assert Operation.model_validate_json(operation.model_dump_json()) == operation
