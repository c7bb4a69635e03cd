"""Veo on Vertex AI against its simulator, which Google's own SDK (google-genai) drives through a whole job."""

import base64
import json
from collections.abc import AsyncIterator, Iterator
from typing import Any, ClassVar

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from google import genai
from google.genai import types
from google.oauth2 import service_account

from app.errors import (
    InvalidRequest,
    OutcomeUnknown,
    PollFailed,
    UpstreamAuthFailed,
    UpstreamBusy,
    UpstreamError,
    UpstreamModelForbidden,
    UpstreamModerated,
    UpstreamQuotaExhausted,
    UpstreamRejected,
    UpstreamUnreachable,
)
from app.generation import GenerationRequest, MediaInput, Role
from app.providers import registry
from app.providers.base import (
    Account,
    Failed,
    Operation,
    Provider,
    ResultFile,
    Running,
    Submission,
    Succeeded,
)
from app.providers.google_token import read_service_account, token_address
from app.providers.vertex_veo.provider import VertexVeoProvider
from tests.providers.contract import SECRET
from tests.providers.vendor_contract import VendorContract, open_provider
from tests.upstream import FakeUpstream, closed_port
from tests.upstream.media import tiny_mp4, tiny_png
from tests.upstream.transport import loopback_transport
from tests.upstream.vendors.google import secret_of, service_account_json
from tests.upstream.vendors.vertex import VertexServer

SUBMISSION = Submission("filmgate-0123")
PLACE = "/v1/projects/project-1/locations/us-central1/publishers/google/models/veo-3.1-generate-001"
INLINE = {"bytesBase64Encoded": base64.b64encode(tiny_png()).decode(), "mimeType": "image/png"}


@pytest.fixture(scope="module")
def vendor() -> Iterator[VertexServer]:
    with VertexServer() as server:
        yield server


def secret(vendor: VertexServer) -> str:
    return secret_of("https://oauth2.googleapis.com/token")


@pytest.fixture
async def veo(vendor: VertexServer) -> AsyncIterator[Provider]:
    vendor.reset()
    async with open_provider(
        "vertex_veo", vendor, secret=secret(vendor), token_url=f"{vendor.url}/token"
    ) as made:
        yield made


@pytest.fixture
async def storing(vendor: VertexServer) -> AsyncIterator[Provider]:
    vendor.reset()
    options = {"token_url": f"{vendor.url}/token", "storage_url": vendor.url, "storage_uri": "gs://films/out"}
    async with open_provider("vertex_veo", vendor, secret=secret(vendor), **options) as made:
        yield made


def make_request(model: str = "veo-3.1-generate-001", **told: Any) -> GenerationRequest:
    return GenerationRequest(kind="video", model=model, prompt="A red kite", **told)


def item(role: Role, **told: Any) -> MediaInput:
    kind = "video/mp4" if "video" in role else "image/png"
    return MediaInput(**{"role": role, "content_type": kind, "content": tiny_png()} | told)


def sent(vendor: VertexServer) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(vendor.seen[-1].body)
    return found


async def read(provider: Provider, operation: Operation, file: ResultFile) -> bytes:
    return b"".join([chunk async for chunk in provider.fetch(operation, file)])


