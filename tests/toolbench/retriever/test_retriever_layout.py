import csv
import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from toolbench.errors import SourceError, ToolbenchError
from toolbench.records import RetrievalPair, Split
from toolbench.retriever.layout import is_layout, read, write


def pair(query_id: str, query: str, api: str, split: Split = "train") -> RetrievalPair:
    return RetrievalPair(
        id=f"{query_id}/{api}", query_id=query_id, query=query, api_id=api, document="", group="I1", category="",
        collection="", split=split, model="none",
    )  # fmt: skip


def api(name: str, **more: Any) -> dict[str, Any]:
    return {"category_name": "Weather", "tool_name": "Sky", "api_name": name, "api_description": "", **more}


def as_theirs(folder: Path, part: str) -> tuple[dict[int, Any], dict[int, str], set[tuple[int, int]]]:
    """Documents, queries and labels as ToolBench's reader, which is pandas, has them."""
    corpus = pd.read_csv(folder / "corpus.tsv", sep="\t")
    documents = {int(row.docid): json.loads(row.document_content) for row in corpus.itertuples()}  # type: ignore[arg-type]
    queries = pd.read_csv(folder / f"{part}.query.txt", sep="\t", names=["qid", "query"], keep_default_na=False)
    labels = pd.read_csv(folder / f"qrels.{part}.tsv", sep="\t", names=["qid", "useless", "docid", "label"])
    assert set(labels.label) <= {1}
    return (
        documents,
        dict(zip(queries.qid, queries["query"], strict=True)),
        set(zip(labels.qid, labels.docid, strict=True)),
    )


# NUL and half surrogates have no place in such a file; the lake has none either.
_text = st.text(st.characters(codec="utf-8", exclude_characters="\0")) | st.text(st.sampled_from("\t\n\r\"' a,é\u2028"))
# Never a number alone: a column of these is one of numbers to pandas.
_query = _text.map(lambda text: f"{text}?")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60, deadline=None)
@given(st.dictionaries(st.sampled_from("abcde"), _text, min_size=1), st.data())
def test_whatever_stands_in_a_text_ours_and_theirs_read_it_back(
    tmp_path: Path, described: dict[str, str], data: st.DataObject
) -> None:
    documents = {i: api(i, api_description=text, template_response={text: text}) for i, text in described.items()}
    texts = data.draw(st.lists(_query, min_size=2, max_size=4))
    wanted = [data.draw(st.sets(st.sampled_from(sorted(documents)), min_size=1)) for _ in texts]
    splits: list[Split] = ["train" if n % 2 else "tool" for n in range(len(texts))]
    pairs = [
        pair(f"q{n}", text, i, split)
        for n, (text, ids, split) in enumerate(zip(texts, wanted, splits, strict=True))
        for i in ids
    ]
    write(tmp_path, documents, pairs)
    found = read(tmp_path)
    assert [found.documents[n] for n in sorted(found.documents)] == [documents[i] for i in sorted(documents)]
    for part, mine in (("train", found.train), ("test", found.test)):
        expected = [
            (t, sorted(w)) for t, w, s in zip(texts, wanted, splits, strict=True) if (s == "train") == (part == "train")
        ]
        got = [(t, [found.documents[d]["api_name"] for d in sorted(mine.relevant[q])]) for q, t in mine.queries.items()]
        assert got == expected
        theirs = as_theirs(tmp_path, part)
        assert theirs[0] == found.documents
        assert theirs[1] == mine.queries
        assert theirs[2] == {(q, d) for q, ids in mine.relevant.items() for d in ids}


def test_what_pandas_writes_is_read(tmp_path: Path) -> None:
    texts = ['say "rain"\tor', "two\nlines", "plain"]
    contents = [json.dumps(api(t), ensure_ascii=False) for t in texts]
    frame = pd.DataFrame({"docid": [1, 2, 3], "document_content": contents})
    frame.to_csv(tmp_path / "corpus.tsv", sep="\t", index=False)
    pd.DataFrame([[1, texts[0]], [2, texts[1]]]).to_csv(
        tmp_path / "train.query.txt", sep="\t", index=False, header=False
    )
    rows = [[1, 0, 3, 1], [1, 0, 1, 1], [2, 0, 2, 1], [2, 0, 3, 0]]
    pd.DataFrame(rows).to_csv(tmp_path / "qrels.train.tsv", sep="\t", index=False, header=False)
    found = read(tmp_path)
    assert [d["api_name"] for d in found.documents.values()] == texts
    assert found.train.queries == {1: texts[0], 2: texts[1]}
    assert found.train.relevant == {1: [3, 1], 2: [2]}, "a label of 0 is no relevance"
    assert found.test.queries == {}


