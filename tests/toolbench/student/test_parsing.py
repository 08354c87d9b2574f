"""What models write as calls, in four formats."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from toolbench.student.parsing import FORMATS, Call, Format, format_of, opening, parse

OSLO = '{"city": "Oslo"}'


@pytest.mark.parametrize(
    ("how", "text", "content", "calls"),
    [
        ("hermes", "Just words.", "Just words.", []),
        ("hermes", f'So.\n<tool_call>\n{{"name": "rain", "arguments": {OSLO}}}\n</tool_call>', "So.", [("rain", OSLO)]),
        ("hermes", f'<tool_call>{{"name": "a", "arguments": {OSLO}}}</tool_call> <tool_call>{{"name": "b"}}',
         None, [("a", OSLO), ("b", "{}")]),
        ("hermes", f'<tool_call>{{"name": "a", "arguments": {OSLO}}}', None, [("a", OSLO)]),
        ("hermes", '<tool_call>{"name": "a", "arguments": {"city": Oslo}}</tool_call>', None,
         [("a", '{"city": Oslo}}')]),
        ("hermes", '<tool_call>{"name": "a", "arguments": "{}"}</tool_call>', None, [("a", "{}")]),
        ("hermes", "<tool_call>nothing</tool_call>", "<tool_call>nothing</tool_call>", []),
        ("hermes", '<tool_call>{"name": 3}</tool_call>', '<tool_call>{"name": 3}</tool_call>', []),
        ("llama3_json", f'{{"name": "rain", "parameters": {OSLO}}}', None, [("rain", OSLO)]),
        ("llama3_json", f'<|python_tag|>{{"name": "a", "parameters": {OSLO}}}; {{"name": "b", "parameters": {{}}}}',
         None, [("a", OSLO), ("b", "{}")]),
        ("llama3_json", '{"rain": 3}', '{"rain": 3}', []),
        ("llama3_json", 'It is {"name": "x"}.', 'It is {"name": "x"}.', []),
        ("llama3_json", '{"name": "a", "parameters": {"city": "Os', None, [("a", '{"city": "Os')]),
        ("mistral", f'[TOOL_CALLS] [{{"name": "a", "arguments": {OSLO}, "id": "123456789"}}, {{"name": "b"}}]',
         None, [("a", OSLO), ("b", "{}")]),
        ("mistral", f"Hm.[TOOL_CALLS]a[ARGS]{OSLO}[TOOL_CALLS]b[CALL_ID]abc[ARGS]{{}}", "Hm.",
         [("a", OSLO), ("b", "{}")]),
        ("mistral", f"[TOOL_CALLS]rain{OSLO}", None, [("rain", OSLO)]),
        ("mistral", '[TOOL_CALLS] [{"name": "a", "arguments": {"city": Oslo}}]', None, [("a", '{"city": Oslo}}')]),
        ("mistral", "[TOOL_CALLS]", "[TOOL_CALLS]", []),
        ("react", f"Thought: so\nAction: rain\nAction Input: {OSLO}", "so", [("rain", OSLO)]),
        ("react", f"Thought: so\nAction: rain\nAction Input: {OSLO}\nObservation: 3", "so", [("rain", OSLO)]),
        ("react", "Thought: so", "so", []),
    ],
)  # fmt: skip
def test_text_and_calls_of_a_reply(how: Format, text: str, content: str | None, calls: list[tuple[str, str]]) -> None:
    assert parse(text, how) == (content, [Call(*call) for call in calls])


@pytest.mark.parametrize("how", FORMATS)
@settings(max_examples=60)
@given(
    text=st.text()
    | st.lists(
        st.sampled_from(["<tool_call>", "</tool_call>", "[TOOL_CALLS]", "[ARGS]", "<|python_tag|>", '{"name": "', '"',
                         '", "arguments": ', '", "parameters": ', "{", "}", "[", "]", ";", "Action:", "Action Input:"])
    ).map("".join)
)  # fmt: skip
def test_no_reply_is_an_error(how: Format, text: str) -> None:
    said = parse(text, how)
    assert said.calls or (said.content or "") in text
    assert all(call.name for call in said.calls)


@pytest.mark.parametrize("how", FORMATS)
@settings(max_examples=60)
@given(
    arguments=st.dictionaries(st.text(max_size=5), st.none() | st.integers() | st.text(max_size=9).filter(
        lambda t: not any(m in t for m in ("tool_call>", "[TOOL_CALLS]", "Observation"))), max_size=3)
)  # fmt: skip
def test_a_forced_beginning_ends_as_the_call_it_forces(how: Format, arguments: dict[str, object]) -> None:
    written = json.dumps(arguments, ensure_ascii=False)
    closing = {"hermes": "}\n</tool_call>", "llama3_json": "}", "mistral": "}]", "react": ""}[how]
    assert parse(opening(how, "rain") + written + closing, how).calls == [Call("rain", written)]
    assert opening(how, "rain").startswith(opening(how))


def test_the_format_is_read_from_the_template() -> None:
    assert format_of("…{{ '<tool_call>' }}…") == "hermes"
    assert format_of("<|start_header_id|> … 'parameters' …") == "llama3_json"
    assert format_of("[AVAILABLE_TOOLS] … [TOOL_CALLS]") == "mistral"
    assert format_of("Thought: … Action Input: …") == "react"
    assert format_of("<|im_start|>") == "hermes"