class TestContract(VendorContract):
    provider_name = "vertex_veo"
    routes: ClassVar = [
        ("POST", r"/v1/.+:predictLongRunning", "create"), ("POST", r"/v1/.+:fetchPredictOperation", "poll"),
    ]  # fmt: skip
    states: ClassVar = {"queued": "running", "running": "running", "done": "done", "failed": "failed"}
    moderated: ClassVar = {"code": 3, "message": "The prompt violates our policies. Support codes: 58061214"}
    codes: ClassVar = {
        "invalid_value": "INVALID_ARGUMENT", "moderation_blocked": "PROHIBITED_CONTENT",
        "server_error": "INTERNAL", "invalid_api_key": "UNAUTHENTICATED",
    }  # fmt: skip

    @pytest.fixture(autouse=True)
    def tokens(self, vendor: VertexServer) -> Iterator[None]:
        self.token_url, vendor.only_token = f"{vendor.url}/token", SECRET
        yield
        vendor.only_token = None

    def account(self, origin: str) -> Account:
        return Account(
            id="a1", provider="vertex_veo", name="fake", base_url=origin,
            secret=secret_of("https://oauth2.googleapis.com/token"), options={"token_url": self.token_url},
        )  # fmt: skip

    def request(self) -> GenerationRequest:
        return make_request(seconds=8)

    def refusal(self, code: str, message: str = "No.", param: str | None = None) -> dict[str, Any]:
        return {"error": {"code": 400, "message": message, "status": self.codes[code]}}

    async def test_from_accepted_to_done(self, upstream: FakeUpstream, provider: Provider) -> None:
        """Veo does not tell waiting from working."""
        upstream.script(statuses=["running", "running", "done"])
        operation = await self.start(provider)
        assert await provider.poll(operation) == Running()
        assert await provider.poll(operation) == Running()
        assert isinstance(await provider.poll(operation), Succeeded)
        assert upstream.counters().jobs == 1

    async def test_poll_401(self, upstream: FakeUpstream, provider: Provider) -> None:
        """The first refusal may be the token's: only that of a new one counts."""
        operation = await self.start(provider)
        for _ in range(2):
            refusal = self.refusal("invalid_api_key", f"Bad key {SECRET}")
            upstream.fault(self.poll_call, status=401, body=refusal)
        await self.poll_failed(provider, operation, UpstreamAuthFailed)

    @pytest.mark.parametrize("do", ["reset", "cut", "garbage"])
    async def test_poll_broken(self, upstream: FakeUpstream, provider: Provider, do: str) -> None:
        """As in the contract, but a huge answer is a video."""
        operation = await self.start(provider)
        upstream.fault(self.poll_call, do=do)
        await self.poll_failed(provider, operation, PollFailed)
        assert isinstance(await provider.poll(operation), Succeeded)


# ---- the vendor's own SDK ----


def sdk(vendor: VertexServer) -> genai.Client:
    scopes = ["https://www.googleapis.com/auth/cloud-platform"]
    credentials = service_account.Credentials.from_service_account_info(
        service_account_json(f"{vendor.url}/token"), scopes=scopes
    )  # type: ignore[no-untyped-call]
    return genai.Client(
        vertexai=True, project="project-1", location="us-central1", credentials=credentials,
        http_options=types.HttpOptions(base_url=vendor.url, api_version="v1"),
    )  # fmt: skip


def test_sdk(vendor: VertexServer) -> None:
    vendor.reset()
    vendor.states = ["running", "done"]
    with sdk(vendor) as client:
        operation = client.models.generate_videos(
            model="veo-3.1-generate-001",
            source=types.GenerateVideosSource(prompt="A red kite"),
            config=types.GenerateVideosConfig(duration_seconds=8),
        )
        operation = client.operations.get(operation)
        assert not operation.done
        operation = client.operations.get(operation)
        assert operation.done
        assert operation.response
        assert operation.response.generated_videos
        video = operation.response.generated_videos[0].video
        assert video
        assert video.video_bytes == tiny_mp4()
    assert vendor.counts["token"] == 1


async def test_says_what_the_sdk_says(vendor: VertexServer, veo: Provider) -> None:
    png = types.Image(image_bytes=tiny_png(), mime_type="image/png")
    asset = types.VideoGenerationReferenceImage(
        image=png, reference_type=types.VideoGenerationReferenceType.ASSET
    )
    config = types.GenerateVideosConfig(
        number_of_videos=1, duration_seconds=8, aspect_ratio="9:16", resolution="1080p", seed=7,
        negative_prompt="rain", generate_audio=False, person_generation="allow_all", last_frame=png,
        reference_images=[asset],
    )  # fmt: skip
    with sdk(vendor) as client:
        source = types.GenerateVideosSource(prompt="A red kite", image=png)
        client.models.generate_videos(model="veo-3.1-generate-001", source=source, config=config)
    theirs = vendor.seen[-1]
    await veo.start(
        make_request(
            seconds=8, size="1080x1920", seed=7, negative_prompt="rain",
            media=(item("first_frame"), item("last_frame"), item("reference_image")),
            sound=False, extra={"personGeneration": "allow_all"},
        ),
        SUBMISSION,
    )  # fmt: skip
    assert (vendor.seen[-1].path, sent(vendor)) == (theirs.path, json.loads(theirs.body))


async def test_looks_as_the_sdk_does(vendor: VertexServer, veo: Provider) -> None:
    operation = await veo.start(make_request(), SUBMISSION)
    await veo.poll(operation)
    ours = vendor.seen[-1]
    with sdk(vendor) as client:
        client.operations.get(types.GenerateVideosOperation(name=operation.data["name"]))
    assert (ours.path, ours.body) == (vendor.seen[-1].path, vendor.seen[-1].body.replace(b'": "', b'":"'))


