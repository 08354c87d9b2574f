"""Finance: loans, savings, currencies and value added tax."""

from math import ceil, log
from typing import Annotated

from toolbench.demo.tables import RATES_DATE, Row, find, table
from toolbench.demo.tool import Answer, CountryCode, CurrencyCode, HubTool, integer, number, refuse, text

loans = HubTool(
    "loan-calculator",
    "Loan Calculator",
    "Monthly payments, affordable amounts and repayment schedules of loans and mortgages with a fixed interest rate.",
    "Finance",
    ("Personal Finance",),
)
savings = HubTool(
    "savings-planner",
    "Savings Planner",
    "Compound interest, the monthly deposit that reaches a goal, years to double, and what inflation leaves.",
    "Finance",
    ("Personal Finance", "Classroom"),
)
rates = HubTool(
    "exchange-rates",
    "Exchange Rates",
    f"Convert between 30 currencies at the euro reference rates of {RATES_DATE}, and look up currency codes.",
    "Finance",
    ("Trip Planning", "Personal Finance", "Remote Team"),
)
vat = HubTool(
    "value-added-tax",
    "Value Added Tax",
    f"Standard VAT rates of more than 40 countries as of {RATES_DATE}; add VAT to a net price or take it out.",
    "Finance",
    ("Personal Finance",),
)
TOOLS = (loans, savings, rates, vat)

Principal = Annotated[float, number("Amount borrowed", 200000, gt=0, le=1e9)]
Rate = Annotated[float, number("Yearly interest rate in percent", 4.5, ge=0, le=100)]
Years = Annotated[int, integer("Term in years", 30, ge=1, le=50)]


def _payment(principal: float, percent: float, months: int) -> float:
    """The annuity that repays `principal` in `months` payments at `percent` a year, compounded monthly."""
    rate = percent / 1200
    return principal * rate / (1 - (1 + rate) ** -months) if rate else principal / months


class Payment(Answer):
    """What a loan costs."""

    monthly_payment: float
    """Payment at the end of each month."""
    total_paid: float
    """Sum of all payments."""
    total_interest: float
    """The part of it that is interest."""


class AffordableLoan(Answer):
    """What one can borrow."""

    principal: float
    """The amount that the payment repays."""
    total_interest: float
    """Interest over the whole term."""


class Instalment(Answer):
    """One month of a loan."""

    month: int
    """Number of the month, from 1."""
    interest: float
    """Interest paid."""
    principal: float
    """Amount repaid."""
    balance: float
    """Debt left after the payment."""


class Amortisation(Answer):
    """A loan month by month."""

    monthly_payment: float
    """Payment at the end of each month."""
    instalments: list[Instalment]
    """The months in order."""


@loans.get("/payment")
def monthly_loan_payment(principal: Principal, annual_rate: Rate, years: Years) -> Payment:
    """The monthly payment of a loan or mortgage, and the total interest, from amount, interest rate and term."""
    monthly = _payment(principal, annual_rate, 12 * years)
    total = monthly * 12 * years
    return Payment(
        monthly_payment=round(monthly, 2), total_paid=round(total, 2), total_interest=round(total - principal, 2)
    )


@loans.get("/affordable")
def affordable_loan(
    monthly_payment: Annotated[float, number("What can be paid each month", 1200, gt=0, le=1e8)],
    annual_rate: Rate,
    years: Years,
) -> AffordableLoan:
    """How much one can borrow if a given amount can be paid back each month."""
    principal = monthly_payment / _payment(1, annual_rate, 12 * years)
    return AffordableLoan(
        principal=round(principal, 2), total_interest=round(monthly_payment * 12 * years - principal, 2)
    )


