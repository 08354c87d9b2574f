"""The student of a lake, and the command that makes it."""

import json
import shutil
from pathlib import Path

import pytest
from student_conversations import HELD_OUT, TRAINING, a_conversation
from typer.testing import CliRunner

from toolbench.cli import app
from toolbench.errors import ToolbenchError
from toolbench.lake import Draft, Lake, Spec
from toolbench.records import Conversation
from toolbench.student import MODEL, StudentConfig, finished, specification, train_in_lake
from toolbench.student.promotion import NEWEST


def fill(lake: Lake, rows: list[Conversation]) -> None:
    """Publish these conversations, in place of those that are there."""
    names = [r.id for r in rows]
    spec = Spec(stage="dataset", label="all", partition={"part": "all"}, records=names, content=str(names), params={})
    receipt = lake.finish(spec, {Conversation: rows}, taken_in=len(rows), passed_on=len(rows))
    draft = Draft()
    draft.add([receipt], ("conversations",))
    lake.publish(draft, "test")


def run(*arguments: str) -> str:
    """Standard output of `toolbench student …`; raises what it raises."""
    result = CliRunner().invoke(app, ["student", *arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


def refused(*arguments: str) -> str:
    result = CliRunner().invoke(app, ["student", *arguments])
    assert isinstance(result.exception, ToolbenchError), result.output
    return str(result.exception)


def test_a_specification_changes_with_all_that_decides(lake: Lake, tiny_llama: str, tmp_path: Path) -> None:
    base = tmp_path / "base"
    shutil.copytree(tiny_llama, base)
    fill(lake, TRAINING)
    config = StudentConfig(base=str(base))
    first = specification(lake.snapshot(), config)
    assert specification(lake.snapshot(), config) == first
    assert specification(lake.snapshot(), config.model_copy(update={"rank": 4})) != first
    (base / "generation_config.json").write_text("{}")
    assert specification(lake.snapshot(), config) != first, "another base under the same name"
    shutil.rmtree(base)
    shutil.copytree(tiny_llama, base)
    assert specification(lake.snapshot(), config) == first
    fill(lake, [*TRAINING, *HELD_OUT])
    assert specification(lake.snapshot(), config) != first


def test_the_entry_tells_the_losses_and_is_found_again(lake: Lake, tiny_llama: str, tmp_path: Path) -> None:
    fill(lake, [*TRAINING, *HELD_OUT])
    config, view = StudentConfig(base=tiny_llama, learning_rate=1e-2, batch_size=4), lake.snapshot()
    assert finished(lake, specification(view, config)) is None
    entry = train_in_lake(lake, view, config)
    assert finished(lake, specification(view, config)) == entry
    assert entry.metrics["loss_after"] < entry.metrics["loss_before"]
    copy = lake.get_model(entry, tmp_path / "copy")
    assert {"adapter_model.safetensors", "adapter_config.json", "README.md", "metrics.json"} <= set(entry.files)
    assert (copy / "chat_template.jinja").is_file()


def test_the_command_trains_once_and_publishes(lake: Lake, tiny_llama: str, tmp_path: Path) -> None:
    fill(lake, [*TRAINING, *HELD_OUT])
    arguments = ("train", "--base", tiny_llama, "--lake", lake.uri)
    said = run(*arguments, "--out", str(tmp_path / "out"))
    assert said.startswith("trained: 8 conversations; loss on 2 held-out ones ")
    assert (tmp_path / "out" / "adapter_model.safetensors").is_file()
    published = lake.snapshot()
    assert published.flow == "finetune-student"
    assert published.rows("conversations") == 10
    assert run(*arguments).startswith("unchanged: 8 conversations")
    assert lake.snapshot() == published, "what did not change publishes nothing"
    chosen = ("--epochs", "2", "--rank", "4", "--alpha", "8", "--dropout", "0", "--target-modules", "q_proj, v_proj")
    assert run(*arguments, *chosen, "--out", str(tmp_path / "chosen")).startswith("trained: ")
    made = json.loads((tmp_path / "chosen" / "adapter_config.json").read_text(encoding="utf-8"))
    assert (made["r"], made["lora_alpha"], made["lora_dropout"]) == (4, 8, 0)
    assert made["target_modules"] == ["q_proj", "v_proj"]
    assert lake.snapshot().models[NEWEST] != published.models[NEWEST]
    assert MODEL not in lake.snapshot().models, "it serves once it is promoted"
    assert "promote one" in refused("serve", "--lake", lake.uri)


def test_the_preview_shows_what_is_learned(lake: Lake, tiny_llama: str) -> None:
    fill(lake, [*HELD_OUT, a_conversation("t", "Oslo")])
    said = run("preview", "--base", tiny_llama, "--lake", lake.uri)
    assert '<|im_start|>assistant\n[[<|call|>rain_for_weather {"city": "Oslo"}<|im_end|>]]\n' in said
    assert said.count("[[") == said.count("]]") == 2
    assert "How much does it rain in Oslo?" in said
    assert "conversation t: 76 of 3" in said


@pytest.mark.parametrize("command", ["train", "preview"])
def test_what_the_command_cannot_do_is_one_sentence(lake: Lake, tiny_llama: str, command: str) -> None:
    assert "Nothing was published" in refused(command, "--base", tiny_llama, "--lake", lake.uri)
    fill(lake, HELD_OUT)
    assert "split `train`" in refused(command, "--base", tiny_llama, "--lake", lake.uri)
    fill(lake, TRAINING)
    assert "base `gone` cannot be loaded" in refused(command, "--base", "gone", "--lake", lake.uri)
    assert lake.snapshot().models == {}


def test_a_run_that_was_stopped_goes_on_from_the_lake(lake: Lake, tiny_llama: str) -> None:
    fill(lake, TRAINING)
    view = lake.snapshot()
    config = StudentConfig(base=tiny_llama, rank=4, batch_size=2, checkpoint_every=1)

    def stop(phase: str, done: int, total: int) -> None:
        if done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train_in_lake(lake, view, config, stop)
    assert [key for key, _ in lake.store.list("checkpoints/")] == [
        f"checkpoints/student/{specification(view, config)}.tar"
    ]
    steps: list[int] = []
    entry = train_in_lake(lake, view, config, lambda _, done, __: steps.append(done))
    assert steps == [3, 4]
    assert entry == finished(lake, specification(view, config))
    assert not lake.store.list("checkpoints/"), "of no use any more"


def test_the_card_says_where_the_data_comes_from(lake: Lake, tiny_llama: str, tmp_path: Path) -> None:
    fill(lake, TRAINING)
    entry = train_in_lake(lake, lake.snapshot(), StudentConfig(base=tiny_llama, rank=4))
    assert entry is not None
    card = (lake.get_model(entry, tmp_path) / "README.md").read_text()
    assert f"| snapshot | {lake.snapshot().number} |" in card
    assert "| judges' votes on training solutions | none |" in card
    assert "written by some-teacher" in card


def test_settings_that_cannot_be_are_refused(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(lake, TRAINING)
    arguments = ("train", "--base", "b", "--lake", lake.uri)
    assert "learning_rate: Input should be greater than 0" in refused(*arguments, "--learning-rate", "-1")
    assert "no multiple of micro_batch 3" in refused(*arguments, "--micro-batch", "3")
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert "--work" in refused(*arguments)


@pytest.mark.parametrize("name", ["gpus", "fsdp", "deepspeed"])
def test_accelerate_takes_the_configurations(name: str) -> None:
    loader = pytest.importorskip("accelerate.commands.config.config_args", reason="needs the extra `train`")
    path = Path(__file__).parents[3] / "deployments" / "accelerate" / f"{name}.yaml"
    found = loader.load_config_from_file(str(path))
    kinds = {"gpus": "MULTI_GPU", "fsdp": "FSDP", "deepspeed": "DEEPSPEED"}
    assert str(getattr(found.distributed_type, "value", found.distributed_type)) == kinds[name]
    assert found.mixed_precision == "bf16"
