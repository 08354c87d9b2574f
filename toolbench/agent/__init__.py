"""An answer with no APIs given: the retriever proposes them, a search calls them (ToolLLM, section 3.3)."""

from toolbench.agent.ask import Asked, Event, ask
from toolbench.agent.retrieve import Retrieved, retrieve

__all__ = ["Asked", "Event", "Retrieved", "ask", "retrieve"]
