"""The addresses of the panel: every page, every tab, the documents of the settings, and drawers of each type."""

from tests.panel.busy_gateway import BusyGateway

PAGES = (
    "overview",
    "overview?range=30d",
    "tasks",
    "tasks?state=failed",
    "tasks?q=nothing+is+called+so",
    "playground",
    "playground?model=studio",
    "films",
    "films?state=failed",
    "compare",
    "projects",
    "accounts",
    "models",
    "models?tab=routes",
    "models?tab=prices",
    "models?tab=why&model=sora-2",
    "keys",
    "characters",
    "webhooks",
    "webhooks?tab=endpoints",
    "logs",
    "logs?tab=usage",
    "logs?tab=usage&group=provider&measure=films",
    "logs?tab=audit",
    "settings",
    "settings/people",
    "settings/mine",
    "settings/backup",
    "settings/environment",
)
FORMS = (
    ("accounts", "accounts.add"),
    ("accounts", "accounts.import"),
    ("accounts", "export"),
    ("models?tab=routes", "models.add_route"),
    ("models?tab=prices", "models.add_price"),
    ("keys", "keys.add"),
    ("projects", "projects.add"),
    ("characters", "characters.add"),
    ("webhooks?tab=endpoints", "webhook.add"),
    ("settings/people", "admins.add"),
)
"""A page, and the word on the button that opens its form."""


def all_addresses(scene: BusyGateway) -> list[str]:
    """All pages, all settings documents, and drawers of each type."""
    ids = {
        "films": [scene.task("completed")["id"]],
        "tasks": [scene.task("completed")["id"], scene.task("failed")["id"], scene.task("running")["id"]],
        "accounts": [scene.account("reseller-b")["id"], scene.account("studio")["id"]],
        "keys": [scene.owner.get("/keys")["data"][0]["id"]],
        "webhooks": [delivery["id"] for delivery in scene.failed_deliveries()],
    }
    drawers = [f"{page}/{one}" for page, found in ids.items() for one in found]
    documents = [f"settings/{name}" for name in scene.owner.get("/settings")["documents"] if name != "backup"]
    takes = ",".join(scene.task(state)["id"] for state in ("completed", "failed", "running"))
    return [*PAGES, *documents, *drawers, f"compare?ids={takes}"]


def shows_drawer(where: str) -> bool:
    return "/" in where and not where.startswith("settings")
