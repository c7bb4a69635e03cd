"""A scripted fake upstream: a real loopback server that speaks OpenAI's API and does as it is told.

In a test, on a thread of its own, so that it answers whatever the test's own loop does::

    with FakeUpstream() as upstream:
        upstream.script(job_seconds=0.2)
        upstream.fault("create", do="status", status=429, headers={"Retry-After": "7"})
        ...                                   # the gateway talks to f"{upstream.url}/v1"
        assert upstream.counters().jobs == 1

As a process of its own (``FakeUpstream(process=True)``, or ``python -m tests.upstream --port N``), for tests
that kill the gateway while the upstream lives on and keeps count.

What it speaks: POST/GET /v1/videos, GET/DELETE /v1/videos/{id}, GET /v1/videos/{id}/content,
POST /v1/videos/{id}/remix, /v1/videos/edits, /v1/videos/extensions, /v1/chat/completions (plain and stream),
/v1/embeddings, /v1/models, /v1/images/generations and /edits; without a key /files/video.mp4 and
/files/image.png. A job runs for ``Script.job_seconds``, or returns ``Script.statuses``, one a poll.

Control, over HTTP and so alike in both modes: POST /_control/script (replace), POST /_control/fault (add one),
GET /_control/counters, POST /_control/reset (script and counters). ``Script``, ``Fault`` and ``Counters`` in
script.py say what can be told and asked.
"""

from tests.upstream.client import FakeUpstream, closed_port, silent_port
from tests.upstream.script import Counters, Fault, Script, Seen

__all__ = ["Counters", "FakeUpstream", "Fault", "Script", "Seen", "closed_port", "silent_port"]
