"""A few pairs that a tiny encoder learns, and a training run with everything that a resumed one must do again."""

from pathlib import Path

from toolbench.records import Group, RetrievalPair, Split
from toolbench.retriever import RetrieverConfig, train

CORPUS = {
    "Weather/sky/rain": "Weather: rain in a city",
    "Astronomy/moon/phase": "Astronomy: phase of the moon for a date",
    "Finance/tax/rate": "Finance: tax rate of an income",
    "Music/songs/lyrics": "Music: lyrics of a song",
}
RAIN, MOON, TAX, SONG = CORPUS


def pair(query: str, api: str, split: Split = "train", group: Group = "I1", query_id: str = "") -> RetrievalPair:
    return RetrievalPair(
        id=f"{query}/{api}", query_id=query_id or query, query=query, api_id=api, document=CORPUS.get(api, "gone"),
        group=group, category="", collection="", split=split, model="none",
    )  # fmt: skip


TRAINING = [
    pair(f"{opening} {topic}", api)
    for opening in ("find", "please find", "find the", "please")
    for topic, api in (("weather", RAIN), ("moon", MOON), ("income", TAX), ("artist", SONG))
]
HELD_OUT = [
    pair("please find the weather for a city", RAIN, "instruction"),
    pair("the moon please", MOON, "instruction"),
    pair("weather and song", RAIN, "instruction", "I2"),
    pair("weather and song", SONG, "instruction", "I2"),
]


def config(base: str) -> RetrieverConfig:
    """With dropout, siblings, mining and validation."""
    return RetrieverConfig(
        base=base, epochs=6, batch_size=4, learning_rate=1e-2, warmup_steps=0.1, max_tokens=16, siblings=1, mined=1,
        validation=3, evaluations=5, together=True,
    )  # fmt: skip


def run(base: str, folder: Path, checkpoints: Path) -> None:
    """Train as both runs do: in one thread, since sums in several depend on how many there are."""
    import torch

    torch.set_num_threads(1)
    catalogue = CORPUS | {"Weather/sky/wind": "the weather of a city", "Music/songs/date": "date of a song"}
    train(TRAINING + HELD_OUT, CORPUS, config(base), folder, catalogue=catalogue, checkpoints=checkpoints)
