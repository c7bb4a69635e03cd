"""Folds form names with brackets (``video[id]``, ``images[]``, ``a[0][b]``) into nested fields."""

import re
from collections.abc import Iterable
from typing import Any

from app.errors import InvalidRequest

NAME = re.compile(r"([^\[\]]+)((?:\[[^\[\]]*\])+)")
SEGMENT = re.compile(r"\[([^\[\]]*)\]")
INDEX = re.compile(r"[0-9]{1,6}")


class RepeatedValues(list[Any]):
    """The values of a name that was sent more than once. Read as a list they all count, else the last one."""


class _FormNode(dict[str, Any]):
    """An object or list under construction; list items have their position, as text, as key."""

    appended = 0


def fold_fields(items: Iterable[tuple[str, Any]], *, max_depth: int) -> dict[str, Any]:
    """Nested fields of the parts ``items``.

    ``a[]`` appends, ``a[3]`` places (gaps close up), ``a[][k]`` starts a new item when ``k`` is
    there already. A name whose brackets do not pair is taken as it stands. Raises
    ``InvalidRequest`` for a name that is value and container at once, or nested too deep.
    """
    root = _FormNode()
    for name, value in items:
        path = _split_name(name)
        if len(path) > max_depth:
            raise InvalidRequest(f"{path[0]} is nested deeper than {max_depth} levels", param=path[0])
        _insert_value(root, path, value)
    return {key: _plain_value(value) for key, value in root.items()}


def _split_name(name: str) -> list[str]:
    match = NAME.fullmatch(name)
    return [match[1], *SEGMENT.findall(match[2])] if match else [name]


def _insert_value(root: _FormNode, path: list[str], value: Any) -> None:
    node = root
    for depth, segment in enumerate(path[:-1]):
        key = segment or _item_key(node, path[depth + 1 :])
        child = node.setdefault(key, _FormNode())
        if not isinstance(child, _FormNode):
            raise InvalidRequest(f"{path[0]} is given both as a value and as an object", param=path[0])
        node = child
    key = path[-1] or _next_key(node)
    if key not in node:
        node[key] = value
    elif isinstance(node[key], _FormNode):
        raise InvalidRequest(f"{path[0]} is given both as a value and as an object", param=path[0])
    elif isinstance(node[key], RepeatedValues):
        node[key].append(value)
    else:
        node[key] = RepeatedValues([node[key], value])


def _item_key(node: _FormNode, rest: list[str]) -> str:
    """The key for ``[]`` followed by ``rest``: the last item, unless it holds ``rest`` already."""
    last = node.get(str(node.appended - 1))
    if isinstance(last, _FormNode) and not _holds_path(last, rest):
        return str(node.appended - 1)
    return _next_key(node)


def _holds_path(node: Any, path: list[str]) -> bool:
    for segment in path:
        if segment == "" or not isinstance(node, _FormNode) or segment not in node:
            return False
        node = node[segment]
    return True


def _next_key(node: _FormNode) -> str:
    while str(node.appended) in node:
        node.appended += 1
    node.appended += 1
    return str(node.appended - 1)


def _plain_value(value: Any) -> Any:
    if not isinstance(value, _FormNode):
        return value
    if value and all(INDEX.fullmatch(key) for key in value):
        return [_plain_value(value[key]) for key in sorted(value, key=int)]
    return {key: _plain_value(item) for key, item in value.items()}
