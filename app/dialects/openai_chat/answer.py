"""Chat completions as a dialect. Answers in chat form are written by ``prompt/``, because other dialects use them too."""

from app.dialects.base import Dialect
from app.dialects.openai_chat.schemas import EXAMPLES, SCHEMAS, TAGS
from app.dialects.prompt.chat_stream import ID_PREFIX


class OpenAIChatDialect(Dialect):
    """https://platform.openai.com/docs/api-reference/chat, and the chat-video manual."""

    name = "openai_chat"
    id_prefix = ID_PREFIX
    tags = TAGS
    schemas = SCHEMAS
    examples = EXAMPLES
