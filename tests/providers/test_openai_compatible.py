"""The OpenAI-compatible provider against the fake upstream: the contract, and what is its own."""

import asyncio
import base64
import json
from typing import Any

import pytest
from prometheus_client import REGISTRY

from app.errors import (
    InvalidRequest,
    OperationNotFound,
    OutcomeUnknown,
    PollFailed,
    UnsupportedWish,
    UpstreamFailed,
    UpstreamModerated,
    UpstreamRejected,
)
from app.generation import GenerationRequest, MediaInput
from app.providers import registry
from app.providers.base import (
    Account,
    Failed,
    Operation,
    Provider,
    Queued,
    ResultFile,
    Running,
    Submission,
    Succeeded,
)
from app.providers.openai_compatible.provider import OpenAICompatibleProvider
from app.providers.transport import UpstreamTransport
from tests.providers.contract import SECRET, ProviderContract
from tests.upstream import FakeUpstream
from tests.upstream.media import tiny_mp4, tiny_png
from tests.upstream.transport import loopback_transport


class TestOpenAICompatible(ProviderContract):
    def account(self, origin: str, **options: Any) -> Account:
        return Account(
            id="a1",
            provider="openai_compatible",
            name="fake",
            base_url=origin,
            secret=SECRET,
            options=options,
        )

    def with_options(self, upstream: FakeUpstream, transport: UpstreamTransport, **options: Any) -> Provider:
        return registry.create_provider(self.account(upstream.url, **options), transport)

    # ---- submit ----

    async def test_json_body(self, upstream: FakeUpstream, provider: Provider) -> None:
        extra = {"mode": "pro", "nested": {"a": [1]}}
        wish = GenerationRequest(
            kind="video", model="m1", prompt="A kite", seconds=4, size="1280x720", seed=7,
            negative_prompt="rain", extra=extra,
        )  # fmt: skip
        await provider.start(wish, self.submission)
        seen = upstream.counters().last["create"]
        assert seen.headers["content-type"] == "application/json"
        assert seen.headers["authorization"] == f"Bearer {SECRET}"
        assert seen.headers["idempotency-key"] == "contract-key-1"
        assert seen.fields == {
            "model": "m1", "prompt": "A kite", "seconds": "4", "size": "1280x720", "seed": 7,
            "negative_prompt": "rain", "mode": "pro", "nested": {"a": [1]},
        }  # fmt: skip

    @pytest.mark.parametrize(
        "name", ["model", "Prompt", "SECONDS", "n", "duration", "api_key", "input_reference"]
    )
    async def test_a_reserved_name_is_refused(
        self, upstream: FakeUpstream, provider: Provider, name: str
    ) -> None:
        with pytest.raises(UnsupportedWish) as refused:
            await provider.start(self.request().model_copy(update={"extra": {name: "x"}}), self.submission)
        assert refused.value.param == name
        assert upstream.counters().requests == {}

    async def test_picture_goes_as_a_form(self, upstream: FakeUpstream, provider: Provider) -> None:
        picture = MediaInput(role="first_frame", content_type="image/png", content=tiny_png())
        wish = self.request().model_copy(update={"media": (picture,), "extra": {"mode": "pro", "loop": True}})
        await provider.start(wish, self.submission)
        seen = upstream.counters().last["create"]
        assert seen.files == {"input_reference": [f"image/png;{len(tiny_png())}"]}
        assert seen.fields == {
            "model": "fake-video", "prompt": "A red kite", "seconds": "4", "mode": "pro", "loop": "true",
        }  # fmt: skip

    async def test_picture_known_by_address(self, upstream: FakeUpstream, provider: Provider) -> None:
        picture = MediaInput(
            role="reference_image", content_type="image/png", url="https://pictures.test/a.png"
        )
        await provider.start(self.request().model_copy(update={"media": (picture,)}), self.submission)
        fields = upstream.counters().last["create"].fields
        assert fields["input_reference"] == {"image_url": "https://pictures.test/a.png"}

    async def test_several_pictures(
        self, upstream: FakeUpstream, provider: Provider, transport: UpstreamTransport
    ) -> None:
        picture = MediaInput(role="reference_image", content_type="image/png", content=tiny_png())
        wish = self.request().model_copy(update={"media": (picture, picture)})
        with pytest.raises(UpstreamRejected) as caught:
            await provider.start(wish, self.submission)
        assert caught.value.param == "input_reference"
        able = self.with_options(upstream, transport, capabilities={"references": 2})
        await able.start(wish, self.submission)
        assert list(upstream.counters().last["create"].files) == ["input_reference[]"]
        await able.close()

    async def test_what_cannot_be_told_is_refused(self, provider: Provider) -> None:
        sound = MediaInput(role="audio", content_type="audio/wav", content=b"RIFF")
        with pytest.raises(UpstreamRejected) as caught:
            await provider.start(self.request().model_copy(update={"media": (sound,)}), self.submission)
        assert caught.value.param == "audio"

    @pytest.mark.parametrize(("action", "path"), [("edit", "edits"), ("extend", "extensions")])
    async def test_change_a_given_video(
        self, upstream: FakeUpstream, provider: Provider, action: str, path: str
    ) -> None:
        clip = MediaInput(role="source_video", content_type="video/mp4", content=tiny_mp4())
        wish = self.request().model_copy(update={"action": action, "media": (clip,)})
        operation = await provider.start(wish, self.submission)
        seen = upstream.counters().last[action]
        assert seen.path == f"/v1/videos/{path}"
        assert seen.files == {"video": [f"video/mp4;{len(tiny_mp4())}"]}
        assert isinstance(await provider.poll(operation), Succeeded)

    async def test_remix_and_edit_of_its_own(self, upstream: FakeUpstream, provider: Provider) -> None:
        first = await self.start(provider)
        again = Submission("contract-key-2", remix_operation=first)
        await provider.start(self.request().model_copy(update={"action": "remix"}), again)
        seen = upstream.counters().last["remix"]
        assert seen.path == f"/v1/videos/{first.id}/remix"
        assert "model" not in seen.fields
        await provider.start(self.request().model_copy(update={"action": "edit"}), again)
        assert upstream.counters().last["edit"].fields["video"] == {"id": first.id}

    async def test_remix_of_a_stranger(self, provider: Provider) -> None:
        with pytest.raises(UpstreamRejected) as caught:
            await provider.start(self.request().model_copy(update={"action": "remix"}), self.submission)
        assert caught.value.param == "remix_of"

    @pytest.mark.parametrize("body", [{"task_id": "t-1"}, {"id": 17, "status": "NOT_START"}])
    @pytest.mark.parametrize("status", [200, 201, 202])
    async def test_any_2xx_and_either_name(
        self, upstream: FakeUpstream, provider: Provider, body: dict[str, Any], status: int
    ) -> None:
        upstream.fault("create", status=status, body=body)
        assert (await self.start(provider)).id in {"t-1", "17"}

    async def test_refusal_inside_a_200(self, upstream: FakeUpstream, provider: Provider) -> None:
        upstream.fault("create", status=200, body=self.refusal("content_policy_violation"))
        await self.refused(provider, UpstreamModerated)
        upstream.fault("create", status=200, body=self.refusal("no_gpu"))
        await self.refused(provider, UpstreamFailed)
        upstream.fault("create", status=200, body={"status": "queued"})
        await self.refused(provider, OutcomeUnknown)

    async def test_an_id_that_leads_elsewhere(self, upstream: FakeUpstream, provider: Provider) -> None:
        upstream.fault("create", status=200, body={"id": ".."})
        await self.refused(provider, OutcomeUnknown)
        with pytest.raises(OperationNotFound):
            await provider.poll(Operation(id="../../files/image.png?x=1#y"))
        assert upstream.counters().last["poll"].path.startswith("/v1/videos/..%2F..%2Ffiles%2Fimage.png%3Fx")

    # ---- poll ----

    @pytest.mark.parametrize(
        ("word", "kind"),
        [("pending", Queued), ("NOT_START", Queued), ("processing", Running), ("SUCCESS", Succeeded),
         ("succeeded", Succeeded), ("finished", Succeeded), ("complete", Succeeded), ("Ready", Succeeded),
         ("IN_QUEUE", Queued), ("Queueing", Queued), ("dreaming", Running), ("fail", Failed), ("FAILURE", Failed)],
    )  # fmt: skip
    async def test_words(self, upstream: FakeUpstream, provider: Provider, word: str, kind: type) -> None:
        upstream.script(statuses=[word])
        assert isinstance(await provider.poll(await self.start(provider)), kind)

    @pytest.mark.parametrize(("word", "code"), [("cancelled", "cancelled"), ("expired", "expired")])
    async def test_ended_otherwise(
        self, upstream: FakeUpstream, provider: Provider, word: str, code: str
    ) -> None:
        upstream.script(statuses=[word])
        answer = await provider.poll(await self.start(provider))
        assert isinstance(answer, Failed)
        assert answer.code == code

    async def test_moderated_in_a_foreign_word(self, upstream: FakeUpstream, provider: Provider) -> None:
        upstream.script(statuses=["Content Moderated"])
        answer = await provider.poll(await self.start(provider))
        assert isinstance(answer, Failed)
        assert answer.code == "content_policy_violation"

    @pytest.mark.parametrize("name", ["fail_reason", "failReason", "failure_reason", "error_message"])
    async def test_reason_under_another_name(
        self, upstream: FakeUpstream, provider: Provider, name: str
    ) -> None:
        upstream.fault(
            "poll", status=200, body={"id": "x", "status": "FAILURE", name: f"No GPU for {SECRET}"}
        )
        answer = await provider.poll(await self.start(provider))
        assert answer == Failed("upstream_error", "No GPU for [secret]")

    async def test_unknown_word_is_counted(self, upstream: FakeUpstream, provider: Provider) -> None:
        def count() -> float:
            labels = {"provider": "openai_compatible"}
            return REGISTRY.get_sample_value("filmgate_unknown_upstream_state_total", labels) or 0.0

        before = count()
        upstream.script(statuses=["defragmenting"])
        await provider.poll(await self.start(provider))
        assert count() == before + 1

    async def test_failed_job_with_an_error_status(self, upstream: FakeUpstream, provider: Provider) -> None:
        upstream.script(final="failed", failed_http=500, error={"code": "oom", "message": f"out, {SECRET}"})
        answer = await provider.poll(await self.start(provider))
        assert answer == Failed("upstream_error", "out, [secret]")

    async def test_error_as_text(self, upstream: FakeUpstream, provider: Provider) -> None:
        upstream.script(final="failed", error="it broke")
        assert await provider.poll(await self.start(provider)) == Failed("upstream_error", "it broke")

    async def test_pace_and_progress(self, upstream: FakeUpstream, provider: Provider) -> None:
        operation = await self.start(provider)
        upstream.script(statuses=["in_progress"], poll_after_ms=2500)
        assert await provider.poll(operation) == Running(progress=0.0, retry_after=2.5)
        upstream.fault("poll", status=200, body={"id": "x", "status": "running", "progress": "45%"})
        assert await provider.poll(operation) == Running(progress=45.0)
        upstream.fault("poll", status=200, body={"id": "x", "status": "running", "progress": {"odd": 1}})
        assert await provider.poll(operation) == Running()

    # ---- results ----

    async def result(self, provider: Provider, operation: Operation) -> ResultFile:
        answer = await provider.poll(operation)
        assert isinstance(answer, Succeeded)
        return answer.files[0]

    async def read(self, provider: Provider, operation: Operation, file: ResultFile) -> bytes:
        return b"".join([chunk async for chunk in provider.fetch(operation, file)])

    async def test_result_behind_the_key(self, upstream: FakeUpstream, provider: Provider) -> None:
        operation = await self.start(provider)
        file = await self.result(provider, operation)
        assert file.url is None
        assert await self.read(provider, operation, file) == tiny_mp4()
        assert upstream.counters().last["content"].headers["authorization"] == f"Bearer {SECRET}"

    @pytest.mark.parametrize("where", ["url", "video_url", "metadata", "urls"])
    async def test_public_link(self, upstream: FakeUpstream, provider: Provider, where: str) -> None:
        link = "https://videos.test/a.mp4?sig=1"
        shown: Any = {"metadata": {"url": link}, "urls": [link]}.get(where, link)
        upstream.script(fields={where: shown})
        assert (await self.result(provider, await self.start(provider))).url == link

    @pytest.mark.parametrize("link", ["file:///etc/passwd", "http://[", "//evil.test/a.mp4", "", "../../a"])
    async def test_link_that_cannot_be_asked(
        self, upstream: FakeUpstream, provider: Provider, link: str
    ) -> None:
        upstream.script(fields={"url": link})
        operation = await self.start(provider)
        file = await self.result(provider, operation)
        assert file.data == {"places": [{"path": f"/v1/videos/{operation.id}/content", "query": {}}]}

    @pytest.mark.parametrize("link", ["ORIGIN/files/video.mp4?a=1", "/files/video.mp4"])
    @pytest.mark.parametrize("status", [401, 404])
    async def test_link_on_its_own_host(
        self, upstream: FakeUpstream, provider: Provider, link: str, status: int
    ) -> None:
        """The film is at the link that the object names, and ``/content`` is refused."""
        upstream.script(fields={"url": link.replace("ORIGIN", upstream.url)})
        upstream.fault("content", status=status, body=self.refusal("no_content"), times=None)
        operation = await self.start(provider)
        file = await self.result(provider, operation)
        assert file.url is None
        assert await self.read(provider, operation, file) == tiny_mp4()
        assert upstream.counters().last["file"].headers["authorization"] == f"Bearer {SECRET}"

    async def test_link_that_leads_nowhere(self, upstream: FakeUpstream, provider: Provider) -> None:
        upstream.script(fields={"url": "/pages/about"})
        operation = await self.start(provider)
        file = await self.result(provider, operation)
        assert await self.read(provider, operation, file) == tiny_mp4()

    @pytest.mark.parametrize(
        "fields",
        [
            {"outputs": {"video_url": "LINK"}},  # Together
            {"output": ["LINK"]},
            {"output": {"video_url": "LINK"}},
            {"outputs": ["LINK"]},
            {"content": {"video_url": "LINK"}},
            {"result": {"url": "LINK"}},
            {"result_urls": ["LINK"]},
            {"videos": [{"url": "LINK"}]},
            {"data": [{"url": "LINK"}]},
            {"fail_reason": "LINK"},  # one-api's older descendants
        ],
    )
    async def test_where_gateways_name_the_film(
        self, upstream: FakeUpstream, provider: Provider, fields: dict[str, Any]
    ) -> None:
        link = "https://videos.test/a.mp4"
        upstream.script(fields=json.loads(json.dumps(fields).replace("LINK", link)))
        assert (await self.result(provider, await self.start(provider))).url == link

    async def test_result_path_of_the_operator(
        self, upstream: FakeUpstream, transport: UpstreamTransport
    ) -> None:
        link = "https://videos.test/true.mp4"
        upstream.script(fields={"url": "https://videos.test/cover.png", "assets": {"clips": [{"mp4": link}]}})
        able = self.with_options(upstream, transport, result_path="assets.clips.0.mp4")
        assert (await self.result(able, await self.start(able))).url == link
        await able.close()
        with pytest.raises(InvalidRequest) as refused:
            self.with_options(upstream, transport, result_path="a..b")
        assert refused.value.param == "options.result_path"

    @pytest.mark.parametrize("wrapper", ["data", "result"])
    async def test_wrapped_answers(self, upstream: FakeUpstream, provider: Provider, wrapper: str) -> None:
        accepted = {
            "code": 0,
            "message": "success",
            "status": "success",
            wrapper: {"task_id": "t-1", "status": "queued"},
        }
        upstream.fault("create", status=200, body=accepted)
        operation = await self.start(provider)
        assert operation.id == "t-1"
        link = "https://videos.test/a.mp4"
        made = {
            "code": "success",
            wrapper: {"id": None, "task_id": "t-1", "status": "SUCCESS", "video_url": link},
        }
        upstream.fault("poll", status=200, body=made)
        assert (await self.result(provider, operation)).url == link

    async def test_content_redirected_elsewhere_goes_without_the_key(
        self, upstream: FakeUpstream, provider: Provider
    ) -> None:
        operation = await self.start(provider)
        file = await self.result(provider, operation)
        with FakeUpstream() as elsewhere:
            headers = {"Location": f"{elsewhere.url}/files/video.mp4"}
            upstream.fault("content", status=302, headers=headers)
            assert await self.read(provider, operation, file) == tiny_mp4()
            seen = elsewhere.counters().last["file"]
            assert "authorization" not in seen.headers
            assert SECRET not in seen.model_dump_json()

    async def test_content_redirected_at_home_keeps_the_key(
        self, upstream: FakeUpstream, provider: Provider
    ) -> None:
        operation = await self.start(provider)
        file = await self.result(provider, operation)
        upstream.fault("content", status=307, headers={"Location": "/files/video.mp4"})
        assert await self.read(provider, operation, file) == tiny_mp4()
        assert upstream.counters().last["file"].headers["authorization"] == f"Bearer {SECRET}"

    @pytest.mark.parametrize(
        "fault",
        [
            {"do": "cut"}, {"do": "reset"}, {"do": "status", "status": 404}, {"do": "status", "status": 500},
            {"do": "status", "status": 200, "text": "<html>"}, {"do": "status", "status": 200, "body": {}},
            {"do": "status", "status": 302, "headers": {"Location": "ftp://files.test/a"}},
            {"do": "status", "status": 302, "headers": {"Location": "http://["}},
        ],
        ids=["cut", "reset", "404", "500", "html", "json", "ftp", "garbled"],
    )  # fmt: skip
    async def test_content_broken(
        self, upstream: FakeUpstream, provider: Provider, fault: dict[str, Any]
    ) -> None:
        operation = await self.start(provider)
        file = await self.result(provider, operation)
        upstream.fault("content", **fault)
        with pytest.raises((PollFailed, OperationNotFound)):
            await self.read(provider, operation, file)
        assert await self.read(provider, operation, file) == tiny_mp4()

    async def test_content_redirected_in_circles(self, upstream: FakeUpstream, provider: Provider) -> None:
        operation = await self.start(provider)
        file = await self.result(provider, operation)
        where = f"/v1/videos/{operation.id}/content"
        upstream.fault("content", status=302, headers={"Location": where}, times=None)
        with pytest.raises(PollFailed, match="circles"):
            await self.read(provider, operation, file)

    async def test_large_result_is_streamed(self, upstream: FakeUpstream, provider: Provider) -> None:
        upstream.script(video_bytes=50_000_000)
        operation = await self.start(provider)
        file = await self.result(provider, operation)
        sizes = [len(chunk) async for chunk in provider.fetch(operation, file)]
        assert sum(sizes) == 50_000_000
        assert max(sizes) < 5_000_000

    # ---- images ----

    @pytest.mark.parametrize("form", ["b64_json", "url"])
    async def test_image(self, upstream: FakeUpstream, provider: Provider, form: str) -> None:
        upstream.script(image_as=form)
        wish = GenerationRequest(kind="image", model="fake-image", prompt="A kite", size="1024x1024")
        operation = await provider.start(wish, self.submission)
        restored = Operation.model_validate_json(operation.model_dump_json())
        answer = await provider.poll(restored)
        assert isinstance(answer, Succeeded)
        assert answer.usage["total_tokens"] == 105
        if form == "url":
            assert answer.files[0].url == f"{upstream.url}/files/image.png"
        else:
            assert await self.read(provider, restored, answer.files[0]) == tiny_png()
        assert await provider.cancel(restored) is False
        assert upstream.counters().last["images"].fields == {
            "model": "fake-image", "prompt": "A kite", "size": "1024x1024",
        }  # fmt: skip

    @pytest.mark.parametrize("name", ["url", "b64_json"])
    async def test_image_as_a_data_uri(self, upstream: FakeUpstream, provider: Provider, name: str) -> None:
        link = "data:image/png;base64," + base64.b64encode(tiny_png()).decode()
        upstream.fault("images", status=200, body={"data": [{name: link}]})
        wish = GenerationRequest(kind="image", model="fake-image", prompt="A kite")
        operation = await provider.start(wish, self.submission)
        assert await self.read(provider, operation, await self.result(provider, operation)) == tiny_png()

    async def test_image_from_an_image(self, upstream: FakeUpstream, provider: Provider) -> None:
        picture = MediaInput(role="reference_image", content_type="image/png", content=tiny_png())
        wish = GenerationRequest(kind="image", model="fake-image", prompt="A kite", media=(picture, picture))
        await provider.start(wish, self.submission)
        seen = upstream.counters().last["images"]
        assert seen.path == "/v1/images/edits"
        assert list(seen.files) == ["image[]"]

    async def test_image_that_cannot_be_decoded(self, upstream: FakeUpstream, provider: Provider) -> None:
        upstream.fault("images", status=200, body={"data": [{"b64_json": "?"}]})
        wish = GenerationRequest(kind="image", model="fake-image", prompt="A kite")
        operation = await provider.start(wish, self.submission)
        with pytest.raises(PollFailed):
            await self.read(provider, operation, await self.result(provider, operation))

    @pytest.mark.parametrize(
        ("start", "kind"),
        [
            (b"\xff\xd8\xff\xe0abcdefgh", "image/jpeg"),
            (b"RIFF....WEBPVP8", "image/webp"),
            (b"?", "image/png"),
        ],
    )
    async def test_image_types(
        self, upstream: FakeUpstream, provider: Provider, start: bytes, kind: str
    ) -> None:
        body = {"data": [{"b64_json": base64.b64encode(start).decode()}]}
        upstream.fault("images", status=200, body=body)
        wish = GenerationRequest(kind="image", model="fake-image", prompt="A kite")
        operation = await provider.start(wish, self.submission)
        assert (await self.result(provider, operation)).content_type == kind

    # ---- the rest ----

    async def test_cancel(self, upstream: FakeUpstream, provider: Provider) -> None:
        operation = await self.start(provider)
        assert await provider.cancel(operation) is True
        assert upstream.counters().deletes == [operation.id]
        assert await provider.cancel(operation) is False
        upstream.fault("delete", status=500)
        with pytest.raises(PollFailed):
            await provider.cancel(operation)

    async def test_recover_by_the_same_key(
        self, upstream: FakeUpstream, transport: UpstreamTransport
    ) -> None:
        able = self.with_options(upstream, transport, idempotency=True)
        assert able.capabilities("m").idempotency_key
        upstream.script(honour_idempotency=True)
        upstream.fault("create", do="reset", accepts=True)
        await self.refused(able, OutcomeUnknown)
        upstream.fault("create", status=401)
        with pytest.raises(PollFailed):
            await able.recover(self.request(), self.submission)
        operation = await able.recover(self.request(), self.submission)
        assert operation is not None
        counters = upstream.counters()
        assert counters.jobs == 1
        assert counters.submissions == {"contract-key-1": 3}
        await able.close()

    async def test_recover_where_nobody_can_be_asked(
        self, upstream: FakeUpstream, provider: Provider
    ) -> None:
        with pytest.raises(OutcomeUnknown):
            await provider.recover(self.request(), self.submission)
        assert upstream.counters().requests == {}

    async def test_capabilities_as_declared(
        self, upstream: FakeUpstream, provider: Provider, transport: UpstreamTransport
    ) -> None:
        unknown = provider.capabilities("m")
        assert unknown.seconds is None
        assert unknown.kinds == {"video", "image", "text"}
        declared = {"seconds": [1, 20], "sizes": ["1280x720"], "remix": False, "cancel": False}
        able = self.with_options(upstream, transport, capabilities=declared)
        known = able.capabilities("m")
        assert known.seconds == (1, 20)
        assert known.sizes == {"1280x720"}
        assert known.remix is False
        assert await able.cancel(Operation(id="x")) is False
        assert upstream.counters().requests == {}
        await able.close()

    async def test_options_that_cannot_be_read(
        self, upstream: FakeUpstream, transport: UpstreamTransport
    ) -> None:
        with pytest.raises(InvalidRequest) as caught:
            self.with_options(upstream, transport, capabilities={"seconds": "long"})
        assert caught.value.param == "options.capabilities.seconds"

    async def test_relay(self, upstream: FakeUpstream, provider: Provider) -> None:
        target = provider.relay_target("chat/completions")
        assert target is not None
        assert target.url == f"{upstream.url}/v1/chat/completions"
        assert target.headers == {"Authorization": f"Bearer {SECRET}"}
        assert SECRET not in repr(target)

    async def test_many_at_once(self, upstream: FakeUpstream, provider: Provider) -> None:
        operations = await asyncio.gather(*(self.start(provider) for _ in range(50)))
        assert len({operation.id for operation in operations}) == 50
        answers = await asyncio.gather(*(provider.poll(operation) for operation in operations))
        assert all(isinstance(answer, Succeeded) for answer in answers)


