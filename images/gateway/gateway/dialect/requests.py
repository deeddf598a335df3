"""Requests in Ollama's dialect, and what becomes of them in OpenAI's."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import msgspec

from gateway.dialect.options import Fields, is_unload, translate_format, translate_options, translate_think
from service_kit.errors import ServiceError


class Function(msgspec.Struct):
    """The call in a tool call; Ollama has its arguments as an object, OpenAI as JSON text."""

    name: str
    arguments: dict[str, Any] | str | None = None


class ToolCall(msgspec.Struct):
    """One tool call of an assistant's message."""

    function: Function
    id: str | None = None


class Message(msgspec.Struct):
    """One message of a chat; `images` are base64."""

    role: str
    content: str | None = ""
    thinking: str | None = None
    images: list[str] | None = None
    tool_calls: list[ToolCall] | None = None
    tool_name: str | None = None
    tool_call_id: str | None = None


class ChatRequest(msgspec.Struct):
    """POST /api/chat."""

    model: str | None = None
    messages: list[Message] | None = None
    stream: bool | None = None
    format: Any = None
    keep_alive: Any = None
    tools: list[dict[str, Any]] | None = None
    options: dict[str, Any] | None = None
    think: bool | str | None = None
    logprobs: bool | None = None
    top_logprobs: int | None = None


class GenerateRequest(msgspec.Struct):
    """POST /api/generate and /generate. `context` is passed over: it is a list of another tokenizer's tokens."""

    model: str | None = None
    prompt: str | None = None
    suffix: str | None = None
    system: str | None = None
    template: str | None = None
    stream: bool | None = None
    raw: bool | None = None
    format: Any = None
    keep_alive: Any = None
    images: list[str] | None = None
    options: dict[str, Any] | None = None
    think: bool | str | None = None
    logprobs: bool | None = None
    top_logprobs: int | None = None


class EmbedRequest(msgspec.Struct):
    """POST /api/embed."""

    model: str | None = None
    input: str | list[str] | None = None
    dimensions: int | None = None
    keep_alive: Any = None


class EmbeddingsRequest(msgspec.Struct):
    """POST /api/embeddings, the older one."""

    model: str | None = None
    prompt: str | None = None
    keep_alive: Any = None


class ShowRequest(msgspec.Struct):
    """POST /api/show."""

    model: str | None = None
    name: str | None = None


CHAT = msgspec.json.Decoder(ChatRequest)
GENERATE = msgspec.json.Decoder(GenerateRequest)
EMBED = msgspec.json.Decoder(EmbedRequest)
EMBEDDINGS = msgspec.json.Decoder(EmbeddingsRequest)
SHOW = msgspec.json.Decoder(ShowRequest)


@dataclass(frozen=True, slots=True)
class Asked:
    """What to send: a POST of `body` to `path`; `stream` is whether the client wants a stream."""

    path: str
    body: Fields
    stream: bool


@dataclass(frozen=True, slots=True)
class Loading:
    """A request that only loads the model or, with `unload`, lets go of it."""

    unload: bool


def chat(request: ChatRequest, model: str) -> Asked | Loading:
    """What a chat is over OpenAI's dialect. Raises ServiceError 400."""
    unload = is_unload(request.keep_alive)
    if not request.messages:
        return Loading(unload)
    fields = _common(request, model)
    fields["messages"] = _messages(request.messages)
    if request.tools:
        fields["tools"] = request.tools
    return Asked("/v1/chat/completions", fields, request.stream is not False)


