import pytest

from toolbench.errors import LakeError
from toolbench.lake import Draft, Entry, Receipt, Snapshot, Usage


def entry(path: str, rows: int = 2, **partition: str) -> Entry:
    return Entry(path=path, rows=rows, bytes=1, sha256="", partition=partition, spec=path)


def receipt(taken_in: int, passed_on: int, rejected: int, rows: int, reject_rows: int) -> Receipt:
    tables = {"solutions": entry("s", rows), "rejects": entry("r", reject_rows)}
    return Receipt(
        stage="annotate", spec="0123", label="I1 3/4", partition={}, taken_in=taken_in, passed_on=passed_on,
        rejected=rejected, tables={name: e for name, e in tables.items() if e.rows},
    )  # fmt: skip


@pytest.mark.parametrize("counts", [(3, 2, 1, 2, 1), (2, 2, 0, 2, 0), (1, 0, 1, 0, 1), (0, 0, 0, 0, 0)])
def test_counts_that_add_up_pass_and_with_one_more_of_any_they_do_not(counts: tuple[int, int, int, int, int]) -> None:
    receipt(*counts).check("solutions")
    for place in range(len(counts)):
        with pytest.raises(LakeError, match="do not add up"):
            receipt(*(n + (i == place) for i, n in enumerate(counts))).check("solutions")


@pytest.mark.parametrize(
    "counts", [(4, 2, 1, 2, 1), (3, 2, 1, 1, 1), (3, 2, 1, 2, 0), (3, 1, 2, 2, 1), (2, 2, 0, 2, 1), (1, 1, 0, 0, 0)]
)
def test_counts_that_do_not_add_up_are_named(counts: tuple[int, int, int, int, int]) -> None:
    with pytest.raises(LakeError, match=r"annotate shard 0123 \(I1 3/4\) do not add up: .* nothing was published"):
        receipt(*counts).check("solutions")


def test_a_draft_replaces_whole_partitions_and_nothing_else() -> None:
    base = Snapshot(
        number=4, tables={"apis": [entry("a", category="X"), entry("b", category="X"), entry("c", category="Y")]}
    )
    draft = Draft()
    draft.put("apis", {"category": "X"}, [entry("new", category="X")])
    assert [e.path for e in draft.view(base).entries("apis")] == ["c", "new"]
    assert [e.path for e in base.entries("apis")] == ["a", "b", "c"]
    draft.put("apis", {"category": "X"}, [])
    draft.put("apis", {"category": "Y"}, [])
    assert draft.view(base).tables == {}


def test_drafts_of_different_partitions_commute() -> None:
    one, two = Draft(), Draft()
    one.put("apis", {"category": "X"}, [entry("x", category="X")])
    two.put("apis", {"category": "Y"}, [entry("y", category="Y")])
    assert one.view(two.view(Snapshot())) == two.view(one.view(Snapshot()))


def test_usage_adds_up() -> None:
    total = Usage(calls=1, input_tokens=2, output_tokens=3, cost=0.1) + Usage(calls=10, cost=0.2)
    assert total == Usage(calls=11, input_tokens=2, output_tokens=3, cost=0.3)


def test_rows_are_counted_over_all_files() -> None:
    snapshot = Snapshot(tables={"apis": [entry("a"), entry("b", 5)]})
    assert (snapshot.rows("apis"), snapshot.rows("tools")) == (7, 0)
