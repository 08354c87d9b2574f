"""What is learned, token by token."""

import json
import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from student_conversations import TEMPLATE, UNMARKED, a_conversation

from toolbench.records import Conversation, FunctionCall, Message
from toolbench.student import UnusableConversation, sample
from toolbench.student.samples import IGNORED

Tokenizers = Callable[[str | None], Any]
TURN = re.compile(r"(?<=<\|im_start\|>assistant\n).*?<\|im_end\|>", re.DOTALL)
BOTH = pytest.mark.parametrize("template", [TEMPLATE, UNMARKED], ids=["marked", "unmarked"])


def slow_labels(text: str, tokenizer: Any, wanted: set[int]) -> tuple[list[int], list[int]]:
    """Ids and labels found without the code under test: by the turns' places in the rendered text, token by token."""
    spans = [m.span() for n, m in enumerate(TURN.finditer(text)) if n in wanted]
    encoded = tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
    ids = encoded["input_ids"]
    inside = [any(a <= start and end <= b for a, b in spans) for start, end in encoded["offset_mapping"]]
    return ids, [token if is_in else IGNORED for token, is_in in zip(ids, inside, strict=True)]


def rendered(conversation: Conversation) -> str:
    """What the template makes of `a_conversation`, written out by hand."""
    out = "<|im_start|>functions\n"
    for tool in json.loads(conversation.tools):
        out += json.dumps(tool["function"]) + "\n"
    out += "<|im_end|>\n"
    for m in conversation.messages:
        header = {"tool": "tool rain_for_weather"}.get(m.role, m.role)
        calls = "".join(f"<|call|>{c.name} {c.arguments}" for c in m.tool_calls)
        out += f"<|im_start|>{header}\n{m.content or ''}{calls}<|im_end|>\n"
    return out


@BOTH
@pytest.mark.parametrize("second_learned", [True, False])
def test_exactly_the_trained_turns_are_labelled(
    make_tokenizer: Tokenizers, template: str, second_learned: bool
) -> None:
    tokenizer, conversation = make_tokenizer(template), a_conversation("c", second_learned=second_learned)
    wanted = {0, 1} if second_learned else {0}
    ids, labels = slow_labels(rendered(conversation), tokenizer, wanted)
    made = sample(conversation, tokenizer)
    assert made.input_ids == ids
    assert made.labels == labels
    learned = tokenizer.decode([label for label in labels if label != IGNORED])
    first = '<|call|>rain_for_weather {"city": "Oslo"}<|im_end|>'
    assert learned.startswith(first)
    assert (learned == first) is not second_learned


@BOTH
def test_only_observations_are_shortened_and_no_more_than_needed(make_tokenizer: Tokenizers, template: str) -> None:
    tokenizer = make_tokenizer(template)
    long = a_conversation("c", observation="x1 " * 500)
    whole = sample(long, tokenizer)
    limit = len(whole.input_ids) - 300
    cut = sample(long, tokenizer, limit)
    assert limit - 5 <= len(cut.input_ids) <= limit
    text = tokenizer.decode(cut.input_ids)
    kept = re.search(r"(x1[x1 ]*)\.\.\.<\|im_end\|>", text)
    assert kept
    assert text == rendered(replace(long, messages=_observed(long, kept[1] + "...")))
    assert [x for x in cut.labels if x != IGNORED] == [x for x in whole.labels if x != IGNORED]
    assert sample(long, tokenizer, len(whole.input_ids)) == whole


def _observed(conversation: Conversation, text: str) -> list[Message]:
    return [replace(m, content=text) if m.role == "tool" else m for m in conversation.messages]


