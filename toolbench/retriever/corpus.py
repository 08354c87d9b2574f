"""What is searched: each API as a model reads it and as BM25 reads it."""

from collections.abc import Iterable
from dataclasses import dataclass

from toolbench.documents import document, words
from toolbench.lake import Lake, Snapshot
from toolbench.records import Api, Tool


@dataclass(frozen=True, slots=True)
class Corpus:
    """Texts by API id, the same ids in the same order in both."""

    documents: dict[str, str]
    """For a model: see `toolbench.documents.document`."""
    words: dict[str, str]
    """For BM25: see `toolbench.documents.words`."""

    def __len__(self) -> int:
        return len(self.documents)

    @classmethod
    def of(cls, apis: Iterable[Api], tools: Iterable[Tool] = ()) -> "Corpus":
        """Of APIs, and of their tools as far as these are known."""
        about = {tool.id: tool.description for tool in tools}
        found = cls({}, {})
        for api in apis:
            found.documents[api.id] = document(api)
            found.words[api.id] = words(api, about.get(api.tool_id, ""))
        return found


def corpus_of(lake: Lake, view: Snapshot) -> Corpus:
    """All APIs of a snapshot."""
    return Corpus.of(lake.rows(view, Api), lake.rows(view, Tool))
