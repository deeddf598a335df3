"""Schemas and examples of the OpenAPI document: the members people use, not every one that a backend takes."""

from __future__ import annotations

from typing import Any

Fields = dict[str, Any]

PROBLEM = "application/problem+json"
_SSE = "text/event-stream"
_NDJSON = "application/x-ndjson"
_CHAT_MODEL = "gemma3:270m"

_STRING: Fields = {"type": "string"}
_INTEGER: Fields = {"type": "integer"}
_NUMBER: Fields = {"type": "number"}
_BOOLEAN: Fields = {"type": "boolean"}
_OBJECT: Fields = {"type": "object", "additionalProperties": True}


def _list(of: Fields) -> Fields:
    return {"type": "array", "items": of}


def _object(required: tuple[str, ...] = (), **members: Fields) -> Fields:
    schema: Fields = {"type": "object", "properties": members, "additionalProperties": True}
    return schema | ({"required": list(required)} if required else {})


def _about(schema: Fields, text: str) -> Fields:
    return {**schema, "description": text}


_MESSAGE = _object(("role",), role=_STRING, content=_about({}, "text, or OpenAI's list of text and image parts"))
_OLLAMA_MESSAGE = _object(
    ("role",), role=_STRING, content=_STRING, thinking=_STRING, images=_list(_STRING), tool_calls=_list(_OBJECT)
)
_USAGE = _object(prompt_tokens=_INTEGER, completion_tokens=_INTEGER, total_tokens=_INTEGER)
_STREAM_OPENAI = _about(_BOOLEAN, "server-sent events instead of one answer (default false)")
_STREAM_OLLAMA = _about(_BOOLEAN, "newline-delimited JSON instead of one answer (default true)")
_MODEL = _about(_STRING, "default: the first model of the first backend")
_KEEP_ALIVE = _about({"type": ["string", "number"]}, "0 lets go of the model; over llama.cpp it stays loaded")
_FORMAT = _about({"type": ["string", "object"]}, '"json" or a JSON schema')
_OPTIONS = _about(_OBJECT, "temperature, top_k, top_p, min_p, seed, stop, num_predict, repeat_penalty, …")
_FIGURES: Fields = {
    "done": _BOOLEAN,
    "done_reason": _STRING,
    "total_duration": _about(_INTEGER, "nanoseconds, as all durations here"),
    "load_duration": _INTEGER,
    "prompt_eval_count": _INTEGER,
    "prompt_eval_duration": _INTEGER,
    "eval_count": _INTEGER,
    "eval_duration": _INTEGER,
}
_FILE = _about({"type": "string", "format": "binary"}, "the audio: wav, mp3, flac, ogg, opus, m4a, webm, or a video")
_TRANSCRIBE: Fields = {"language": _STRING, "task": {"enum": ["transcribe", "translate"]}, "prompt": _STRING}

