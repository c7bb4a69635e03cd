"""Prometheus metrics. Labels are bounded: routes, states, codes; never a key, an id or a prompt."""

from prometheus_client import Counter, Gauge, Histogram

REQUESTS = Counter("filmgate_requests_total", "Requests answered", ["route", "method", "status"])
REQUEST_SECONDS = Histogram(
    "filmgate_request_seconds",
    "Time to answer, streams included",
    ["route"],
    buckets=(0.005, 0.02, 0.1, 0.5, 2.5, 10, 60, 600),
)
TASKS_ENDED = Counter("filmgate_tasks_ended_total", "Tasks that ended", ["kind", "state", "code"])
TASK_SECONDS = Histogram(
    "filmgate_task_seconds",
    "From creation to the end of a completed task",
    ["kind"],
    buckets=(1, 5, 15, 60, 180, 600, 1800, 3600),
)
TASKS_OPEN = Gauge("filmgate_tasks_open", "Tasks that have not ended", ["state"])
ACCOUNTS = Gauge("filmgate_accounts", "Upstream accounts by standing", ["standing"])
SLOTS_USED = Gauge("filmgate_slots_used", "Tasks running on accounts", [])
LIMITS_ALONE = Gauge("filmgate_limits_alone", "1 while Redis is away and each process counts requests alone")
LIMITS_COUNTED_ALONE = Counter("filmgate_limits_counted_alone_total", "Requests counted without Redis")
