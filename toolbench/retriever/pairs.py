"""Retrieval pairs of instructions: what an instruction was written for is relevant to it, solved or not."""

from collections.abc import Iterable, Iterator, Mapping

from toolbench.digests import digest
from toolbench.records import Instruction, RetrievalPair


def of_instructions(instructions: Iterable[Instruction], documents: Mapping[str, str]) -> Iterator[RetrievalPair]:
    """A pair for each relevant API of each instruction; `documents` maps API ids to documents.

    The dataset's own pairs rest on instructions that a solution was searched for; to train a retriever none is needed,
    so that many more instructions can be had for the same money. An API that `documents` lacks is passed over.
    """
    for instruction in instructions:
        for api_id in dict.fromkeys(instruction.relevant):
            if api_id in documents:
                yield RetrievalPair(
                    id=digest([instruction.id, api_id]),
                    query_id=instruction.id,
                    query=instruction.text,
                    api_id=api_id,
                    document=documents[api_id],
                    group=instruction.group,
                    category=instruction.category,
                    collection=instruction.collection,
                    split=instruction.split,
                    model=instruction.model,
                    spec=instruction.spec,
                )
