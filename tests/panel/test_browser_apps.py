"""Pages of another origin, in a real browser: the manuals' own JavaScript and our client work where the origin is named."""

import re
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import pytest
from playwright.sync_api import Browser, Page

from tests.serving import KEY, ROOT, GatewayProcess

SAMPLES = ROOT / "tests" / "contract" / "samples"
PLACES = {"{{BASE_URL}}": "", "{{YOUR_API_KEY}}": KEY, "YOUR_API_KEY": KEY}
OUR_CLIENT = """
import Filmgate, { BadRequestError } from "/index.js";
const client = new Filmgate({ baseURL: "BASE/v1", apiKey: "KEY" });
const canvas = Object.assign(document.createElement("canvas"), { width: 64, height: 64 });
canvas.getContext("2d").fillRect(0, 0, 32, 32);
const input_reference = await new Promise((done) => canvas.toBlob(done));
const wish = { prompt: "[studio:fast] x", seconds: 1, size: "64x64", input_reference };
const video = await client.videos.createAndPoll(wish, { pollIntervalMs: 50 });
const film = await client.videos.downloadContent(video.id);
const bytes = (await film.arrayBuffer()).byteLength;
console.log("made", video.status, bytes === Number(film.headers.get("content-length")), video._request_id);
const error = await client.videos.create({ prompt: "x", seconds: "soon" }).catch((error) => error);
console.log("refused", error instanceof BadRequestError, error.param, error.requestID.slice(0, 4));
"""


class QuietHandler(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        pass


@dataclass(frozen=True)
class Place:
    """The gateway, and the port of a site whose origin by number is allowed, and by name is not."""

    gateway: GatewayProcess
    port: int


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    handler = partial(QuietHandler, directory=str(ROOT / "clients" / "node"))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as site:
        thread = threading.Thread(target=site.serve_forever, daemon=True)
        thread.start()
        origin = f"http://127.0.0.1:{site.server_port}"
        folder = tmp_path_factory.mktemp("apps")
        with GatewayProcess(folder, FILMGATE_STUDIO="on", FILMGATE_CORS_ORIGINS=origin) as gateway:
            yield Place(gateway, site.server_port)
        site.shutdown()
        thread.join()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    opened = browser.new_page()
    yield opened
    opened.close()


def run_script(page: Page, address: str, source: str, *, until: str) -> str:
    """What the script writes to the console, up to a line with ``until``."""
    lines: list[str] = []
    page.on("console", lambda message: lines.append(message.text))
    page.on("pageerror", lambda error: lines.append(f"thrown: {error}"))
    page.goto(f"{address}/README.md")
    with page.expect_console_message(lambda message: bool(re.search(until, message.text)), timeout=120_000):
        page.evaluate(
            """source => { const script = document.createElement("script"); script.type = "module";
            script.textContent = source; document.body.append(script); }""",
            source,
        )
    return "\n".join(lines)


def as_printed(name: str, gateway: GatewayProcess) -> str:
    """A program of a manual, with the address and the key filled in."""
    source = (SAMPLES / name).read_text()
    for word, value in PLACES.items():
        source = source.replace(word, value)
    return re.sub(r"fetch\((['\"])/", rf"fetch(\1{gateway.url}/", source)


@pytest.mark.parametrize(
    ("name", "until"),
    [("models.mjs", '"sora-2"'), ("veo.mjs", "task_id"), ("return_format.mjs", "Stream completed")],
)
def test_a_program_of_the_manuals(name: str, until: str, page: Page, place: Place) -> None:
    seen = run_script(page, f"http://127.0.0.1:{place.port}", as_printed(name, place.gateway), until=until)
    assert "blocked by CORS" not in seen
    assert "thrown" not in seen


def test_our_client(page: Page, place: Place) -> None:
    source = OUR_CLIENT.replace("BASE", place.gateway.url).replace("KEY", KEY)
    seen = run_script(page, f"http://127.0.0.1:{place.port}", source, until="^(refused|thrown)")
    assert re.search(r"^made completed true req_\w+$", seen, re.MULTILINE), seen
    assert re.search(r"^refused true seconds req_$", seen, re.MULTILINE), seen


def test_a_page_that_is_not_named_is_locked_out(page: Page, place: Place) -> None:
    source = as_printed("models.mjs", place.gateway)
    seen = run_script(page, f"http://localhost:{place.port}", source, until="^error")
    assert "blocked by CORS policy" in seen