@pytest.mark.parametrize(
    ("given", "address"),
    [
        ("https://host", "https://host/v1"),
        ("https://host/", "https://host/v1"),
        ("https://host/v1/", "https://host/v1"),
        ("https://host/api", "https://host/api/v1"),
        ("https://host/v1beta/openai", "https://host/v1beta/openai"),
        ("https://host/api/paas/v4", "https://host/api/paas/v4"),
        (" http://127.0.0.1:8091 ", "http://127.0.0.1:8091/v1"),
    ],
)
def test_address(given: str, address: str) -> None:
    account = Account(id="a", provider="openai_compatible", name="n", base_url=given)
    assert OpenAICompatibleProvider.base_url_for(account) == address


@pytest.mark.parametrize("given", ["", "host/v1", "ftp://host/v1", "https://"])
def test_address_that_cannot_work(given: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        OpenAICompatibleProvider.base_url_for(
            Account(id="a", provider="openai_compatible", name="n", base_url=given)
        )
    assert caught.value.param == "base_url"


def test_no_secret_no_header() -> None:
    assert (
        OpenAICompatibleProvider.auth_headers(Account(id="a", provider="openai_compatible", name="n")) == {}
    )


async def test_unknown_provider() -> None:
    async with loopback_transport() as transport:
        with pytest.raises(InvalidRequest) as caught:
            registry.create_provider(Account(id="a", provider="nobody", name="n"), transport)
    assert caught.value.param == "provider"


def test_registry_is_alphabetical() -> None:
    assert list(registry.PROVIDERS) == sorted(registry.PROVIDERS)
    assert all(registry.provider_class(name).name == name for name in registry.PROVIDERS)
