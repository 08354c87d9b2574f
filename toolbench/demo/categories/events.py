"""Events: public holidays, dates and working days."""

import calendar
from datetime import date, timedelta
from functools import cache
from typing import Annotated

import holidays
from pydantic import Field

from toolbench.demo.tables import table
from toolbench.demo.tool import Answer, CountryCode, Day, HubTool, day, integer, refuse

feasts = HubTool(
    "public-holidays",
    "Public Holidays",
    "National public holidays of about 50 countries for any year: lists, single days, the next one, long weekends.",
    "Events",
    ("Trip Planning", "Remote Team"),
)
dates = HubTool(
    "date-calculator",
    "Date Calculator",
    "Weekdays, days between dates, dates before or after a date, week numbers, ages and Easter.",
    "Events",
    ("Trip Planning", "Personal Finance"),
)
work = HubTool(
    "working-days",
    "Working Days",
    "Count and add working days of a country, without weekends and public holidays, and schedule tasks over them.",
    "Events",
    ("Remote Team", "Personal Finance"),
)
TOOLS = (feasts, dates, work)

Year = Annotated[int, integer("Calendar year", 2025, ge=1950, le=2100)]


@cache
def _year(country: str, year: int) -> dict[date, str]:
    return dict(sorted(holidays.country_holidays(country, years=year, language="en_US").items()))


def _holidays(country: str, year: int) -> dict[date, str]:
    """The country's public holidays of the year in order. Raises HTTPException for what is not known."""
    country = country.upper()
    if country not in {row["code"] for row in table("countries")}:
        raise refuse(f"the public holidays of '{country}' are not known here; use a code such as FR, JP or US", 404)
    if not 1950 <= year <= 2100:
        raise refuse(f"holidays are known for 1950 to 2100, not for {year}")
    return _year(country, year)


def _add(start: date, days: int) -> date:
    try:
        return start + timedelta(days=days)
    except OverflowError:
        raise refuse(f"{days} days from {start} is outside the calendar, which has the years 1 to 9999") from None


class Holiday(Answer):
    """One public holiday."""

    date: date
    """The day."""
    name: str
    """Its name, in English where there is one."""
    weekday: str
    """Day of the week."""


class Holidays(Answer):
    """Public holidays."""

    country: str
    """Two-letter country code."""
    holidays: list[Holiday]
    """The holidays in order of date."""


class HolidayCheck(Answer):
    """Whether a day is a holiday."""

    is_holiday: bool
    """True for a national public holiday."""
    name: str | None
    """The holiday's name, or null."""


class LongWeekend(Answer):
    """Three free days or more."""

    start: date
    """First free day."""
    end: date
    """Last free day."""
    days: int
    """Number of free days."""


class LongWeekends(Answer):
    """The long weekends of a year."""

    long_weekends: list[LongWeekend]
    """Long weekends in order."""


def _holiday(day: date, name: str) -> Holiday:
    return Holiday(date=day, name=name, weekday=f"{day:%A}")


@feasts.get("/year")
def holidays_of_year(country: CountryCode, year: Year) -> Holidays:
    """List the national public holidays of a country in a year, with date, name and weekday."""
    found = _holidays(country, year)
    return Holidays(country=country.upper(), holidays=[_holiday(d, name) for d, name in found.items()])


@feasts.get("/check")
def is_public_holiday(country: CountryCode, date: Annotated[date, day("Day to check", "2025-07-14")]) -> HolidayCheck:
    """Tell whether a day is a public holiday in a country, and which one."""
    name = _holidays(country, date.year).get(date)
    return HolidayCheck(is_holiday=name is not None, name=name)


@feasts.get("/next")
def next_public_holiday(
    country: CountryCode, after: Annotated[date, day("Look for holidays after this day", "2025-08-20")]
) -> Holiday:
    """The first public holiday of a country after a given day."""
    for year in (after.year, after.year + 1):
        for when, name in _holidays(country, year).items():
            if when > after:
                return _holiday(when, name)
    raise refuse(f"no holiday within a year after {after} is known", 404)


