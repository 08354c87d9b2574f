"""Exactly the assistant's turns are learned, through the chat templates of the families that people train."""

import json
import random
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
from families import FAMILIES, Family
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from student_conversations import TEXTS, TOOLS, a_conversation

from toolbench.records import Conversation, FunctionCall, Message
from toolbench.student import Making, Sample, UnusableConversation, masks, sample, samples
from toolbench.student.chat import Chat
from toolbench.student.marks import by_marks
from toolbench.student.masks import spans
from toolbench.student.samples import IGNORED, encoded, turns
from toolbench.student.templates import choose, native, one_call_a_turn, react

EVERY = pytest.mark.parametrize("family", FAMILIES, ids=lambda f: f.name)


@pytest.fixture(scope="session")
def tokenizer_of() -> Callable[[Family], Any]:
    """A byte-level BPE tokenizer with a family's special tokens and chat template, trained on the spot."""
    transformers = pytest.importorskip("transformers", reason="needs the extra `train`")
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    made: dict[str, Any] = {}

    def make(family: Family) -> Any:
        if family.name not in made:
            raw = Tokenizer(models.BPE())
            raw.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
            raw.decoder = decoders.ByteLevel()
            trainer = trainers.BpeTrainer(
                vocab_size=420, special_tokens=list(family.specials), show_progress=False,
                initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            )  # fmt: skip
            raw.train_from_iterator([*TEXTS, "\n\n", "Assistant:\n\n\n"], trainer)
            names = {"eos_token": family.eos, "bos_token": family.bos, "pad_token": family.eos}
            made[family.name] = transformers.PreTrainedTokenizerFast(
                tokenizer_object=raw, **{name: text for name, text in names.items() if text}
            )
            made[family.name].chat_template = family.template
        return made[family.name]

    return make


def conversation_for(family: Family, words: Iterator[str] | None = None, **changes: Any) -> Conversation:
    """Two questions, calls with and without a thought, an answer between; without calls where there is no slot."""
    told = words or iter(f"wörds {n} 🙂 of mine" for n in range(100))
    messages = [Message(role="system", content=next(told)), Message(role="user", content=next(told))]
    number = 0

    def called(*names: str, thought: str | None = None) -> None:
        nonlocal number
        calls = []
        for name in names:
            number += 1
            calls.append(FunctionCall(id=f"call{number:05d}", name=name, arguments=json.dumps({"city": next(told)})))
        messages.append(Message(role="assistant", content=thought, tool_calls=calls, train=True))
        messages.extend(Message(role="tool", tool_call_id=call.id, content=next(told)) for call in calls)

    if family.functions:
        called("rain_for_weather")
        called("rain_for_weather", thought=next(told))
        if family.parallel:
            called("rain_for_weather", "rain_for_weather")
    messages.append(Message(role="assistant", content=next(told), train=True))
    messages.append(Message(role="user", content=next(told)))
    if family.functions:
        called("rain_for_weather", thought=next(told))
        finish = FunctionCall(id="call00099", name="Finish", arguments='{"return_type": "give_answer"}')
        messages.append(Message(role="assistant", content=next(told), tool_calls=[finish], train=True))
    else:
        messages.append(Message(role="assistant", content=next(told), train=True))
    tools = json.dumps(TOOLS if family.functions else [])
    return replace(a_conversation(family.name), messages=messages, tools=tools, **changes)


def check(made: Sample, conversation: Conversation, family: Family, tokenizer: Any) -> int:
    """Compare a sample with the slow reference, token by token; returns how many are learned."""
    assistants = [m for m in conversation.messages if m.role == "assistant"]
    wanted = {n for n, m in enumerate(assistants) if m.train}
    text = Chat(conversation, tokenizer).text()
    assert len(family.turns(text)) == len(assistants), "the reference finds all turns"
    ids, labels = family.labels(text, tokenizer, wanted)
    assert made.input_ids == ids
    assert made.labels == labels
    return sum(label != IGNORED for label in labels)


@EVERY
def test_exactly_the_assistant_s_turns_are_labelled(family: Family, tokenizer_of: Callable[[Family], Any]) -> None:
    tokenizer, conversation = tokenizer_of(family), conversation_for(family)
    made = sample(conversation, tokenizer)
    assert 0 < check(made, conversation, family, tokenizer) < len(made.labels)
    learned = tokenizer.decode([label for label in made.labels if label != IGNORED])
    for message in conversation.messages:
        if message.role != "assistant":
            assert message.content not in learned
        elif family.thoughts or not message.tool_calls:
            assert (message.content or "") in learned
        for call in message.tool_calls:
            assert json.loads(call.arguments).get("city", "give_answer") in learned
    assert learned.count(family.end) == sum(m.role == "assistant" for m in conversation.messages)
    shown_beside_calls = sum(bool(m.tool_calls and m.content) for m in conversation.messages)
    assert made.thoughts_left_out == (0 if family.thoughts else shown_beside_calls)


