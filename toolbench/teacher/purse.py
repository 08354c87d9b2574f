"""What a process may still spend of the budget of a whole run, which other processes spend from as well."""

import asyncio
import contextlib
import threading
from collections.abc import Callable
from typing import Protocol

from toolbench.errors import BudgetError, LakeError
from toolbench.teacher.ledger import Amount, Ledger
from toolbench.teacher.waiting import Waiting

_CRUMB = 1e-9
"""Dollars: what sums of fractions may be off by."""


class Bank(Protocol):
    """What hands out the budget, a part at a time; `draw` and `give_back` may wait for storage, the others do not."""

    calls: int
    """The limit; 0: none."""
    dollars: float

    def draw(self, need: Amount) -> Amount | None:
        """A part of what is left, at least `need` if there is as much; None: nothing is left. Raises LakeError."""

    def give_back(self, unused: Amount, spent: Amount) -> None:
        """Of what was drawn so much was not needed; `spent` is the process's own total so far. Raises LakeError."""

    def late(self) -> bool:
        """Whether the run's time is up."""

    def exceeded(self) -> str:
        """The sentence for the user."""


class Purse:
    """One process's part of a budget, shared by its threads and event loops.

    It is filled from the bank whenever a request does not fit into it, by more than the request takes: so requests
    rarely wait for storage. What is left in it goes back when the last client leaves. A process that is killed takes
    its part with it: a budget is never exceeded, but for replies that cost more than was reserved.
    """

    def __init__(self, bank: Bank) -> None:
        self.bank = bank
        self.spent = Amount()
        self._held = Amount()
        self._reserved = Amount()
        self._waiting = Waiting()
        self._drawing = threading.Lock()
        self._clients = 0
        self._empty = False

    def join(self) -> None:
        """A client starts to ask."""
        with self._waiting.lock:
            self._clients += 1

    def leave(self) -> None:
        """A client asks no more. Waits for storage if it was the last one."""
        with self._drawing:
            with self._waiting.lock:
                self._clients -= 1
                if self._clients:
                    return
                unused, self._held, self._empty = self._held, Amount(), False
            # What cannot be given back counts as spent tonight: the work that is done is worth more.
            with contextlib.suppress(LakeError):
                self.bank.give_back(unused, self.spent)

    async def reserve(self, number: int, need: Amount) -> None:
        """As `Ledger.reserve`. Raises BudgetError when the budget does not cover it, or the run's time is up."""
        while not await self._taken(number, need):
            await asyncio.to_thread(self._draw, need)

    async def _taken(self, number: int, need: Amount) -> bool:
        """True: it is reserved. False: more has to be drawn first."""
        taken = True

        def ready() -> float | None:
            nonlocal taken
            if self.bank.late():
                raise BudgetError(self.bank.exceeded())
            taken = self._covers(need)
            if taken:
                self._held, self._reserved = self._held.minus(need), self._reserved.plus(need)
            elif self._empty and self._reserved.calls:
                return None  # those under way may cost less than was reserved for them
            elif self._empty:
                raise BudgetError(self.bank.exceeded())
            return 0.0

        await self._waiting.enter(number, ready)
        return taken

    def settle(self, need: Amount, used: Amount) -> None:
        """As `Ledger.settle`."""
        with self._waiting.lock:
            left = self._reserved.minus(need)
            self._reserved = left if left.calls else Amount()
            self._held = self._held.plus(need).minus(used)
            self.spent = self.spent.plus(used)
            self._waiting.wake()

    def charge(self, used: Amount) -> None:
        """As `Ledger.charge`."""
        with self._waiting.lock:
            self._held, self.spent = self._held.minus(used), self.spent.plus(used)

    def _covers(self, need: Amount) -> bool:
        calls = not self.bank.calls or self._held.calls >= need.calls
        return calls and (not self.bank.dollars or self._held.dollars + _CRUMB >= need.dollars)

    def _draw(self, need: Amount) -> None:
        with self._drawing:
            with self._waiting.lock:
                if self._empty or self._covers(need):
                    return  # another one has drawn meanwhile
                lacking = need.minus(self._held)
            got = self.bank.draw(lacking)
            with self._waiting.lock:
                self._held, self._empty = self._held.plus(got or Amount()), got is None
                self._waiting.wake()


class Budgets:
    """What a client's requests have to fit into: its own endpoint's budget, the whole run's, or both."""

    def __init__(self, ledger: Ledger | None, purse: Callable[[], Purse] | None) -> None:
        """`purse` is called when the first request comes: the bank may be there later than the client."""
        self._ledger, self._find = ledger, purse
        self._joined: Purse | None = None

    @property
    def spent(self) -> Amount:
        """What was spent of the endpoint's own budget; where it has none, of the whole run's by this process."""
        counted = self._ledger or self._joined
        return counted.spent if counted else Amount()

    async def reserve(self, number: int, need: Amount) -> None:
        """Sets `need` aside for the request that came as the `number`th. Raises BudgetError if it does not fit."""
        if self._joined is None and self._find:
            self._joined = self._find()
            self._joined.join()
        if self._ledger:
            await self._ledger.reserve(number, need)
        if self._joined:
            try:
                await self._joined.reserve(number, need)
            except BaseException:
                if self._ledger:
                    self._ledger.settle(need, Amount())
                raise

    def settle(self, need: Amount, used: Amount) -> None:
        """The request that `need` was set aside for has ended and cost `used`."""
        for part in (self._ledger, self._joined):
            if part:
                part.settle(need, used)

    def charge(self, used: Amount) -> None:
        """Something was paid for beside what was set aside."""
        for part in (self._ledger, self._joined):
            if part:
                part.charge(used)

    async def close(self) -> None:
        """The client asks no more."""
        joined, self._joined = self._joined, None
        if joined:
            await asyncio.to_thread(joined.leave)
