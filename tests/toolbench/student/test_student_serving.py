"""A student behind OpenAI's chat endpoint, asked with OpenAI's client."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import openai
import pytest
from student_conversations import TOOLS, a_conversation
from workshop import Server

from toolbench.errors import ToolbenchError, UsageError
from toolbench.services import served_student
from toolbench.student.reply import Student
from toolbench.student.serving import check_address, create_app, serve

TEMPLATE = (Path(__file__).parents[3] / "toolbench" / "student" / "prompts" / "bootstrap.jinja").read_text()
RAIN = {"name": "rain_for_weather", "arguments": '{"city": "Oslo"}'}
ASKED: dict[str, Any] = {"model": "student", "messages": [{"role": "user", "content": "Rain in Oslo?"}]}


class Scripted:
    """A model that writes what it is told to, whatever it reads, and remembers what that was."""

    def __init__(self, tokenizer: Any) -> None:
        self.config = SimpleNamespace(max_position_embeddings=2000)
        self.generation_config = SimpleNamespace(eos_token_id=None)
        self.device = SimpleNamespace(type="cpu")
        self.tokenizer, self.text, self.read = tokenizer, "", ""
        self.most = 0

    def generate(self, tokens: Any, *, generation_config: Any, **_: Any) -> Any:
        import torch

        self.read, self.most = self.tokenizer.decode(tokens[0]), generation_config.max_new_tokens
        made = self.tokenizer.encode(self.text, return_tensors="pt")[:, : self.most]
        return torch.cat([tokens, made], dim=1)


@pytest.fixture(scope="module")
def scripted(make_tokenizer: Callable[[str | None], Any]) -> Scripted:
    return Scripted(make_tokenizer(TEMPLATE))


@pytest.fixture(scope="module")
def url(scripted: Scripted) -> Iterator[str]:
    pytest.importorskip("torch", reason="needs the extra `train`")
    scripted.device = __import__("torch").device("cpu")
    server = Server(create_app(Student(scripted, scripted.tokenizer), "student", "secret"))
    yield f"{server.url}/v1"
    server.stop()


@pytest.fixture(scope="module")
def client(url: str) -> openai.OpenAI:
    return openai.OpenAI(base_url=url, api_key="secret", max_retries=0)


def test_calls_come_as_calls(client: openai.OpenAI, scripted: Scripted) -> None:
    written = '{"name": "rain_for_weather", "arguments": {"city": "Oslo"}}'
    scripted.text = f"First.\n<tool_call>\n{written}\n</tool_call><|im_end|>"
    made = client.chat.completions.create(**ASKED, tools=TOOLS)
    (choice,) = made.choices
    assert choice.finish_reason == "tool_calls"
    assert choice.message.content == "First."
    (call,) = choice.message.tool_calls or ()
    assert call.model_dump()["function"] == RAIN
    assert len(call.id) == 9
    assert made.usage
    assert made.usage.total_tokens == made.usage.prompt_tokens + made.usage.completion_tokens
    without = client.chat.completions.create(**ASKED)
    assert without.choices[0].message.tool_calls is None, "nothing was offered, so nothing is called"
    none = client.chat.completions.create(**ASKED, tools=TOOLS, tool_choice="none")
    assert none.choices[0].message.tool_calls is None
    assert "rain_for_weather" not in scripted.read


def test_a_served_prompt_is_the_trained_prompt(client: openai.OpenAI, scripted: Scripted) -> None:
    from toolbench.student import sample

    conversation = a_conversation("a")
    messages = [
        {"role": "system", "content": conversation.messages[0].content},
        {"role": "user", "content": conversation.messages[1].content},
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [{"id": "call00001", "type": "function", "function": RAIN}],
        },
        {"role": "tool", "tool_call_id": "call00001", "content": conversation.messages[3].content},
    ]
    client.chat.completions.create(model="student", messages=messages, tools=TOOLS)
    made = sample(conversation, scripted.tokenizer)
    last = max(n for n in range(1, len(made.labels)) if made.labels[n] >= 0 > made.labels[n - 1])
    assert scripted.read == scripted.tokenizer.decode(made.input_ids[:last])


def test_a_call_can_be_forced(client: openai.OpenAI, scripted: Scripted) -> None:
    scripted.text = '{"city": "Oslo"}}\n</tool_call><|im_end|>'
    named = {"type": "function", "function": {"name": "rain_for_weather"}}
    made = client.chat.completions.create(**ASKED, tools=TOOLS, tool_choice=named)
    assert (made.choices[0].message.tool_calls or ())[0].model_dump()["function"] == RAIN
    assert scripted.read.endswith('<tool_call>\n{"name": "rain_for_weather", "arguments": ')
    scripted.text = 'Finish", "arguments": {}}\n</tool_call><|im_end|>'
    made = client.chat.completions.create(**ASKED, tools=TOOLS, tool_choice="required")
    assert (made.choices[0].message.tool_calls or ())[0].model_dump()["function"] == {
        "name": "Finish",
        "arguments": "{}",
    }


def test_lengths_and_stops(client: openai.OpenAI, scripted: Scripted) -> None:
    scripted.text = "one two three<|im_end|>"
    made = client.chat.completions.create(**ASKED, max_completion_tokens=3)
    assert made.choices[0].finish_reason == "length"
    assert made.usage
    assert made.usage.completion_tokens == 3
    made = client.chat.completions.create(**ASKED, stop=["two"])
    assert (made.choices[0].message.content, made.choices[0].finish_reason) == ("one", "stop")
    with pytest.raises(openai.BadRequestError, match="2000 positions") as caught:
        client.chat.completions.create(model="student", messages=[{"role": "user", "content": "word " * 3000}])
    assert caught.value.code == "context_length_exceeded"


def test_a_stream_gives_the_same(client: openai.OpenAI, scripted: Scripted) -> None:
    scripted.text = 'So.\n<tool_call>\n{"name": "Finish", "arguments": {}}\n</tool_call><|im_end|>'
    chunks = list(
        client.chat.completions.create(**ASKED, tools=TOOLS, stream=True, stream_options={"include_usage": True})
    )
    deltas = [chunk.choices[0].delta for chunk in chunks if chunk.choices]
    assert "".join(d.content or "" for d in deltas) == "So."
    assert [c.function.name for d in deltas for c in d.tool_calls or () if c.function] == ["Finish"]
    assert chunks[-2].choices[0].finish_reason == "tool_calls"
    assert chunks[-1].usage


def test_models_and_keys(client: openai.OpenAI, url: str) -> None:
    assert [m.id for m in client.models.list()] == ["student"]
    for path, verb in (("models", httpx.get), ("chat/completions", httpx.post)):
        assert verb(f"{url}/{path}").status_code == 401
        assert verb(f"{url}/{path}", headers={"authorization": "Bearer wrong"}).status_code == 401


@pytest.mark.parametrize(
    ("body", "status", "message"),
    [
        (b"{", 400, "must be a JSON object"),
        (b"[" * 100_000, 400, "must be a JSON object"),
        (b"\xff", 400, "must be a JSON object"),
        (b"[]", 400, "is wrong"),
        ({"messages": []}, 400, "`messages` is wrong"),
        ({"messages": [{"role": "wizard", "content": "x"}]}, 400, "`messages.0.role` is wrong"),
        ({"temperature": -1}, 400, "`temperature` is wrong"),
        ({"n": 2}, 400, "One reply"),
        ({"response_format": {"type": "json_schema"}}, 400, "follow no schema"),
        ({"tool_choice": "required"}, 400, "does not offer"),
        ({"tools": TOOLS, "tool_choice": {"type": "function", "function": {"name": "x"}}}, 400, "does not offer"),
        ({"model": "other"}, 404, "this server has `student`"),
        (b" " * (33 * 2**20), 413, "bytes"),
    ],
)
def test_what_cannot_be_served_is_said(url: str, body: Any, status: int, message: str) -> None:
    content = body if isinstance(body, bytes) else json.dumps({**ASKED, **body}).encode()
    reply = httpx.post(f"{url}/chat/completions", content=content, headers={"authorization": "Bearer secret"})
    assert reply.status_code == status
    assert message in reply.json()["error"]["message"]


def test_others_need_a_key() -> None:
    for host in ("0.0.0.0", "::", "192.0.2.1", "example.org"):
        with pytest.raises(UsageError, match="TOOLBENCH_STUDENT_KEY"):
            check_address(host, None)
        check_address(host, "secret")
    for host in ("127.0.0.1", "::1", "localhost"):
        check_address(host, None)


def test_a_port_that_is_taken_is_said(scripted: Scripted, url: str) -> None:
    with pytest.raises(UsageError, match="Cannot listen on"):
        serve(Student(scripted, scripted.tokenizer), port=int(url.split(":")[2].split("/")[0]))


def test_a_real_model_answers_the_same_for_the_same_seed(tiny_llama: str) -> None:
    from toolbench.serving.requests import asked

    student = Student.load(tiny_llama)

    def said(**more: Any) -> Any:
        return student.answer(asked(json.dumps({**ASKED, "max_tokens": 12, **more}).encode()))["choices"]

    assert said(seed=1) == said(seed=1) != said(seed=2)
    assert said(temperature=0) == said(temperature=0, seed=5)
    assert said(temperature=0)[0]["finish_reason"] == "length"


def test_a_folder_that_is_no_student_is_one_sentence(tiny_llama: str, tmp_path: Path) -> None:
    import shutil

    shutil.copytree(tiny_llama, tmp_path / "adapter")
    settings = tmp_path / "adapter" / "adapter_config.json"
    settings.write_text("{")
    with pytest.raises(ToolbenchError, match=r"no readable adapter_config\.json"):
        Student.load(str(tmp_path / "adapter"))
    settings.write_text('{"base_model_name_or_path": "gone"}')
    with pytest.raises(ToolbenchError, match="base `gone` cannot be loaded"):
        Student.load(str(tmp_path / "adapter"))
    with pytest.raises(ToolbenchError, match="does not fit the base"):
        Student.load(str(tmp_path / "adapter"), tiny_llama)


def test_a_base_is_served_as_a_process_for_the_length_of_a_block(
    tiny_llama: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TOOLBENCH_STUDENT_KEY", "for others")
    with served_student(tiny_llama, "base-1") as url:
        assert [model["id"] for model in httpx.get(f"{url}/models").json()["data"]] == ["base-1"]
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"{url}/models")
