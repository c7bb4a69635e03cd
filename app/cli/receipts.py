"""`filmgate receipt`: checks receipts of films without the gateway, and cares for the keys that sign them."""

import hashlib
import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import httpx2
import typer
from rich.markup import escape
from sqlalchemy.engine import make_url

from app.cli.languages import Language, LanguageOption, chosen_language
from app.cli.output import out, plain_table
from app.cli.store_access import with_store
from app.components import Components
from app.errors import InvalidRequest
from app.settings import load_settings
from app.signed_documents import MOST_BYTES, SIGNATURE, SignatureRefused, read_jwks, read_signed

commands = typer.Typer(
    no_args_is_help=True, help="Receipts of films: check them, and the keys that sign them."
)
KEYS_PATH = "/.well-known/filmgate-keys.json"
FETCH_SECONDS = 30.0
KIND, VERSION = "filmgate.film_receipt", 1
SIGNS = {True: "[green]✓[/]", False: "[red]✗[/]"}
WORDS: Mapping[Language, Mapping[str, str]] = {
    "en": {
        "signature": "signature",
        "film": "film",
        "prompt": "prompt",
        "signed": "as it was signed, by the key {key}",
        "unreadable": "this is no receipt: {detail}",
        "not_signed": "this is no receipt with a signature of ours",
        "unknown_key": "signed by the key {detail}, which is not among those of --keys",
        "changed": "the receipt was changed after it was signed",
        "other_kind": "it is signed, but no receipt that this version knows",
        "same_film": "the bytes of {name}, as in the receipt",
        "other_film": "not the film of this receipt",
        "no_hash": "the receipt has no hash of a film: none was made, or it was gone when the receipt was asked for",
        "same_prompt": "the prompt that was asked for",
        "other_prompt": "not the prompt that was asked for",
        "no_prompt": "the receipt has no hash of the prompt: its key keeps no prompts",
        "summary": "task {task}: {state}, model {model}, {attempts} attempts, paid {sale}, {finished}",
        "nothing": "nothing",
    },
    "zh": {
        "signature": "签名",
        "film": "影片",
        "prompt": "提示词",
        "signed": "与签署时一致，密钥 {key}",
        "unreadable": "这不是凭证：{detail}",
        "not_signed": "这不是带有本网关签名的凭证",
        "unknown_key": "由密钥 {detail} 签署，但 --keys 中没有这个密钥",
        "changed": "凭证在签署之后被改动过",
        "other_kind": "签名有效，但不是本版本认识的凭证",
        "same_film": "与凭证中的 {name} 逐字节相同",
        "other_film": "不是这份凭证的影片",
        "no_hash": "凭证中没有影片的哈希：没有生成影片，或索取凭证时影片已不在",
        "same_prompt": "就是当时提交的提示词",
        "other_prompt": "不是当时提交的提示词",
        "no_prompt": "凭证中没有提示词的哈希：该令牌不保留提示词",
        "summary": "任务 {task}：{state}，模型 {model}，尝试 {attempts} 次，实付 {sale}，{finished}",
        "nothing": "无",
    },
}


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was checked; ``word`` names the sentence that says how."""

    check: Literal["signature", "film", "prompt"]
    is_right: bool
    word: str
    values: Mapping[str, str]


@commands.command("verify")
def verify_receipt(
    receipt: Annotated[Path, typer.Argument(metavar="FILE", help="The receipt.")],
    *,
    film: Annotated[Path | None, typer.Option(help="The film that it should be the receipt of.")] = None,
    prompt: Annotated[str | None, typer.Option(help="The prompt that it should be the receipt of.")] = None,
    keys: Annotated[
        str | None,
        typer.Option(
            metavar="FILE_OR_URL",
            help=f"The gateway's keys: a saved {KEYS_PATH}, or its address. Else those of this machine's own store.",
        ),
    ] = None,
    lang: LanguageOption = None,
) -> None:
    """Check a receipt. Exit code 0: all is right; 1: something is not; 2: a file can't be read."""
    language = chosen_language(lang)
    words = WORDS[language]
    text = _read_file(receipt, "FILE")
    findings, content = check_receipt(text, _trusted_keys(keys), film=film, prompt=prompt)
    table = plain_table("state", "check", "found")
    table.show_header = False
    for each in findings:
        found = words[each.word].format(**each.values)
        table.add_row(SIGNS[each.is_right], f"[bold]{words[each.check]}[/]", escape(found))
    out.print(table)
    if content is not None:
        out.print(escape(_summary(content, words)), soft_wrap=True)
    if not all(each.is_right for each in findings):
        raise typer.Exit(1)


