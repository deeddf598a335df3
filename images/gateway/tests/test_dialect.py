"""Ollama's dialect over OpenAI's as pure functions, on payloads recorded from llama.cpp (B.7)."""

from __future__ import annotations

import json
from typing import Any

import pytest

from gateway.bodies import decode
from gateway.dialect import cards, embeddings
from gateway.dialect.answers import BackendError, Translation
from gateway.dialect.options import is_unload, translate_format, translate_options, translate_think
from gateway.dialect.requests import CHAT, GENERATE, Asked, Loading, chat, generate
from gateway.dialect.sse import MAX_EVENT_BYTES, EventReader, EventTooLargeError
from gateway.parsing import Malformed
from service_kit.errors import ServiceError

MODEL = "gemma3:270m"
FRAME = '"created":1795257269,"id":"chatcmpl-F","model":"gemma3:270m","object":"chat.completion.chunk"'
RECORDED = (
    'data: {"choices":[{"finish_reason":null,"index":0,"delta":{"role":"assistant","content":null}}],' + FRAME + "}\n\n"
    'data: {"choices":[{"finish_reason":null,"index":0,"delta":{"content":" Paris é"}}],' + FRAME + "}\n\n"
    'data: {"choices":[{"finish_reason":"length","index":0,"delta":{}}],' + FRAME + "}\n\n"
    'data: {"choices":[],' + FRAME + ',"usage":{"completion_tokens":3,"prompt_tokens":26,"total_tokens":29},'
    '"timings":{"cache_n":21,"prompt_n":5,"prompt_ms":27.781,"predicted_n":3,"predicted_ms":26.439}}\n\n'
    "data: [DONE]\n\n"
).encode()


