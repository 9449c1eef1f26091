"""What OpenAI's chat endpoint refuses, so that the stand-in refuses it too.

The rules of structured outputs follow https://platform.openai.com/docs/guides/structured-outputs#supported-schemas:
every property required, ``additionalProperties: false``, no composition keywords, at most 5,000 properties, ten levels,
1,000 enum values, 15,000 characters in an enum of more than 250 strings, 120,000 characters of names and values in all.
"""

from __future__ import annotations

from typing import Any

CHAT_PARAMETERS = frozenset(
    {
        "model", "messages", "response_format", "temperature", "top_p", "n", "stream", "stream_options", "stop",
        "max_tokens", "max_completion_tokens", "presence_penalty", "frequency_penalty", "logit_bias", "logprobs",
        "top_logprobs", "user", "seed", "tools", "tool_choice", "parallel_tool_calls", "reasoning_effort",
        "service_tier", "store", "metadata", "prompt_cache_key", "safety_identifier", "verbosity", "prediction",
        "modalities", "audio", "web_search_options", "functions", "function_call",
    }
)  # fmt: skip
EMBEDDING_PARAMETERS = frozenset(["model", "input", "dimensions", "encoding_format", "user"])
ROLES = frozenset({"system", "developer", "user", "assistant", "tool"})

TYPES = frozenset({"string", "number", "integer", "boolean", "object", "array", "null"})
KEYWORDS = frozenset(
    {
        "type", "properties", "required", "additionalProperties", "items", "enum", "const", "anyOf", "$ref", "$defs",
        "definitions", "description", "title", "pattern", "format", "multipleOf", "maximum", "exclusiveMaximum",
        "minimum", "exclusiveMinimum", "minItems", "maxItems",
    }
)  # fmt: skip
MAX_PROPERTIES = 5_000
MAX_DEPTH = 10
MAX_ENUM_VALUES = 1_000
MAX_LONG_ENUM_CHARACTERS = 15_000
LONG_ENUM = 250
MAX_CHARACTERS = 120_000


