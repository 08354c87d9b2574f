"""Embeddings that were made before: kept in the lake by what decided them, the encoder and the document's text."""

import hashlib
import io
import tempfile
from collections.abc import Container, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from toolbench.digests import digest
from toolbench.encoder import Encoder, Floats, Progress
from toolbench.lake import Lake
from toolbench.lake.store import sha256

FOLDER = "embeddings"
"""Below the lake's root; below it one folder an encoder, whose files are parts, each complete in itself."""

_PART = 4096
"""Documents of a part: what a kill costs at most."""
_NAME = 16
"""Bytes of a document's hash."""


@dataclass(frozen=True, slots=True)
class Embedded:
    """Embeddings of documents in their order, shape (documents, dimensions), and what they cost."""

    vectors: Floats
    encoded: int
    """Texts that the encoder read now."""
    reused: int
    """Documents whose embedding was there, or whose text another document has as well."""


def identity(encoder: Encoder) -> str:
    """16 hex digits of all that decides an embedding but the text: weights, tokenizer, pooling, limit of tokens.

    The texts' own template needs no place in it: a text's hash covers what the template made.
    """
    with tempfile.TemporaryDirectory() as folder:
        encoder.save(Path(folder))
        files = sorted(p for p in Path(folder).rglob("*") if p.is_file())
        return digest([[p.relative_to(folder).as_posix(), sha256(p.read_bytes())] for p in files])


class EmbeddingCache:
    """The embeddings of one encoder in a lake."""

    def __init__(self, lake: Lake, encoder: str) -> None:
        """`encoder` is its `identity`."""
        self._store = lake.store
        self._folder = f"{FOLDER}/{encoder}"

    def embed(self, encoder: Encoder, documents: Sequence[str], progress: Progress | None = None) -> Embedded:
        """The documents' embeddings: read where they are there, made and kept where not.

        A part that was damaged counts as absent. Raises LakeError if the lake cannot be read or written.
        """
        names = [_name(text) for text in documents]
        texts = dict(zip(names, documents, strict=True))
        known = self._known(texts.keys(), encoder.dimensions)
        missing = [name for name in texts if name not in known]
        for start in range(0, len(missing), _PART):
            part = missing[start : start + _PART]
            vectors = encoder.encode([texts[name] for name in part], _counting(progress, start, len(missing)))
            self._write(part, vectors)
            known.update(zip(part, vectors, strict=True))
        vectors = np.empty((len(names), encoder.dimensions), dtype=np.float32)
        for row, name in enumerate(names):
            vectors[row] = known[name]
        return Embedded(vectors, len(missing), len(names) - len(missing))

    def keep(self, documents: Sequence[str], vectors: Floats) -> None:
        """Keep embeddings that were made elsewhere, as by a training run; those that are there stay."""
        made = {_name(text): vector for text, vector in zip(documents, vectors, strict=True)}
        known = self._known(made.keys(), vectors.shape[1])
        missing = [name for name in made if name not in known]
        for start in range(0, len(missing), _PART):
            part = missing[start : start + _PART]
            self._write(part, np.stack([made[name] for name in part]))

    def _known(self, wanted: Container[bytes], dimensions: int) -> dict[bytes, Floats]:
        known: dict[bytes, Floats] = {}
        for key, _ in self._store.list(self._folder):
            for name, vector in _read(self._store.read(key), Path(key).stem, dimensions):
                if name in wanted:
                    known[name] = vector
        return known

    def _write(self, names: Sequence[bytes], vectors: Floats) -> None:
        buffer = io.BytesIO()
        packed = np.frombuffer(b"".join(names), dtype=np.uint8).reshape(-1, _NAME)
        np.savez(buffer, names=packed, vectors=vectors)
        data = buffer.getvalue()
        self._store.write(f"{self._folder}/{sha256(data)}.npz", data)


def _read(data: bytes, checksum: str, dimensions: int) -> list[tuple[bytes, Floats]]:
    if sha256(data) != checksum:
        return []
    with np.load(io.BytesIO(data), allow_pickle=False) as part:
        names, vectors = part["names"], part["vectors"]
    if vectors.shape[1:] != (dimensions,):
        return []
    return [(bytes(name), vector) for name, vector in zip(names, vectors, strict=True)]


def _name(text: str) -> bytes:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()[:_NAME]


def _counting(progress: Progress | None, before: int, total: int) -> Progress | None:
    """`progress` for a part of a larger whole."""
    if progress is None:
        return None
    return lambda phase, done, _: progress(phase, before + done, total)
