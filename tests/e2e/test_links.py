"""Finished files: the content endpoint, and links that carry their own permission."""

import time
from urllib.parse import parse_qs, urlsplit

import httpx2
import pytest
from openai import OpenAI
from openai.types import Video

from app.media.links import LinkSigner
from app.vault import Vault
from tests.e2e.conftest import ROOT_KEY, Setting
from tests.e2e.footage import read_clip
from tests.e2e.waiting import completed
from tests.serving import until


@pytest.fixture(scope="module")
def finished(client: OpenAI) -> Video:
    return completed(client, "a bridge")


@pytest.fixture(scope="module")
def link(finished: Video) -> str:
    return str(finished.to_dict()["url"])


@pytest.fixture(params=["content endpoint", "signed link"])
def address(request: pytest.FixtureRequest, finished: Video, link: str) -> str:
    return link if request.param == "signed link" else f"/v1/videos/{finished.id}/content"


def test_a_link_needs_no_key(keyless: httpx2.Client, setting: Setting, link: str) -> None:
    assert link.startswith(f"{setting.gateway.url}/files/")
    answer = keyless.get(link)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "video/mp4")
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert read_clip(answer.content).size == "320x180"


def test_head_range_and_revalidation(http: httpx2.Client, address: str) -> None:
    whole = http.get(address)
    size = len(whole.content)
    assert whole.headers["content-length"] == str(size)
    assert whole.headers["accept-ranges"] == "bytes"
    head = http.head(address)
    assert (head.status_code, head.headers["content-length"], head.content) == (200, str(size), b"")
    part = http.get(address, headers={"range": "bytes=10-19"})
    assert (part.status_code, part.content) == (206, whole.content[10:20])
    assert part.headers["content-range"] == f"bytes 10-19/{size}"
    assert http.get(address, headers={"range": "bytes=-5"}).content == whole.content[-5:]
    known = http.get(address, headers={"if-none-match": whole.headers["etag"]})
    assert (known.status_code, known.content) == (304, b"")


def test_a_range_beyond_the_end(http: httpx2.Client, address: str) -> None:
    size = http.head(address).headers["content-length"]
    beyond = http.get(address, headers={"range": f"bytes={size}-"})
    assert beyond.status_code == 416
    assert beyond.headers["content-range"] == f"bytes */{size}"
    assert beyond.json()["error"]["code"] == "range_not_satisfiable"


def test_a_changed_link_is_refused(keyless: httpx2.Client, link: str) -> None:
    parts = urlsplit(link)
    query = {name: values[0] for name, values in parse_qs(parts.query).items()}
    later = query | {"expires": str(int(query["expires"]) + 1)}
    forged = query | {"signature": query["signature"][:-1] + ("A" if query["signature"][-1] != "A" else "B")}
    other = parts.path.rsplit("/", 1)[0] + "/thumbnail.webp"
    for path, asked in (
        (parts.path, later),
        (parts.path, forged),
        (parts.path, {}),
        (parts.path, {"expires": query["expires"]}),
        (parts.path, {"expires": "never", "signature": "é"}),
        (other, query),
        (f"/files/{'0' * 32}/video.mp4", query),
    ):
        answer = keyless.get(path, params=asked)
        assert (answer.status_code, answer.json()["error"]["type"]) == (403, "permission_error"), asked


def test_an_old_link_has_expired(keyless: httpx2.Client, setting: Setting, link: str) -> None:
    vault = Vault.open(secret_key=ROOT_KEY, data_dir=setting.gateway.folder)
    signer = LinkSigner(vault.derive_keys("signed-link"), ttl_seconds=60)
    path = urlsplit(link).path
    assert keyless.get(signer.sign(path, now=time.time())).status_code == 200
    old = keyless.get(signer.sign(path, now=time.time() - 61))
    assert (old.status_code, old.json()["error"]["code"]) == (410, "expired")


def test_content_expires(short_lived: Setting) -> None:
    """A gateway that keeps results for a second."""
    with short_lived.gateway.client() as http:
        with OpenAI(base_url=short_lived.base, api_key=short_lived.keys.other) as client:
            video = completed(client, "brief")
            until(lambda: time.time() >= (video.expires_at or 0) + 1)
            with pytest.raises(Exception, match="expired") as refused:
                client.videos.download_content(video.id)
            assert getattr(refused.value, "status_code", 0) == 410
            again = client.videos.retrieve(video.id)
            assert (again.status, again.to_dict()["url"]) == ("completed", None)
        answer = http.get(str(video.to_dict()["url"]))
        assert (answer.status_code, answer.json()["error"]["code"]) == (410, "expired")
