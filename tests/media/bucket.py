"""An object store as small as it can be: the part of S3's protocol that the media store speaks."""

import asyncio
import hashlib
import itertools
import re
from xml.etree import ElementTree as Xml

from aiohttp import web

XML = {"content-type": "application/xml"}
SPACE = "http://s3.amazonaws.com/doc/2006-03-01/"


class Bucket:
    """Answers for ``/bucket/<key>``; ``objects`` is what it holds, ``broken`` makes it answer 500. ``faults``
    are what happens to the next writes: a status, ``abort`` (half of it arrives) or ``silent``."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        self.types: dict[str, str] = {}
        self.uploads: dict[str, dict[int, bytes]] = {}
        self.broken = False
        self.faults: list[int | str] = []
        self.leaving = asyncio.Event()
        self.seen: list[str] = []
        self._numbers = itertools.count(1)

    async def answer(self, request: web.Request) -> web.StreamResponse:
        key = request.path.removeprefix("/bucket").strip("/")
        self.seen.append(f"{request.method} {request.path_qs}")
        if self.broken:
            return web.Response(status=500)
        fault = self.faults.pop(0) if self.faults and request.method in ("PUT", "POST") else None
        if fault is not None:
            return await self.fail(request, fault)
        body = await request.content.read()
        if request.method in ("GET", "HEAD"):
            return self.list(request) if "list-type" in request.query else self.get(request, key)
        if request.method == "PUT":
            return self.put(request, key, body)
        if request.method == "POST":
            return self.post(request, key, body)
        return self.delete(request, key)

    async def fail(self, request: web.Request, fault: int | str) -> web.Response:
        if isinstance(fault, int):
            return web.Response(status=fault)
        await request.content.readany()
        if fault == "silent":
            await self.leaving.wait()
        if request.transport is not None:
            request.transport.abort()
        return web.Response(status=500)

    def get(self, request: web.Request, key: str) -> web.Response:
        if key not in self.objects:
            return web.Response(status=404)
        body = self.objects[key]
        headers = {
            "content-type": self.types.get(key, "binary/octet-stream"),
            "etag": etag(body),
            "last-modified": "Wed, 21 Oct 2026 07:28:00 GMT",
        }
        match = re.fullmatch(r"bytes=(\d+)-(\d*)", request.headers.get("range", ""))
        if match is None:
            return web.Response(body=body, headers=headers)
        if int(match[1]) >= len(body):
            return web.Response(status=416)
        start, end = int(match[1]), min(int(match[2] or len(body)), len(body) - 1)
        headers["content-range"] = f"bytes {start}-{end}/{len(body)}"
        return web.Response(status=206, body=body[start : end + 1], headers=headers)

    def put(self, request: web.Request, key: str, body: bytes) -> web.Response:
        if "uploadId" in request.query:
            self.uploads[request.query["uploadId"]][int(request.query["partNumber"])] = body
        else:
            self.objects[key] = body
            self.types[key] = request.headers.get("content-type", "")
        return web.Response(headers={"etag": etag(body)})

    def post(self, request: web.Request, key: str, body: bytes) -> web.Response:
        if "uploads" in request.query:
            upload = f"upload-{next(self._numbers)}"
            self.uploads[upload] = {}
            return answer_xml("InitiateMultipartUploadResult", {"UploadId": upload})
        if "uploadId" in request.query:
            parts = self.uploads.pop(request.query["uploadId"])
            self.objects[key] = b"".join(parts[number] for number in sorted(parts))
            return answer_xml("CompleteMultipartUploadResult", {"ETag": etag(self.objects[key])})
        root = Xml.Element("DeleteResult", xmlns=SPACE)
        for found in Xml.fromstring(body).iter():
            if found.tag.endswith("Key"):
                self.objects.pop(found.text or "", None)
                Xml.SubElement(Xml.SubElement(root, "Deleted"), "Key").text = found.text
        return web.Response(body=Xml.tostring(root), headers=XML)

    def delete(self, request: web.Request, key: str) -> web.Response:
        if "uploadId" in request.query:
            self.uploads.pop(request.query["uploadId"], None)
        else:
            self.objects.pop(key, None)
        return web.Response(status=204)

    def list(self, request: web.Request) -> web.Response:
        root = Xml.Element("ListBucketResult", xmlns=SPACE)
        for key in sorted(self.objects):
            if key.startswith(request.query.get("prefix", "")):
                entry = Xml.SubElement(root, "Contents")
                Xml.SubElement(entry, "Key").text = key
                Xml.SubElement(entry, "Size").text = str(len(self.objects[key]))
                Xml.SubElement(entry, "LastModified").text = "2026-10-21T07:28:00.000Z"
                Xml.SubElement(entry, "ETag").text = etag(self.objects[key])
        return web.Response(body=Xml.tostring(root), headers=XML)


def etag(body: bytes) -> str:
    return f'"{hashlib.md5(body, usedforsecurity=False).hexdigest()}"'


def answer_xml(name: str, fields: dict[str, str]) -> web.Response:
    root = Xml.Element(name, xmlns=SPACE)
    for field, text in fields.items():
        Xml.SubElement(root, field).text = text
    return web.Response(body=Xml.tostring(root), headers=XML)
