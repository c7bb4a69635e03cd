"""Schemas of models as marketplaces publish them, and the refusal of an input that does not fit one."""

from typing import Any

Properties = dict[str, dict[str, Any]]
TYPES: dict[str, type | tuple[type, ...]] = {
    "string": str, "integer": int, "number": (int, float), "boolean": bool, "array": list, "object": dict,
}  # fmt: skip

PROMPT = {"type": "string"}
LINK = {"type": "string", "format": "uri"}
LINKS = {"type": "array", "items": {"type": "string"}}
FLAG = {"type": "boolean", "default": True}
NUMBER = {"type": "integer"}


def words(*values: Any, default: Any = None) -> dict[str, Any]:
    kind = "string" if isinstance(values[0], str) else "integer"
    return {"type": kind, "enum": list(values), "default": values[0] if default is None else default}


def whole(low: int, high: int) -> dict[str, Any]:
    return {"type": "integer", "minimum": low, "maximum": high, "default": low}


def links(most: int) -> dict[str, Any]:
    return LINKS | {"maxItems": most}


def input_schema(properties: Properties, *required: str) -> dict[str, Any]:
    return {"type": "object", "title": "Input", "properties": properties, "required": list(required)}


def input_error(schema: dict[str, Any], fields: dict[str, Any]) -> tuple[str, str] | None:
    """The field and what is wrong with it; None for an input that fits."""
    properties: Properties = schema["properties"]
    for name in schema["required"]:
        if name not in fields:
            return name, "Field required"
    for name, value in fields.items():
        if name not in properties:
            return name, "Extra inputs are not permitted"
        wrong = value_error(properties[name], value)
        if wrong:
            return name, wrong
    return None


def value_error(told: dict[str, Any], value: Any) -> str | None:
    if isinstance(value, bool) != (told["type"] == "boolean") or not isinstance(value, TYPES[told["type"]]):
        return f"Input should be a valid {told['type']}"
    if "enum" in told and value not in told["enum"]:
        return f"Input should be one of {told['enum']}"
    if "maximum" in told and not told["minimum"] <= value <= told["maximum"]:
        return f"Input should be from {told['minimum']} to {told['maximum']}"
    if "maxItems" in told and len(value) > told["maxItems"]:
        return f"List should have at most {told['maxItems']} items"
    return None
