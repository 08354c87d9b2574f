"""A tiny, randomly initialised BERT on disk: the real training code in a second or two."""

from pathlib import Path

import pytest

WORDS = [
    "weather", "rain", "city", "moon", "phase", "date", "tax", "rate", "income", "song",
    "lyrics", "artist", "for", "the", "of", "find", "please", "a", "in",
]  # fmt: skip


@pytest.fixture(scope="session")
def tiny_base(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The folder of an encoder with 2 layers, 32 dimensions, 64 positions and a vocabulary of a few words."""
    torch = pytest.importorskip("torch", reason="needs the extra `train`")
    st = pytest.importorskip("sentence_transformers", reason="needs the extra `train`")
    from sentence_transformers.sentence_transformer import modules
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
    from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    vocabulary = {word: i for i, word in enumerate(special + WORDS)}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    plain: Path = tmp_path_factory.mktemp("bert")
    torch.manual_seed(0)
    BertModel(
        BertConfig(
            vocab_size=len(vocabulary), hidden_size=32, num_hidden_layers=2, num_attention_heads=2,
            intermediate_size=64, max_position_embeddings=64,
        )
    ).save_pretrained(plain)  # fmt: skip
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="[PAD]", unk_token="[UNK]", cls_token="[CLS]", sep_token="[SEP]"
    ).save_pretrained(plain)
    words = modules.Transformer(str(plain))
    model = st.SentenceTransformer(modules=[words, modules.Pooling(32)], device="cpu")
    folder: Path = tmp_path_factory.mktemp("base")
    model.save_pretrained(str(folder), create_model_card=False)
    return str(folder)
