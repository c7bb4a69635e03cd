"""Options of an account at a cloud that resells a vendor's models in the vendor's own form: other credentials, other paths.

Tencent's TokenHub: https://cloud.tencent.com/document/product/1823/135738
"""

import re
from collections.abc import Collection, Mapping
from typing import Annotated, Literal, NamedTuple, TypeVar
from urllib.parse import quote

from pydantic import AfterValidator, BaseModel

from app.errors import InvalidRequest
from app.providers.base import Account, read_options

PREFIX = re.compile(r"(/(?!\.+(/|$))[A-Za-z0-9._~-]+)*")
PATH = re.compile(r"(/(?!\.+(/|$))(?:[A-Za-z0-9._~-]|\{task\})+)+(\?[a-z_]+=\{task\})?")
TASK = "{task}"


class Place(NamedTuple):
    """A path and its query."""

    path: str
    params: Mapping[str, str] | None


def _check_prefix(prefix: str) -> str:
    if not PREFIX.fullmatch(prefix):
        raise ValueError("must be a path like /v1/films, without a slash at its end")
    return prefix


def _check_paths(paths: Mapping[str, str]) -> Mapping[str, str]:
    wrong = next((path for path in paths.values() if not PATH.fullmatch(path)), None)
    if wrong is not None:
        raise ValueError(
            f"{wrong} must be a path like /text-to-video, /tasks/{TASK} or /tasks?task_id={TASK}"
        )
    return paths


class ResellerOptions(BaseModel):
    """``account.options`` of an adapter that serves such clouds too, all optional."""

    auth: Literal["vendor", "bearer"] = "vendor"
    """``bearer``: the secret goes out as ``Authorization: Bearer``, whatever the vendor itself wants."""
    path_prefix: Annotated[str, AfterValidator(_check_prefix)] = ""
    """What stands before every path."""
    paths: Annotated[Mapping[str, str], AfterValidator(_check_paths)] = {}
    """The cloud's path for one of the vendor's, behind the prefix; ``{task}`` stands for the vendor's id of a task."""

    @property
    def is_resold(self) -> bool:
        """Then nothing is known of what the cloud has beside submits and polls."""
        return self.auth == "bearer" or bool(self.path_prefix or self.paths)

    def find_place(self, path: str, *, task: str = "") -> Place:
        """Where the vendor's ``path`` lies at this cloud."""
        path, _, query = self.paths.get(path, path).partition("?")
        filled = (self.path_prefix + path).replace(TASK, quote(task, safe=""))
        return Place(filled, {query.partition("=")[0]: task} if query else None)

    def has_path(self, path: str) -> bool:
        """Whether the upstream is known to have the vendor's ``path``."""
        return path in self.paths or not self.is_resold


Options = TypeVar("Options", bound=ResellerOptions)


def read_reseller(account: Account, form: type[Options], *, paths: Collection[str]) -> Options:
    """Raises ``InvalidRequest``, also for a path that the vendor does not have: ``paths`` are those that it has."""
    options = read_options(account, form)
    strange = sorted(set(options.paths) - set(paths))
    if strange:
        text = f"{strange[0]} is none of the vendor's paths, which are {', '.join(sorted(paths))}"
        raise InvalidRequest(text, param="options.paths")
    return options


def bearer_headers(account: Account) -> Mapping[str, str] | None:
    """The credentials where the options say ``auth = "bearer"``, else None. Raises ``InvalidRequest``."""
    if read_options(account, ResellerOptions).auth != "bearer":
        return None
    return {"Authorization": f"Bearer {account.secret}"} if account.secret else {}
