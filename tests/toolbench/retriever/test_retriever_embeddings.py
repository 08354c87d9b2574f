import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from toolbench.encoder import Encoder, Floats
from toolbench.lake import Lake
from toolbench.retriever.embeddings import EmbeddingCache, identity


class Counting(Encoder):
    """An encoder whose vectors come from a hash of the text, and which counts what it reads."""

    dimensions = 8  # type: ignore[assignment]

    def __init__(self) -> None:
        self.read: list[str] = []

    def encode(self, texts: Sequence[str], progress: Any = None) -> Floats:
        self.read += texts
        if progress:
            progress("encode", len(texts), len(texts))
        rows = [list(hashlib.sha256(t.encode()).digest()[:8]) for t in texts]
        return np.array(rows, dtype=np.float32).reshape(-1, 8)


def test_one_percent_of_changed_documents_costs_one_percent_of_encoding(lake: Lake) -> None:
    documents = [f"document {i}" for i in range(5_000)]
    encoder = Counting()
    first = EmbeddingCache(lake, "e").embed(encoder, documents)
    assert (first.encoded, first.reused, len(encoder.read)) == (5_000, 0, 5_000)
    changed = [f"{text}, changed" if i % 100 == 7 else text for i, text in enumerate(documents)]
    encoder = Counting()
    seen: list[tuple[str, int, int]] = []
    second = EmbeddingCache(lake, "e").embed(encoder, changed, lambda *step: seen.append(step))
    assert (second.encoded, second.reused, len(encoder.read)) == (50, 4_950, 50)
    assert seen == [("encode", 50, 50)]
    assert second.vectors.tolist() == Counting().encode(changed).tolist()


def test_what_a_killed_run_had_encoded_is_not_encoded_again(lake: Lake) -> None:
    documents = [f"document {i}" for i in range(5_000)]

    class Dying(Counting):
        def encode(self, texts: Sequence[str], progress: Any = None) -> Floats:
            if self.read:
                raise KeyboardInterrupt
            return super().encode(texts, progress)

    with pytest.raises(KeyboardInterrupt):
        EmbeddingCache(lake, "e").embed(Dying(), documents)
    assert EmbeddingCache(lake, "e").embed(Counting(), documents).encoded == 5_000 - 4_096


def test_equal_texts_are_encoded_once_and_other_encoders_have_their_own(lake: Lake) -> None:
    assert EmbeddingCache(lake, "e").embed(Counting(), ["a", "a", "b"]).encoded == 2
    assert EmbeddingCache(lake, "other").embed(Counting(), ["a"]).encoded == 1


def test_a_damaged_part_counts_as_absent(lake: Lake) -> None:
    cache = EmbeddingCache(lake, "e")
    cache.embed(Counting(), ["a", "b"])
    ((key, _),) = lake.store.list("embeddings")
    lake.store.write(key, lake.store.read(key)[:-3] + b"xyz")
    again = cache.embed(Counting(), ["a", "b"])
    assert (again.encoded, again.vectors.tolist()) == (2, Counting().encode(["a", "b"]).tolist())


def test_what_was_made_elsewhere_is_kept(lake: Lake) -> None:
    cache = EmbeddingCache(lake, "e")
    cache.keep(["a", "b"], Counting().encode(["a", "b"]))
    assert cache.embed(Counting(), ["b", "c"]).encoded == 1


def test_gc_leaves_the_embeddings_of_encoders_in_use(lake: Lake, tmp_path: Path) -> None:
    from toolbench.lake import Draft

    for name in ("used", "unused"):
        EmbeddingCache(lake, name).embed(Counting(), ["a"])
    (tmp_path / "index").mkdir()
    (tmp_path / "index" / "x").write_text("x")
    entry = lake.put_model("retriever-index", "spec", tmp_path / "index", {"encoders": ["used"]})
    lake.publish(Draft(models={"retriever-index": entry}), "test")
    gone = [key for key, _ in lake.collect_garbage(1)]
    assert [key.split("/")[:2] for key in gone] == [["embeddings", "unused"]]


def test_an_encoder_is_the_same_wherever_it_lies_and_another_with_another_limit(tiny_base: str, tmp_path: Path) -> None:
    encoder = Encoder.load(tiny_base, 16)
    encoder.save(tmp_path)
    assert identity(encoder) == identity(Encoder.load(str(tmp_path)))
    assert identity(encoder) != identity(Encoder.load(tiny_base, 32))