SCHEMAS: Fields = {
    "Problem": _object(
        ("type", "title", "status", "detail", "code"),
        type=_STRING, title=_STRING, status=_INTEGER, detail=_STRING, code=_STRING, request_id=_STRING,
        error=_about(_STRING, "the detail once more, on Ollama's routes, where its clients look for it"),
    ),
    "OpenAIError": _object(("error",), error=_object(message=_STRING, type=_STRING, param=_STRING, code=_STRING)),
    "Health": _object(
        ("status", "components"), status={"enum": ["ok", "degraded", "down"]}, service=_STRING, version=_STRING,
        timestamp=_STRING, components=_about(_OBJECT, "one member per backend, Whisper's own health inside its own"),
    ),
    "TranscribeRequest": _object(("file",), file=_FILE, **_TRANSCRIBE),
    "TranscribeUrlRequest": _object(("url",), url=_STRING, **_TRANSCRIBE),
    "Transcript": _object(
        ("text", "language", "duration", "processing_time"), text=_STRING, language=_STRING,
        duration=_about(_NUMBER, "seconds of audio"), processing_time=_about(_NUMBER, "seconds it took"),
    ),
    "Queue": _object(queue_size=_INTEGER, max_queue_size=_INTEGER, running=_INTEGER, waiting=_INTEGER),
    "OpenAITranscriptionRequest": _object(
        ("file", "model"), file=_FILE, model=_STRING, language=_STRING, prompt=_STRING, temperature=_NUMBER,
        response_format={"enum": ["json", "text", "srt", "vtt", "verbose_json"]},
    ),
    "OpenAITranscription": _object(("text",), text=_STRING),
    "ChatCompletionRequest": _object(
        ("messages",), model=_MODEL, messages=_list(_MESSAGE), stream=_STREAM_OPENAI, max_tokens=_INTEGER,
        temperature=_NUMBER, top_p=_NUMBER, stop=_list(_STRING), tools=_list(_OBJECT), response_format=_OBJECT,
    ),
    "ChatCompletion": _object(id=_STRING, model=_STRING, choices=_list(_OBJECT), usage=_USAGE),
    "CompletionRequest": _object(
        ("prompt",), model=_MODEL, prompt=_STRING, max_tokens=_INTEGER, temperature=_NUMBER, top_p=_NUMBER,
        n=_INTEGER, stream=_STREAM_OPENAI, stop=_list(_STRING), presence_penalty=_NUMBER, frequency_penalty=_NUMBER,
    ),
    "Completion": _object(id=_STRING, model=_STRING, choices=_list(_OBJECT), usage=_USAGE),
    "EmbeddingsRequest": _object(("input",), model=_MODEL, input={"type": ["string", "array"], "items": _STRING}),
    "Embeddings": _object(data=_list(_object(embedding=_list(_NUMBER), index=_INTEGER)), usage=_USAGE),
    "Model": _object(("id",), id=_STRING, object=_STRING, created=_INTEGER, owned_by=_about(_STRING, "the backend")),
    "ModelList": _object(object=_STRING, data=_list({"$ref": "#/components/schemas/Model"})),
    "OllamaGenerateRequest": _object(
        ("prompt",), model=_MODEL, prompt=_STRING, system=_STRING, images=_list(_STRING), raw=_BOOLEAN,
        stream=_STREAM_OLLAMA, format=_FORMAT, options=_OPTIONS, keep_alive=_KEEP_ALIVE,
    ),
    "OllamaGenerated": _object(model=_STRING, created_at=_STRING, response=_STRING, **_FIGURES),
    "OllamaChatRequest": _object(
        ("messages",), model=_MODEL, messages=_list(_OLLAMA_MESSAGE), tools=_list(_OBJECT),
        think={"type": ["boolean", "string"]}, stream=_STREAM_OLLAMA, format=_FORMAT, options=_OPTIONS,
        keep_alive=_KEEP_ALIVE,
    ),
    "OllamaChat": _object(model=_STRING, created_at=_STRING, message=_OLLAMA_MESSAGE, **_FIGURES),
    "OllamaEmbedRequest": _object(
        ("input",), model=_MODEL, input={"type": ["string", "array"], "items": _STRING}, dimensions=_INTEGER
    ),
    "OllamaEmbed": _object(model=_STRING, embeddings=_list(_list(_NUMBER)), prompt_eval_count=_INTEGER),
    "OllamaEmbeddingsRequest": _object(("prompt",), model=_MODEL, prompt=_STRING),
    "OllamaEmbeddings": _object(embedding=_list(_NUMBER)),
    "OllamaModels": _object(models=_list(_OBJECT)),
    "OllamaNamed": _object(model=_STRING, name=_about(_STRING, "the older name of `model`")),
    "OllamaShow": _object(details=_OBJECT, model_info=_OBJECT, template=_STRING, capabilities=_list(_STRING)),
    "OllamaVersion": _object(version=_STRING),
    "OllamaCopyRequest": _object(("source", "destination"), source=_STRING, destination=_STRING),
    "BackendState": _object(
        ("name", "kind", "in_flight", "waiting", "paused"), name=_STRING, kind=_STRING, in_flight=_INTEGER,
        waiting=_INTEGER, paused=_about({"type": ["object", "null"]}, "owner, why, since, ends_in_s"),
        standby=_about({"type": ["object", "null"]}, "the service that answers until ours has taken over: url, active"),
    ),
    "BackendStates": _object(
        ("version", "in_flight", "backends"), version=_STRING,
        in_flight=_about(_INTEGER, "requests inside this gateway, waiting ones too, without administrators'"),
        backends=_list({"$ref": "#/components/schemas/BackendState"}),
    ),
    "PauseRequest": _object(
        ("owner", "why", "lease_s"), owner=_STRING, why=_STRING,
        lease_s=_about(_NUMBER, "seconds until it ends unless it is renewed, 120 at most"),
    ),
    "ResumeRequest": _object(("owner",), owner=_STRING),
    "OllamaProgress": _object(status=_STRING, digest=_STRING, total=_INTEGER, completed=_INTEGER),
}  # fmt: skip

