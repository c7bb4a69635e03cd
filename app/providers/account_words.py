"""What upstreams say of an account that is dead, empty or in the wrong place, whatever the HTTP status.

Gemini and xAI answer a wrong key with 400, DashScope an overdue bill, Anthropic an empty balance; xAI and one-api's
descendants answer an empty balance with 403. Only codes and sentences tell these from a bad field. A client's own words
may stand in such a sentence, so none of these disables an account by itself (``app/accounts/refusals.py``).

https://ai.google.dev/gemini-api/docs/troubleshooting, https://docs.x.ai/docs/key-information/debugging,
https://help.aliyun.com/zh/model-studio/error-code, https://docs.anthropic.com/en/api/errors
"""

import re

QUOTA_CODES = {
    "insufficient_quota",
    "billing_hard_limit_reached",
    "insufficient_balance",
    "insufficient_user_quota",
    "insufficient_credits",
    "pre_consume_token_quota_failed",
    "arrearage",
    "accountoverdueerror",
}
"""OpenAI answers 429 for "slow down" and for "no money left"; only the code tells them apart. Its images answer the second
with 400, one-api and its descendants with 403. https://platform.openai.com/docs/guides/error-codes"""
KEY_CODES = {"invalid_api_key", "incorrect_api_key", "api_key_invalid", "invalidapikey"}
PLACE_CODES = {"unsupported_country_region_territory"}
KEY_WORDS = re.compile(
    r"api key not valid|(incorrect|invalid|wrong) (x-)?api[ -]key|api key (is )?(invalid|expired|not found)"
    r"|(无效的|过期的?)令牌|令牌(已过期|无效)",
    re.IGNORECASE,
)
QUOTA_WORDS = re.compile(
    r"(any|purchase more|out of|insufficient|not enough|not have enough|available) credits?\b"
    r"|credits? (balance )?(is |are )?(too low|depleted|exhausted|insufficient)"
    r"|insufficient (account )?(balance|funds|quota)|(balance|quota|funds?) (is |are )?(not enough|insufficient)"
    r"|spending limit|in arrears|account is in good standing|overdue (payment|bill)"
    r"|(余额|额度|配额)(不足|已用尽|已用完)|欠费",
    re.IGNORECASE,
)
PLACE_WORDS = re.compile(
    r"location is not supported|country, region,? or territory not supported|not available in your (country|region)",
    re.IGNORECASE,
)


def says_empty(code: str, message: str) -> bool:
    """Whether the account has no money or quota left."""
    return code.lower() in QUOTA_CODES or QUOTA_WORDS.search(message) is not None


def says_bad_key(code: str, message: str) -> bool:
    return code.lower() in KEY_CODES or KEY_WORDS.search(message) is not None


def says_wrong_place(code: str, message: str) -> bool:
    """Whether the account's address is in a country that the vendor does not serve: another account has another proxy."""
    return code.lower() in PLACE_CODES or PLACE_WORDS.search(message) is not None
