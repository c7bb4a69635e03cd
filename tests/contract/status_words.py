"""The four vocabularies of the manuals, word by word: one state, told in each of them."""

from tests.contract.table import Row

SECTIONS = ("NOT_START", "SUBMITTED", "QUEUED", "IN_PROGRESS", "SUCCESS", "FAILURE", "FAILURE, cancelled")
STATES = {
    "NOT_START": ("waiting", "queued", "processing", "crowded"),
    "SUBMITTED": ("leaving", "queued", "processing", "crowded"),
    "QUEUED": ("queued", "queued", "processing", "crowded"),
    "IN_PROGRESS": ("running", "in_progress", "processing", "usual"),
    "SUCCESS": ("video", "completed", "completed", "usual"),
    "FAILURE": ("failed", "failed", "failed", "usual"),
    "FAILURE, cancelled": ("cancelled", "failed", "failed", "usual"),
}
"""By the word of `/v2`: the task that is there, its word in `/v1/videos` and in `/v1/tasks`, and where it is."""


def told(state: str) -> list[Row]:
    task, video, simple, where = STATES[state]
    looks = {"/v2/videos/generations/": state.partition(",")[0], "/v1/videos/": video, "/v1/tasks/": simple}
    return [
        Row(state, f"{word} at {path}", f"GET {path}${task}", holds={"status": word}, where=where)
        for path, word in looks.items()
    ]


ROWS: list[Row] = [row for state in STATES for row in told(state)] + [
    Row(
        "FAILURE, cancelled",
        "its code says so",
        "GET /v1/videos/$cancelled",
        holds={"error.code": "cancelled"},
    ),
]
