"""The agent's server over real HTTP, with a teacher that says what it is told to."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from agent_lake import APIS, Scripted, laid
from workshop import Server, settings_for

from toolbench.agent import Agent, Retriever, retriever
from toolbench.agent.app import create_app
from toolbench.lake import Lake


@dataclass
class Place:
    """A lake with a retriever, and the teacher that is asked."""

    lake: Lake
    found: Retriever
    teacher: Scripted
    teacher_url: str


@pytest.fixture(scope="session")
def place(tiny_base: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """A lake of four APIs, with an untrained retriever."""
    folder = tmp_path_factory.mktemp("agent")
    lake = Lake(str(folder / "lake"))
    snapshot = laid(lake, tiny_base, Path(folder / "model"), APIS)
    teacher = Scripted()
    server = Server(teacher)
    with retriever(lake, snapshot) as found:
        yield Place(lake, found, teacher, server.url)
    server.stop()


@pytest.fixture(scope="module")
def start(place: Place) -> Iterator[Callable[..., str]]:
    """Starts an agent's server with these settings, sections by name; gives its URL."""
    running: list[Server] = []

    def starting(**sections: Any) -> str:
        chosen = settings_for(place.lake, place.teacher_url, **sections)
        running.append(Server(create_app(Agent(place.found, chosen))))
        return running[-1].url

    yield starting
    for server in running:
        server.stop()


@pytest.fixture(scope="module")
def url(start: Callable[..., str]) -> str:
    """A server without a key."""
    return start()


@pytest.fixture
def teacher(place: Place) -> Scripted:
    """The teacher, that has forgotten what it was asked."""
    place.teacher.says()
    return place.teacher