@loans.get("/schedule")
def amortisation_schedule(principal: Principal, annual_rate: Rate, years: Years) -> Amortisation:
    """The repayment schedule of a loan month by month: interest, repayment and remaining debt."""
    monthly, balance, instalments = _payment(principal, annual_rate, 12 * years), principal, []
    for month in range(1, 12 * years + 1):
        interest = balance * annual_rate / 1200
        balance = max(0.0, balance + interest - monthly)
        instalments.append(
            Instalment(
                month=month,
                interest=round(interest, 2),
                principal=round(monthly - interest, 2),
                balance=round(balance, 2),
            )
        )
    return Amortisation(monthly_payment=round(monthly, 2), instalments=instalments)


class Growth(Answer):
    """What savings become."""

    final_balance: float
    """Balance at the end."""
    deposits: float
    """Initial and monthly deposits together."""
    interest: float
    """Interest earned."""


class Deposit(Answer):
    """What to put aside."""

    monthly_deposit: float
    """Deposit at the end of each month."""
    deposits: float
    """All deposits together."""


class Doubling(Answer):
    """How long doubling takes."""

    years: int
    """Full years until the amount has at least doubled, with yearly compounding."""
    exact_years: float
    """The same with fractions of a year."""


class RealValue(Answer):
    """Buying power."""

    real_value: float
    """What the future amount buys, in money of today."""
    loss_percent: float
    """Loss of buying power in percent."""


SavingYears = Annotated[int, integer("Number of years", 10, ge=1, le=100)]


@savings.get("/compound")
def compound_interest(
    initial: Annotated[float, number("Initial deposit", 5000, ge=0, le=1e9)],
    annual_rate: Annotated[float, number("Yearly interest rate in percent", 3.5, ge=0, le=30)],
    years: SavingYears,
    monthly_deposit: Annotated[float, number("Deposit at the end of each month", 100, ge=0, le=1e7)] = 0,
) -> Growth:
    """What a deposit and monthly savings grow to with compound interest after a number of years."""
    rate, months = annual_rate / 1200, 12 * years
    factor = (1 + rate) ** months
    final = initial * factor + monthly_deposit * ((factor - 1) / rate if rate else months)
    paid = initial + monthly_deposit * months
    return Growth(final_balance=round(final, 2), deposits=round(paid, 2), interest=round(final - paid, 2))


@savings.get("/goal")
def monthly_deposit_for_goal(
    goal: Annotated[float, number("Amount to reach", 20000, gt=0, le=1e9)],
    annual_rate: Annotated[float, number("Yearly interest rate in percent", 3, ge=0, le=30)],
    years: SavingYears,
) -> Deposit:
    """How much to save each month to reach a savings goal in a number of years."""
    rate, months = annual_rate / 1200, 12 * years
    monthly = goal * rate / ((1 + rate) ** months - 1) if rate else goal / months
    return Deposit(monthly_deposit=round(monthly, 2), deposits=round(monthly * months, 2))


@savings.get("/doubling")
def years_to_double(
    annual_rate: Annotated[float, number("Yearly interest rate in percent", 6, ge=0.1, le=100)],
) -> Doubling:
    """How many years it takes until money doubles at a yearly interest rate."""
    exact = log(2) / log(1 + annual_rate / 100)
    return Doubling(years=ceil(exact - 1e-9), exact_years=round(exact, 2))


@savings.get("/inflation")
def value_after_inflation(
    amount: Annotated[float, number("Future amount of money", 10000, ge=0, le=1e9)],
    inflation_rate: Annotated[float, number("Yearly inflation in percent", 2.5, ge=0, le=100)],
    years: SavingYears,
) -> RealValue:
    """What an amount of money will be worth in buying power of today after years of inflation."""
    left = (1 + inflation_rate / 100) ** -years
    return RealValue(real_value=round(amount * left, 2), loss_percent=round(100 * (1 - left), 2))


class Conversion(Answer):
    """An amount in two currencies."""

    amount: float
    """The amount asked for, in the first currency."""
    converted: float
    """The amount in the second currency, in its usual number of decimals."""
    rate: float
    """Units of the second currency for one of the first."""
    rates_date: str
    """Day of the reference rates."""