def test_the_oldest_observations_are_dropped_where_cutting_is_not_enough(make_tokenizer: Tokenizers) -> None:
    tokenizer = make_tokenizer(TEMPLATE)
    one = a_conversation("c9", observation="y" * 2000)
    long = replace(one, messages=[*one.messages[:4], *one.messages[2:4], *one.messages[2:]])
    cut = len(sample(replace(long, messages=_observed(long, "y" * 64 + "...")), tokenizer)[0])
    whole = sample(long, tokenizer)
    assert (whole.shortened, whole.dropped) == (0, 0)
    made = sample(long, tokenizer, cut)
    assert (len(made.input_ids), made.shortened, made.dropped) == (cut, 3, 0)
    made = sample(long, tokenizer, cut - 1)
    assert (made.shortened, made.dropped) == (2, 1)
    assert cut - 5 <= len(made.input_ids) < cut, "what the first gives up, the others get"
    text = tokenizer.decode(made.input_ids)
    assert text.index("[left out]<|im_end|>") < text.index("yyy")
    assert [x for x in made.labels if x != IGNORED] == [x for x in whole.labels if x != IGNORED]


def test_a_target_is_never_cut(make_tokenizer: Tokenizers) -> None:
    tokenizer = make_tokenizer(TEMPLATE)
    conversation = a_conversation("c9", observation="y" * 2000)
    shortest = len(sample(replace(conversation, messages=_observed(conversation, "[left out]")), tokenizer)[0])
    made = sample(conversation, tokenizer, shortest)
    assert (len(made.input_ids), made.dropped) == (shortest, 1)
    with pytest.raises(UnusableConversation, match=r"^Conversation c9 has more than \d+ tokens even with") as caught:
        sample(conversation, tokenizer, shortest - 1)
    assert caught.value.reason == "too_long"


def test_a_conversation_without_a_trained_turn_is_rejected(make_tokenizer: Tokenizers) -> None:
    conversation = a_conversation("c")
    silent = replace(conversation, messages=[replace(m, train=False) for m in conversation.messages])
    with pytest.raises(UnusableConversation, match="no turn to learn from") as caught:
        sample(silent, make_tokenizer(TEMPLATE))
    assert caught.value.reason == "nothing_to_learn"


HEADER = "{{- '<|im_start|>assistant\\n' }}"
LAST = "{%- if loop.last %}{{- 'LAST' }}{%- endif %}"


@pytest.mark.parametrize(
    ("template", "message"),
    [
        (UNMARKED.replace("if tools", "if false"), "leaves out the offered functions"),
        (UNMARKED.replace("message.tool_calls or []", "[]"), "leaves out the assistant's calls"),
        (TEMPLATE.replace("message.tool_calls or []", "[]"), "leaves out the assistant's calls"),
        (UNMARKED[::-1].replace(HEADER[::-1], "{{- 'other' }}"[::-1], 1)[::-1], "does not continue its generation"),
        (UNMARKED.replace("{{- '<|im_end|>' }}", LAST + "{{- '<|im_end|>' }}"), "shows message 3 otherwise once"),
        ("{{ raise_exception('roles must alternate') }}", r"cannot show a conversation of this kind \(roles must"),
        ("{% broken", "cannot show a conversation"),
    ],
)
def test_a_template_that_does_not_fit_is_named(make_tokenizer: Tokenizers, template: str, message: str) -> None:
    assert template not in (TEMPLATE, UNMARKED)
    with pytest.raises(UnusableConversation, match=message) as caught:
        sample(a_conversation("c"), make_tokenizer(template))
    assert caught.value.reason == "template"
    assert "\n" not in str(caught.value)


def test_arguments_that_are_no_object_stay_what_the_model_wrote(make_tokenizer: Tokenizers) -> None:
    conversation = a_conversation("c")
    wrong = FunctionCall(id="call00001", name="rain_for_weather", arguments='{"city": ')
    messages = [replace(m, tool_calls=[wrong]) if n == 2 else m for n, m in enumerate(conversation.messages)]
    tokenizer = make_tokenizer(TEMPLATE)
    made = sample(replace(conversation, messages=messages), tokenizer)
    assert json.dumps('{"city": ') in tokenizer.decode(made.input_ids)
