"""The OpenAI routes that are only relayed, as a dialect. Their answers come from the upstream."""

from app.dialects.base import Dialect
from app.dialects.openai_relayed.schemas import EXAMPLES, SCHEMAS, TAGS


class OpenAIRelayedDialect(Dialect):
    """https://platform.openai.com/docs/api-reference: responses, embeddings, speech and the like."""

    name = "openai_relayed"
    tags = TAGS
    schemas = SCHEMAS
    examples = EXAMPLES
