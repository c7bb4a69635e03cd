"""Every form an input may come in, and every way it may be wrong."""

import base64
import hashlib
import struct
import subprocess
import sys
import zlib
from collections.abc import AsyncIterator
from io import BytesIO
from pathlib import Path

import pytest
import pytest_asyncio
from aiohttp import web
from starlette.datastructures import UploadFile

from app.errors import InvalidRequest, PayloadTooLarge
from app.generation import Role
from app.media.fetch import MediaFetcher
from app.media.inputs import InputReader
from app.media.inspection import MediaInspector, sniff_content_type
from app.media.scratch import ScratchFolder
from tests.media.clips import make_picture
from tests.media.conftest import Serve

PNG = make_picture("PNG")
FORMS = {"JPEG": "image/jpeg", "PNG": "image/png", "WEBP": "image/webp", "GIF": "image/gif"}


@pytest_asyncio.fixture
async def reader(fetcher: MediaFetcher, tmp_path: Path) -> AsyncIterator[InputReader]:
    inspector, scratch = MediaInspector(workers=1), ScratchFolder(tmp_path / "work")
    yield InputReader(fetcher, inspector, scratch, max_image_bytes=200_000, max_video_bytes=400_000)
    await inspector.close()
    scratch.close()


async def image(reader: InputReader, value: str | bytes | UploadFile) -> bytes:
    found = await reader.read_input(value, role="first_frame", param="input_reference")
    assert found.content is not None
    assert found.sha256 == hashlib.sha256(found.content).hexdigest()
    return found.content


@pytest.mark.parametrize("form", FORMS)
async def test_all_ways_in(reader: InputReader, serve: Serve, form: str) -> None:
    content = make_picture(form)
    text = base64.b64encode(content).decode()

    async def answer(request: web.Request) -> web.Response:
        return web.Response(body=content, headers={"content-type": "application/octet-stream"})

    link = await serve(answer) + "/cat"
    upload = UploadFile(BytesIO(content), filename="evil/../cat.exe")
    lines = "\r\n".join(text[at : at + 76] for at in range(0, len(text), 76))
    url_safe = base64.urlsafe_b64encode(content).decode().rstrip("=")
    values = [content, upload, text, lines, url_safe, f"data:{FORMS[form]};base64,{text}", f" {link} "]
    for value in values:
        found = await reader.read_input(value, role="first_frame", param="p")
        assert (found.content, found.content_type) == (content, FORMS[form])
        assert found.url == (link if value == f" {link} " else None)


@pytest.mark.parametrize(
    ("address", "role", "content_type"),
    [
        ("asset://asset-20260224-x7", "reference_image", "image/png"),
        ("gs://bucket/frames/a.webp", "first_frame", "image/webp"),
        ("oss://dashscope-instant/a/b.mov", "source_video", "video/quicktime"),
        ("oss://dashscope-instant/a/b.png", "source_video", "video/mp4"),
        ("mm_file://123", "audio", "audio/mpeg"),
    ],
)
async def test_an_address_in_a_vendors_store_stays_unread(
    reader: InputReader, address: str, role: Role, content_type: str
) -> None:
    found = await reader.read_input(f" {address} ", role=role, param="p")
    assert (found.url, found.content, found.content_type) == (address, None, content_type)
    other = await reader.read_input(f"{address}2", role=role, param="p")
    assert found.sha256 != other.sha256  # equal wishes are told apart by it


