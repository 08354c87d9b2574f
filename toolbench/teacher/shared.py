"""What all clients in one process share: the lines before the endpoints, and the budgets."""

import threading
import time
from collections.abc import Callable

from toolbench.settings import TeacherSettings
from toolbench.teacher.ledger import Ledger
from toolbench.teacher.line import Line
from toolbench.teacher.purse import Bank, Budgets, Purse
from toolbench.teacher.waiting import Clock


class Shared:
    """One line an endpoint, key, model and set of limits; one ledger a set of endpoints, model and set of budgets; one
    purse a run of a flow."""

    def __init__(self, clock: Clock = time.monotonic) -> None:
        self.clock = clock
        self._lock = threading.Lock()
        self._lines: dict[object, Line] = {}
        self._ledgers: dict[object, Ledger] = {}
        self._purses: dict[str, Purse] = {}

    def line(self, url: str, settings: TeacherSettings) -> Line:
        """The line before the endpoint at `url`."""
        s = settings
        key = (url, s.api_key.get_secret_value(), s.model, s.rpm, s.tpm)
        rules = (s.breaker_failures, s.breaker_seconds, s.retry_seconds)
        with self._lock:
            if (key, rules) not in self._lines:
                self._lines[key, rules] = Line(url, settings, self.clock)
            return self._lines[key, rules]

    def budgets(self, urls: tuple[str, ...], settings: TeacherSettings) -> Budgets | None:
        """The budgets in `settings`, its own and that of the run it is a part of; None if there is none."""
        own = (settings.budget_calls, settings.budget_tokens, settings.budget_dollars)
        account = settings.account
        if not any(own) and not account:
            return None
        with self._lock:
            ledger = self._ledgers.setdefault((urls, settings.model, own), Ledger(settings)) if any(own) else None
        return Budgets(ledger, (lambda: self._purses[account]) if account else None)

    def open(self, account: str, bank: Callable[[], Bank]) -> Purse:
        """This process's purse of an account; `bank` is called if there is none yet."""
        with self._lock:
            if account not in self._purses:
                self._purses[account] = Purse(bank())
            return self._purses[account]

    def shut(self, account: str) -> None:
        """The run is over."""
        with self._lock:
            self._purses.pop(account, None)


PROCESS = Shared()
"""This process's."""
