"""From a Pydantic model to the JSON schema that OpenAI takes in strict mode.

Every property is required and no other is allowed; what the strict subset does not know (defaults, titles, lengths) is
left out, because the model itself validates the answer afterwards. References are written out in place.
"""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel

from schemas.errors import error_of

KEPT = frozenset(
    {
        "type", "enum", "const", "anyOf", "items", "properties", "description", "pattern", "format", "multipleOf",
        "maximum", "exclusiveMaximum", "minimum", "exclusiveMinimum", "minItems", "maxItems",
    }
)  # fmt: skip


def strict_schema(model: type[BaseModel]) -> dict[str, Any]:
    """The strict schema of ``model``. Raises configuration for models that hold themselves or free-form dicts."""
    schema = model.model_json_schema()
    strict: dict[str, Any] = _strict(schema, schema.get("$defs", {}), ())
    return strict


def _strict(node: dict[str, Any], definitions: dict[str, Any], within: tuple[str, ...]) -> dict[str, Any]:
    if "$ref" in node:
        name = node["$ref"].rsplit("/", 1)[-1]
        if name in within:
            raise error_of("configuration", f"An answer of type {name} would hold itself; a strict schema cannot.")
        return _strict(definitions[name], definitions, (*within, name))
    kept = {key: value for key, value in node.items() if key in KEPT}
    if "anyOf" in kept:
        kept["anyOf"] = [_strict(child, definitions, within) for child in kept["anyOf"]]
    if isinstance(kept.get("items"), dict):
        kept["items"] = _strict(kept["items"], definitions, within)
    if kept.get("type") == "object":
        if "properties" not in kept:
            raise error_of("configuration", "An answer with keys of the model's own choice has no strict schema.")
        kept["properties"] = {k: _strict(child, definitions, within) for k, child in kept["properties"].items()}
        kept["required"] = list(kept["properties"])
        kept["additionalProperties"] = False
    return kept
