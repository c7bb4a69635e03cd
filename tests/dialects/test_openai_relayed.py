"""The routes that are only relayed keep the contract of dialects."""

from app.dialects.openai_relayed.answer import OpenAIRelayedDialect
from tests.dialects.contract import DialectContract


class TestOpenAIRelayed(DialectContract):
    dialect = OpenAIRelayedDialect()
    bad_call = ("POST", "/v1/embeddings", {"input": "a boat"})