@feasts.get("/long-weekends")
def long_weekends(country: CountryCode, year: Year) -> LongWeekends:
    """The weekends of a year that a public holiday on Friday or Monday makes three days or longer."""
    free = _holidays(country, year)
    found, run = [], 0
    for n in range(366):
        today = date(year, 1, 1) + timedelta(days=n)
        if today.year == year and (today in free or today.weekday() >= 5):
            run += 1
            continue
        if run >= 3:
            found.append(LongWeekend(start=today - timedelta(days=run), end=today - timedelta(days=1), days=run))
        run = 0
    return LongWeekends(long_weekends=found)


class Weekday(Answer):
    """Day of the week."""

    weekday: str
    """Monday to Sunday."""
    iso_week: int
    """Number of the week (ISO 8601)."""
    day_of_year: int
    """1 for the first of January."""


class DateSpan(Answer):
    """The time between two dates."""

    days: int
    """Days from the first to the second; negative if the second comes before."""
    weeks: int
    """Whole weeks in it."""
    remaining_days: int
    """Days beyond the whole weeks."""


class ShiftedDate(Answer):
    """A date and its weekday."""

    date: date
    """The date."""
    weekday: str
    """Monday to Sunday."""


class Age(Answer):
    """An age."""

    years: int
    """Whole years."""
    months: int
    """Whole months beyond the years."""
    days: int
    """Days beyond the months."""
    total_days: int
    """The age in days."""


@dates.get("/weekday")
def weekday_of_date(date: Day) -> Weekday:
    """Tell which day of the week a date falls on, with its ISO week number and day of the year."""
    return Weekday(weekday=f"{date:%A}", iso_week=date.isocalendar().week, day_of_year=date.timetuple().tm_yday)


