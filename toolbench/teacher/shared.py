"""What all clients in one process share: the lines before the endpoints, and the budgets."""

import threading
import time

from toolbench.settings import TeacherSettings
from toolbench.teacher.ledger import Ledger
from toolbench.teacher.line import Line
from toolbench.teacher.waiting import Clock


class Shared:
    """One line an endpoint, key, model and set of limits; one ledger a set of endpoints, model and set of budgets."""

    def __init__(self, clock: Clock = time.monotonic) -> None:
        self.clock = clock
        self._lock = threading.Lock()
        self._lines: dict[object, Line] = {}
        self._ledgers: dict[object, Ledger] = {}

    def line(self, url: str, settings: TeacherSettings) -> Line:
        """The line before the endpoint at `url`."""
        s = settings
        key = (url, s.api_key.get_secret_value(), s.model, s.rpm, s.tpm)
        rules = (s.breaker_failures, s.breaker_seconds, s.retry_seconds)
        with self._lock:
            if (key, rules) not in self._lines:
                self._lines[key, rules] = Line(url, settings, self.clock)
            return self._lines[key, rules]

    def ledger(self, urls: tuple[str, ...], settings: TeacherSettings) -> Ledger | None:
        """The ledger of the budget in `settings`; None if there is no budget."""
        budget = (settings.budget_calls, settings.budget_tokens, settings.budget_dollars)
        if not any(budget):
            return None
        with self._lock:
            return self._ledgers.setdefault((urls, settings.model, budget), Ledger(settings))


PROCESS = Shared()
"""This process's."""
