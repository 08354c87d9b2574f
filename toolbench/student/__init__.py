"""The student: LoRA adapters of a causal model, trained on conversations, loss on the assistant's turns alone.

Importing this package imports neither torch nor transformers nor peft: they load when training starts.
"""

from toolbench.student.base import load_tokenizer
from toolbench.student.config import StudentConfig
from toolbench.student.refresh import MODEL, finished, specification, train_in_lake
from toolbench.student.samples import Making, Sample, UnusableConversation, sample, samples
from toolbench.student.train import TrainResult, train

__all__ = [
    "MODEL", "Making", "Sample", "StudentConfig", "TrainResult", "UnusableConversation", "finished", "load_tokenizer",
    "sample", "samples", "specification", "train", "train_in_lake",
]  # fmt: skip
