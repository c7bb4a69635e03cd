"""Options: what happens to the money of a task that ended without a film and without a word of the vendor about it."""

from typing import ClassVar, Literal

from app.options import OptionsDocument

Settlement = Literal["hold", "charge", "release"]


class SettlementOptions(OptionsDocument):
    """By the error code that the task ended with. ``hold``: the operator decides later; ``charge``: the estimate is
    charged; ``release``: the estimate is given back."""

    document: ClassVar[str] = "settlement"
    submission_unknown: Settlement = "hold"
    upstream_lost: Settlement = "hold"
    deadline_exceeded: Settlement = "hold"
    result_unavailable: Settlement = "hold"
    account_removed: Settlement = "hold"
    other: Settlement = "hold"
    """Every other code, such as ``expired``."""

    def settlement_for(self, code: str | None) -> Settlement:
        by_code: dict[str, Settlement] = self.model_dump()
        return by_code.get(code or "", self.other)
