"""Tasks on a Prefect server of the tests' own."""

import pytest


@pytest.fixture(autouse=True)
def _on_a_server(prefect_server: None) -> None:
    """Every test here runs tasks."""
