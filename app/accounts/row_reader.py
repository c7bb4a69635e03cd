"""Accounts as their rows say: read and unsealed once, for as long as a row is unchanged.

One secret that can't be opened (a damaged row, a row restored from elsewhere) is that account's problem, which serves nothing
until the operator enters the secret again. Where none can be opened, it is the root key that is wrong.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from app.accounts.definition import ACCOUNT_FIELDS, EXTRA_FIELDS
from app.accounts.rows import account_of_row, account_without_secrets, has_secrets
from app.accounts.status import AccountStatus, Cooldown, Suspension
from app.errors import InvalidRequest, SettingsInvalid
from app.providers.base import Account
from app.vault import Vault


@dataclass(frozen=True, slots=True)
class ReadRow:
    """``extra``: the fields that only the operator reads; ``problem``: why its secrets are missing in ``account``."""

    columns: tuple[Any, ...]
    account: Account
    extra: dict[str, Any]
    problem: InvalidRequest | None = None

    def as_status(
        self, row: Any, cooldowns: Mapping[str, Cooldown], suspension: Suspension | None
    ) -> AccountStatus:
        return AccountStatus.of_row(
            row, self.account, extra=self.extra, cooldowns=cooldowns, suspension=suspension
        )


class RowReader:
    """The account of a row is the same object while the row is unchanged, so that its provider stays."""

    def __init__(self, vault: Vault) -> None:
        self._vault = vault
        self._known: dict[str, ReadRow] = {}

    def read(self, rows: Sequence[Any]) -> dict[str, ReadRow]:
        """By id, in the order of the rows. Raises ``SettingsInvalid`` when the root key opens none of the secrets."""
        found = {row.id: self._read_row(row) for row in rows}
        problems = [each.problem for each in found.values() if each.problem is not None]
        if problems and len(problems) == sum(map(has_secrets, rows)):
            raise SettingsInvalid(problems[0].message)
        # What can't be opened is tried again each time: the root key may come back.
        self._known = {account_id: each for account_id, each in found.items() if each.problem is None}
        return found

    def _read_row(self, row: Any) -> ReadRow:
        columns = tuple(getattr(row, name) for name in (*ACCOUNT_FIELDS, *EXTRA_FIELDS))
        known = self._known.get(row.id)
        if known is not None and known.columns == columns:
            return known
        try:
            return ReadRow(columns, *account_of_row(row, self._vault))
        except SettingsInvalid as error:
            problem = InvalidRequest(error.message, param="secret")
            return ReadRow(columns, *account_without_secrets(row), problem)