# ---- submit ----


async def test_least(vendor: VertexServer, veo: Provider) -> None:
    operation = await veo.start(make_request(), SUBMISSION)
    assert vendor.seen[-1].path == f"{PLACE}:predictLongRunning"
    assert sent(vendor) == {"instances": [{"prompt": "A red kite"}], "parameters": {"sampleCount": 1}}
    assert operation.data == {"name": f"{PLACE[4:]}/operations/{operation.id}", "facts": {}}


async def test_extension_and_cloud_storage(vendor: VertexServer, veo: Provider) -> None:
    film = item("source_video", content=None, url="gs://films/a.mp4")
    await veo.start(make_request(action="extend", media=(film,)), SUBMISSION)
    told = sent(vendor)["instances"][0]
    assert told["video"] == {"gcsUri": "gs://films/a.mp4", "mimeType": "video/mp4"}


@pytest.mark.parametrize(
    ("asked", "param"),
    [
        (make_request(seconds=4.5), "seconds"),
        (make_request(seconds=4, media=(item("reference_image"),)), "seconds"),
        (make_request(watermark=True), "watermark"),
        (make_request("veo-3.1-lite-generate-001", resolution="4k"), "resolution"),
        (make_request("veo-3.1-lite-generate-001", media=(item("reference_image"),)), "reference_image"),
        (make_request(extra={"sampleCount": 4}), "sampleCount"),
        (make_request(extra={"storageUri": "gs://x"}), "storageUri"),
        (make_request(extra={"LASTFRAME": {}}), "LASTFRAME"),
        (make_request(aspect_ratio="1:1"), "aspect_ratio"),
        (make_request(resolution="8k"), "resolution"),
        (make_request(action="remix"), "video"),
        (make_request(action="extend"), "video"),
        (make_request(media=(item("audio"),)), "audio"),
        (make_request(media=(item("reference_image"),) * 4), "reference_image"),
        (make_request(media=(item("first_frame", content=None, url="https://a.test/x.png"),)), "first_frame"),
        (make_request(characters=("kim",)), "characters"),
    ],
    ids=str,
)
async def test_what_cannot_be_told_is_refused(
    vendor: VertexServer, veo: Provider, asked: GenerationRequest, param: str
) -> None:
    with pytest.raises(UpstreamRejected) as caught:
        await veo.start(asked, SUBMISSION)
    assert caught.value.param == param
    assert vendor.seen == []


@pytest.mark.parametrize(
    ("status", "error", "expected"),
    [
        (403, {"status": "PERMISSION_DENIED", "details": [{"reason": "BILLING_DISABLED"}]}, UpstreamQuotaExhausted),
        (403, {"status": "PERMISSION_DENIED"}, UpstreamAuthFailed),
        (400, {"status": "INVALID_ARGUMENT", "message": "No. Support codes: 29310472"}, UpstreamModerated),
        (400, {"status": "INVALID_ARGUMENT", "message": "No."}, UpstreamRejected),
        (404, {"status": "NOT_FOUND", "message": "Publisher Model `projects/p/locations/us-central1/publishers/google/"
               "models/veo-3.1-generate-001` was not found or your project does not have access to it."},
         UpstreamModelForbidden),
        (200, {"code": 13, "message": "Odd"}, UpstreamError),
    ],
)  # fmt: skip
async def test_refusals(
    vendor: VertexServer, veo: Provider, status: int, error: dict[str, Any], expected: type[UpstreamError]
) -> None:
    vendor.refuse = (status, {"error": error}, {})
    with pytest.raises(expected):
        await veo.start(make_request(), SUBMISSION)