_ASKED = [{"role": "user", "content": "What is the capital of France?"}]
_FRANCE = "The capital of France is Paris."
_SPOKEN: Fields = {"text": "Hello world.", "language": "en", "duration": 5.24, "processing_time": 0.44}
_GENERATE: Fields = {
    "request_schema": "OllamaGenerateRequest",
    "response_schema": "OllamaGenerated",
    "request": {"model": _CHAT_MODEL, "prompt": _ASKED[0]["content"], "stream": False},
    "response": {"model": _CHAT_MODEL, "response": _FRANCE, "done": True, "done_reason": "stop"},
    "streams": (_NDJSON,),
}
_NAMED: Fields = {"request_schema": "OllamaNamed", "request": {"model": _CHAT_MODEL}}

# By path: names of the request's and the answer's schema, an example of each, and how the answer may be streamed.
EXAMPLES: dict[str, Fields] = {
    "/": {"media": "text/plain"},
    "/docs": {"media": "text/html"},
    "/health": {"response_schema": "Health"},
    "/transcribe": {
        "request_schema": "TranscribeRequest", "response_schema": "Transcript", "response": _SPOKEN,
    },
    "/transcribe/url": {
        "request_schema": "TranscribeUrlRequest", "response_schema": "Transcript",
        "request": {"url": "https://example.com/talk.mp3"}, "response": _SPOKEN,
    },
    "/queue/status": {"response_schema": "Queue"},
    "/v1/audio/transcriptions": {
        "request_schema": "OpenAITranscriptionRequest", "response_schema": "OpenAITranscription",
        "response": {"text": _SPOKEN["text"]},
    },
    "/v1/chat/completions": {
        "request_schema": "ChatCompletionRequest", "response_schema": "ChatCompletion", "streams": (_SSE,),
        "request": {"model": _CHAT_MODEL, "messages": _ASKED},
        "response": {"model": _CHAT_MODEL, "choices": [{"message": {"role": "assistant", "content": _FRANCE}}]},
    },
    "/v1/completions": {
        "request_schema": "CompletionRequest", "response_schema": "Completion", "streams": (_SSE,),
        "request": {"model": _CHAT_MODEL, "prompt": "The capital of France is", "max_tokens": 8},
    },
    "/v1/embeddings": {
        "request_schema": "EmbeddingsRequest", "response_schema": "Embeddings",
        "request": {"model": _CHAT_MODEL, "input": ["hello", "world"]},
    },
    "/v1/models": {"response_schema": "ModelList"},
    "/v1/models/{id}": {"response_schema": "Model"},
    "/generate": _GENERATE,
    "/api/generate": _GENERATE,
    "/api/chat": {
        "request_schema": "OllamaChatRequest", "response_schema": "OllamaChat", "streams": (_NDJSON,),
        "request": {"model": _CHAT_MODEL, "messages": _ASKED, "stream": False},
        "response": {"model": _CHAT_MODEL, "message": {"role": "assistant", "content": _FRANCE}, "done": True},
    },
    "/api/embed": {
        "request_schema": "OllamaEmbedRequest", "response_schema": "OllamaEmbed",
        "request": {"model": _CHAT_MODEL, "input": ["hello", "world"]},
    },
    "/api/embeddings": {
        "request_schema": "OllamaEmbeddingsRequest", "response_schema": "OllamaEmbeddings",
        "request": {"model": _CHAT_MODEL, "prompt": "hello"},
    },
    "/api/tags": {"response_schema": "OllamaModels"},
    "/api/show": {**_NAMED, "response_schema": "OllamaShow"},
    "/api/ps": {"response_schema": "OllamaModels"},
    "/api/version": {"response_schema": "OllamaVersion", "response": {"version": "0.24.0"}},
    "/api/pull": {**_NAMED, "response_schema": "OllamaProgress", "streams": (_NDJSON,)},
    "/api/delete": _NAMED,
    "/api/admin/backends": {"response_schema": "BackendStates"},
    "/api/admin/backends/{name}/pause": {
        "request_schema": "PauseRequest", "response_schema": "BackendState",
        "request": {"owner": "upgrade 7f3a", "why": "whisper-api becomes 0.2.0", "lease_s": 60},
    },
    "/api/admin/backends/{name}/resume": {
        "request_schema": "ResumeRequest", "response_schema": "BackendState", "request": {"owner": "upgrade 7f3a"},
    },
    "/api/copy": {
        "request_schema": "OllamaCopyRequest", "request": {"source": _CHAT_MODEL, "destination": "mine:latest"}
    },
}  # fmt: skip
