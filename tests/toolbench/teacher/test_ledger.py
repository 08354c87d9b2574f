import asyncio

import pytest
from virtual_time import run

from toolbench.errors import BudgetError
from toolbench.settings import TeacherSettings
from toolbench.teacher.ledger import Amount, Ledger


def test_a_budget_is_used_up_to_the_last_call_and_never_exceeded() -> None:
    async def main() -> tuple[Ledger, int, int]:
        ledger, done, most = Ledger(TeacherSettings(budget_tokens=1000)), 0, [0]

        async def one(number: int) -> None:
            nonlocal done
            need = Amount(1, 300)
            await ledger.reserve(number, need)
            await asyncio.sleep(1)
            ledger.settle(need, Amount(1, 100))
            done += 1
            most[0] = max(most[0], ledger.spent.tokens)

        results = await asyncio.gather(*(one(n) for n in range(20)), return_exceptions=True)
        assert all(isinstance(r, BudgetError) for r in results if r)
        return ledger, done, most[0]

    ledger, done, most = run(main())
    assert (done, most, ledger.spent.calls) == (8, 800, 8)  # 800 spent: another one might take 300


def test_the_budget_ends_only_after_all_that_runs_has_ended() -> None:
    async def main() -> None:
        ledger = Ledger(TeacherSettings(budget_calls=1))
        await ledger.reserve(0, Amount(1))
        second = asyncio.create_task(ledger.reserve(1, Amount(1)))
        await asyncio.sleep(5)
        assert not second.done(), "what runs would be cancelled by the error"
        ledger.settle(Amount(1), Amount(1))
        with pytest.raises(BudgetError, match=r"1 calls, 0 tokens .* raise teacher\.budget_calls \(1\) and run"):
            await second

    run(main())


def test_a_call_that_failed_leaves_its_share_to_the_next() -> None:
    async def main() -> None:
        ledger = Ledger(TeacherSettings(budget_dollars=0.3, model="m", prices={"m": (1, 1)}))
        for _ in range(10):
            await ledger.reserve(0, Amount(1, 10, 0.1))
            ledger.settle(Amount(1, 10, 0.1), Amount())
        await ledger.reserve(0, Amount(1, 10, 0.3))
        ledger.settle(Amount(1, 10, 0.3), Amount(1, 10, 0.2))
        with pytest.raises(BudgetError, match=r"\$0\.2000 were spent.*\$0\.2000; raise teacher\.budget_dollars"):
            await ledger.reserve(0, Amount(1, 10, 0.2))

    run(main())
