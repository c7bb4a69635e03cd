"""The fields of a relayed call that choose its model or say how much it may cost, under the names that servers know."""

import math
import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, NamedTuple

from app.errors import InvalidRequest
from app.json_bodies import RepeatedNames, by_folded_name, refuse_folded_names

ANSWER_LIMITS = frozenset(
    {"max_tokens", "max_completion_tokens", "max_output_tokens", "max_new_tokens", "max_tokens_to_sample"}
    | {"max_response_output_tokens", "max_length", "max_gen_len", "min_tokens", "min_new_tokens"}
    | {
        "maxTokens",
        "maxCompletionTokens",
        "maxOutputTokens",
        "maxNewTokens",
        "maxTokenCount",
        "maxTokensToSample",
    }
    | {"num_predict", "n_predict", "budget_tokens", "budgetTokens"}
)
"""How long one answer may be, in tokens. A server may read any one of them, so the largest counts."""
THINKING_LIMITS = frozenset(
    {"thinking_budget", "thinkingBudget", "max_thinking_tokens", "max_reasoning_tokens", "reasoning_budget"}
)
"""How much may be thought beside the answer, where a server counts that apart."""
ANSWER_COUNTS = frozenset(
    {"n", "num_completions", "numCompletions", "num_return_sequences", "num_generations", "numResults"}
    | {"candidate_count", "candidateCount", "sample_count", "sampleCount", "num_images", "numImages"}
    | {"number_of_images", "numberOfImages", "num_outputs", "max_images", "num_images_per_prompt"}
)
BEST_OF = frozenset({"best_of", "bestOf", "num_beams", "beam_width"})
BATCHES = frozenset({"batch_size", "batchSize", "n_iter", "batch_count"})
"""How many answers are made: the largest of each group, multiplied."""
LIMITS_INSIDE = frozenset(
    {"generationConfig", "generation_config", "thinkingConfig", "thinking_config", "thinking", "reasoning"}
    | {
        "options",
        "parameters",
        "config",
        "extra_body",
        "sampling_params",
        "inferenceConfig",
        "inference_config",
    }
    | {"sequential_image_generation_options", "additionalModelRequestFields"}
)
"""Objects in which servers look for these fields too."""
OTHER_MODELS = frozenset({"models", "fallbacks", "fallback_models", "fallbackModels"})
"""Fields by which some gateways are told to use another model than ``model``."""
NUMBER_NAMES = ANSWER_LIMITS | THINKING_LIMITS | ANSWER_COUNTS | BEST_OF | BATCHES
PRICED_NAMES = frozenset(
    {
        "model",
        "stream",
        "stream_options",
        "include_usage",
        "messages",
        "input",
        "prompt",
        "tools",
        "modalities",
    }
    | {"size", "quality", "width", "height", "speed", "prediction", "service_tier", "file", "url"}
)
BY_FOLDED_NAME = by_folded_name(NUMBER_NAMES | LIMITS_INSIDE | OTHER_MODELS | PRICED_NAMES)
NUMBER = re.compile(r"[+-]?(\d[\d_]{0,30}(\.\d{0,30})?|\.\d{1,30})([eE][+-]?\d{1,3})?", re.ASCII)
MOST_NUMBER = 1_000_000_000


class AnswerLimits(NamedTuple):
    """``tokens``: of one answer, None when the client does not say. ``answers``: how many are made at most."""

    tokens: int | None
    thinking: int
    answers: int


def objects_with_limits(fields: Mapping[str, Any]) -> list[tuple[str, Mapping[str, Any]]]:
    """The body and the objects in it that may hold limits, each with its path."""
    found: list[tuple[str, Mapping[str, Any]]] = [("", fields)]
    if LIMITS_INSIDE.isdisjoint(fields):
        return found
    for path, holder in found:  # it grows meanwhile
        for name in LIMITS_INSIDE & holder.keys():
            if isinstance(holder[name], dict):
                found.append((_path_of(path, name), holder[name]))
    return found


def check_names(fields: Mapping[str, Any]) -> None:
    """Raises ``InvalidRequest`` for a name that servers may read otherwise than it is read here: one that is written
    twice, or differs only in case from one that chooses the model or the price."""
    for path, found in objects_with_limits(fields):
        if isinstance(found, RepeatedNames):
            name = min(found.repeated)
            raise InvalidRequest(f"{_path_of(path, name)[:80]} is given more than once", param=name)
        refuse_folded_names(found, BY_FOLDED_NAME, path=path)


def read_limits(fields: Mapping[str, Any]) -> AnswerLimits:
    """Raises ``InvalidRequest`` for a limit that is no number."""
    largest: dict[str, int] = {}
    for path, found in objects_with_limits(fields):
        if NUMBER_NAMES.isdisjoint(found):
            continue
        for name in NUMBER_NAMES & found.keys():
            value = read_count(found[name], _path_of(path, name))
            if value is not None:
                largest[name] = max(value, largest.get(name, value))
    if not largest:
        return AnswerLimits(None, 0, _prompt_count(fields.get("prompt")))
    tokens = _largest(largest, ANSWER_LIMITS)
    answers = (_largest(largest, ANSWER_COUNTS) or 1) * (_largest(largest, BEST_OF) or 1)
    answers *= (_largest(largest, BATCHES) or 1) * _prompt_count(fields.get("prompt"))
    return AnswerLimits(tokens, _largest(largest, THINKING_LIMITS) or 0, answers)


def read_count(value: Any, name: str) -> int | None:
    """``value`` as a server in any language may read it, rounded up; None for null, and for 0 and less, which servers
    take for "no limit". Raises ``InvalidRequest``."""
    if value is None:
        return None
    if isinstance(value, str) and NUMBER.fullmatch(value.strip()):
        value = Decimal(value.strip())
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        raise InvalidRequest(f"{name} must be a number", param=name)
    if not value < math.inf or value > MOST_NUMBER:
        raise InvalidRequest(f"{name} must be at most {MOST_NUMBER}", param=name)
    return math.ceil(value) if value > 0 else None


def asks_for_other_models(fields: Mapping[str, Any]) -> str | None:
    """The field by which the call names further models; None without one."""
    for path, found in objects_with_limits(fields):
        if OTHER_MODELS.isdisjoint(found):
            continue
        for name in sorted(OTHER_MODELS & found.keys()):
            if found[name]:
                return _path_of(path, name)
    return None


def _largest(values: Mapping[str, int], names: frozenset[str]) -> int | None:
    return max((values[name] for name in names & values.keys()), default=None)


def _prompt_count(prompt: Any) -> int:
    """The completions API answers each prompt of a list; a list of numbers is one prompt as tokens."""
    if isinstance(prompt, list) and prompt and not isinstance(prompt[0], int):
        return len(prompt)
    return 1


def _path_of(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name