@commands.command("keys")
def print_keys() -> None:
    """Print the keys that receipts of this gateway are checked with, to be saved as a file."""
    print(json.dumps(with_store(lambda components: components.receipts().keys.published()), indent=2))


@commands.command("rotate-key")
def rotate_key() -> None:
    """Sign with a new key from now on. Receipts of the old ones stay valid: their keys stay published."""
    name = with_store(lambda components: components.receipts().keys.rotate())
    out.print(f"Receipts are signed with the key {name} now.")


def check_receipt(
    text: bytes, keys: Mapping[str, bytes], *, film: Path | None, prompt: str | None
) -> tuple[list[Finding], dict[str, Any] | None]:
    """What was found, and what the receipt says if it may be believed. Raises ``InvalidRequest`` for an unreadable film."""
    try:
        content = read_signed(text, keys)
    except SignatureRefused as error:
        return [Finding("signature", False, error.fault, {"detail": error.detail})], None
    if (content.get("kind"), content.get("version")) != (KIND, VERSION):
        return [Finding("signature", False, "other_kind", {})], None
    key = json.loads(text)[SIGNATURE]["key"]
    found = [Finding("signature", True, "signed", {"key": key})]
    if film is not None:
        found.append(_check_film(content, film))
    if prompt is not None:
        found.append(_check_prompt(content, prompt))
    return found, content


def _check_film(content: Mapping[str, Any], path: Path) -> Finding:
    hashes = {file["sha256"]: file["name"] for file in content["files"] if file["sha256"]}
    if not hashes:
        return Finding("film", False, "no_hash", {})
    try:
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise InvalidRequest(f"--film: {path} can't be read: {error.strerror}") from error
    name = hashes.get(digest)
    return Finding("film", name is not None, "same_film" if name else "other_film", {"name": name or ""})


def _check_prompt(content: Mapping[str, Any], prompt: str) -> Finding:
    known = content["prompt"]
    if known is None:
        return Finding("prompt", False, "no_prompt", {})
    same = hashlib.sha256(bytes.fromhex(known["salt"]) + prompt.encode()).hexdigest() == known["sha256"]
    return Finding("prompt", same, "same_prompt" if same else "other_prompt", {})


def _summary(content: Mapping[str, Any], words: Mapping[str, str]) -> str:
    sale = content["money"]["sale"]
    return words["summary"].format(
        task=content["task"]["id"],
        state=content["task"]["state"],
        model=content["asked"]["model"],
        attempts=len(content["attempts"]),
        sale=f"${sale}" if sale else words["nothing"],
        finished=content["times"]["finished"],
    )


def _trusted_keys(place: str | None) -> dict[str, bytes]:
    if place is None:
        return _own_keys()
    text = (
        _fetch_keys(place) if place.startswith(("http://", "https://")) else _read_file(Path(place), "--keys")
    )
    try:
        return read_jwks(text)
    except SignatureRefused as error:
        raise InvalidRequest(f"--keys: {place} is no list of keys: {error.detail}") from error


def _own_keys() -> dict[str, bytes]:
    settings = load_settings()
    file = make_url(settings.resolved_database_url).database or ""
    if not settings.database_url and not Path(file).exists():
        raise InvalidRequest(
            "--keys: there is no gateway on this machine. Name its keys: a file that was saved before from its address "
            f"{KEYS_PATH}, or the address itself, like https://gateway.example.com"
        )

    async def read(components: Components) -> str:
        return json.dumps(await components.receipts().keys.published())

    return read_jwks(with_store(read))


def _fetch_keys(address: str) -> bytes:
    """From the whole address, or from that of the gateway."""
    url = address if address.endswith(".json") else f"{address.rstrip('/').removesuffix('/v1')}{KEYS_PATH}"
    try:
        answer = httpx2.get(url, timeout=FETCH_SECONDS, follow_redirects=False)
    except (httpx2.HTTPError, httpx2.InvalidURL) as error:
        raise InvalidRequest(f"--keys: {url} does not answer: {error}") from error
    if answer.status_code != httpx2.codes.OK or len(answer.content) > MOST_BYTES:
        raise InvalidRequest(f"--keys: {url} answers {answer.status_code}, and no keys")
    return answer.content


def _read_file(path: Path, option: str) -> bytes:
    """``-`` is stdin. Raises ``InvalidRequest``."""
    try:
        content = sys.stdin.buffer.read(MOST_BYTES + 1) if str(path) == "-" else _head_of(path)
    except OSError as error:
        raise InvalidRequest(f"{option}: {path} can't be read: {error.strerror}") from error
    return content


def _head_of(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(MOST_BYTES + 1)