def test_ids_count_from_one_and_are_the_same_every_time(tmp_path: Path) -> None:
    pairs = [pair("q2", "two", "b"), pair("q1", "one", "a"), pair("q3", "three", "a", "category")]
    counts = write(tmp_path / "a", {"b": api("b"), "a": api("a")}, pairs)
    write(tmp_path / "b", {"a": api("a"), "b": api("b")}, reversed(pairs))
    names = ["corpus.tsv", "qrels.test.tsv", "qrels.train.tsv", "test.query.txt", "train.query.txt"]
    assert counts == dict(zip(names, (2, 1, 2, 1, 2), strict=True))
    assert sorted(p.name for p in (tmp_path / "a").iterdir()) == names, "nothing else is left there"
    for name in names:
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
    assert (tmp_path / "a" / "corpus.tsv").read_text().splitlines()[0] == "docid\tdocument_content"
    assert (tmp_path / "a" / "train.query.txt").read_text() == "1\tone\n2\ttwo\n"
    assert (tmp_path / "a" / "qrels.test.tsv").read_text() == "3\t0\t1\t1\n"
    assert is_layout(tmp_path / "a")
    assert not is_layout(tmp_path)


DAMAGE = [
    ("corpus.tsv", b"id\ttext\n", r"corpus.tsv, line 1 has to be the header docid and document_content"),
    ("corpus.tsv", b"docid\tdocument_content\n", r"corpus.tsv holds no document"),
    ("corpus.tsv", b"docid\tdocument_content\n1\t{}\n1\t{}\n", r"corpus.tsv, line 3 gives document 1 again"),
    ("corpus.tsv", b"docid\tdocument_content\none\t{}\n", r"corpus.tsv, line 2 has 'one' for docid"),
    ("corpus.tsv", b"docid\tdocument_content\n1\t{]\n", r"corpus.tsv, line 2 has a document that is not valid JSON"),
    ("corpus.tsv", b"docid\tdocument_content\n1\t[]\n", r"corpus.tsv, line 2 has a document that is no JSON object"),
    ("corpus.tsv", b"docid\tdocument_content\n1\t" + b"[" * 90_000 + b"\n", r"line 2 has a document that is not valid"),
    ("corpus.tsv", b'docid\tdocument_content\n1\t"{}\n', r"corpus.tsv, line 2 cannot be read"),
    ("corpus.tsv", b"docid\tdocument_content\n1\t{}\n2\t\xff\n", r"corpus.tsv, line 3 is not UTF-8"),
    ("test.query.txt", b"1\ta\tb\n", r"test.query.txt, line 1 has 3 columns, not 2"),
    ("test.query.txt", b"1\t \n", r"test.query.txt, line 1 has no text for query 1"),
    ("test.query.txt", b"1\ta\rb\n", r"test.query.txt, line 1 cannot be read"),
    ("qrels.test.tsv", b"9\t0\t1\t1\n", r"qrels.test.tsv, line 1 names query 9, which test.query.txt does not have"),
    ("qrels.test.tsv", b"1\t0\t1\t1\n1\t0\t7\t1\n", r"qrels.test.tsv, line 2 names document 7, which corpus.tsv"),
    ("qrels.test.tsv", b"1\t0\t1\tyes\n", r"qrels.test.tsv, line 1 has 'yes' for label"),
    ("qrels.test.tsv", None, r"qrels.test.tsv cannot be read"),
]


@pytest.mark.parametrize(("name", "content", "message"), DAMAGE)
def test_a_damaged_line_is_named(tmp_path: Path, name: str, content: bytes | None, message: str) -> None:
    write(tmp_path, {"a": api("a")}, [pair("q", "one", "a", "tool")])
    assert read(tmp_path).test.queries == {1: "one"}
    if content is None:
        (tmp_path / name).unlink()
    else:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(SourceError, match=message) as caught:
        read(tmp_path)
    assert "\n" not in str(caught.value)


def test_a_long_document_is_read(tmp_path: Path) -> None:
    write(tmp_path, {"a": api("a", api_description="x" * 200_000)}, [])
    assert csv.field_size_limit() > 0
    assert len(read(tmp_path).documents[1]["api_description"]) == 200_000


def test_what_cannot_be_written_is_said(tmp_path: Path) -> None:
    with pytest.raises(ToolbenchError, match="The API b of query q has no document"):
        write(tmp_path / "out", {"a": api("a")}, [pair("q", "one", "b")])
    (tmp_path / "file").write_text("")
    with pytest.raises(ToolbenchError, match="name another --out"):
        write(tmp_path / "file", {"a": api("a")}, [])
