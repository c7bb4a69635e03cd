"""The Messages API keeps the contract of dialects; how it is translated is tested in test_anthropic_translation.py."""

from app.dialects.anthropic.answer import AnthropicDialect
from tests.dialects.contract import DialectContract


class TestAnthropic(DialectContract):
    dialect = AnthropicDialect()
    bad_call = ("POST", "/v1/messages", {"messages": []})
