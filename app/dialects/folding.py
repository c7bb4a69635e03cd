"""Folds form names with brackets (``video[id]``, ``images[]``, ``a[0][b]``) into nested fields."""

import re
from collections.abc import Iterable
from typing import Any

from app.errors import InvalidRequest

NAME = re.compile(r"([^\[\]]+)((?:\[[^\[\]]*\])+)")
SEGMENT = re.compile(r"\[([^\[\]]*)\]")
INDEX = re.compile(r"[0-9]{1,6}")


class Repeated(list[Any]):
    """Values of one plain name sent more than once: a list where one is wanted, else the last."""


class _Node(dict[str, Any]):
    """An object or list under construction: list items lie under the text of their position."""

    appended = 0


def fold(items: Iterable[tuple[str, Any]], *, max_depth: int) -> dict[str, Any]:
    """Nested fields of the parts ``items``.

    ``a[]`` appends, ``a[3]`` places (gaps close up), ``a[][k]`` starts a new item when ``k`` is
    there already. A name whose brackets do not pair is taken as it stands. Raises
    ``InvalidRequest`` for a name that is value and container at once, or nested too deep.
    """
    root = _Node()
    for name, value in items:
        path = _path(name)
        if len(path) > max_depth:
            raise InvalidRequest(f"{path[0]} is nested deeper than {max_depth} levels", param=path[0])
        _place(root, path, value)
    return {key: _unwrap(value) for key, value in root.items()}


def _path(name: str) -> list[str]:
    match = NAME.fullmatch(name)
    return [match[1], *SEGMENT.findall(match[2])] if match else [name]


def _place(root: _Node, path: list[str], value: Any) -> None:
    node = root
    for depth, segment in enumerate(path[:-1]):
        key = segment or _item_key(node, path[depth + 1 :])
        child = node.setdefault(key, _Node())
        if not isinstance(child, _Node):
            raise InvalidRequest(f"{path[0]} is given both as a value and as an object", param=path[0])
        node = child
    key = path[-1] or _next_key(node)
    if key not in node:
        node[key] = value
    elif isinstance(node[key], _Node):
        raise InvalidRequest(f"{path[0]} is given both as a value and as an object", param=path[0])
    elif isinstance(node[key], Repeated):
        node[key].append(value)
    else:
        node[key] = Repeated([node[key], value])


def _item_key(node: _Node, rest: list[str]) -> str:
    """Where ``[]`` followed by ``rest`` goes: into the last item, unless that has it already."""
    last = node.get(str(node.appended - 1))
    if isinstance(last, _Node) and not _has(last, rest):
        return str(node.appended - 1)
    return _next_key(node)


def _has(node: Any, path: list[str]) -> bool:
    for segment in path:
        if segment == "" or not isinstance(node, _Node) or segment not in node:
            return False
        node = node[segment]
    return True


def _next_key(node: _Node) -> str:
    while str(node.appended) in node:
        node.appended += 1
    node.appended += 1
    return str(node.appended - 1)


def _unwrap(value: Any) -> Any:
    if not isinstance(value, _Node):
        return value
    if value and all(INDEX.fullmatch(key) for key in value):
        return [_unwrap(value[key]) for key in sorted(value, key=int)]
    return {key: _unwrap(item) for key, item in value.items()}
