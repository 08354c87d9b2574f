"""Flaws of recorded responses and lists over a real crawl: as many as are known to be there, and few more."""

from collections import Counter
from pathlib import Path

from toolbench.apis.recorded import load
from toolbench.screening import rulebook
from toolbench.screening.responses import flaw


def test_empty_answers_and_errors_inside_successes_are_found(data_dir: Path) -> None:
    rules = rulebook.load()
    recorded = load(str(data_dir / "tool_response_cache.tar.gz"))
    found: Counter[str] = Counter()
    for calls in recorded._calls.values():
        for _, answer in calls:
            wrong = flaw(answer.response, rules)
            found["error" if wrong and wrong.reason.startswith("error") else wrong.reason if wrong else "good"] += 1
    assert 900 < found["empty"] < 1200
    # Beside those with a key of that name there are texts, messages and states that say nothing else.
    assert 290 < found["error"] < 3000
    assert found["good"] > 0.6 * found.total()
    assert set(found) == {"empty", "error", "good", "html", "binary"}
