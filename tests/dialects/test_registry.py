"""The registry: alphabetical, loads no web framework, and each dialect has its contract test."""

import subprocess
import sys

import pytest

from app.dialects.base import Dialect
from app.dialects.registry import DIALECTS, task_id_of
from tests.dialects.contract import contract_of


def test_it_is_in_alphabetical_order_without_repeats() -> None:
    names = [dialect.name for dialect in DIALECTS]
    assert names == sorted(set(names))


def test_no_two_dialects_share_a_schema_or_an_id_prefix() -> None:
    schemas = [name for dialect in DIALECTS for name in dialect.schemas]
    prefixes = [dialect.id_prefix for dialect in DIALECTS if dialect.id_prefix]
    assert len(schemas) == len(set(schemas))
    assert len(prefixes) == len(set(prefixes))


@pytest.mark.parametrize("dialect", DIALECTS, ids=lambda dialect: dialect.name)
def test_each_dialect_has_its_contract_test(dialect: Dialect) -> None:
    assert type(contract_of(dialect).dialect) is type(dialect)


def test_a_task_id_in_every_form() -> None:
    digits = "0190f3a2c4d57e8f9a0b1c2d3e4f5a6b"
    for prefix in ("", *(dialect.id_prefix for dialect in DIALECTS)):
        assert task_id_of(prefix + digits) == digits
    assert task_id_of("0190f3a2-c4d5-7e8f-9a0b-1c2d3e4f5a6b") == digits
    assert task_id_of("another_" + digits) is None


def test_a_worker_loads_no_web_framework_and_no_relay() -> None:
    code = "import app.dialects.registry, sys; print(*sorted({'fastapi', 'starlette', 'app.relay'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""