async def test_busy_with_a_pace_in_the_body(vendor: VertexServer, veo: Provider) -> None:
    details = [{"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "34.4s"}]
    error = {"code": 429, "status": "RESOURCE_EXHAUSTED", "message": "Slow down", "details": details}
    vendor.refuse = (429, {"error": error}, {})
    with pytest.raises(UpstreamBusy) as caught:
        await veo.start(make_request(), SUBMISSION)
    assert caught.value.retry_after == 34.4


@pytest.mark.parametrize("name", ["", "operations/1", "projects/p/../x/operations/1"])
async def test_accepted_without_a_name(vendor: VertexServer, veo: Provider, name: str) -> None:
    vendor.refuse = (200, {"name": name}, {})
    with pytest.raises(OutcomeUnknown):
        await veo.start(make_request(), SUBMISSION)


# ---- looks and results ----


async def test_inline_result_stays_out_of_the_row(vendor: VertexServer, veo: Provider) -> None:
    asked = make_request(seconds=8, resolution="1080p", sound=True)
    operation = await veo.start(asked, SUBMISSION)
    answer = await veo.poll(operation)
    assert isinstance(answer, Succeeded)
    assert answer.files == (ResultFile("video", "video/mp4", data={"index": 0}),)
    assert answer.usage == {"seconds": 8, "resolution": "1080p", "audio": True, "videos": 1}
    assert await read(veo, operation, answer.files[0]) == tiny_mp4()


async def test_result_in_cloud_storage(vendor: VertexServer, storing: Provider) -> None:
    operation = await storing.start(make_request(), SUBMISSION)
    assert sent(vendor)["parameters"]["storageUri"] == "gs://films/out"
    answer = await storing.poll(operation)
    assert isinstance(answer, Succeeded)
    assert await read(storing, operation, answer.files[0]) == tiny_mp4()
    assert vendor.seen[-1].path == "/storage/v1/b/films/o/out/123/sample 0.mp4"


async def test_result_that_is_gone(vendor: VertexServer, veo: Provider) -> None:
    vendor.states = ["done", "nothing", "nothing"]
    operation = await veo.start(make_request(), SUBMISSION)
    answer = await veo.poll(operation)
    assert isinstance(answer, Succeeded)
    with pytest.raises(PollFailed):
        await read(veo, operation, answer.files[0])
    assert await veo.poll(operation) == Succeeded((), usage={"videos": 0})


async def test_result_that_cannot_be_decoded(vendor: VertexServer, veo: Provider) -> None:
    operation = await veo.start(make_request(), SUBMISSION)
    broken = {"done": True, "response": {"videos": [{"bytesBase64Encoded": "a"}]}}
    vendor.refuse_poll = (200, broken, {})
    with pytest.raises(PollFailed):
        await read(veo, operation, ResultFile("video", "video/mp4", data={"index": 0}))


async def test_filtered(vendor: VertexServer, veo: Provider) -> None:
    vendor.states = ["filtered"]
    answer = await veo.poll(await veo.start(make_request(), SUBMISSION))
    assert isinstance(answer, Failed)
    assert (answer.code, answer.message[-8:]) == ("content_policy_violation", "15236754")


async def test_cancelled(vendor: VertexServer, veo: Provider) -> None:
    vendor.states, vendor.failure = ["failed"], {"code": 1, "message": "Cancelled by Google"}
    operation = await veo.start(make_request(), SUBMISSION)
    assert await veo.poll(operation) == Failed("cancelled", "Cancelled by Google")
    assert await veo.cancel(operation) is False


# ---- tokens ----


async def test_one_token_serves_many_calls(vendor: VertexServer, veo: Provider) -> None:
    for _ in range(3):
        await veo.poll(await veo.start(make_request(), SUBMISSION))
    assert vendor.counts["token"] == 1
    assert vendor.seen[-1].headers["authorization"] == "Bearer ya29.token-0001"


async def test_token_is_renewed_before_it_ends(vendor: VertexServer, veo: Provider) -> None:
    vendor.lasts = 60
    await veo.poll(await veo.start(make_request(), SUBMISSION))
    assert vendor.counts["token"] == 2


async def test_refused_token_is_replaced_at_once(vendor: VertexServer, veo: Provider) -> None:
    operation = await veo.start(make_request(), SUBMISSION)
    vendor.counts["token"] += 5
    assert isinstance(await veo.poll(operation), Succeeded)
    vendor.counts["token"] += 5
    assert await veo.start(make_request(), SUBMISSION)
    assert vendor.counts["submit"] == 2


async def test_new_token_that_is_refused_too(vendor: VertexServer, veo: Provider) -> None:
    operation = await veo.start(make_request(), SUBMISSION)
    vendor.keys, asked = ["another"], len(vendor.seen)
    for attempt in (veo.start(make_request(), SUBMISSION), veo.poll(operation)):
        with pytest.raises(UpstreamAuthFailed) as caught:
            await attempt
        assert "ya29" not in caught.value.message
    assert len(vendor.seen) == asked + 4


async def test_no_token(vendor: VertexServer, veo: Provider) -> None:
    vendor.refuse_token = (400, {"error": "invalid_grant", "error_description": "Account deleted"})
    with pytest.raises(UpstreamAuthFailed):
        await veo.start(make_request(), SUBMISSION)
    vendor.refuse_token = (503, {"error": "temporarily_unavailable"})
    with pytest.raises(UpstreamUnreachable):
        await veo.start(make_request(), SUBMISSION)
    assert vendor.seen == []
    vendor.refuse_token = None
    operation = await veo.start(make_request(), SUBMISSION)
    vendor.counts["token"] = 0
    vendor.refuse_token = (400, {"error": "invalid_grant", "error_description": "Account deleted"})
    with pytest.raises(UpstreamAuthFailed):
        await veo.poll(operation)
    vendor.refuse_token = (200, {})
    with pytest.raises(PollFailed):
        await veo.poll(operation)


async def test_token_address_that_answers_nobody(vendor: VertexServer) -> None:
    vendor.reset()
    where = f"http://127.0.0.1:{closed_port()}/token"
    async with open_provider("vertex_veo", vendor, secret=secret(vendor), token_url=where) as provider:
        with pytest.raises(UpstreamUnreachable):
            await provider.start(make_request(), SUBMISSION)


# ---- accounts that can't work ----


def test_token_addresses() -> None:
    for uri in ("https://oauth2.googleapis.com/token", "https://www.googleapis.com/oauth2/v4/token"):
        assert token_address(read_service_account(secret_of(uri)), None) == uri
    for uri in ("http://oauth2.googleapis.com/token", "https://evil.test/token", "https://xgoogleapis.com/t"):
        with pytest.raises(InvalidRequest) as caught:
            token_address(read_service_account(secret_of(uri)), None)
        assert caught.value.param == "secret"


ELLIPTIC = (
    ec.generate_private_key(ec.SECP256R1())
    .private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    .decode()
)


@pytest.mark.parametrize(
    ("given", "options", "param"),
    [
        ("sk-plain-key", {}, "secret"),
        (secret_of("https://oauth2.googleapis.com/token", private_key="no key"), {}, "secret"),
        (secret_of("https://oauth2.googleapis.com/token", private_key=ELLIPTIC), {}, "secret"),
        (secret_of("https://oauth2.googleapis.com/token", project_id=""), {}, "options"),
        (secret_of("https://oauth2.googleapis.com/token"), {"location": "evil.test/"}, "options.location"),
        (secret_of("https://oauth2.googleapis.com/token"), {"location": 7}, "options.location"),
    ],
    ids=["no-json", "no-key", "elliptic", "no-project", "odd-location", "number"],
)
async def test_accounts_that_cannot_work(given: str, options: dict[str, Any], param: str) -> None:
    account = Account(id="a", provider="vertex_veo", name="n", secret=given, options=options)
    async with loopback_transport() as transport:
        with pytest.raises(InvalidRequest) as caught:
            registry.create_provider(account, transport)
    assert caught.value.param == param
    assert "PRIVATE" not in str(caught.value)


@pytest.mark.parametrize(
    ("location", "host"),
    [
        ("us-central1", "https://us-central1-aiplatform.googleapis.com"),
        ("global", "https://aiplatform.googleapis.com"),
        ("eu", "https://aiplatform.eu.rep.googleapis.com"),
    ],
)
def test_addresses(location: str, host: str) -> None:
    account = Account(id="a", provider="vertex_veo", name="n", options={"location": location})
    assert VertexVeoProvider.base_url_for(account) == host


def test_the_secret_is_no_header() -> None:
    options = {"user_project": "payer-1"}
    account = Account(id="a", provider="vertex_veo", name="n", secret="{}", options=options)
    assert VertexVeoProvider.auth_headers(account) == {"x-goog-user-project": "payer-1"}


async def test_capabilities(veo: Provider) -> None:
    assert veo.capabilities("veo-3.1-generate-001").max_pixels == 3840 * 2160
    lite = veo.capabilities("veo-3.1-lite-generate-001")
    assert "reference_image" not in lite.roles
    assert (lite.lengths, lite.max_pixels) == ((4, 6, 8), 1920 * 1080)


async def test_new_generation_has_no_bounds(veo: Provider) -> None:
    able = veo.capabilities("veo-4.0-generate-001")
    assert (able.seconds, able.lengths, able.max_pixels) == (None, (), None)
    veo.check(make_request("veo-4.0-generate-001", seconds=20, aspect_ratio="21:9", resolution="8k"))