class Clock:
    """A clock that moves a tenth of a second each time it is read."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        self.now += 0.1
        return self.now


def chat_request(**members: Any) -> Asked | Loading:
    return chat(decode(CHAT, json.dumps(members).encode()), MODEL)


def generate_request(**members: Any) -> Asked | Loading:
    return generate(decode(GENERATE, json.dumps(members).encode()), MODEL)


def asked(request: Asked | Loading) -> dict[str, Any]:
    assert isinstance(request, Asked)
    return request.body


class TestRequests:
    def test_plain_chat(self) -> None:
        request = chat_request(model="x", messages=[{"role": "User", "content": "Hi"}])
        assert request == Asked(
            "/v1/chat/completions",
            {
                "model": MODEL,
                "stream": True,
                "stream_options": {"include_usage": True},
                "messages": [{"role": "user", "content": "Hi"}],
            },
            stream=True,
        )
        assert "stream_options" not in asked(chat_request(messages=[{"role": "user"}], stream=False))

    def test_generate_is_a_chat_of_one_message(self) -> None:
        body = asked(generate_request(prompt="Hi", system="Be brief.", context=[1, 2, 3]))
        assert body["messages"] == [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi"}]
        assert "context" not in body

    def test_raw_is_a_completion(self) -> None:
        request = generate_request(prompt="Once", raw=True, options={"num_predict": 5})
        assert isinstance(request, Asked)
        assert request.path == "/v1/completions"
        assert request.body["prompt"] == "Once"
        assert request.body["max_tokens"] == 5
        schema = {"type": "object"}
        assert asked(generate_request(prompt="x", raw=True, format=schema))["json_schema"] == schema

    @pytest.mark.parametrize(
        ("members", "status"),
        [
            ({"prompt": "a", "suffix": "b"}, 400),
            ({"prompt": "a", "raw": True, "system": "b"}, 400),
            ({"prompt": "a", "raw": True, "template": "b"}, 400),
            ({"prompt": "a", "raw": True, "images": ["AAAA"]}, 400),
            ({"prompt": "a", "template": "{{ .Prompt }}"}, 501),
        ],
    )
    def test_what_cannot_be_translated_is_said(self, members: dict[str, Any], status: int) -> None:
        with pytest.raises(ServiceError) as caught:
            generate_request(**members)
        assert caught.value.status == status
        assert caught.value.param in members

    def test_nulls_are_absent(self) -> None:
        nulls = dict.fromkeys(("stream", "format", "keep_alive", "options", "think", "images", "raw"))
        assert asked(generate_request(prompt="Hi", **nulls)) == asked(generate_request(prompt="Hi"))

    def test_images_become_data_urls(self) -> None:
        kinds = {"iVBORw0K": "png", "/9j/4AAQ": "jpeg", "R0lGODlh": "gif", "UklGRh4A": "webp"}
        body = asked(chat_request(messages=[{"role": "user", "content": "What?", "images": list(kinds)}]))
        parts = body["messages"][0]["content"]
        assert parts[0] == {"type": "text", "text": "What?"}
        assert [part["image_url"]["url"] for part in parts[1:]] == [
            f"data:image/{kind};base64,{data}" for data, kind in kinds.items()
        ]
        assert len(asked(generate_request(prompt="x", images=["AAAA"]))["messages"][0]["content"]) == 2

    def test_tool_calls_there_and_back(self) -> None:
        call = {"function": {"name": "weather", "arguments": {"city": "Paris", "days": 2}}}
        other = {"function": {"name": "time", "arguments": {}}}
        body = asked(
            chat_request(
                messages=[
                    {"role": "user", "content": "?"},
                    {"role": "assistant", "content": "", "tool_calls": [call, other], "thinking": "hm"},
                    {"role": "tool", "content": "12:00", "tool_name": "time"},
                    {"role": "tool", "content": "sunny"},
                ],
                tools=[{"type": "function", "function": {"name": "weather"}}],
            )
        )
        assistant, first, second = body["messages"][1:]
        assert assistant["reasoning_content"] == "hm"
        calls = assistant["tool_calls"]
        assert [each["function"]["name"] for each in calls] == ["weather", "time"]
        assert json.loads(calls[0]["function"]["arguments"]) == {"city": "Paris", "days": 2}
        assert first["tool_call_id"] == calls[1]["id"]
        assert second["tool_call_id"] == calls[0]["id"]
        assert calls[0]["id"] != calls[1]["id"]
        assert body["tools"] == [{"type": "function", "function": {"name": "weather"}}]

    @pytest.mark.parametrize(
        ("members", "unload"),
        [({}, False), ({"keep_alive": 0}, True), ({"keep_alive": "0s"}, True), ({"keep_alive": "5m"}, False)],
    )
    def test_nothing_to_say_loads_or_unloads(self, members: dict[str, Any], unload: bool) -> None:
        assert generate_request(**members) == generate_request(prompt="", **members) == Loading(unload)
        assert chat_request(**members) == chat_request(messages=[], **members) == Loading(unload)


class TestOptions:
    def test_names(self) -> None:
        fields = translate_options(
            {
                "temperature": 0.5, "top_k": 40, "top_p": 0.9, "min_p": 0.1, "typical_p": 0.7, "seed": 7,
                "num_predict": 10, "stop": ["a", "b"], "repeat_penalty": 1.1, "repeat_last_n": 64, "num_keep": 4,
                "presence_penalty": 1, "frequency_penalty": 1.5, "num_ctx": 4096, "num_gpu": 1, "bogus": [],
                "mirostat": None,
            }
        )  # fmt: skip
        assert fields == {
            "temperature": 0.5, "top_k": 40, "top_p": 0.9, "min_p": 0.1, "typical_p": 0.7, "seed": 7,
            "max_tokens": 10, "stop": ["a", "b"], "repeat_penalty": 1.1, "repetition_penalty": 1.1,
            "repeat_last_n": 64, "n_keep": 4, "presence_penalty": 1, "frequency_penalty": 1.5,
        }  # fmt: skip

    def test_no_limit_is_no_field(self) -> None:
        assert translate_options({"num_predict": -1}) == translate_options({"num_predict": -2}) == {}
        assert translate_options({"num_predict": 0}) == {"max_tokens": 0}
        assert translate_options({"seed": -1}) == translate_options(None) == {}

    def test_whole_numbers_may_be_written_with_a_point(self) -> None:
        assert translate_options({"top_k": 40.0, "stop": "x"}) == {"top_k": 40, "stop": ["x"]}

    def test_formats(self) -> None:
        assert translate_format(None) == translate_format("") == {}
        assert translate_format("json") == {"response_format": {"type": "json_object"}}
        schema = {"type": "object"}
        found = translate_format(schema)["response_format"]
        assert found["type"] == "json_schema"
        assert found["json_schema"]["schema"] == schema

    def test_thinking(self) -> None:
        assert translate_think(None) == {}
        assert translate_think(False) == {"chat_template_kwargs": {"enable_thinking": False}}
        assert translate_think("low")["reasoning_effort"] == "low"

    @pytest.mark.parametrize("value", [0, 0.0, -0.0, "0", "0s", "0m", "0h0m0s", "0ms"])
    def test_zero_durations(self, value: Any) -> None:
        assert is_unload(value)

    @pytest.mark.parametrize("value", [None, 5, -1, "5m", "1h30m", "-1", "-1s", "1.5h", "300"])
    def test_other_durations(self, value: Any) -> None:
        assert not is_unload(value)

    @pytest.mark.parametrize("value", ["soon", "", "5x", "m5", True, [], {}])
    def test_no_durations(self, value: Any) -> None:
        with pytest.raises(ServiceError):
            is_unload(value)


class TestEvents:
    @pytest.mark.parametrize("size", [1, 2, 3, 7, 64, 10_000])
    @pytest.mark.parametrize("ending", [b"\n", b"\r\n", b"\r"])
    def test_any_cut_gives_the_same_events(self, size: int, ending: bytes) -> None:
        stream = RECORDED.replace(b"\n", ending) + (b": comment" + ending) * 2
        reader = EventReader()
        events = [event for start in range(0, len(stream), size) for event in reader.feed(stream[start : start + size])]
        assert events == [part.removeprefix(b"data: ") for part in RECORDED.split(b"\n\n")[:-1]]

    def test_fields_that_are_no_data(self) -> None:
        reader = EventReader()
        assert reader.feed(b"event: x\nid: 1\n\n: ping\n\ndata:a\ndata: b\n\ndata\n\n") == [b"a\nb"]

    def test_an_event_without_end(self) -> None:
        reader = EventReader()
        assert reader.feed(b"data: " + b"x" * (MAX_EVENT_BYTES - 6)) == []
        with pytest.raises(EventTooLargeError):
            reader.feed(b"x")


def run(translation: Translation, stream: bytes) -> list[dict[str, Any]]:
    records: list[dict[str, Any]] = []
    for event in EventReader().feed(stream):
        records += [translation.last()] if event == b"[DONE]" else translation.piece(event)
    return records


class TestAnswers:
    def test_recorded_chat_stream(self) -> None:
        first, last = run(Translation("chat", "asked-for", Clock()), RECORDED)
        assert first.pop("created_at").endswith("Z")
        assert first == {
            "model": "asked-for",
            "message": {"role": "assistant", "content": " Paris é"},
            "done": False,
        }
        assert last["message"] == {"role": "assistant", "content": ""}
        assert last["done"] is True
        assert last["done_reason"] == "length"
        assert last["prompt_eval_count"] == 26
        assert last["eval_count"] == 3
        assert last["prompt_eval_duration"] == 27_781_000
        assert last["eval_duration"] == 26_439_000
        assert last["total_duration"] == 200_000_000
        assert last["load_duration"] == 200_000_000 - 27_781_000 - 26_439_000

    def test_recorded_completion_stream(self) -> None:
        stream = (
            b'data: {"choices":[{"text":" France","index":0,"logprobs":null,"finish_reason":null}]}\n\n'
            b'data: {"choices":[{"text":"","index":0,"logprobs":null,"finish_reason":"stop"}],'
            b'"usage":{"completion_tokens":1,"prompt_tokens":6}}\n\ndata: [DONE]\n\n'
        )
        first, last = run(Translation("generate", MODEL, Clock()), stream)
        assert first["response"] == " France"
        assert "message" not in first
        assert last["response"] == ""
        assert last["done_reason"] == "stop"
        assert last["eval_count"] == 1

    def test_without_timings_the_gateway_measures(self) -> None:
        stream = b'data: {"choices":[{"delta":{"content":"a"},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n'
        last = run(Translation("chat", MODEL, Clock()), stream)[-1]
        assert last["prompt_eval_duration"] == 100_000_000
        assert last["eval_duration"] == 100_000_000
        assert last["total_duration"] == 200_000_000
        assert last["load_duration"] == 0

    def test_whole_answer(self) -> None:
        data = (
            b'{"choices":[{"finish_reason":"stop","index":0,"message":{"role":"assistant","content":" Paris"}}],'
            b'"usage":{"completion_tokens":7,"prompt_tokens":26},"timings":{"prompt_ms":101.519,"predicted_ms":80.489}}'
        )
        record = Translation("chat", MODEL, Clock()).whole(data)
        assert record["message"]["content"] == " Paris"
        assert record["done"] is True
        assert record["eval_count"] == 7
        assert Translation("generate", MODEL, Clock()).whole(data)["response"] == " Paris"
        text = b'{"choices":[{"text":" Paris","finish_reason":"length"}]}'
        assert Translation("generate", MODEL, Clock()).whole(text)["response"] == " Paris"

    @pytest.mark.parametrize("name", ["reasoning_content", "reasoning"])
    def test_thinking(self, name: str) -> None:
        stream = f'data: {{"choices":[{{"delta":{{"{name}":"hm"}}}}]}}\n\n'.encode()
        assert run(Translation("chat", MODEL), stream)[0]["message"]["thinking"] == "hm"
        assert run(Translation("generate", MODEL), stream)[0]["thinking"] == "hm"

    def test_tool_calls_are_put_together(self) -> None:
        pieces: list[Any] = [
            {"tool_calls": [{"index": 0, "id": "a", "function": {"name": "weather", "arguments": ""}}]},
            {"tool_calls": [{"index": 0, "function": {"arguments": '{"city":'}}]},
            {"tool_calls": [{"index": 0, "function": {"arguments": '"Paris"}'}}]},
            {"tool_calls": [{"index": 1, "id": "b", "function": {"name": "time", "arguments": "{}"}}]},
        ]
        events = [{"choices": [{"delta": piece}]} for piece in pieces]
        events.append({"choices": [{"delta": {}, "finish_reason": "tool_calls"}]})
        stream = b"".join(b"data: " + json.dumps(event).encode() + b"\n\n" for event in events) + b"data: [DONE]\n\n"
        calls, last = run(Translation("chat", MODEL), stream)
        assert [call["function"] for call in calls["message"]["tool_calls"]] == [
            {"index": 0, "name": "weather", "arguments": {"city": "Paris"}},
            {"index": 1, "name": "time", "arguments": {}},
        ]
        assert calls["done"] is False
        assert last["done_reason"] == "stop"
        assert "tool_calls" not in last["message"]

    def test_tool_calls_of_a_whole_answer(self) -> None:
        call = {"id": "a", "type": "function", "function": {"name": "f", "arguments": "not json"}}
        data = json.dumps({"choices": [{"message": {"content": None, "tool_calls": [call]}}]}).encode()
        record = Translation("chat", MODEL).whole(data)
        assert record["message"]["content"] == ""
        assert record["message"]["tool_calls"][0]["function"]["arguments"] == {"invalid_json": "not json"}

    def test_log_probabilities(self) -> None:
        entry = {"token": "a", "logprob": -0.1, "bytes": [97], "top_logprobs": [{"token": "b", "logprob": -2}]}
        data = json.dumps({"choices": [{"message": {"content": "a"}, "logprobs": {"content": [entry]}}]}).encode()
        assert Translation("chat", MODEL).whole(data)["logprobs"] == [entry]

    def test_errors_where_an_answer_belongs(self) -> None:
        with pytest.raises(BackendError, match="out of memory"):
            Translation("chat", MODEL).piece(b'{"error":{"code":500,"message":"out of memory"}}')
        for data in (b"{", b'{"choices":"x"}', b'{"choices":[]}', b'{"choices":[{"text":"\xff"}]}', b"[" * 10**6):
            with pytest.raises(Malformed):
                Translation("chat", MODEL).whole(data)


class TestCards:
    META = {  # noqa: RUF012 - a recorded payload
        "vocab_type": 1, "n_vocab": 262144, "n_ctx": 4096, "n_ctx_train": 32768, "n_embd": 640,
        "n_params": 268098176, "size": 246587904, "ftype": "Q4_K - Medium",
    }  # fmt: skip

    def test_recorded_model(self) -> None:
        tag = cards.tag(MODEL, 1795257268, self.META)
        assert tag["size"] == 246587904
        assert tag["details"]["parameter_size"] == "268.10M"
        assert tag["details"]["quantization_level"] == "Q4_K_M"
        assert tag["modified_at"] == "2026-11-21T10:34:28Z"
        assert len(tag["digest"]) == 64
        assert cards.process(MODEL, self.META)["context_length"] == 4096

    def test_a_server_that_tells_nothing(self) -> None:
        tag = cards.tag("m", 0, {})
        assert tag["size"] == 0
        assert tag["details"]["parameter_size"] == ""
        assert cards.show("m", 0, {}, cards.Props())["capabilities"] == ["completion"]

    def test_capabilities(self) -> None:
        props = cards.Props(chat_template_caps={"supports_tools": True}, modalities={"vision": True})
        assert cards.show("m", 0, self.META, props)["capabilities"] == ["completion", "tools", "vision"]

    def test_sizes(self) -> None:
        assert cards.details({"n_params": 7_600_000_000})["parameter_size"] == "7.6B"
        assert cards.details({"ftype": "F16"})["quantization_level"] == "F16"
        assert cards.details({"ftype": "Q5_K - Small"})["quantization_level"] == "Q5_K_S"


class TestEmbeddings:
    def test_order_and_count(self) -> None:
        data = b'{"data":[{"index":1,"embedding":[3,4]},{"index":0,"embedding":[1,0]}],"usage":{"prompt_tokens":4}}'
        assert embeddings.read(data, 2) == ([[1.0, 0.0], [3.0, 4.0]], 4)
        with pytest.raises(Malformed):
            embeddings.read(data, 3)

    def test_shortening_keeps_the_length_one(self) -> None:
        assert embeddings.shortened([3.0, 4.0, 12.0], 2) == [0.6, 0.8]
        assert embeddings.shortened([0.0, 0.0, 1.0], 2) == [0.0, 0.0]
        assert embeddings.shortened([3.0, 4.0], 2) == embeddings.shortened([3.0, 4.0], None) == [3.0, 4.0]