@dates.get("/difference")
def days_between(
    start: Annotated[date, day("First date", "2025-06-01")], end: Annotated[date, day("Second date", "2025-12-24")]
) -> DateSpan:
    """Count the days and weeks from one date to another, for example until a holiday or a deadline."""
    days = (end - start).days
    return DateSpan(days=days, weeks=abs(days) // 7, remaining_days=abs(days) % 7)


@dates.get("/add")
def add_to_date(
    date: Day,
    days: Annotated[int, integer("Days to add; negative to go back", 90, ge=-1_000_000, le=1_000_000)] = 0,
    months: Annotated[int, integer("Months to add first; negative to go back", 0, ge=-12000, le=12000)] = 0,
) -> ShiftedDate:
    """The date a number of days or months after or before another, and the weekday it falls on."""
    total = date.year * 12 + date.month - 1 + months
    year, month = total // 12, total % 12 + 1
    if not 1 <= year <= 9999:
        raise refuse(f"{months} months from {date} is outside the calendar, which has the years 1 to 9999")
    last = calendar.monthrange(year, month)[1]
    moved = _add(date.replace(year=year, month=month, day=min(date.day, last)), days)
    return ShiftedDate(date=moved, weekday=f"{moved:%A}")


@dates.get("/age")
def age_on_date(
    born: Annotated[date, day("Date of birth", "1990-05-17")], on: Annotated[date, day("Day to count to", "2025-06-21")]
) -> Age:
    """Somebody's age in years, months and days on a given date, from the date of birth."""
    if on < born:
        raise refuse(f"{on} is before the date of birth {born}")
    months = (on.year - born.year) * 12 + on.month - born.month - (on.day < born.day)
    year, month = divmod(born.year * 12 + born.month - 1 + months, 12)
    anchor = date(year, month + 1, min(born.day, calendar.monthrange(year, month + 1)[1]))
    return Age(years=months // 12, months=months % 12, days=(on - anchor).days, total_days=(on - born).days)


@dates.get("/easter")
def easter_sunday(year: Annotated[int, integer("Calendar year", 2025, ge=1583, le=4099)]) -> ShiftedDate:
    """The date of Easter Sunday in the western churches in a year."""
    # The anonymous Gregorian algorithm (Nature, 1876).
    a, (b, c) = year % 19, divmod(year, 100)
    h = (19 * a + b - b // 4 - (b - (b + 8) // 25 + 1) // 3 + 15) % 30
    m = (32 + 2 * (b % 4) + 2 * (c // 4) - h - c % 4) % 7
    n = h + m - 7 * ((a + 11 * h + 22 * m) // 451) + 114
    found = date(year, n // 31, n % 31 + 1)
    return ShiftedDate(date=found, weekday=f"{found:%A}")


class WorkingDays(Answer):
    """Working days in a span."""

    working_days: int
    """Monday to Friday without public holidays; both ends count."""
    holidays: int
    """Public holidays in the span that fall on Monday to Friday."""


class TaskToSchedule(Answer):
    """A task."""

    name: str = Field(max_length=200, examples=["Design"])
    """Name of the task."""
    days: int = Field(ge=1, le=500, examples=[5])
    """Working days it takes."""


class Project(Answer):
    """Tasks to be done one after the other."""

    country: str = Field(pattern="^[A-Za-z]{2}$", examples=["DE"])
    """Two-letter country code whose holidays apply."""
    start: date = Field(examples=["2025-04-14"])
    """First day of the project, as YYYY-MM-DD."""
    tasks: list[TaskToSchedule] = Field(
        min_length=1, max_length=50, examples=[[{"name": "Design", "days": 5}, {"name": "Build", "days": 12}]]
    )
    """The tasks in order."""


class ScheduledTask(Answer):
    """A task with its days."""

    name: str
    """Name of the task."""
    start: date
    """First working day."""
    end: date
    """Last working day."""


class Schedule(Answer):
    """A project with its days."""

    tasks: list[ScheduledTask]
    """The tasks in order."""
    end: date
    """Last working day of the project."""


def _is_working(country: str, day: date) -> bool:
    return day.weekday() < 5 and day not in _holidays(country, day.year)


def _working_day(country: str, start: date, count: int) -> date:
    """The `count`-th working day after `start`; for count 0 the first one on or after it."""
    current = start
    while not (count == 0 and _is_working(country, current)):
        current = _add(current, 1)
        if count and _is_working(country, current):
            count -= 1
    return current


@work.get("/count")
def count_working_days(
    country: CountryCode,
    start: Annotated[date, day("First day", "2025-05-01")],
    end: Annotated[date, day("Last day", "2025-05-31")],
) -> WorkingDays:
    """Count the working days between two dates in a country, leaving out weekends and public holidays."""
    if not 0 <= (end - start).days <= 4000:
        raise refuse(f"the last day {end} must be 0 to 4000 days after the first day {start}")
    week = [d for n in range((end - start).days + 1) if (d := start + timedelta(days=n)).weekday() < 5]
    working = sum(_is_working(country, d) for d in week)
    return WorkingDays(working_days=working, holidays=len(week) - working)


@work.get("/add")
def add_working_days(
    country: CountryCode,
    start: Annotated[date, day("Day to start from", "2025-04-14")],
    days: Annotated[int, integer("Working days to add", 10, ge=1, le=2000)],
) -> ShiftedDate:
    """The date a number of working days after a day in a country, for example a payment or delivery deadline."""
    found = _working_day(country, start, days)
    return ShiftedDate(date=found, weekday=f"{found:%A}")


@work.post("/schedule")
def schedule_tasks(project: Project) -> Schedule:
    """Plan tasks one after the other over a country's working days: start and end of each, and of the project."""
    planned, current = [], _working_day(project.country, project.start, 0)
    for task in project.tasks:
        end = _working_day(project.country, current, task.days - 1)
        planned.append(ScheduledTask(name=task.name, start=current, end=end))
        current = _working_day(project.country, end, 1)
    return Schedule(tasks=planned, end=planned[-1].end)
