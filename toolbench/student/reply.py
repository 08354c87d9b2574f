"""A student answers a request: prompt, generation, and the reply in OpenAI's shape."""

import hashlib
import threading
from typing import TYPE_CHECKING, Any

from toolbench.errors import ToolbenchError
from toolbench.serving.requests import Asked, BadRequestError
from toolbench.student.base import quiet
from toolbench.student.chat import plain
from toolbench.student.folder import load_student
from toolbench.student.parsing import MARKERS, Call, Format, format_of, opening, parse

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


class Student:
    """A loaded model. Requests are answered one after the other: a small model on a CPU has no use for more."""

    def __init__(self, model: Any, tokenizer: "PreTrainedTokenizerBase", how: Format | None = None) -> None:
        self.model, self.tokenizer = model, tokenizer
        self.how: Format = how or format_of(str(tokenizer.chat_template))
        self.positions: int = getattr(model.config, "max_position_embeddings", None) or 2**31
        self._one = threading.Lock()
        special = {*map(str, tokenizer.all_special_tokens), str(tokenizer.eos_token)} - MARKERS
        self._hidden = sorted(special, key=len, reverse=True)

    @classmethod
    def load(cls, folder: str, base: str | None = None, how: Format | None = None) -> "Student":
        """The student in a folder, on the GPU if there is one. Raises ToolbenchError if it cannot be loaded."""
        model, tokenizer = load_student(folder, base)
        import torch

        return cls(model.to("cuda" if torch.cuda.is_available() else "cpu"), tokenizer, how)

    def prompt(self, request: Asked) -> list[int]:
        """The token ids that the model goes on from: as in training, through the chat template."""
        messages = plain(request.records)
        try:
            made: Any = self.tokenizer.apply_chat_template(
                messages,
                tools=request.offered or None,  # type: ignore[arg-type]
                add_generation_prompt=True,
                tokenize=True,
                return_dict=True,
            )
        # Templates are programs: they raise what they like about roles, orders and types.
        except Exception as error:
            raise BadRequestError(f"The chat template cannot show these messages ({error}).", "messages") from error
        ids = list(made["input_ids"])
        if request.forced is not None:
            ids += self.tokenizer.encode(opening(self.how, request.forced), add_special_tokens=False)
        return ids

    def answer(self, request: Asked, default_most: int = 1024) -> dict[str, Any]:
        """A `chat.completion` without id, time and name.

        Equal requests with a seed, or with temperature 0, give equal replies on one machine. A forced call is forced by
        its first tokens; what the model makes of the rest is its own. Raises BadRequestError if the prompt is too long.
        """
        prompt = self.prompt(request)
        room = self.positions - len(prompt)
        if room < 1:
            raise BadRequestError(
                f"The messages have {len(prompt)} tokens, but this model has {self.positions} positions.",
                "messages",
                "context_length_exceeded",
            )
        with self._one:
            ids = self._generate(prompt, request, min(request.most or default_most, room))
        ended = bool(ids) and ids[-1] in self._ends()
        text = self._text(ids[:-1] if ended else ids)
        text, stopped = _stopped(text, request.stops)
        message, reason = self._message(text, request, bytes(str(prompt), "ascii"), ended or stopped)
        usage = {"prompt_tokens": len(prompt), "completion_tokens": len(ids), "total_tokens": len(prompt) + len(ids)}
        return {
            "choices": [{"index": 0, "message": message, "logprobs": None, "finish_reason": reason}],
            "usage": usage,
        }

    def _message(self, text: str, request: Asked, key: bytes, ended: bool) -> tuple[dict[str, Any], str]:
        forced = request.forced
        if forced is not None:
            text = opening(self.how, forced) + text
        message: dict[str, Any] = {"role": "assistant", "content": text.strip() or None, "refusal": None}
        calls: list[Call] = []
        if request.offered:
            message["content"], calls = parse(text, self.how)
        if not calls:
            message["content"] = message["content"] or ""
            return message, "stop" if ended else "length"
        message["tool_calls"] = [
            {
                # Nine letters and digits: Mistral's templates accept no other. Later turns of a dialogue differ.
                "id": hashlib.sha256(key + bytes([n % 256])).hexdigest()[:9],
                "type": "function",
                "function": {"name": call.name, "arguments": call.arguments},
            }
            for n, call in enumerate(calls)
        ]
        return message, "tool_calls" if ended else "length"

    def _generate(self, prompt: list[int], request: Asked, most: int) -> list[int]:
        import torch
        from transformers import GenerationConfig

        temperature = 1.0 if request.temperature is None else request.temperature
        sampling: dict[str, Any] = {"do_sample": False}
        if temperature > 0:
            sampling = {"do_sample": True, "temperature": temperature, "top_p": request.top_p or 1.0, "top_k": 0}
        config = GenerationConfig(  # type: ignore[no-untyped-call]
            max_new_tokens=most, eos_token_id=sorted(self._ends()), pad_token_id=min(self._ends()), **sampling
        )
        tokens = torch.tensor([prompt], device=self.model.device)
        stops: dict[str, Any] = {"stop_strings": request.stops, "tokenizer": self.tokenizer} if request.stops else {}
        devices = [self.model.device] if self.model.device.type == "cuda" else []
        with torch.random.fork_rng(devices=devices), torch.inference_mode(), quiet():
            torch.seed() if request.seed is None else torch.manual_seed(request.seed % 2**63)
            made = self.model.generate(
                tokens, attention_mask=torch.ones_like(tokens), generation_config=config, **stops
            )
        return [int(token) for token in made[0, len(prompt) :]]

    def _ends(self) -> set[int]:
        """Tokens that end a turn: the tokenizer's, and those that the model's own configuration adds."""
        more = getattr(self.model.generation_config, "eos_token_id", None)
        found = {*(more if isinstance(more, list) else [more]), self.tokenizer.eos_token_id} - {None}
        if not found:
            raise ToolbenchError("The student's tokenizer has no end-of-turn token: set its eos_token.")
        return {int(token) for token in found}

    def _text(self, ids: list[int]) -> str:
        text = str(self.tokenizer.decode(ids, skip_special_tokens=False, clean_up_tokenization_spaces=False))
        for token in self._hidden:
            text = text.replace(token, "")
        return text


def _stopped(text: str, stops: list[str]) -> tuple[str, bool]:
    """The text up to the first stop text."""
    ends = [at for at in (text.find(stop) for stop in stops if stop) if at >= 0]
    return (text[: min(ends)], True) if ends else (text, False)
