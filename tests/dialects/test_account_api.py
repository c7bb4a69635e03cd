"""The account API keeps the contract of dialects."""

from app.dialects.account_api.answer import AccountApiDialect
from tests.dialects.contract import DialectContract


class TestAccountApi(DialectContract):
    dialect = AccountApiDialect()
    bad_call = ("GET", "/v1/tasks?status=sleeping", None)
    read_path = "/v1/tasks/{}"
    task_schema = "Task"
