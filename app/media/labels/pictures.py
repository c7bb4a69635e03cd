"""Writes the implicit label into a picture: the property ``AIGC`` of TC260's namespace in its XMP (GB 45438-2025). Nothing is
decoded, and what the picture carries already stays. Runs in a child process."""

import re
import zlib
from dataclasses import replace
from pathlib import Path
from xml.sax.saxutils import escape, unescape

from app.errors import ResultUndecodable
from app.media.analysis import probe_image
from app.media.frames import describe_clip, open_clip
from app.media.inspection import RESULT_BYTES, MediaInfo, kind_of, result_content_type
from app.media.labels.aigc import FIELD, has_label, label_text
from app.media.vendor_marks import has_manifest, mark_names

PNG = b"\x89PNG\r\n\x1a\n"
PNG_KEYWORD = b"XML:com.adobe.xmp\0"
JPEG_NAME = b"http://ns.adobe.com/xap/1.0/\0"
JPEG_SEGMENT = 65_533
"""Bytes that a segment may hold."""
NAMESPACE = "http://www.tc260.org.cn/ns/AIGC/1.0/"
PICTURE_MANIFEST = b"jumdc2pa"
"""How a C2PA manifest begins, in whichever chunk or segment it lies."""
LABEL = re.compile(r"<TC260:AIGC>(.*?)</TC260:AIGC>|TC260:AIGC=(?:\"(.*?)\"|'(.*?)')", re.DOTALL)
END = "</rdf:RDF>"
EMPTY_PACKET = (
    '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?><x:xmpmeta xmlns:x="adobe:ns:meta/">'
    f'<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">{END}</x:xmpmeta><?xpacket end="w"?>'
)


def label_picture(source: Path, target: Path, *, service: str, number: str, integrity: str) -> MediaInfo:
    """Write a PNG or JPEG with its label to ``target`` and probe that. Raises ``ResultUndecodable`` for another form, and
    for one whose XMP can't take it."""
    content = source.read_bytes()
    is_png = content.startswith(PNG)
    if not is_png and not content.startswith(b"\xff\xd8"):
        raise ResultUndecodable("Only PNG and JPEG pictures take the label.")
    packet, start, end = (_find_png_packet if is_png else _find_jpeg_packet)(content)
    metadata = read_packet(packet)
    ours = label_text(metadata, service=service, number=number, integrity=integrity)
    part = (_png_chunk if is_png else _jpeg_segment)(_with_label(packet or EMPTY_PACKET, ours))
    target.write_bytes(content[:start] + part + content[end:])
    came_with = mark_names(aigc=has_label(metadata), c2pa=PICTURE_MANIFEST in content)
    return replace(probe_image(target), marks=came_with)


def find_marks(path: Path) -> MediaInfo:
    """The marks in a picture or film. Raises ``ResultUnreadable``."""
    with path.open("rb") as file:
        head = file.read(RESULT_BYTES)
    if kind_of(result_content_type(head, kind="video", stated="")) != "image":
        with open_clip(path) as container:
            info, labelled = describe_clip(container, path=path), has_label(container.metadata)
        return replace(info, marks=mark_names(aigc=labelled, c2pa=has_manifest(path)))
    content = path.read_bytes()
    find = _find_png_packet if content.startswith(PNG) else _find_jpeg_packet
    labelled = has_label(read_packet(find(content)[0]))
    return replace(probe_image(path), marks=mark_names(aigc=labelled, c2pa=PICTURE_MANIFEST in content))


def read_packet(packet: str) -> dict[str, str]:
    """The label in an XMP packet, as metadata with one field or none."""
    found = LABEL.search(packet)
    if found is None:
        return {}
    return {FIELD: unescape(next(each for each in found.groups() if each is not None), {"&quot;": '"'})}


def _with_label(packet: str, ours: str) -> str:
    element = f"<TC260:AIGC>{escape(ours)}</TC260:AIGC>"
    found = LABEL.search(packet)
    if found is not None:
        if found[1] is None:  # an attribute: its quotes must be escaped
            element = 'TC260:AIGC="' + escape(ours, {'"': "&quot;"}) + '"'
        return packet[: found.start()] + element + packet[found.end() :]
    if END not in packet:
        raise ResultUndecodable("The picture's XMP can't take the label.")
    described = f'<rdf:Description rdf:about="" xmlns:TC260="{NAMESPACE}">{element}</rdf:Description>'
    return packet.replace(END, described + END, 1)


def _find_png_packet(content: bytes) -> tuple[str, int, int]:
    """The packet, and where its chunk lies; where there is none, an empty place behind the first chunk."""
    position, first = len(PNG), 0
    while position + 12 <= len(content):
        size, kind = (
            int.from_bytes(content[position : position + 4], "big"),
            content[position + 4 : position + 8],
        )
        data = content[position + 8 : position + 8 + size]
        first = first or position + 12 + size
        if kind == b"iTXt" and data.startswith(PNG_KEYWORD):
            return _png_text(data), position, position + 12 + size
        position += 12 + size
    return "", first, first


def _png_text(data: bytes) -> str:
    rest = data[len(PNG_KEYWORD) :]
    is_packed, rest = rest[0], rest[2:]
    text = rest.split(b"\0", 2)[2]  # behind the language and the translated keyword
    try:
        return (zlib.decompress(text) if is_packed else text).decode()
    except (zlib.error, UnicodeDecodeError) as error:
        raise ResultUndecodable("The picture's XMP can't be read.") from error


def _png_chunk(packet: str) -> bytes:
    body = b"iTXt" + PNG_KEYWORD + b"\0\0\0\0" + packet.encode()
    return (len(body) - 4).to_bytes(4, "big") + body + zlib.crc32(body).to_bytes(4, "big")


def _find_jpeg_packet(content: bytes) -> tuple[str, int, int]:
    """The packet, and where its segment lies; where there is none, an empty place behind the first segments."""
    position = place = 2
    while content[position : position + 1] == b"\xff" and position + 4 <= len(content):
        kind, size = content[position + 1], int.from_bytes(content[position + 2 : position + 4], "big")
        if kind == 0xDA:  # the picture begins
            break
        data = content[position + 4 : position + 2 + size]
        if kind == 0xE1 and data.startswith(JPEG_NAME):
            return data[len(JPEG_NAME) :].decode(errors="replace"), position, position + 2 + size
        position += 2 + size
        if kind in (0xE0, 0xE1):  # JFIF and EXIF stand in front
            place = position
    return "", place, place


def _jpeg_segment(packet: str) -> bytes:
    data = JPEG_NAME + packet.encode()
    if len(data) > JPEG_SEGMENT:
        raise ResultUndecodable("The picture's XMP is too large to take the label.")
    return b"\xff\xe1" + (len(data) + 2).to_bytes(2, "big") + data
