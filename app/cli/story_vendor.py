"""`python -m app.cli.story_vendor PART PORT`: a vendor of OpenAI's Videos API that fails in one way, for `filmgate prove`.

It prints a line for each film that it is asked for.
"""

import json
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Answer = tuple[int, dict[str, Any]]
JOB = {"id": "job_1", "object": "video", "status": "in_progress", "progress": 40}
REFUSED = {"code": "moderation_blocked", "message": "Our filters do not like this prompt."}
RETIRED = {"code": "model_decommissioned", "message": "The model was retired; choose another one."}
FORGOTTEN = {"code": "not_found", "message": "No such video."}
LOADING = {"code": "loading", "message": "The model is being loaded."}
CREATES: dict[str, Answer] = {
    "refusing": (400, {"error": REFUSED}),
    "pod": (200, JOB),
    "restarted-pod": (503, {"error": LOADING}),
    "retired": (404, {"error": RETIRED}),
}
"""By the part that it plays."""
LOOKS: dict[str, Answer] = {"pod": (200, JOB)}
ASKED = "asked"


class StoryVendor(ThreadingHTTPServer):
    def __init__(self, part: str, port: int) -> None:
        super().__init__(("127.0.0.1", port), StoryHandler)
        self.part = part


class StoryHandler(BaseHTTPRequestHandler):
    server: StoryVendor

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("content-length", 0)))
        self._send(*CREATES[self.server.part])
        print(ASKED, flush=True)

    def do_GET(self) -> None:
        self._send(*LOOKS.get(self.server.part, (404, {"error": FORGOTTEN})))

    def _send(self, status: int, document: dict[str, Any]) -> None:
        content = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_words: Any) -> None:
        """Nothing: what it was asked for is printed."""


def main(part: str, port: str) -> None:
    server = StoryVendor(part, int(port))
    print(f"Listening on http://127.0.0.1:{server.server_port}", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main(*sys.argv[1:])
