"""A tiny, randomly initialised Llama on disk, its tokenizer trained on the spot: the real training code in seconds."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from student_conversations import TEXTS, UNMARKED


@pytest.fixture(scope="session")
def make_tokenizer() -> Callable[[str | None], Any]:
    """A byte-level BPE tokenizer of 400 tokens with the given chat template."""
    transformers = pytest.importorskip("transformers", reason="needs the extra `train`")
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    raw = Tokenizer(models.BPE())
    raw.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    raw.decoder = decoders.ByteLevel()
    special = ["<|im_start|>", "<|im_end|>", "<|call|>"]
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    raw.train_from_iterator(
        TEXTS, trainers.BpeTrainer(vocab_size=400, special_tokens=special, initial_alphabet=alphabet)
    )
    text = raw.to_str()

    def make(template: str | None) -> Any:
        tokenizer = transformers.PreTrainedTokenizerFast(
            tokenizer_object=Tokenizer.from_str(text), eos_token="<|im_end|>", pad_token="<|im_end|>"
        )
        tokenizer.chat_template = template
        return tokenizer

    return make


@pytest.fixture(scope="session")
def tiny_llama(tmp_path_factory: pytest.TempPathFactory, make_tokenizer: Callable[[str | None], Any]) -> Iterator[str]:
    """The folder of a Llama with 2 layers, 64 dimensions and 1024 positions, its template unmarked."""
    torch = pytest.importorskip("torch", reason="needs the extra `train`")
    pytest.importorskip("peft", reason="needs the extra `train`")
    from transformers import LlamaConfig, LlamaForCausalLM

    folder = tmp_path_factory.mktemp("llama")
    torch.manual_seed(0)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # so small that a second thread only waits
    config = LlamaConfig(
        vocab_size=400,
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=1024,
        bos_token_id=None,
        eos_token_id=1,
        pad_token_id=1,
        initializer_range=0.2,  # an output layer that an adapter below it can make use of
    )
    LlamaForCausalLM(config).save_pretrained(folder)  # fmt: skip
    make_tokenizer(UNMARKED).save_pretrained(folder)
    yield str(folder)
    torch.set_num_threads(threads)
