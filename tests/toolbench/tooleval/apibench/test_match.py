"""AST matching: every reference is itself, hand-checked cases, and any text at all."""

import json
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from toolbench.tooleval.apibench import SETS, Bench, Library, figures, load, score
from toolbench.tooleval.apibench.calls import Call, answer_in, calls_in, command

DOCUMENTS = [
    "torch.hub.load(repo_or_dir='pytorch/vision', model='resnet50', pretrained=True)",
    "torch.hub.load(repo_or_dir='pytorch/vision', model='vgg16', pretrained=True)",
    "torch.hub.load(repo_or_dir='szq0214/MEAL-V2', 'meal_v2', model='mealv2_b0', pretrained=True)",
    "torch.hub.load(repo_or_dir='pytorch/fairseq')",
    "torch.hub.load(repo_or_dir='pytorch/fairseq', model='roberta.large', pretrained=True)",
    "AutoModel.from_pretrained('bert-base')",
    "AutoModel.from_pretrained('bert-base-cased')",
    "pipeline('text-classification', model='bert-base')",
    "pipeline('qa', model=AutoModel.from_pretrained('a/b'), tokenizer=AutoTokenizer.from_pretrained('a/b'))",
    "StableDiffusionPipeline.from_pretrained(stabilityai/sd-2)",
    "'OneFormer.from_pretrained(shi-labs/coco)'",
    "pipeline('text-to-image', model=SG161222/Vision_V1.4)",
    "DDPMPipeline.from_pretrained('google/ddpm').",
    "load_model('facebook/hifigan)",
    "mlagents-load-from-hf --repo-id='poca/Soccer' --local-dir='./downloads'",
    "hub.load('https://tfhub.dev/google/use/4')",
    "hub.KerasLayer('https://tfhub.dev/google/use/4', output_shape=[1280])",
]
RESNET, VGG, MEAL, FAIRSEQ, ROBERTA, BERT, CASED, CLASSIFY, QA, SD, ONE, IMAGE, DDPM, HIFIGAN, AGENT, USE, LAYER = (
    DOCUMENTS
)


@pytest.fixture(scope="module")
def library() -> Library:
    return Library(DOCUMENTS)


@pytest.fixture(scope="module")
def benches(data_dir: Path) -> list[Bench]:
    return [load(data_dir / "apibench", name) for name in SETS]


def test_each_reference_is_its_own_answer(benches: list[Bench]) -> None:
    questions = [q for bench in benches for q in bench.questions]
    found = figures(score(benches, {q.id: q.reference for q in questions}, questions))
    assert [(f.set, f.questions) for f in found] == [
        ("huggingface", 911), ("torchhub", 186), ("tensorflowhub", 688), ("all", 1785)
    ]  # fmt: skip
    for f in found:
        assert (f.ast.mean, f.functional.mean, f.hallucination.mean, f.no_call.mean) == (1, 1, 0, 0)
        assert f.outcomes["match"] == f.questions
        assert not f.missing
        assert 0.9 < f.ast.low < f.ast.high == 1


def test_references_stand_the_forms_that_models_reply_in(benches: list[Bench]) -> None:
    for bench in benches:
        library = Library((d.call for d in bench.documents), (q.reference for q in bench.questions))
        for reference in sorted({q.reference for q in bench.questions}):
            for reply in (
                f"Sure, here you go (as asked):\n```python\n{reference}\n```\nThat's it!",
                f"<<<domain>>>: Vision\n<<<api_call>>>: {reference}\n<<<api_provider>>>: us\n<<<code>>>: pipeline('x')",
            ):
                assert library.judge(reply, reference).outcome == "match", reply


def test_a_changed_reference_is_what_the_definition_says(benches: list[Bench]) -> None:
    torch = next(bench for bench in benches if bench.set == "torchhub")
    library = Library(d.call for d in torch.documents)
    outcomes: dict[str, Counter[str]] = {name: Counter() for name in ("optional", "repository", "garbage")}
    for question in torch.questions:
        call = question.reference
        changed = call.replace("pretrained=True", "pretrained=False, force_reload=True")
        outcomes["optional"][library.judge(changed, call).outcome] += 1
        elsewhere = call.replace("repo_or_dir='", "repo_or_dir='nobody/")
        outcomes["repository"][library.judge(elsewhere, call).outcome] += 1
        outcomes["garbage"][library.judge(call.replace("(", " ").replace(")", " "), call).outcome] += 1
    count = len(torch.questions)
    assert outcomes == {
        "optional": {"match": count}, "repository": {"hallucination": count}, "garbage": {"no_call": count}
    }  # fmt: skip


