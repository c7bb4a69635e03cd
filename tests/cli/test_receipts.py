"""`filmgate receipt`: a receipt that a real gateway gave is checked without it."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx2
import pytest

from app.client import Filmgate
from tests.cli.running import filmgate
from tests.serving import KEY, GatewayProcess

PROMPT = "[studio:fast] a paper boat"


@dataclass(frozen=True)
class Shop:
    """What a customer has: the film, its receipt, and the keys that were saved before; the gateway is still there."""

    folder: Path
    gateway: GatewayProcess
    video: str

    @property
    def receipt(self) -> Path:
        return self.folder / "film.receipt.json"

    @property
    def film(self) -> Path:
        return self.folder / "film.mp4"

    @property
    def keys(self) -> Path:
        return self.folder / "keys.json"


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    folder = tmp_path_factory.mktemp("shop")
    with GatewayProcess(folder / "data", FILMGATE_STUDIO="on") as gateway:
        with Filmgate(base_url=f"{gateway.url}/v1", api_key=KEY) as client:
            video = client.videos.create_and_poll(prompt=PROMPT, seconds="1", size="64x64")
            made = Shop(folder, gateway, video.id)
            client.videos.receipt(video.id).write_to_file(made.receipt)
            client.videos.download_content(video.id).write_to_file(made.film)
        made.keys.write_bytes(httpx2.get(f"{gateway.url}/.well-known/filmgate-keys.json").content)
        yield made


def test_a_receipt_is_checked_offline(shop: Shop, tmp_path: Path) -> None:
    done = filmgate(
        "receipt", "verify", shop.receipt, "--keys", shop.keys, "--film", shop.film, "--prompt", PROMPT,
        cwd=tmp_path,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    assert done.stdout.count("✓") == 3 and "✗" not in done.stdout
    assert shop.video.removeprefix("video_") in done.stdout
    assert not (tmp_path / "data").exists()


def test_the_keys_come_from_the_gateway_or_from_its_store(shop: Shop, tmp_path: Path) -> None:
    for keys in (
        shop.gateway.url,
        f"{shop.gateway.url}/v1",
        f"{shop.gateway.url}/.well-known/filmgate-keys.json",
    ):
        done = filmgate("receipt", "verify", shop.receipt, "--keys", keys, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
    data = str(shop.gateway.folder)
    assert filmgate("receipt", "verify", shop.receipt, cwd=tmp_path, FILMGATE_DATA_DIR=data).returncode == 0
    printed = filmgate("receipt", "keys", cwd=tmp_path, FILMGATE_DATA_DIR=data)
    assert json.loads(printed.stdout) == json.loads(shop.keys.read_text())


def test_what_is_wrong_is_named_and_ends_with_1(shop: Shop, tmp_path: Path) -> None:
    changed = tmp_path / "changed.json"
    changed.write_text(shop.receipt.read_text().replace('"state": "completed"', '"state": "cancelled"'))
    other = tmp_path / "other.mp4"
    other.write_bytes(shop.film.read_bytes() + b"\0")
    empty = tmp_path / "empty.json"
    empty.write_text('{"keys": []}')
    for words, said in (
        ([changed, "--keys", shop.keys], "changed after it was signed"),
        ([shop.receipt, "--keys", empty], "not among those of --keys"),
        ([shop.film, "--keys", shop.keys], "this is no receipt"),
        ([shop.keys, "--keys", shop.keys], "no receipt with a signature"),
        ([shop.receipt, "--keys", shop.keys, "--film", other], "not the film"),
        ([shop.receipt, "--keys", shop.keys, "--prompt", "a boat"], "not the prompt"),
    ):
        done = filmgate("receipt", "verify", *words, cwd=tmp_path)
        assert done.returncode == 1 and said in done.stdout and "✗" in done.stdout, done.stdout + done.stderr


def test_what_can_not_be_read_ends_with_2(shop: Shop, tmp_path: Path) -> None:
    for words, said in (
        ([tmp_path / "none.json", "--keys", shop.keys], "can't be read"),
        ([shop.receipt, "--keys", tmp_path / "none.json"], "can't be read"),
        ([shop.receipt, "--keys", shop.film], "no list of keys"),
        ([shop.receipt, "--keys", "http://127.0.0.1:9"], "does not answer"),
        ([shop.receipt, "--keys", f"{shop.gateway.url}/healthz.json"], "404"),
        ([shop.receipt, "--keys", shop.keys, "--film", tmp_path / "none.mp4"], "can't be read"),
        ([shop.receipt], "there is no gateway on this machine"),
        ([shop.receipt, "--keys", shop.keys, "--lang", "fr"], "--lang"),
    ):
        done = filmgate("receipt", "verify", *words, cwd=tmp_path)
        assert done.returncode == 2 and said in done.stderr, done.stdout + done.stderr
        assert len(done.stderr.splitlines()) == 1


def test_json_and_chinese(shop: Shop, tmp_path: Path) -> None:
    words = ["receipt", "verify", shop.receipt, "--keys", shop.keys, "--film", shop.film]
    done = filmgate(*words, "--json", cwd=tmp_path, LANG="C.UTF-8", LC_ALL="")
    found = json.loads(done.stdout)
    assert [list(row.values())[:2] for row in found["rows"]] == [["✓", "signature"], ["✓", "film"]]
    for asked in (
        filmgate(*words, cwd=tmp_path, LANG="zh_CN.UTF-8", LC_ALL=""),
        filmgate(*words, "--lang", "zh", cwd=tmp_path),
    ):
        assert asked.returncode == 0 and "签名" in asked.stdout and "影片" in asked.stdout


def test_a_new_key_leaves_old_receipts_valid_and_the_doctor_names_it(tmp_path: Path) -> None:
    data = {"FILMGATE_DATA_DIR": str(tmp_path / "data")}
    first = filmgate("receipt", "rotate-key", cwd=tmp_path, **data).stdout.split()[-2]
    second = filmgate("receipt", "rotate-key", cwd=tmp_path, **data).stdout.split()[-2]
    listed = json.loads(filmgate("receipt", "keys", cwd=tmp_path, **data).stdout)["keys"]
    assert [key["kid"] for key in listed] == [second, first]
    looked = filmgate("doctor", cwd=tmp_path, **data)
    assert f"signed by the key {second}, of 2 published" in looked.stdout
    (tmp_path / "data" / "root.key").write_bytes(b"x" * 32)
    looked = filmgate("doctor", cwd=tmp_path, **data)
    assert looked.returncode == 1 and "rotate-key" in looked.stdout


def test_what_the_address_answers(shop: Shop) -> None:
    with shop.gateway.client() as http:
        answer = http.get(f"/v1/videos/{shop.video}/receipt")
        assert answer.content == shop.receipt.read_bytes()
        assert answer.headers["content-disposition"].endswith('.receipt.json"')
        waiting = http.post(
            "/v1/videos", json={"prompt": "[studio:slow] a boat", "seconds": 1, "size": "64x64"}
        ).json()
        open_task = http.get(f"/v1/videos/{waiting['id']}/receipt")
        assert (open_task.status_code, open_task.json()["error"]["code"]) == (409, "task_open")
        assert open_task.headers["x-should-retry"] == "false"
        assert http.get(f"/v1/videos/video_{'0' * 32}/receipt").status_code == 404
        http.delete(f"/v1/videos/{waiting['id']}")
    assert httpx2.get(f"{shop.gateway.url}/v1/videos/{shop.video}/receipt").status_code == 401