@EVERY
def test_turns_that_are_not_taught_stay_unlabelled(family: Family, tokenizer_of: Callable[[Family], Any]) -> None:
    tokenizer, whole = tokenizer_of(family), conversation_for(family)
    assistants = [n for n, m in enumerate(whole.messages) if m.role == "assistant"]
    for kept in assistants:
        part = replace(whole, messages=[replace(m, train=n == kept) for n, m in enumerate(whole.messages)])
        assert check(sample(part, tokenizer), part, family, tokenizer) > 0


@EVERY
def test_each_turn_may_be_a_sample_of_its_own(family: Family, tokenizer_of: Callable[[Family], Any]) -> None:
    tokenizer, whole = tokenizer_of(family), conversation_for(family)
    made = list(samples([whole], tokenizer, Making(per_turn=True)))
    parts = list(turns(whole))
    assert len(made) == len(parts) == sum(m.train for m in whole.messages)
    for one, part in zip(made, parts, strict=True):
        assert one.sample
        assert check(one.sample, part, family, tokenizer) > 0
        assert one.sample.labels[-1] != IGNORED or tokenizer.decode(one.sample.input_ids[-1:]).isspace()


@EVERY
def test_packed_samples_keep_their_labels(family: Family, tokenizer_of: Callable[[Family], Any]) -> None:
    pytest.importorskip("trl", reason="needs the extra `train`")
    from datasets import Dataset
    from trl.data_utils import pack_dataset

    tokenizer, whole = tokenizer_of(family), conversation_for(family)
    parts = list(turns(whole)) * 3
    made = [sample(part, tokenizer) for part in parts]
    length = 2 * max(len(s.input_ids) for s in made)
    rows = Dataset.from_list([{"input_ids": s.input_ids, "labels": s.labels} for s in made])
    sequences = list(pack_dataset(rows, length))
    assert len(sequences) <= len(made) / 2 + 1
    references = {}
    for part in parts:
        wanted = {sum(m.role == "assistant" for m in part.messages) - 1}
        ids, labels = family.labels(Chat(part, tokenizer).text(), tokenizer, wanted)
        references[tuple(ids)] = labels
    count = 0
    for sequence in sequences:
        assert sum(sequence["seq_lengths"]) == len(sequence["input_ids"]) == len(sequence["labels"]) <= length
        at = 0
        for size in sequence["seq_lengths"]:
            labels = references[tuple(sequence["input_ids"][at : at + size])]
            assert sequence["labels"][at : at + size] == labels
            assert any(label != IGNORED for label in labels)
            at += size
            count += 1
    assert count == len(made)


@EVERY
def test_what_is_cut_to_fit_is_labelled_as_exactly(family: Family, tokenizer_of: Callable[[Family], Any]) -> None:
    tokenizer = tokenizer_of(family)
    words = random.Random(family.name)
    told = iter(["of " + " ".join(words.choices(["rain", "Oslo", "3 mm", "{}", "\n"], k=60)) + "." for _ in range(100)])
    whole = conversation_for(family, told)
    full = sample(whole, tokenizer)
    assert check(full, whole, family, tokenizer) > 0
    observed = [n for n, m in enumerate(whole.messages) if m.role == "tool"]
    if not observed:
        return
    cut = sample(whole, tokenizer, len(full.input_ids) - 20)
    gone = sample(whole, tokenizer, len(full.input_ids) - 30 * len(observed) - 100)
    assert cut.shortened
    assert gone.dropped + gone.shortened > 0
    for made in (cut, gone):
        assert len(made.input_ids) <= len(full.input_ids) - 20
        text = tokenizer.decode(made.input_ids)
        ids, labels = family.labels(text, tokenizer, set(range(len(family.turns(text)))))
        assert (made.input_ids, made.labels) == (ids, labels)
        assert [x for x in labels if x != IGNORED] == [x for x in full.labels if x != IGNORED]


LETTERS = st.text(alphabet="ab \n\t{}\"':.öÅ漢🙂\\", min_size=1, max_size=12).filter(str.strip)


@EVERY
@given(data=st.data())
@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_content_moves_the_labels(
    family: Family, tokenizer_of: Callable[[Family], Any], data: st.DataObject
) -> None:
    tokenizer = tokenizer_of(family)
    words = data.draw(st.lists(LETTERS, min_size=24, max_size=24))
    conversation = conversation_for(family, iter(words))
    text = Chat(conversation, tokenizer).text()
    found = spans(Chat(conversation, tokenizer), [n for n, m in enumerate(conversation.messages) if m.train])
    assert found == family.turns(text)
    made = sample(conversation, tokenizer)
    kept = [n for n, label in enumerate(made.labels) if label != IGNORED]
    learned = tokenizer.decode([made.input_ids[n] for n in kept])
    assert learned == "".join(text[start:end] for start, end in found), "no token is lost, none reaches over an edge"
    assert tokenizer.decode(made.input_ids) == text