@pytest.mark.parametrize(
    ("reference", "answer", "outcome"),
    [
        # torch.hub.load: repository and model are required, in any form and place
        (RESNET, "torch.hub.load('pytorch/vision', 'resnet50')", "match"),
        (RESNET, 'model = torch.hub.load("pytorch/vision", model="resnet50", weights=None).eval()', "match"),
        (RESNET, "torch.hub.load(model='resnet50', repo_or_dir='pytorch/vision')", "match"),
        (RESNET, "torch.hub.load('resnet50', 'pytorch/vision')", "hallucination"),  # the two exchanged
        (RESNET, "torch.hub.load('pytorch/vision:v0.10.0', 'resnet50')", "hallucination"),  # another repository
        (RESNET, "torch.hub.load('pytorch/vision', 'resnet5')", "hallucination"),  # part of a name is not the name
        (RESNET, "torch.hub.load('pytorch/vision', 'vgg16')", "other"),
        (RESNET, "torch.hub.load('pytorch/vision')", "hallucination"),  # no model
        (RESNET, "hub.load('pytorch/vision', 'resnet50')", "hallucination"),  # another function
        (MEAL, "torch.hub.load('szq0214/MEAL-V2', 'meal_v2', model='mealv2_b0')", "match"),
        (ROBERTA, "torch.hub.load('pytorch/fairseq', 'roberta.large')", "match"),
        (ROBERTA, "torch.hub.load('pytorch/fairseq', 'bart')", "other"),  # the repository alone is an API, too
        (FAIRSEQ, "torch.hub.load('pytorch/fairseq', 'bart')", "match"),
        # all arguments of other functions
        (BERT, "AutoModel.from_pretrained('bert-base', torch_dtype=torch.float16)", "match"),
        (BERT, "AutoModel.from_pretrained(pretrained_model_name_or_path='bert-base')", "match"),
        (BERT, "from transformers import AutoModel\nm = transformers.AutoModel.from_pretrained('bert-base')", "match"),
        (BERT, "AutoModel.from_pretrained('bert-base-cased')", "other"),
        (BERT, "AutoModelForCausalLM.from_pretrained('bert-base')", "hallucination"),
        (BERT, "AutoModel.from_pretrained('bert-base'", "no_call"),  # broken off
        (BERT, "print('AutoModel.from_pretrained(\"bert-base\")')", "hallucination"),  # a text is no call
        (CLASSIFY, "pipeline('text-classification', 'bert-base')", "match"),
        (CLASSIFY, "pipeline(task='text-classification', model='bert-base')", "match"),
        (CLASSIFY, "pipeline('sentiment-analysis', model='bert-base')", "hallucination"),
        # sub-trees
        (QA, QA.replace("a/b'), t", "a/b', revision='x'), t"), "match"),
        (QA, "pipeline('qa', model='a/b', tokenizer='a/b')", "hallucination"),
        (USE, "tf.keras.Sequential([hub.load('https://tfhub.dev/google/use/4'), Dense(3)])", "match"),
        (USE, "import tensorflow_hub\ntensorflow_hub.load('https://tfhub.dev/google/use/4')", "match"),
        (LAYER, "hub.KerasLayer('https://tfhub.dev/google/use/4', output_shape=[ 1280 ])", "match"),
        (LAYER, "hub.KerasLayer('https://tfhub.dev/google/use/4')", "hallucination"),
        # several calls: the first API of the set decides
        (BERT, "x = load()\nm = AutoModel.from_pretrained('bert-base')\nn = AutoModel.from_pretrained('z')", "match"),
        (BERT, "[AutoModel.from_pretrained('bert-base-cased'), AutoModel.from_pretrained('bert-base')]", "other"),
        # references that are no Python
        (SD, "StableDiffusionPipeline.from_pretrained('stabilityai/sd-2')", "match"),
        (ONE, "OneFormer.from_pretrained('shi-labs/coco')", "match"),
        (IMAGE, "pipeline('text-to-image', model='SG161222/Vision_V1.4')", "match"),
        (IMAGE, "pipeline('text-to-image', model=SG161222/Vision_V1.5)", "hallucination"),
        (DDPM, "DDPMPipeline.from_pretrained('google/ddpm')", "match"),
        (HIFIGAN, "load_model('facebook/hifigan')", "match"),
        (AGENT, "$ mlagents-load-from-hf --repo-id poca/Soccer --local-dir ./downloads --force", "match"),
        (AGENT, "mlagents-load-from-hf --repo-id='poca/Tennis' --local-dir='./downloads'", "hallucination"),
        # prose and nothing
        (BERT, "Use AutoModel.from_pretrained('bert-base'), it's best (for you).", "match"),
        (BERT, "{'api_call': 'm = AutoModel.from_pretrained(\\'bert-base\\')', 'api_provider': 'x'}", "match"),
        (BERT, "# not AutoModel.from_pretrained('bert-base-cased')\nAutoModel.from_pretrained('bert-base')", "match"),
        (BERT, "", "no_call"),
        (BERT, "I am sorry, but I do not know.", "no_call"),
        (BERT, "AutoModel.from_pretrained\x00('bert-base'", "no_call"),
    ],
)  # fmt: skip
def test_hand_checked(library: Library, reference: str, answer: str, outcome: str) -> None:
    match = library.judge(answer, reference)
    assert match.outcome == outcome
    assert (match.api is None) == (outcome in ("hallucination", "no_call"))
    assert (match.call is None) == (outcome == "no_call")