def generate(request: GenerateRequest, model: str) -> Asked | Loading:
    """What a generate is over OpenAI's dialect: a chat of one message, or with `raw` a completion.

    Raises ServiceError 400, or 501 for a template: it is written for Ollama's own engine.
    """
    if request.suffix:
        raise ServiceError(
            400, "not_supported_by_model", f"Model '{model}' does not take a suffix.", param="suffix",
            hint="Ask a model made for filling in, under Ollama.",
        )  # fmt: skip
    if request.raw and (request.template or request.system):
        raise ServiceError(
            400, "invalid_request", "'raw' excludes 'template' and 'system'.", param="raw", hint="Leave one side out."
        )
    if request.template:
        raise ServiceError(
            501, "not_supported_by_backend", "A template per request works with Ollama only.", param="template",
            hint="Leave it out: the model's own is used; or render the prompt yourself and send it with 'raw'.",
        )  # fmt: skip
    unload = is_unload(request.keep_alive)
    if not request.prompt:
        return Loading(unload)
    fields = _common(request, model)
    stream = request.stream is not False
    if request.raw:
        if request.images:
            raise ServiceError(400, "invalid_request", "'raw' excludes 'images'.", param="images")
        fields["prompt"] = request.prompt
        if "response_format" in fields:
            # llama.cpp reads a grammar for plain completions only from this name; vLLM from response_format
            fields["json_schema"] = request.format if isinstance(request.format, dict) else {"type": "object"}
        return Asked("/v1/completions", fields, stream)
    messages = [Message("system", request.system)] if request.system else []
    messages.append(Message("user", request.prompt, images=request.images))
    fields["messages"] = _messages(messages)
    return Asked("/v1/chat/completions", fields, stream)


def _common(request: ChatRequest | GenerateRequest, model: str) -> Fields:
    fields: Fields = {"model": model, "stream": request.stream is not False}
    fields |= translate_options(request.options)
    fields |= translate_format(request.format)
    fields |= translate_think(request.think)
    if fields["stream"]:
        fields["stream_options"] = {"include_usage": True}
    if request.logprobs:
        fields["logprobs"] = True
        if request.top_logprobs:
            fields["top_logprobs"] = request.top_logprobs
    return fields


def _messages(messages: list[Message]) -> list[Fields]:
    translated: list[Fields] = []
    unanswered: list[tuple[str, str]] = []
    for number, message in enumerate(messages):
        role = message.role.lower()
        fields: Fields = {"role": role, "content": _content(message)}
        if message.thinking:
            fields["reasoning_content"] = message.thinking
        if message.tool_calls:
            calls = [_tool_call(call, f"call_{number}_{each}") for each, call in enumerate(message.tool_calls)]
            unanswered += [(call["id"], call["function"]["name"]) for call in calls]
            fields["tool_calls"] = calls
        elif role == "tool":
            fields["tool_call_id"] = message.tool_call_id or _answered(unanswered, message.tool_name)
        translated.append(fields)
    return translated


def _content(message: Message) -> str | list[Fields]:
    text = message.content or ""
    if not message.images:
        return text
    parts: list[Fields] = [{"type": "text", "text": text}] if text else []
    parts += [{"type": "image_url", "image_url": {"url": _image_url(image)}} for image in message.images]
    return parts


def _image_url(base64: str) -> str:
    """A data URL; the kind is told by the first bytes, as they look in base64."""
    kinds = {"/9j/": "jpeg", "R0lGOD": "gif", "UklGR": "webp"}
    kind = next((kind for start, kind in kinds.items() if base64.startswith(start)), "png")
    return f"data:image/{kind};base64,{base64}"


def _tool_call(call: ToolCall, made_up_id: str) -> Fields:
    arguments = call.function.arguments
    if not isinstance(arguments, str):
        arguments = msgspec.json.encode(arguments or {}).decode()
    return {
        "id": call.id or made_up_id,
        "type": "function",
        "function": {"name": call.function.name, "arguments": arguments},
    }


def _answered(unanswered: list[tuple[str, str]], name: str | None) -> str:
    """The id of the call that a tool's message answers: Ollama names the tool at most, so the oldest one counts."""
    for place, (call_id, called) in enumerate(unanswered):
        if name is None or name == called:
            del unanswered[place]
            return call_id
    return f"call_{name or 'unknown'}"
