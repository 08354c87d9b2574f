"""The budget of one run of a flow, whatever machines it works on: kept in the lake, drawn from by each process.

    nights/<account>/night.json               the limits, and when the time is up
    nights/<account>/draws/<12 digits>.json   what a process has taken, in order: each is a conditional put
    nights/<account>/writers/<writer>.json    what a process has spent, and given back

What is left is the limit less what was taken plus what was given back. Two processes cannot take the same part, since
the second one's put is refused; it looks again.
"""

import time
import uuid
from typing import Literal

from toolbench.errors import BudgetError, LakeError
from toolbench.lake import Lake
from toolbench.lake.model import FORMAT, Model, parse
from toolbench.settings import BudgetSettings, Settings
from toolbench.teacher.ledger import Amount
from toolbench.teacher.shared import PROCESS

_PART = 16
"""What is left is handed out in parts of a sixteenth, so that no process sits on much while others have nothing."""


class _Night(Model):
    format: Literal[1] = FORMAT
    budget: BudgetSettings
    started_at: float
    """Seconds since 1970."""


class _Draw(Model):
    writer: str
    calls: int = 0
    dollars: float = 0.0


class _Writer(Model):
    calls_back: int = 0
    dollars_back: float = 0.0
    calls: int = 0
    tokens: int = 0
    dollars: float = 0.0


class Night:
    """One account in a lake, as one process sees it. It is a `Bank` for the process's purse."""

    def __init__(self, lake: Lake, account: str) -> None:
        """Raises LakeError if the account is not there."""
        self._store, self._folder = lake.store, f"nights/{account}"
        night = _read(lake, f"{self._folder}/night.json")
        self._budget, self._started = night.budget, night.started_at
        self._writer = uuid.uuid4().hex[:12]
        self._draws: dict[str, _Draw] = {}
        self._mine = _Writer()
        self.calls, self.dollars = night.budget.max_calls, night.budget.max_cost

    def draw(self, need: Amount) -> Amount | None:
        """See `Bank`."""
        while True:
            left = self._left()
            if (self.calls and left.calls < 1) or (self.dollars and left.dollars <= 0):
                return None
            calls = min(left.calls, max(need.calls, left.calls // _PART)) if self.calls else 0
            dollars = min(left.dollars, max(need.dollars, left.dollars / _PART)) if self.dollars else 0.0
            mine = _Draw(writer=self._writer, calls=calls, dollars=dollars)
            # The writer's name is in it: equal bytes of another one are not taken for ours.
            if self._store.create(f"{self._folder}/draws/{len(self._draws) + 1:012d}.json", _bytes(mine)):
                return Amount(calls, 0, dollars)

    def give_back(self, unused: Amount, spent: Amount) -> None:
        """See `Bank`."""
        mine = _Writer(
            calls_back=self._mine.calls_back + (unused.calls if self.calls else 0),
            dollars_back=self._mine.dollars_back + (unused.dollars if self.dollars else 0.0),
            calls=spent.calls,
            tokens=spent.tokens,
            dollars=spent.dollars,
        )
        if mine != self._mine:
            self._store.write(f"{self._folder}/writers/{self._writer}.json", _bytes(mine))
            self._mine = mine

    def late(self) -> bool:
        """Whether the run's time is up."""
        hours = self._budget.max_hours
        return bool(hours) and time.time() > self._started + hours * 3600

    def exceeded(self) -> str:
        """What is used up, and the way out."""
        limits = {"max_calls": (self.calls, "{:,} calls"), "max_cost": (self.dollars, "${:,.2f}")}
        said = " or ".join(f"budget.{name} ({form.format(limit)})" for name, (limit, form) in limits.items() if limit)
        if self.late():
            said = f"budget.max_hours ({self._budget.max_hours:g})"
        return f"The budget of this run does not cover any more: raise {said}, or run again to go on from here."

    def spent(self) -> Amount:
        """What all processes have spent, as of when each last had nothing to ask."""
        found = self._writers()
        return Amount(sum(w.calls for w in found), sum(w.tokens for w in found), sum(w.dollars for w in found))

    def _left(self) -> Amount:
        # What comes back later than it is looked for makes the sum too small, never too large.
        writers = self._writers()
        for key, _ in self._store.list(f"{self._folder}/draws"):
            if key not in self._draws:
                self._draws[key] = parse(_Draw, self._store.read(key), self._store.url(key))
        drawn = self._draws.values()
        calls = self.calls - sum(d.calls for d in drawn) + sum(w.calls_back for w in writers)
        dollars = self.dollars - sum(d.dollars for d in drawn) + sum(w.dollars_back for w in writers)
        return Amount(calls, 0, dollars)

    def _writers(self) -> list[_Writer]:
        keys = [key for key, _ in self._store.list(f"{self._folder}/writers")]
        return [parse(_Writer, self._store.read(key), self._store.url(key)) for key in keys]


def begin(lake: Lake, settings: Settings, name: str) -> Settings:
    """Settings for a whole run called `name`: all who work by them share its budget. The account of a run that is
    started again under the same name is the one it had; a part of a run has one already."""
    if settings.teacher.account:
        return settings
    night = _Night(budget=settings.budget, started_at=time.time())
    lake.store.create(f"nights/{name}/night.json", _bytes(night))
    return settings.with_(teacher={"account": name})


def end(lake: Lake, settings: Settings) -> None:
    """The run is over: nobody will ask again what it may spend."""
    folder = f"nights/{settings.teacher.account}"
    lake.store.delete([key for key, _ in lake.store.list(folder)])
    PROCESS.shut(settings.teacher.account)


def of(lake: Lake, settings: Settings) -> Night | None:
    """The account that this process works under, opened once; None outside of a flow. Raises LakeError."""
    account = settings.teacher.account
    if not account:
        return None
    purse = PROCESS.open(account, lambda: Night(lake, account))
    if not isinstance(purse.bank, Night):
        raise TypeError("the accounts of this process are nights")
    return purse.bank


def check_time(lake: Lake, settings: Settings) -> None:
    """Raises BudgetError when the run's time is up."""
    night = of(lake, settings)
    if night and night.late():
        raise BudgetError(night.exceeded())


def _read(lake: Lake, key: str) -> _Night:
    try:
        found: _Night = parse(_Night, lake.store.read(key), lake.store.url(key))
    except FileNotFoundError:
        raise LakeError(f"{lake.store.url(key)} is missing although a run works by it; start the run again.") from None
    return found


def _bytes(model: Model) -> bytes:
    return model.model_dump_json().encode()