def test_a_reference_without_a_document_is_an_api_of_the_set() -> None:
    reference = "Parrot(model_tag='p/q', use_gpu=False)"
    assert Library(DOCUMENTS, [reference]).judge(reference, reference).outcome == "match"
    with pytest.raises(KeyError):
        Library(DOCUMENTS).judge(reference, reference)


def test_a_document_with_less_stands_for_a_reference_with_more() -> None:
    library = Library([BERT], ["AutoModel.from_pretrained('bert-base', torch_dtype=torch.float16)"])
    assert library.judge(BERT, "AutoModel.from_pretrained('bert-base', torch_dtype=torch.float16)").outcome == "match"


def test_commands_are_read_as_calls() -> None:
    assert command("run --size 3 --name=x --fast y").arguments == command('run --size=3 --name "x" --fast y').arguments
    assert command("run 'open").name == "run"
    assert command("") == Call("", ())


def test_the_call_is_looked_for_where_the_reply_says_it_is() -> None:
    assert answer_in("text\n```python\na()\n```\nb()\n```\nc()").split() == ["a()", "c()"]
    assert [c.name for c in calls_in("f(g(1), x=h(2)).k(m()) or n()")] == ["f", "m", "n"]


_PIECES = st.sampled_from(
    ["f(", ")", "(", "'", '"', ",", "=", "torch.hub.load(", "api_call", "api_provider", "```\n", "\n", "#", "\\",
     "\x00", "--x", "mlagents-load-from-hf ", "[", "{", "*", "lambda", "é", "\ud800", "1e999", "pipeline('x', "]
)  # fmt: skip


@given(st.one_of(st.text(), st.lists(_PIECES, max_size=40).map("".join)))
@settings(max_examples=120, deadline=None)
def test_no_answer_is_a_crash(answer: str) -> None:
    match = _LIBRARY.judge(answer, BERT)
    assert match.outcome in ("match", "other", "hallucination", "no_call")


_LIBRARY = Library(DOCUMENTS)


@pytest.mark.parametrize("hostile", ["f(" * 5_000, "f(" * 3_000 + ")" * 3_000, "-" * 9_000 + "1", "a." * 9_000 + "b()",
                                     "(" * 9_000, "[f(x)," * 900, "'" * 9_000, "f(**" * 900])  # fmt: skip
def test_nesting_and_length_are_no_crash(hostile: str) -> None:
    assert _LIBRARY.judge(hostile, BERT).outcome in ("hallucination", "no_call")


def test_outcomes_go_into_json(benches: list[Bench]) -> None:
    questions = benches[1].questions[:3]
    found = figures(score(benches, {questions[0].id: questions[0].reference}, questions))[0]
    document = json.loads(json.dumps(found.as_dict()))
    assert document["missing"] == [q.id for q in questions[1:]]
    assert document["ast"]["mean"] == pytest.approx(1 / 3)
    assert document["outcomes"] == {"match": 1, "other": 0, "hallucination": 0, "no_call": 2}
