"""Lists of accounts: read in three forms, tried before anything is written, never overwriting in silence."""

import csv
import io
import json
from collections import Counter
from collections.abc import Sequence
from typing import Any

import pytest

from app.accounts.bulk_import import ImportResult, apply_import, plan_import
from app.accounts.definition import AccountDraft
from app.accounts.formats import as_csv, as_json, detect_format, export_documents, read_rows
from app.accounts.pool import AccountPool
from app.accounts.repository import AccountRepository
from app.db.session import Database
from app.errors import InvalidRequest
from tests.accounts.test_pool import database, pool, transport

__all__ = ["database", "pool", "transport"]
DEFAULTS = {"provider": "openai_compatible", "base_url": "https://vendor.example/v1"}


def outcomes(results: Sequence[ImportResult]) -> Counter[str]:
    return Counter(result.outcome for result in results)


def twenty() -> list[dict[str, Any]]:
    """Row 5 has no such provider, row 12 no such address."""
    rows = [{**DEFAULTS, "name": f"a{number}", "secret": f"sk-{number}"} for number in range(1, 21)]
    rows[4]["provider"] = "nothing"
    rows[11]["base_url"] = "nowhere"
    return rows


async def names(pool: AccountPool) -> list[str]:
    return [standing.account.name for standing in await AccountRepository(pool).list_all()]


async def test_twenty_rows_with_two_bad_ones(pool: AccountPool) -> None:
    planned = await plan_import(pool, read_rows(json.dumps(twenty())))
    assert outcomes(planned) == {"would_add": 18, "invalid": 2}
    assert [(r.row, r.param) for r in planned if r.outcome == "invalid"] == [
        (5, "provider"),
        (12, "base_url"),
    ]
    assert await names(pool) == []
    assert outcomes(await apply_import(pool, planned)) == {"left_out": 18, "invalid": 2}
    assert await names(pool) == []
    assert outcomes(await apply_import(pool, planned, skip_bad=True)) == {"added": 18, "invalid": 2}
    assert len(await names(pool)) == 18


async def test_nothing_is_overwritten_in_silence(pool: AccountPool) -> None:
    book = AccountRepository(pool)
    await book.add(AccountDraft(**DEFAULTS, name="one", secret="sk-1", slots=3, note="kept"))
    rows = read_rows(
        json.dumps(
            [
                {"name": "one", "secret": "sk-new", "slots": 9},
                {"name": "two", "secret": "sk-1"},
                {"name": "three", "secret": "sk-3"},
                {"name": "three", "secret": "sk-4"},
                {"name": "four", "secret": "sk-3"},
            ]
        ),
        defaults=DEFAULTS,
    )
    planned = await plan_import(pool, rows)
    assert [(r.outcome, r.text) for r in planned] == [
        ("duplicate_name", "there is an account with this name"),
        ("duplicate_secret", "one has this secret"),
        ("would_add", ""),
        ("duplicate_name", "row 3 has this name"),
        ("duplicate_secret", "three has this secret"),
    ]
    done = await apply_import(pool, await plan_import(pool, rows[:1], update=True))
    assert outcomes(done) == {"updated": 1}
    found = await book.find("one")
    assert (found.account.secret, found.account.slots, found.note) == ("sk-new", 9, "kept")


async def test_an_update_changes_neither_the_provider_nor_what_the_file_declares(pool: AccountPool) -> None:
    book = AccountRepository(pool)
    await book.add(AccountDraft(**DEFAULTS, name="declared"), source="file")
    await book.add(AccountDraft(**DEFAULTS, name="other"))
    rows = [{"name": "declared", "slots": 2}, {"name": "other", "provider": "kling", "secret": "k"}]
    planned = await plan_import(pool, read_rows(json.dumps(rows), defaults=DEFAULTS), update=True)
    assert [(r.outcome, r.param) for r in planned] == [("invalid", "name"), ("invalid", "provider")]


