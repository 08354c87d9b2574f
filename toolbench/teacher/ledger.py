"""Budgets: what the teacher may cost at most, in calls, tokens and dollars."""

from typing import NamedTuple

from toolbench.errors import BudgetError
from toolbench.settings import TeacherSettings
from toolbench.teacher.waiting import Waiting


class Amount(NamedTuple):
    """What requests cost."""

    calls: int = 0
    tokens: int = 0
    """Tokens in and out."""
    dollars: float = 0.0

    def plus(self, other: "Amount") -> "Amount":
        """The sum."""
        return Amount(self.calls + other.calls, self.tokens + other.tokens, self.dollars + other.dollars)

    def minus(self, other: "Amount") -> "Amount":
        """The difference."""
        return Amount(self.calls - other.calls, self.tokens - other.tokens, self.dollars - other.dollars)


_BYTES_A_TOKEN = 4
"""Of a request in JSON, roughly; low enough for English, and the usage of the reply corrects it."""


def estimate(length: int, settings: TeacherSettings, discount: float = 0.0) -> Amount:
    """What a request of so many characters in JSON may cost at most; `discount` is a share of the price."""
    tokens_in, tokens_out = length // _BYTES_A_TOKEN + 1, settings.max_output_tokens
    price_in, price_out = settings.prices.get(settings.model, (0.0, 0.0))
    dollars = (tokens_in * price_in + tokens_out * price_out) / 1e6
    return Amount(1, tokens_in + tokens_out, dollars * (1 - discount))


class Ledger:
    """One budget, shared by the threads and event loops of a process.

    What a request may cost at most is reserved while it runs, and replaced by what it did cost. A request that does
    not fit waits while others are under way, since they may cost less than reserved: so the budget is used up, and
    when it is, every reply paid for has been handed over.
    """

    def __init__(self, settings: TeacherSettings) -> None:
        self.spent = Amount()
        self._limits = Amount(settings.budget_calls, settings.budget_tokens, settings.budget_dollars)
        self._reserved = Amount()
        self._waiting = Waiting()

    async def reserve(self, number: int, need: Amount) -> None:
        """Sets `need` aside for the request that came as the `number`th. Raises BudgetError if it does not fit."""

        def ready() -> float | None:
            total = self.spent.plus(self._reserved).plus(need)
            over = [
                name
                for name, limit, value in zip(Amount._fields, self._limits, total, strict=True)
                if limit and value > limit
            ]
            if not over:
                self._reserved = self._reserved.plus(need)
                return 0.0
            if self._reserved.calls:
                return None
            raise BudgetError(self._exceeded(over[0], need))

        await self._waiting.enter(number, ready)

    def settle(self, need: Amount, used: Amount) -> None:
        """The request that `need` was set aside for has ended and cost `used`."""
        with self._waiting.lock:
            left = self._reserved.minus(need)
            self._reserved = left if left.calls else Amount()  # sums of fractions leave crumbs
            self.spent = self.spent.plus(used)
            self._waiting.wake()

    def charge(self, used: Amount) -> None:
        """Something was paid for beside what was set aside."""
        with self._waiting.lock:
            self.spent = self.spent.plus(used)

    def _exceeded(self, name: str, need: Amount) -> str:
        limit = getattr(self._limits, name)
        return (
            f"The teacher's budget does not cover another call: {self.spent.calls} calls, {self.spent.tokens} tokens "
            f"and ${self.spent.dollars:.4f} were spent, and the next call may take {need.tokens} tokens and "
            f"${need.dollars:.4f}; raise teacher.budget_{name} ({limit:g}) and run the same command again."
        )
