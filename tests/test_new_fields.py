"""A new field of an account or a key is added in few places, and everything else is derived from its definition."""

import ast
import json
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from app.accounts.definition import AccountDraft

ROOT = Path(__file__).parent.parent
MIGRATION = '''"""a region"""

import sqlalchemy as sa
from alembic import op

revision = "9999"
down_revision = "{head}"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("{table}", sa.Column("region", sa.String(64), nullable=False, server_default=""))


def downgrade() -> None:
    op.drop_column("{table}", "region")
'''


@dataclass(frozen=True)
class Edit:
    """A line that is added behind the first line with ``behind`` (after ``below``), in ``file``."""

    file: str
    line: str
    behind: str
    below: str = ""


COLUMN = '    Column("region", String(64), nullable=False, server_default=""),'
FIELD = '    region: str = ""'


def panel_edits(kind: str, form: str) -> list[Edit]:
    """The form and the two word lists. A browser tests what the form sends; here they are only counted."""
    return [
        Edit(form, f"  // region: t('{kind}.region')", "export "),
        *(
            Edit(f"admin_static/i18n/{language}.js", f"  '{kind}.region': 'Region',", f"'{kind}.")
            for language in ("en", "zh")
        ),
    ]


EDITS = {
    "account": [
        Edit("app/accounts/definition.py", FIELD, "note: Note", below="class AccountDraft"),
        Edit("app/db/tables.py", COLUMN, 'Column("note"', below="accounts = Table("),
        *panel_edits("account", "admin_static/pages/account_form.js"),
    ],
    "key": [
        Edit("app/keys/key.py", FIELD, "note: str", below="class KeyTerms"),
        Edit("app/db/tables.py", COLUMN, 'Column("note"', below="keys = Table("),
        *panel_edits("key", "admin_static/pages/key_form.js"),
    ],
}


def apply(edit: Edit, root: Path) -> None:
    path = root / edit.file
    lines = path.read_text().splitlines()
    first = next(number for number, line in enumerate(lines) if edit.below in line)
    place = next(number for number, line in enumerate(lines) if number >= first and edit.behind in line)
    lines.insert(place + 1, edit.line)
    path.write_text("\n".join(lines) + "\n")


def add_migration(root: Path, table: str) -> str:
    versions = root / "migrations" / "versions"
    revisions = [
        re.search(r'^revision = "(\w+)"', path.read_text(), re.MULTILINE) for path in versions.glob("*.py")
    ]
    head = max(found[1] for found in revisions if found)
    (versions / "9999_region.py").write_text(MIGRATION.format(head=head, table=table))
    return "migrations/versions/9999_region.py"


@pytest.mark.parametrize(("kind", "table"), [("account", "accounts"), ("key", "keys")])
def test_a_new_field_is_added_in_six_files(kind: str, table: str, tmp_path: Path) -> None:
    for folder in ("app", "migrations", "admin_static"):
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__"))
    for edit in EDITS[kind]:
        apply(edit, tmp_path)
    files = {edit.file for edit in EDITS[kind]} | {add_migration(tmp_path, table)}
    assert len(files) <= 6
    shutil.copy(ROOT / "tests" / "new_field_probe.py", tmp_path / "probe.py")
    (tmp_path / "data").mkdir()
    told = subprocess.run(
        [sys.executable, "probe.py", kind, "data"], cwd=tmp_path, capture_output=True, text=True, timeout=150
    )
    assert told.returncode == 0, told.stderr[-3000:]
    places = json.loads(told.stdout.splitlines()[-1])
    assert {place: value for place, value in places.items() if value != "us"} == {}


DERIVED = (
    "app/accounts/bulk_import.py",
    "app/accounts/formats.py",
    "app/accounts/repository.py",
    "app/accounts/rows.py",
    "app/admin/account_object.py",
    "app/backup/accounts.py",
    "app/configuration/applying.py",
    "app/configuration/toml_file.py",
)
"""These work on every field of an account, so they name none but those that need more than copying."""
SPECIAL = {"provider", "name", "secret", "proxy", "quota", "enabled", "options", "expires_at", "note"}


@pytest.mark.parametrize("file", DERIVED)
def test_derived_modules_do_not_repeat_the_fields(file: str) -> None:
    plain = set(AccountDraft.model_fields) - SPECIAL
    tree = ast.parse((ROOT / file).read_text())
    texts = {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant)}
    keywords = {node.arg for node in ast.walk(tree) if isinstance(node, ast.keyword)}
    keywords -= {"slots"}  # of dataclasses
    assert (texts | keywords) & plain == set()