async def test_one_secret_per_line_gets_free_names(pool: AccountPool) -> None:
    await AccountRepository(pool).add(AccountDraft(**DEFAULTS, name="openai_compatible-1", secret="sk-0"))
    text = "# from the vendor's page\nsk-a\n\n  sk-b  \n"
    done = await apply_import(pool, await plan_import(pool, read_rows(text, defaults=DEFAULTS)))
    assert [(r.name, r.outcome) for r in done] == [
        ("openai_compatible-2", "added"),
        ("openai_compatible-3", "added"),
    ]
    again = await plan_import(pool, read_rows(text, defaults=DEFAULTS))
    assert outcomes(again) == {"duplicate_secret": 2}


@pytest.mark.parametrize("form", ["json", "csv"])
async def test_what_is_exported_can_be_imported(pool: AccountPool, form: str) -> None:
    draft = AccountDraft.model_validate(
        {
            **DEFAULTS,
            "name": "=cmd|calc",
            "secret": "-sk-1",
            "models": {"sora-2": "wan;2", "veo3": "veo"},
            "kinds": ["video", "image"],
            "slots": 4,
            "limits": {"image": 7},
            "options": {"idempotency": True},
            "tags": ["pro", "eu"],
            "note": 'two\nlines, "quoted"',
            "weight": 2.5,
            "tier": -1,
            "rpm": 30,
            "quota": {"limit": "12.5", "unit": "usd", "period": "month"},
            "expires_at": "2030-01-01",
            "proxy": "http://user:pass@proxy.example:8080",
            "enabled": False,
        }
    )
    book = AccountRepository(pool)
    added = await book.add(draft)
    documents = export_documents([added], secrets=True)
    text = as_csv(documents) if form == "csv" else as_json(documents)
    assert detect_format(text) == form
    await book.remove("=cmd|calc")
    assert outcomes(await apply_import(pool, await plan_import(pool, read_rows(text)))) == {"added": 1}
    [found] = await book.list_all()
    assert AccountDraft.of_status(found).model_dump() == AccountDraft.of_status(added).model_dump()


async def test_an_export_holds_no_secret_unless_told_and_no_formula(pool: AccountPool) -> None:
    draft = AccountDraft(
        **DEFAULTS,
        name="@SUM(A1)",
        secret="sk-canary-1",
        proxy="http://user:canary-2@proxy.example:8080",
        options={"session_token": "canary-3", "idempotency": True},
        note="=HYPERLINK(1)",
    )
    added = await AccountRepository(pool).add(draft)
    for text in (
        as_json(export_documents([added], secrets=False)),
        as_csv(export_documents([added], secrets=False)),
    ):
        assert "canary" not in text
        assert "idempotency" in text
    for secrets in (False, True):
        for row in csv.reader(io.StringIO(as_csv(export_documents([added], secrets=secrets)))):
            assert [cell for cell in row if cell.startswith(("=", "+", "-", "@"))] == []


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("[{]", "not valid JSON"),
        ('{"accounts": 3}', "must be a list"),
        ("", "has no account"),
        ("[]", "has no account"),
    ],
)
def test_what_is_no_list_is_refused_whole(text: str, word: str) -> None:
    with pytest.raises(InvalidRequest, match=word):
        read_rows(text, form="json" if text else None)


def test_an_unknown_column_is_named() -> None:
    for heading in ("name,colour", "name,provider,secret,colour", '"secret","colour"'):
        for form in ("csv", None):
            with pytest.raises(InvalidRequest, match="There is no column colour"):
                read_rows(f"{heading}\nx,red\n", form=form)
    [row] = read_rows("Name;secret\nx;sk-1\n")
    assert row.name == "x"
    assert detect_format("sk-one,two\nname-of-no-column\n") == "lines"


def test_a_bad_cell_is_told_in_its_row() -> None:
    text = "name,provider,slots,models\none,kling,many,\ntwo,kling,2,sora-2=kling-v2;veo3\n3,kling,1,[1]\n"
    first, second, third = read_rows(text)
    assert first.error is not None
    assert first.error.param == "slots"
    assert second.draft is not None
    assert second.draft.models == {"sora-2": "kling-v2", "veo3": "veo3"}
    assert third.error is not None
    assert third.error.param == "models"


async def test_a_row_that_is_no_object(pool: AccountPool, database: Database) -> None:
    planned = await plan_import(pool, read_rows('["sk-1", 3]'))
    assert outcomes(planned) == {"invalid": 2}
