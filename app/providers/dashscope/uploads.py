"""DashScope's temporary storage, for inputs without an address where it takes nothing else.

https://help.aliyun.com/zh/model-studio/get-temporary-file-url
"""

from secrets import token_hex
from typing import Any
from urllib.parse import urlsplit

from pydantic import BaseModel

from app.errors import PollFailed, UpstreamError
from app.generation import MediaInput
from app.providers.dashscope.answers import meaning_of
from app.providers.http import UpstreamClient
from app.providers.http_errors import submit_error
from app.providers.http_messages import FormFile
from app.providers.reading import Text

UPLOADS = "/api/v1/uploads"
STORAGE = ".aliyuncs.com"
RESOLVES = {"X-DashScope-OssResourceResolve": "enable"}
"""The header of a request that names an upload."""


class UploadPolicy(BaseModel):
    policy: str
    signature: str
    upload_dir: str
    upload_host: str
    oss_access_key_id: str
    x_oss_object_acl: str
    x_oss_forbid_overwrite: Any


class PolicyAnswer(BaseModel):
    data: UploadPolicy | None = None
    code: Text = ""
    message: Text = ""

    def is_error(self) -> bool:
        return bool(self.code)


class UploadAnswer(BaseModel):
    """None of it is read."""


async def upload_input(http: UpstreamClient, item: MediaInput, *, model: str) -> MediaInput:
    """``item`` with an address (``oss://…``) that only this account's requests for ``model`` can use, for two days.

    Raises ``PollFailed`` or the vendor's refusal: an upload starts no work that costs money.
    """
    policy = await _upload_policy(http, model)
    ending = item.content_type.rsplit("/", 1)[-1].removeprefix("x-")
    # A new name each time: the storage overwrites nothing, so a second attempt must not meet the first.
    key = f"{policy.upload_dir}/{item.role}-{token_hex(8)}.{ending}"
    form = {
        "OSSAccessKeyId": policy.oss_access_key_id,
        "Signature": policy.signature,
        "policy": policy.policy,
        "key": key,
        "x-oss-object-acl": policy.x_oss_object_acl,
        "x-oss-forbid-overwrite": str(policy.x_oss_forbid_overwrite).lower(),
        "success_action_status": "200",
        "x-oss-content-type": item.content_type,
    }
    file = FormFile("file", item.content or b"", item.content_type, key.rsplit("/", 1)[-1])
    storage = http.client_for(_checked_origin(policy.upload_host, http.base_url))
    try:
        await storage.post_form("/", form, files=[file], answer=UploadAnswer)
    except UpstreamError as error:
        raise PollFailed(f"an input could not be uploaded: {error.message}") from error
    return item.model_copy(update={"url": f"oss://{key}", "content": None})


async def _upload_policy(http: UpstreamClient, model: str) -> UploadPolicy:
    params = {"action": "getPolicy", "model": model}
    answer = await http.get(UPLOADS, answer=PolicyAnswer, params=params, even_if=PolicyAnswer.is_error)
    body = answer.body
    if body.is_error():
        text = http.clean_text(f"{body.message} ({body.code})")
        meaning = meaning_of(body.code, body.message)
        raise submit_error(meaning, text, status=answer.status, headers=answer.headers)
    if body.data is None:
        raise PollFailed("DashScope granted no upload")
    return body.data


def _checked_origin(host: str, base_url: str) -> str:
    """The origin of ``host``. Raises ``PollFailed`` unless it is in the vendor's domain or the account's own origin."""
    there, here = urlsplit(host), urlsplit(base_url)
    own = there.scheme == "https" and (there.hostname or "").endswith(STORAGE)
    if not own and (there.scheme, there.netloc) != (here.scheme, here.netloc):
        raise PollFailed("DashScope named a foreign host to upload to")
    return f"{there.scheme}://{there.netloc}"
