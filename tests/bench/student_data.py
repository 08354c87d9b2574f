"""How fast conversations become samples, and that memory does not grow with their number.

    python tests/bench/student_data.py DATA [--numbers 10000,100000] [--family qwen25] [--max-tokens 8192]

DATA is a folder of ToolBench's answer files. Their conversations are varied until there are enough: each gets the
instruction, thoughts, arguments and observations of another length, drawn by its number. The tokenizer is a byte-level
BPE of 8,000 tokens trained on them, the chat template a test's. They are made into samples and written to disk as
before a training run. Each number runs in a process of its own, which tells its peak memory; what the libraries take
before the first sample is told apart.
"""

import argparse
import json
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "toolbench" / "student"))

from families import FAMILIES

from toolbench.records import Conversation
from toolbench.student import Making
from toolbench.student.conversations import read
from toolbench.student.spool import spool


def varied(real: list[Conversation], number: int) -> Iterator[Conversation]:
    """`number` conversations, one after the other; no two alike."""
    for n in range(number):
        draw = random.Random(n)
        one = real[n % len(real)]
        words = " ".join((m.content or "") for m in draw.choice(real).messages[3:]).split() or ["empty"]
        messages = []
        for message in one.messages:
            content = message.content
            if message.role == "user":
                content = f"{content} ({n})"
            elif content and message.role in ("tool", "assistant"):
                start = draw.randrange(len(words))
                extra = " ".join(words[start : start + draw.randrange(40)])
                content = f"{content[: draw.randrange(len(content) // 2, len(content) + 1)]} {extra}"
            messages.append(replace(message, content=content))
        yield replace(one, id=str(n), messages=messages)


def tokenizer_for(family: str, texts: list[str], folder: Path) -> None:
    """Train a tokenizer on texts and save it with the family's template."""
    import transformers
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    found = next(f for f in FAMILIES if f.name == family)
    raw = Tokenizer(models.BPE())
    raw.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    raw.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    raw.train_from_iterator(
        texts,
        trainers.BpeTrainer(
            vocab_size=8000, special_tokens=list(found.specials), show_progress=False, initial_alphabet=alphabet
        ),
    )
    names = {"eos_token": found.eos, "bos_token": found.bos}
    tokenizer = transformers.PreTrainedTokenizerFast(tokenizer_object=raw, **{k: v for k, v in names.items() if v})
    tokenizer.chat_template = found.template
    tokenizer.save_pretrained(folder)


def peak() -> float:
    """The most memory this process has had, in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def work(data: Path, folder: Path, number: int, max_tokens: int) -> dict[str, Any]:
    """Make all samples and write them to disk, as training does; what it took."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder)
    real = [row for row in read(data) if isinstance(row, Conversation)]
    making = Making(max_tokens=max_tokens, give_ups=True)
    spool(varied(real, 50), tokenizer, making, folder / "first")
    before = peak()
    started, cpu = time.perf_counter(), time.process_time()
    made = spool(varied(real, number), tokenizer, making, folder / "samples")
    seconds, cpu = time.perf_counter() - started, time.process_time() - cpu
    tokens, written = made.training.read, (folder / "samples" / "training.arrow").stat().st_size
    return {
        "conversations": number, "rejected": sum(made.rejected.values()), "tokens": tokens,
        "learned": made.training.learned, "mib_on_disk": round(written / 2**20),
        "seconds": round(seconds, 1), "cpu_seconds": round(cpu, 1),
        "conversations_per_cpu_second": round(number / cpu), "tokens_per_cpu_second": round(tokens / cpu),
        "conversations_per_second": round(number / seconds), "tokens_per_second": round(tokens / seconds),
        "peak_mib_before": round(before), "peak_mib": round(peak()),
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--numbers", default="10000,100000")
    parser.add_argument("--family", default="qwen25", choices=[f.name for f in FAMILIES])
    parser.add_argument("--max-tokens", type=int, default=8192)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.folder:
        print(json.dumps(work(arguments.data, arguments.folder, int(arguments.numbers), arguments.max_tokens)))
        return
    with tempfile.TemporaryDirectory() as folder:
        real = [row for row in read(arguments.data) if isinstance(row, Conversation)]
        texts = [text for row in real for text in (row.tools, *((m.content or "") for m in row.messages))]
        tokenizer_for(arguments.family, texts, Path(folder))
        for number in arguments.numbers.split(","):
            command = [sys.executable, __file__, str(arguments.data), "--numbers", number, "--folder", folder,
                       "--max-tokens", str(arguments.max_tokens)]  # fmt: skip
            print(subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip(), flush=True)


if __name__ == "__main__":
    main()