def test_qwen_3_shows_earlier_reasoning_no_more(tokenizer_of: Callable[[Family], Any]) -> None:
    family = next(f for f in FAMILIES if f.name == "qwen3")
    tokenizer = tokenizer_of(family)
    conversation = conversation_for(family)
    thinking = [
        replace(m, content=f"<think>\nabout {n}\n</think>\n\n{m.content or ''}") if m.role == "assistant" else m
        for n, m in enumerate(conversation.messages)
    ]
    conversation = replace(conversation, messages=thinking)
    made = sample(conversation, tokenizer)
    assert check(made, conversation, family, tokenizer) > 0
    learned = tokenizer.decode([label for label in made.labels if label != IGNORED])
    asked = max(n for n, m in enumerate(thinking) if m.role == "user")
    for n, message in enumerate(thinking):
        if message.role == "assistant":
            assert (f"about {n}\n" in learned) == (n > asked)
    tokenizer_without = tokenizer.__class__(tokenizer_object=tokenizer.backend_tokenizer, eos_token="<|im_end|>")
    # As its prompt is without thinking, where history has less than the prompt.
    tokenizer_without.chat_template = "{%- set enable_thinking = false -%}" + family.template
    plain = conversation_for(family)
    made = sample(plain, tokenizer_without)
    asked = tokenizer.decode([label for label in made.labels if label != IGNORED])
    assert asked.count("<|im_end|>") == sum(m.role == "assistant" for m in plain.messages)
    assert "<|im_start|>" not in asked
    assert "</think>" not in asked, "the prompt holds it, so the model never writes it"


def test_a_token_over_the_edge_of_a_turn_is_not_made(tokenizer_of: Callable[[Family], Any]) -> None:
    tokenizer = tokenizer_of(next(f for f in FAMILIES if f.name == "llama3"))
    text = "ab\n\n\n\nRain<|eot_id|>"
    whole = tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)["offset_mapping"]
    assert any(a < 3 < b for a, b in whole), "as one text, a token reaches over the edge"
    ids, labels = encoded(text, [(3, len(text))], tokenizer)
    assert tokenizer.decode(ids) == text
    assert tokenizer.decode([label for label in labels if label != IGNORED]) == text[3:]


def test_calls_are_text_where_there_is_no_slot_for_them(tokenizer_of: Callable[[Family], Any]) -> None:
    slots = {family.name: native(tokenizer_of(family)) for family in FAMILIES}
    assert slots == {family.name: family.functions for family in FAMILIES}
    family = FAMILIES[0]
    tokenizer = tokenizer_of(family).__class__(
        tokenizer_object=tokenizer_of(family).backend_tokenizer, eos_token="</s>", bos_token="<s>"
    )
    tokenizer.chat_template = family.template
    with pytest.raises(UnusableConversation, match="user and assistant have to take turns"):
        sample(a_conversation("c"), tokenizer)
    assert choose(tokenizer, "auto") == "react"
    assert tokenizer.chat_template == react()
    made = sample(a_conversation("c"), tokenizer)
    learned = tokenizer.decode([label for label in made.labels if label != IGNORED])
    assert learned == (
        'Thought:\nAction: rain_for_weather\nAction Input: {"city": "Oslo"}</s>'
        "Thought: Now I know.\nAction: Finish\nAction Input: "
        '{"return_type": "give_answer", "final_answer": "3 mm of rain in Oslo."}</s>'
    )


def test_parallel_calls_get_turns_of_their_own(tokenizer_of: Callable[[Family], Any]) -> None:
    react_family, qwen = FAMILIES[5], FAMILIES[2]
    conversation = conversation_for(qwen)
    tokenizer = tokenizer_of(react_family)
    with pytest.raises(UnusableConversation, match="calls as text are one a turn"):
        sample(conversation, tokenizer)
    (made,) = samples([conversation], tokenizer, Making())
    assert made.sample
    apart = one_call_a_turn(conversation)
    assert check(made.sample, apart, react_family, tokenizer) > 0
    assert [c for m in apart.messages for c in m.tool_calls] == [c for m in conversation.messages for c in m.tool_calls]
    for before, message in zip(apart.messages, apart.messages[1:], strict=False):
        if message.role == "tool":
            assert [c.id for c in before.tool_calls] == [message.tool_call_id]
    assert one_call_a_turn(apart) is apart


@pytest.mark.parametrize("family", FAMILIES[:5], ids=lambda f: f.name)
def test_all_ways_to_find_the_turns_agree(family: Family, tokenizer_of: Callable[[Family], Any]) -> None:
    tokenizer, conversation = tokenizer_of(family), conversation_for(family)
    trained = [n for n, m in enumerate(conversation.messages) if m.train]
    chat = Chat(conversation, tokenizer)
    expected = family.turns(chat.text())
    assert by_marks(chat, trained) == expected
    prefixes = masks._by_prefixes(chat, trained)
    # Qwen 3 shows the last turn otherwise, Mistral moves functions and system prompt to the last question.
    assert prefixes == (None if family.name in ("qwen3", "mistral") else expected)
    if family.functions:
        # Mistral's functions stand between turns once there are two questions.
        assert masks._with_one_function(Chat(conversation, tokenizer), trained) == expected
