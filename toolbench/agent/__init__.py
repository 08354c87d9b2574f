"""An answer with no APIs given: the retriever proposes them, a search calls them (ToolLLM, section 3.3).

`ask` is one question; `Agent` is for many, behind `app.create_app` (chat completions, MCP, a page).
"""

from toolbench.agent.ask import Agent, Asked, Event, Question, ask
from toolbench.agent.retrieve import Retrieved, Retriever, retrieve, retriever

__all__ = ["Agent", "Asked", "Event", "Question", "Retrieved", "Retriever", "ask", "retrieve", "retriever"]
