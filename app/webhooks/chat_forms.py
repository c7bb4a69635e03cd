"""Notices in the forms that chat services take, signed as they ask, and what their answers mean."""

import base64
import hashlib
import hmac
import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import partial
from typing import Any
from urllib.parse import quote_plus

from app.foreign import clean_text
from app.webhooks.notice_options import NoticeReceiver, ReceiverKind
from app.webhooks.sender import WebhookMessage

TELEGRAM = "https://api.telegram.org"
MOST_BYTES: Mapping[ReceiverKind, int] = {"wecom": 2_048, "discord": 2_000, "telegram": 4_096}
"""What the services take; 8,000 where they state no limit that a notice can reach."""
LONGEST_TEXT = 8_000
LONGEST_ANSWER = 200
TIMES = frozenset({"until", "next_look_at"})
UNREADABLE = "It answered something else than this service does. Is the address right?"
TITLES: Mapping[str, tuple[str, str]] = {
    "account_disabled": ("an account is disabled", "账号已停用"),
    "account_recovered": ("an account works again", "账号已恢复"),
    "account_cooling_down": ("an account cools down", "账号进入冷却"),
    "no_available_account": ("no account can serve a model", "没有账号可提供模型"),
    "user_quota_too_low": ("a budget is nearly used up", "额度即将用尽"),
    "backup_failed": ("a backup failed", "备份失败"),
    "cost_limited": ("a vendor reported a cost that is not believed", "上游报告的费用异常"),
    "usage_refused": ("a row of usage was lost", "用量记录丢失"),
    "money_held": ("money is held until you decide", "有金额待你裁定"),
    "model_retires": ("a model retires", "模型即将下线"),
    "labels_failed": ("a film waits for its labels", "有影片等待添加标识"),
    "test": ("a test", "测试消息"),
}
"""In English and in Chinese. Every text has the word Filmgate, which DingTalk and Feishu can ask for as a keyword."""


def notice_title(body: str, *, language: str) -> str:
    topic = str(json.loads(body)["topic"])
    title = TITLES.get(topic, (topic, topic))[language == "zh"]
    return f"Filmgate{'：' if language == 'zh' else ': '}{title}"


def notice_text(body: str, *, language: str, most: int = LONGEST_TEXT) -> str:
    """The notice as lines, cut to ``most`` bytes of UTF-8."""
    data: dict[str, Any] = json.loads(body)["data"]
    lines = [f"{name}: {_shown(name, value)}" for name, value in data.items() if value is not None]
    text = "\n".join([notice_title(body, language=language), *lines])
    return text.encode()[:most].decode(errors="ignore")


def chat_message(delivery_id: str, receiver: NoticeReceiver, body: str, *, now: float) -> WebhookMessage:
    """``now`` (UTC seconds) goes into the signature, so a repeated attempt is signed anew."""
    kind = receiver.kind
    text = notice_text(body, language=receiver.language, most=MOST_BYTES.get(kind, LONGEST_TEXT))
    address, document = FORMS[kind](receiver, text, now)
    return WebhookMessage(
        delivery_id,
        address,
        json.dumps(document, ensure_ascii=False).encode(),
        valid=[],
        headers={"content-type": "application/json; charset=utf-8"},
        refusal=partial(refusal_in, kind),
    )


def refusal_in(kind: ReceiverKind, status: int, content: bytes) -> str | None:
    """Why the service did not take the message; None when it did. Feishu, DingTalk and WeCom refuse with a 200."""
    said = clean_text(content.decode(errors="replace").strip())[:LONGEST_ANSWER]
    if kind in ("slack", "discord"):
        return None if 200 <= status < 300 else (said or None)
    try:
        answer = json.loads(content)
    except ValueError:
        # Only a refusal of Telegram is short: what it accepts is repeated whole, and we read the beginning.
        return None if kind == "telegram" and 200 <= status < 300 else UNREADABLE
    if not isinstance(answer, dict):
        return UNREADABLE
    if kind == "telegram":
        return None if answer.get("ok") is True else said
    code = answer.get("code", answer.get("StatusCode")) if kind == "feishu" else answer.get("errcode")
    if code == 0:
        return None
    words = clean_text(str(answer.get("msg") or answer.get("errmsg") or ""))[:LONGEST_ANSWER]
    return UNREADABLE if code is None else f"{code}: {words}"


def _shown(name: str, value: Any) -> str:
    if name in TIMES and isinstance(value, int | float):
        return f"{datetime.fromtimestamp(value, UTC):%Y-%m-%d %H:%M} UTC"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _signature(key: str, text: str) -> str:
    return base64.b64encode(hmac.new(key.encode(), text.encode(), hashlib.sha256).digest()).decode()


def _feishu_form(receiver: NoticeReceiver, text: str, now: float) -> tuple[str, dict[str, Any]]:
    """https://open.feishu.cn/document/client-docs/bot-v3/add-custom-bot: the text that is signed is the key, over nothing."""
    document: dict[str, Any] = {"msg_type": "text", "content": {"text": text}}
    if secret := receiver.secret.get_secret_value():
        seconds = str(int(now))
        document |= {"timestamp": seconds, "sign": _signature(f"{seconds}\n{secret}", "")}
    return receiver.url, document


def _dingtalk_form(receiver: NoticeReceiver, text: str, now: float) -> tuple[str, dict[str, Any]]:
    """https://open.dingtalk.com/document/robots/customize-robot-security-settings: signed in the address."""
    address = receiver.url
    if secret := receiver.secret.get_secret_value():
        milliseconds = str(int(now * 1000))
        sign = quote_plus(_signature(secret, f"{milliseconds}\n{secret}"))
        address += f"{'&' if '?' in address else '?'}timestamp={milliseconds}&sign={sign}"
    return address, {"msgtype": "text", "text": {"content": text}}


def _wecom_form(receiver: NoticeReceiver, text: str, now: float) -> tuple[str, dict[str, Any]]:
    """https://developer.work.weixin.qq.com/document/path/91770: the key is in the address."""
    return receiver.url, {"msgtype": "text", "text": {"content": text}}


def _telegram_form(receiver: NoticeReceiver, text: str, now: float) -> tuple[str, dict[str, Any]]:
    """https://core.telegram.org/bots/api#sendmessage: the bot's token is part of the path."""
    server = (receiver.url or TELEGRAM).rstrip("/")
    return f"{server}/bot{receiver.token.get_secret_value()}/sendMessage", {
        "chat_id": receiver.chat,
        "text": text,
    }


def _slack_form(receiver: NoticeReceiver, text: str, now: float) -> tuple[str, dict[str, Any]]:
    """https://api.slack.com/messaging/webhooks: these three characters would be markup."""
    plain = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return receiver.url, {"text": plain}


def _discord_form(receiver: NoticeReceiver, text: str, now: float) -> tuple[str, dict[str, Any]]:
    """https://discord.com/developers/docs/resources/webhook#execute-webhook: a name in a text must ping nobody."""
    return receiver.url, {"content": text, "allowed_mentions": {"parse": []}}


FORMS: Mapping[ReceiverKind, Callable[[NoticeReceiver, str, float], tuple[str, dict[str, Any]]]] = {
    "feishu": _feishu_form,
    "dingtalk": _dingtalk_form,
    "wecom": _wecom_form,
    "telegram": _telegram_form,
    "slack": _slack_form,
    "discord": _discord_form,
}