@pytest.mark.parametrize(
    "address", ["file:///etc/passwd", "ftp://host/a.png", "asset://", "asset://a b", "gs:a"]
)
async def test_other_schemes_are_no_media(reader: InputReader, address: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        await reader.read_input(address, role="first_frame", param="image")
    assert caught.value.param == "image"


async def test_a_clip_and_its_roles(reader: InputReader, clip_bytes: bytes) -> None:
    content = clip_bytes
    roles: tuple[Role, ...] = ("source_video", "reference_video", "subject")
    for role in roles:
        found = await reader.read_input(content, role=role, param="video")
        assert (found.content_type, found.role) == ("video/mp4", role)
    with pytest.raises(InvalidRequest, match="must be an image") as caught:
        await reader.read_input(content, role="last_frame", param="images[1]")
    assert caught.value.param == "images[1]"
    with pytest.raises(InvalidRequest, match="must be a video"):
        await reader.read_input(PNG, role="source_video", param="video")
    with pytest.raises(InvalidRequest, match="must be a sound"):
        await reader.read_input(content, role="audio", param="audio")


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"<html></html>",
        b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        b"\x89PNG\r\n\x1a\n",
        PNG[: len(PNG) // 2],
        make_picture("JPEG")[:-400],
        "",
        "not base64!",
        "data:image/png,%89PNG",
        "data:image/png;base64,",
        "data:",
        "file:///etc/passwd",
        "ftp://example.test/a.png",
        "\ud800",
        "aGVsbG8",
    ],
)
async def test_wrong_content_names_the_field(reader: InputReader, value: str | bytes) -> None:
    with pytest.raises(InvalidRequest) as caught:
        await image(reader, value)
    assert caught.value.param == "input_reference"
    assert "input_reference" in caught.value.message


async def test_limits_name_themselves(reader: InputReader, serve: Serve) -> None:
    large = PNG + b"\0" * 200_000

    async def answer(request: web.Request) -> web.Response:
        return web.Response(body=large, headers={"content-type": "image/png"})

    text = base64.b64encode(large).decode()
    upload = UploadFile(BytesIO(large))
    for value in (large, upload, text, "data:image/png;base64," + text, await serve(answer)):
        with pytest.raises(PayloadTooLarge, match="200000 bytes") as caught:
            await image(reader, value)
        assert caught.value.param == "input_reference"
    with pytest.raises(PayloadTooLarge, match="200000 bytes"):  # a subject may be a longer clip
        await reader.read_input(large, role="subject", param="subject")
    with pytest.raises(PayloadTooLarge, match="400000 bytes"):
        await reader.read_input(b"\0" * 400_001, role="subject", param="subject")


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


@pytest.mark.parametrize("edge", [8_000, 12_000, 60_000])
async def test_a_png_bomb_is_refused_unopened(reader: InputReader, edge: int) -> None:
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", edge, edge, 8, 0, 0, 0, 0))
    bomb = b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", zlib.compress(b"\0" * 100_000)) + chunk(b"IEND", b"")
    with pytest.raises(PayloadTooLarge, match="pixels") as caught:
        await image(reader, bomb)
    assert caught.value.param == "input_reference"


@pytest.mark.parametrize(
    ("head", "expected"),
    [
        (b"\0\0\0\x18ftypisom", "video/mp4"),
        (b"\0\0\0\x18ftypqt  ", "video/quicktime"),
        (b"\0\0\0\x18ftypM4A ", "audio/mp4"),
        (b"\0\0\0\x18ftypavif", ""),
        (b"\x1a\x45\xdf\xa3\x9fB\x86\x81\x01B\x82\x84webm", "video/webm"),
        (b"\x1a\x45\xdf\xa3\x9fB\x86\x81\x01B\x82\x88matroska", "video/x-matroska"),
        (b"RIFF\0\0\0\0WAVEfmt ", "audio/wav"),
        (b"RIFF\0\0\0\0AVI LIST", ""),
        (b"ID3\x04", "audio/mpeg"),
        (b"\xff\xfb\x90\x00", "audio/mpeg"),
        (b"\xff\xf1\x50\x80", "audio/aac"),
        (b"OggS", "audio/ogg"),
        (b"fLaC", "audio/flac"),
        (b"%PDF-1.7", ""),
        (b"\xff", ""),
        (b"", ""),
    ],
)
def test_sniffing(head: bytes, expected: str) -> None:
    assert sniff_content_type(head) == expected


def test_the_web_process_opens_no_picture() -> None:
    """Pillow's readers are loaded only where a picture is decoded: in a child process."""
    code = "import app.main, app.cli.serving, sys; print([name for name in sys.modules if name.startswith('PIL')])"
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "[]"