class Refused(Exception):
    """An error answer: HTTP status and OpenAI's error object."""

    def __init__(
        self,
        status: int,
        message: str,
        *,
        code: str | None = None,
        param: str | None = None,
        kind: str = "invalid_request_error",
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.headers = headers or {}
        self.body = {"error": {"message": message, "type": kind, "param": param, "code": code}}


def check_chat(body: Any) -> None:
    """Refuse what the endpoint would refuse in the shape of a request. Raises :class:`Refused`."""
    if not isinstance(body, dict):
        raise Refused(400, "We could not parse the JSON body of your request.")
    unknown = sorted(set(body) - CHAT_PARAMETERS)
    if unknown:
        raise Refused(400, f"Unknown parameter: '{unknown[0]}'.", code="unknown_parameter", param=unknown[0])
    messages = body.get("messages")
    if not isinstance(messages, list) or not messages:
        raise Refused(400, "Missing required parameter: 'messages'.", param="messages")
    for index, message in enumerate(messages):
        if not isinstance(message, dict) or message.get("role") not in ROLES:
            raise Refused(400, f"Invalid value for 'messages[{index}].role'.", param=f"messages[{index}].role")
        if not isinstance(message.get("content"), str | list) and not _calls_only(message):
            raise Refused(400, f"Invalid type for 'messages[{index}].content'.", param=f"messages[{index}].content")
    temperature = body.get("temperature")
    if temperature is not None and not 0 <= temperature <= 2:
        raise Refused(400, "Invalid 'temperature': must be between 0 and 2.", param="temperature")
    if body.get("max_tokens") is not None and body.get("max_completion_tokens") is not None:
        raise Refused(400, "Setting 'max_tokens' and 'max_completion_tokens' at the same time is not supported.")
    if body.get("top_logprobs") is not None and not body.get("logprobs"):
        raise Refused(400, "'top_logprobs' needs 'logprobs'.", param="top_logprobs")
    _check_format(body)


def _calls_only(message: dict[str, Any]) -> bool:
    """An answer that calls tools may be without content."""
    return message["role"] == "assistant" and message.get("content") is None and bool(message.get("tool_calls"))


def _check_format(body: dict[str, Any]) -> None:
    wanted = body.get("response_format")
    if wanted is None or wanted == {"type": "text"}:
        return
    if not isinstance(wanted, dict):
        raise Refused(400, "Invalid type for 'response_format'.", param="response_format")
    if wanted.get("type") == "json_object":
        if "json" not in " ".join(text_of(m) for m in body["messages"]).lower():
            raise Refused(
                400,
                "'messages' must contain the word 'json' in some form, to use 'response_format' of type 'json_object'.",
                param="messages",
            )
        return
    if wanted.get("type") != "json_schema":
        raise Refused(400, f"Invalid value: '{wanted.get('type')}'.", param="response_format.type")
    declared = wanted.get("json_schema")
    if not isinstance(declared, dict) or not isinstance(declared.get("name"), str):
        raise Refused(
            400, "Missing required parameter: 'response_format.json_schema.name'.", param="response_format.json_schema"
        )
    if not all(c.isascii() and (c.isalnum() or c in "_-") for c in declared["name"]) or len(declared["name"]) > 64:
        raise Refused(400, "Invalid 'response_format.json_schema.name': does not match '^[a-zA-Z0-9_-]+$'.")
    if declared.get("strict"):
        problem = schema_problem(declared.get("schema"))
        if problem:
            raise Refused(
                400, f"Invalid schema for response_format '{declared['name']}': {problem}", param="response_format"
            )


def text_of(message: dict[str, Any]) -> str:
    """The text of a message, of one or several parts."""
    content = message["content"] or ""
    return content if isinstance(content, str) else "".join(part.get("text", "") for part in content)


def schema_problem(schema: Any) -> str | None:
    """Why OpenAI would refuse this schema in strict mode; None when it would not."""
    if not isinstance(schema, dict):
        return "schema must be a JSON Schema of 'type: \"object\"'."
    if "anyOf" in schema or schema.get("type") != "object":
        return f"schema must be a JSON Schema of 'type: \"object\"', got 'type: \"{schema.get('type')}\"'."
    tally = _Tally()
    try:
        tally.visit(schema, (), 1)
    except ValueError as error:
        return str(error)
    return tally.over_limit()


class _Tally:
    def __init__(self) -> None:
        self.properties = 0
        self.enum_values = 0
        self.characters = 0

    def over_limit(self) -> str | None:
        if self.properties > MAX_PROPERTIES:
            return f"Expected at most {MAX_PROPERTIES} object properties, but received {self.properties}."
        if self.enum_values > MAX_ENUM_VALUES:
            return (
                f"Expected at most {MAX_ENUM_VALUES} enum values in total within a single schema when using "
                f"structured outputs, but received {self.enum_values}."
            )
        if self.characters > MAX_CHARACTERS:
            return f"Expected at most {MAX_CHARACTERS} characters of names and values, but received {self.characters}."
        return None

    def visit(self, node: Any, path: tuple[str, ...], depth: int) -> None:
        where = f"In context={path!r}, "
        if not isinstance(node, dict):
            raise ValueError(where + "schema must be an object.")
        unsupported = sorted(set(node) - KEYWORDS)
        if unsupported:
            raise ValueError(f"{where}'{unsupported[0]}' is not permitted.")
        if depth > MAX_DEPTH:
            raise ValueError(f"{where}schema exceeds {MAX_DEPTH} levels of nesting.")
        if "$ref" in node:
            if set(node) - {"$ref"}:
                raise ValueError(f"{where}$ref cannot have keywords beside it.")
            return
        for name, definition in {**node.get("$defs", {}), **node.get("definitions", {})}.items():
            self.characters += len(name)
            self.visit(definition, (*path, "$defs", name), 1)
        if "anyOf" in node:
            for index, choice in enumerate(node["anyOf"]):
                self.visit(choice, (*path, "anyOf", str(index)), depth)
            return
        if "const" in node:
            self.characters += len(str(node["const"]))
            return
        self._visit_typed(node, path, depth, where)

    def _visit_typed(self, node: dict[str, Any], path: tuple[str, ...], depth: int, where: str) -> None:
        kinds = node.get("type")
        kinds = kinds if isinstance(kinds, list) else [kinds]
        if not set(kinds) <= TYPES:
            raise ValueError(f"{where}schema must have a 'type' key.")
        self._visit_enum(node, where)
        if "object" in kinds:
            if node.get("additionalProperties") is not False:
                raise ValueError(f"{where}'additionalProperties' is required to be supplied and to be false.")
            properties = node.get("properties", {})
            missing = [name for name in properties if name not in node.get("required", [])]
            if missing or set(node.get("required", [])) - set(properties):
                raise ValueError(
                    f"{where}'required' is required to be supplied and to be an array including every key in "
                    f"properties. Missing '{(missing or ['?'])[0]}'."
                )
            self.properties += len(properties)
            for name, child in properties.items():
                self.characters += len(name)
                self.visit(child, (*path, "properties", name), depth + 1)
        if "array" in kinds:
            if "items" not in node:
                raise ValueError(f"{where}array schema missing items.")
            self.visit(node["items"], (*path, "items"), depth + 1)

    def _visit_enum(self, node: dict[str, Any], where: str) -> None:
        values = node.get("enum")
        if values is None:
            return
        if not values or len(set(map(str, values))) != len(values):
            raise ValueError(f"{where}'enum' must be a non-empty array of different values.")
        length = sum(len(value) for value in values if isinstance(value, str))
        self.enum_values += len(values)
        self.characters += length
        if len(values) > LONG_ENUM and length > MAX_LONG_ENUM_CHARACTERS:
            raise ValueError(
                f"{where}enum of more than {LONG_ENUM} values must have at most {MAX_LONG_ENUM_CHARACTERS} characters."
            )


def breaks_schema(value: Any, schema: dict[str, Any]) -> str | None:
    """Where ``value`` breaks a schema of the strict subset (without ``$ref``); None when it does not."""
    if "anyOf" in schema:
        return None if any(breaks_schema(value, s) is None for s in schema["anyOf"]) else "no choice of anyOf fits"
    if "enum" in schema and value not in schema["enum"]:
        return f"{value!r} is not in the enum"
    kinds = schema.get("type")
    kinds = kinds if isinstance(kinds, list) else [kinds]
    if not any(_is_kind(value, kind) for kind in kinds):
        return f"{value!r} is not of type {kinds}"
    if isinstance(value, dict):
        properties = schema.get("properties", {})
        if set(value) != set(properties):
            return f"keys {sorted(value)} instead of {sorted(properties)}"
        problems = (breaks_schema(child, properties[name]) for name, child in value.items())
        return next((p for p in problems if p), None)
    if isinstance(value, list):
        return next((p for p in (breaks_schema(child, schema["items"]) for child in value) if p), None)
    return None


def _is_kind(value: Any, kind: str | None) -> bool:
    match kind:
        case "string":
            return isinstance(value, str)
        case "integer":
            return isinstance(value, int) and not isinstance(value, bool)
        case "number":
            return isinstance(value, int | float) and not isinstance(value, bool)
        case "boolean":
            return isinstance(value, bool)
        case "object":
            return isinstance(value, dict)
        case "array":
            return isinstance(value, list)
        case _:
            return value is None
