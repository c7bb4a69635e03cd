"""Chat services and a mail server on this machine that refuse what the real ones refuse, in the way they refuse it.

Written from their documentation, independently of the code that sends: each checks the signature by its own formula.
"""

import base64
import hashlib
import hmac
import json
import socketserver
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

FEISHU_SECRET = "feishu-secret-canary"
DINGTALK_SECRET = "SECdingtalk-secret-canary"
BOT = "123456:telegram-bot-canary"
CHAT = "-100200300"
MAIL_USER, MAIL_PASSWORD = "filmgate", "mail-password-canary"
Answer = tuple[int, Any]


def digest(key: str, text: str) -> str:
    return base64.b64encode(hmac.new(key.encode(), text.encode(), hashlib.sha256).digest()).decode()


def feishu(path: str, body: Any) -> Answer:
    if body.get("msg_type") != "text" or not isinstance(body.get("content", {}).get("text"), str):
        return 200, {"code": 9499, "msg": "Bad Request", "data": {}}
    stamp = body.get("timestamp", "0")
    fresh = abs(time.time() - int(stamp)) < 3600
    if not fresh or body.get("sign") != digest(f"{stamp}\n{FEISHU_SECRET}", ""):
        text = "sign match fail or timestamp is not within one hour from current time"
        return 200, {"code": 19021, "msg": text, "data": {}}
    return 200, {"StatusCode": 0, "StatusMessage": "success", "code": 0, "data": {}, "msg": "success"}


def dingtalk(path: str, body: Any) -> Answer:
    query = parse_qs(urlsplit(path).query)
    [stamp], [sign] = query.get("timestamp", ["0"]), query.get("sign", [""])
    fresh = abs(time.time() - int(stamp) / 1000) < 3600
    if query.get("access_token") != ["token"]:
        return 200, {"errcode": 300005, "errmsg": "token is not exist"}
    if not fresh or sign != digest(DINGTALK_SECRET, f"{stamp}\n{DINGTALK_SECRET}"):
        return 200, {"errcode": 310000, "errmsg": "sign not match"}
    if body.get("msgtype") != "text" or not body["text"]["content"]:
        return 200, {"errcode": 40035, "errmsg": "缺少参数 json"}
    return 200, {"errcode": 0, "errmsg": "ok"}


def wecom(path: str, body: Any) -> Answer:
    if parse_qs(urlsplit(path).query).get("key") != ["good"]:
        return 200, {"errcode": 93000, "errmsg": "invalid webhook url, hint: [1700000000]"}
    if body.get("msgtype") != "text" or len(body["text"]["content"].encode()) > 2048:
        return 200, {"errcode": 40058, "errmsg": "text.content exceed max length 2048"}
    return 200, {"errcode": 0, "errmsg": "ok"}


def telegram(path: str, body: Any) -> Answer:
    if not path.startswith(f"/bot{BOT}/"):
        return 401, {"ok": False, "error_code": 401, "description": "Unauthorized"}
    if path != f"/bot{BOT}/sendMessage" or body.get("chat_id") != CHAT:
        return 400, {"ok": False, "error_code": 400, "description": "Bad Request: chat not found"}
    if len(body["text"]) > 4096:
        return 400, {"ok": False, "error_code": 400, "description": "Bad Request: message is too long"}
    # Everything is said back: longer than the beginning that is read.
    return 200, {"ok": True, "result": {"message_id": 1, "text": body["text"], "chat": {"title": "x" * 2000}}}


def slack(path: str, body: Any) -> Answer:
    if path != "/services/T0/B0/good":
        return 404, "no_service"
    return (200, "ok") if body.get("text") else (400, "no_text")


def discord(path: str, body: Any) -> Answer:
    if path != "/api/webhooks/1/good":
        return 401, {"message": "Invalid Webhook Token", "code": 50027}
    if not 0 < len(body.get("content", "")) <= 2000:
        return 400, {"content": ["Must be 2000 or fewer in length."]}
    return 204, None


SERVICES: dict[str, Callable[[str, Any], Answer]] = {
    "/open-apis/": feishu,
    "/robot/": dingtalk,
    "/cgi-bin/": wecom,
    "/bot": telegram,
    "/services/": slack,
    "/api/webhooks/": discord,
}


@dataclass
class Chats:
    url: str = ""
    seen: list[Any] = field(default_factory=list)


@contextmanager
def chat_services() -> Iterator[Chats]:
    """All of them on one port, told apart by their paths."""
    found = Chats()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            found.seen.append(body)
            service = next(each for start, each in SERVICES.items() if self.path.startswith(start))
            status, answer = service(self.path, body)
            content = (
                b""
                if answer is None
                else (answer if isinstance(answer, str) else json.dumps(answer)).encode()
            )
            self.send_response(status)
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, text: str, *args: Any) -> None:
            """Tests print nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    found.url = f"http://127.0.0.1:{server.server_address[1]}"
    with _served(server):
        yield found


@dataclass
class Mailbox:
    port: int = 0
    mails: list[str] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)


@contextmanager
def mail_server() -> Iterator[Mailbox]:
    """It wants a password, knows the mailbox ``operator@example.com``, and has no TLS."""
    found = Mailbox()

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            known = False
            self._say("220 mail.example.com")
            while line := self.rfile.readline().decode().strip():
                found.lines.append(line)
                word = line.split()[0].upper()
                if word == "EHLO":
                    self._say("250-mail.example.com\r\n250 AUTH PLAIN")
                elif word == "AUTH":
                    known = base64.b64decode(line.split()[2]) == f"\0{MAIL_USER}\0{MAIL_PASSWORD}".encode()
                    self._say("235 welcome" if known else "535 5.7.8 authentication failed")
                elif word == "RCPT":
                    self._say("250 ok" if "operator@example.com" in line else "550 5.1.1 no such mailbox")
                elif word == "DATA":
                    self._take_mail()
                elif word == "QUIT":
                    self._say("221 bye")
                    return
                else:
                    self._say("250 ok" if known else "530 5.7.0 authentication required")

        def _take_mail(self) -> None:
            self._say("354 go on")
            text = b""
            while not text.endswith(b"\r\n.\r\n"):
                text += self.rfile.readline()
            found.mails.append(text.decode())
            self._say("250 queued")

        def _say(self, text: str) -> None:
            self.wfile.write(f"{text}\r\n".encode())

    server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)
    found.port = server.server_address[1]
    with _served(server):
        yield found


@contextmanager
def _served(server: socketserver.TCPServer) -> Iterator[None]:
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