class Currency(Answer):
    """One currency."""

    code: str
    """Three-letter code (ISO 4217)."""
    name: str
    """Name in English."""
    symbol: str
    """Symbol."""
    decimals: int
    """Usual number of decimals."""


class ReferenceRates(Answer):
    """Rates against one currency."""

    base: str
    """The currency that one unit is taken of."""
    rates_date: str
    """Day of the reference rates."""
    rates: dict[str, float]
    """Units of each currency for one of the base."""


def _currency(code: str) -> Row:
    row = find("currencies", "code", code)
    if row is None:
        raise refuse(f"'{code.upper()}' is not a currency known here; use a code such as EUR, USD or JPY", 404)
    return row


def _per_euro(code: str) -> float:
    rate: float | None = _currency(code)["per_euro"]
    if rate is None:
        raise refuse(f"there is no euro reference rate for {code.upper()}", 404)
    return rate


@rates.get("/convert")
def convert_currency(
    amount: Annotated[float, number("Amount to convert", 250, ge=0)],
    from_currency: CurrencyCode,
    to_currency: Annotated[
        str, text("Currency code to convert to", "JPY", pattern="^[A-Za-z]{3}$", min_length=3, max_length=3)
    ],
) -> Conversion:
    """Convert an amount of money from one currency to another at fixed reference rates."""
    rate = _per_euro(to_currency) / _per_euro(from_currency)
    return Conversion(
        amount=amount,
        converted=round(amount * rate, _currency(to_currency)["decimals"]),
        rate=float(f"{rate:.6g}"),
        rates_date=RATES_DATE,
    )


@rates.get("/currency")
def currency_details(currency: CurrencyCode) -> Currency:
    """Name, symbol and number of decimals of a currency, by its three-letter code."""
    return Currency(**{k: v for k, v in _currency(currency).items() if k != "per_euro"})


@rates.get("/rates")
def reference_rates(base: CurrencyCode) -> ReferenceRates:
    """The table of exchange rates of all currencies against one base currency."""
    unit = _per_euro(base)
    known = {row["code"]: row["per_euro"] for row in table("currencies") if row["per_euro"]}
    return ReferenceRates(
        base=base.upper(),
        rates_date=RATES_DATE,
        rates={code: float(f"{rate / unit:.6g}") for code, rate in sorted(known.items())},
    )


class VatRate(Answer):
    """A country's rate."""

    country: str
    """Two-letter country code."""
    name: str
    """Name of the country."""
    percent: float
    """Standard rate in percent."""


class Taxed(Answer):
    """A price and its tax."""

    net: float
    """Price without VAT."""
    vat: float
    """VAT."""
    gross: float
    """Price with VAT."""
    percent: float
    """The rate used, in percent."""


def _vat(country: str) -> VatRate:
    row = find("countries", "code", country)
    if row is None or row["vat_percent"] is None:
        raise refuse(f"no standard VAT rate is known here for '{country.upper()}'", 404)
    return VatRate(country=row["code"], name=row["name"], percent=row["vat_percent"])


@vat.get("/rate")
def vat_rate(country: CountryCode) -> VatRate:
    """The standard rate of value added tax (or goods and services tax) in a country."""
    return _vat(country)


@vat.get("/add")
def add_vat(country: CountryCode, net: Annotated[float, number("Net price", 80, ge=0, le=1e9)]) -> Taxed:
    """The gross price and the tax for a net price, at a country's standard VAT rate."""
    percent = _vat(country).percent
    tax = round(net * percent / 100, 2)
    return Taxed(net=round(net, 2), vat=tax, gross=round(net + tax, 2), percent=percent)


@vat.get("/remove")
def remove_vat(country: CountryCode, gross: Annotated[float, number("Gross price", 119, ge=0, le=1e9)]) -> Taxed:
    """The net price and the tax contained in a gross price, at a country's standard VAT rate."""
    percent = _vat(country).percent
    net = round(gross / (1 + percent / 100), 2)
    return Taxed(net=net, vat=round(gross - net, 2), gross=round(gross, 2), percent=percent)
