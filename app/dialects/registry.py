"""Every dialect, in alphabetical order. What is not listed here is not served."""

from collections.abc import Sequence

from app.dialects.account_api.answer import AccountApiDialect
from app.dialects.anthropic.answer import AnthropicDialect
from app.dialects.ark.answer import ArkDialect
from app.dialects.base import Dialect
from app.dialects.features.answer import FeaturesDialect
from app.dialects.new_api.answer import NewApiDialect
from app.dialects.openai_chat.answer import OpenAIChatDialect
from app.dialects.openai_images.answer import OpenAIImagesDialect
from app.dialects.openai_relayed.answer import OpenAIRelayedDialect
from app.dialects.openai_videos.answer import OpenAIVideosDialect
from app.dialects.openrouter.answer import OpenRouterDialect
from app.dialects.unified.answer import UnifiedDialect
from app.ops.envelope import EnvelopesByPath
from app.tasks.task import parse_task_id

DIALECTS: tuple[Dialect, ...] = (
    AccountApiDialect(),
    AnthropicDialect(),
    ArkDialect(),
    FeaturesDialect(),
    NewApiDialect(),
    OpenAIChatDialect(),
    OpenAIImagesDialect(),
    OpenAIRelayedDialect(),
    OpenAIVideosDialect(),
    OpenRouterDialect(),
    UnifiedDialect(),
)


def envelopes_by_path(dialects: Sequence[Dialect] = DIALECTS) -> EnvelopesByPath:
    """The error envelope of each dialect that does not use the gateway's own."""
    return EnvelopesByPath(
        {prefix: dialect.error_envelope for dialect in dialects for prefix in dialect.error_prefixes}
    )


def task_id_of(name: str) -> str | None:
    """The id of a task, read from any dialect's form of it; None for what is no task id."""
    return parse_task_id(name, prefixes=[dialect.id_prefix for dialect in DIALECTS])
