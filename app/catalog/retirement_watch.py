"""Notifies the operator of models that are about to be retired."""

from app.catalog.catalog import Catalog
from app.catalog.retirements import WARN_DAYS, Retirement, find_retirements, today
from app.db.marks import FOREVER
from app.webhooks.notices import OperatorNotice, OperatorNotices

TOPIC = "model_retires"
CHECK_SECONDS = 600.0


class RetirementWatch:
    """One per worker. Several workers send each notice once, as the store remembers it."""

    def __init__(self, catalog: Catalog, notices: OperatorNotices) -> None:
        self._catalog = catalog
        self._notices = notices

    async def check(self) -> None:
        """For each model 30, 7 and 1 days before its last day; a worker that was down tells what it missed last."""
        found = find_retirements(await self._catalog.named_models())
        await self._notices.write([_notice(each) for each in found])


def _notice(retirement: Retirement) -> OperatorNotice:
    left = retirement.days_left(today())
    data = {
        "account": retirement.account.id,
        "name": retirement.account.name,
        "model": retirement.model,
        "public_name": retirement.name,
        "retires": retirement.day.isoformat(),
        "days": left,
        "successor": retirement.successor,
        "replaced": retirement.replaced,
    }
    due = min(days for days in WARN_DAYS if left <= days)
    edition = f"{retirement.name}/{retirement.model}/{due}"
    return OperatorNotice(TOPIC, data, once_until=FOREVER, edition=edition)
