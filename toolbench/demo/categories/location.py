"""Location: cities, countries and their clocks."""

from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from typing import Annotated, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from fastapi import Path

from toolbench.demo.categories.mapping import kilometres
from toolbench.demo.tables import Row, find, table
from toolbench.demo.tool import (
    Answer,
    CurrencyCode,
    Day,
    HubTool,
    Latitude,
    Longitude,
    day,
    integer,
    refuse,
    text,
    value,
)

cities = HubTool(
    "world-cities",
    "World Cities",
    "Coordinates, time zone, country, population and elevation of more than 70 large cities around the world.",
    "Location",
    ("Trip Planning",),
)
countries = HubTool(
    "country-facts",
    "Country Facts",
    "Capital, continent, currency, languages, calling code and side of the road for about 50 countries.",
    "Location",
    ("Trip Planning", "Remote Team"),
)
clocks = HubTool(
    "time-zones",
    "Time Zones",
    "UTC offsets, conversion of local times and common working hours for every time zone of the IANA database.",
    "Location",
    ("Trip Planning", "Remote Team"),
)
TOOLS = (cities, countries, clocks)

CityName = Annotated[str, text("Name of the city in English", "Tokyo", max_length=60)]
ZoneName = Annotated[str, text("IANA time zone name", "Europe/Paris", max_length=60)]
LocalTime = Annotated[time, value("Time of day on a 24-hour clock, as HH:MM", "14:30")]
Continent = Literal["Africa", "Asia", "Europe", "North America", "Oceania", "South America"]


class City(Answer):
    """One city."""

    name: str
    """Name in English."""
    country: str
    """Two-letter country code."""
    latitude: float
    """Degrees, north positive."""
    longitude: float
    """Degrees, east positive."""
    time_zone: str
    """IANA time zone name."""
    population: int
    """Inhabitants of the city proper, rounded."""
    elevation_m: int
    """Metres above sea level."""


class Cities(Answer):
    """A list of cities."""

    cities: list[City]
    """The cities found, in the order the API promises."""


class NearbyCity(Answer):
    """A city and how far away it is."""

    city: City
    """The nearest city."""
    distance_km: float
    """Great-circle distance in kilometres."""


@cities.get("/city")
def find_city(name: CityName) -> City:
    """Look up a city by name: its latitude and longitude, time zone, country code, population and elevation."""
    row = find("cities", "name", name)
    if row is None:
        raise refuse(f"'{name}' is not among the cities known here; try a capital or another large city", 404)
    return City(**row)


@cities.get("/country/{country}")
def cities_in_country(
    country: Annotated[str, Path(description="Two-letter country code", examples=["JP"], pattern="^[A-Za-z]{2}$")],
) -> Cities:
    """List the known cities of one country, by its two-letter code, the most populous first."""
    found = [City(**row) for row in table("cities") if row["country"] == country.upper()]
    if not found:
        raise refuse(f"no city of country '{country}' is known here", 404)
    return Cities(cities=sorted(found, key=lambda city: -city.population))


@cities.get("/nearest")
def nearest_city(latitude: Latitude, longitude: Longitude) -> NearbyCity:
    """Find the large city that is closest to a point on the map, and its distance in kilometres."""

    def away(row: Row) -> float:
        return kilometres(latitude, longitude, row["latitude"], row["longitude"])

    row = min(table("cities"), key=away)
    return NearbyCity(city=City(**row), distance_km=round(away(row), 2))


@cities.get("/largest")
def largest_cities(
    continent: Annotated[Continent, value("Continent to look at", "Europe")],
    limit: Annotated[int, integer("How many cities to list", 3, ge=1, le=20)] = 5,
) -> Cities:
    """Rank the known cities of a continent by population, the largest first."""
    there = {row["code"] for row in table("countries") if row["continent"] == continent}
    rows = sorted((r for r in table("cities") if r["country"] in there), key=lambda r: -r["population"])
    return Cities(cities=[City(**row) for row in rows[:limit]])


class Country(Answer):
    """One country."""

    code: str
    """Two-letter code (ISO 3166-1)."""
    name: str
    """Name in English."""
    capital: str
    """Capital city."""
    continent: str
    """Continent."""
    currency: str
    """Three-letter currency code (ISO 4217)."""
    calling_code: int
    """International telephone prefix, without the plus."""
    languages: list[str]
    """Official languages."""
    area_km2: int
    """Area in square kilometres."""
    drives_on: str
    """Side of the road that traffic keeps to: left or right."""


class Countries(Answer):
    """A list of countries."""

    countries: list[Country]
    """The countries found, sorted by name."""


def _countries(column: str, value: str | int) -> Countries:
    rows = sorted((r for r in table("countries") if r[column] == value), key=lambda r: str(r["name"]))
    if not rows:
        raise refuse(f"no country known here has {column.replace('_', ' ')} '{value}'", 404)
    return Countries(countries=[Country(**row) for row in rows])


@countries.get("/code/{country}")
def country_facts(
    country: Annotated[str, Path(description="Two-letter country code", examples=["JP"], pattern="^[A-Za-z]{2}$")],
) -> Country:
    """Facts about a country by its two-letter code: capital, currency, languages, calling code, driving side."""
    return _countries("code", country.upper()).countries[0]


@countries.get("/search")
def find_country(name: Annotated[str, text("Name of the country in English", "Norway", max_length=60)]) -> Country:
    """Look up a country by its English name to get its two-letter code, capital and currency code."""
    row = find("countries", "name", name)
    if row is None:
        raise refuse(f"'{name}' is not among the countries known here", 404)
    return Country(**row)


@countries.get("/by-currency")
def countries_using_currency(currency: CurrencyCode) -> Countries:
    """List the countries that pay with a currency, for example all that use the euro."""
    return _countries("currency", currency.upper())


@countries.get("/by-calling-code")
def countries_of_calling_code(
    calling_code: Annotated[int, integer("International telephone prefix without the plus", 41, ge=1, le=9999)],
) -> Countries:
    """Tell which country a telephone number comes from, by its international calling code."""
    return _countries("calling_code", calling_code)


def zone(name: str) -> ZoneInfo:
    """The time zone of that IANA name. Raises HTTPException 400 where there is none."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise refuse(f"'{name}' is not an IANA time zone name; write for example Europe/Paris or Asia/Tokyo") from None


class Offset(Answer):
    """How far a zone's clocks are from UTC."""

    time_zone: str
    """The zone asked for."""
    utc_offset: str
    """Offset at noon of that day, as +HH:MM."""
    abbreviation: str
    """Abbreviation of the time in force, for example CEST."""
    daylight_saving: bool
    """Whether daylight saving time is in force."""


class ConvertedTime(Answer):
    """One moment on two clocks."""

    local_time: str
    """The moment on the first clock, ISO 8601."""
    converted_time: str
    """The same moment on the second clock, ISO 8601."""
    hours_ahead: float
    """Hours that the second clock is ahead of the first."""


class CommonHours(Answer):
    """When people in two places are both at work."""

    hours: list[str]
    """Full hours that lie between 09:00 and 17:00 in both zones, on the first zone's clock."""
    utc_hours: list[str]
    """The same hours in UTC, ISO 8601."""


class ClockChange(Answer):
    """One change of the clocks."""

    date: date
    """The day the clocks change."""
    utc_offset_after: str
    """Offset from the next day on, as +HH:MM."""


class ClockChanges(Answer):
    """The changes of a year."""

    changes: list[ClockChange]
    """The changes in order; empty where clocks never change."""


def _offset(moment: datetime) -> str:
    return moment.isoformat()[-6:]


@clocks.get("/offset")
def utc_offset(time_zone: ZoneName, date: Day) -> Offset:
    """The UTC offset of a time zone on a given day, and whether daylight saving time is in force."""
    noon = datetime.combine(date, time(12), zone(time_zone))
    return Offset(
        time_zone=time_zone,
        utc_offset=_offset(noon),
        abbreviation=noon.tzname() or "",
        daylight_saving=bool(noon.dst()),
    )


@clocks.get("/convert")
def convert_time(
    date: Day,
    time: LocalTime,
    from_zone: ZoneName,
    to_zone: Annotated[str, text("IANA time zone name to convert to", "Asia/Tokyo", max_length=60)],
) -> ConvertedTime:
    """Convert a local date and time from one time zone to another, for example a call time from Paris to Tokyo."""
    here = datetime.combine(date, time.replace(tzinfo=None), zone(from_zone))
    try:
        there = here.astimezone(zone(to_zone))
    except OverflowError:
        raise refuse("the date is at the end of the calendar; choose a year between 2 and 9998") from None
    ahead = (there.utcoffset() or timedelta()) - (here.utcoffset() or timedelta())
    return ConvertedTime(
        local_time=here.isoformat(), converted_time=there.isoformat(), hours_ahead=ahead / timedelta(hours=1)
    )


@clocks.get("/common-working-hours")
def common_working_hours(
    date: Annotated[date, day("Day of the meeting", "2025-03-12")],
    first_zone: ZoneName,
    second_zone: Annotated[str, text("IANA time zone name of the other person", "America/New_York", max_length=60)],
) -> CommonHours:
    """Hours of a day that fall into office hours (09:00 to 17:00) in two time zones, to find a time for a meeting."""
    first, second = zone(first_zone), zone(second_zone)
    starts = [datetime.combine(date, time(hour), first) for hour in range(9, 17)]
    try:
        common = [s for s in starts if time(9) <= s.astimezone(second).time() <= time(16)]
    except OverflowError:
        raise refuse("the date is at the end of the calendar; choose a year between 2 and 9998") from None
    return CommonHours(hours=[f"{s:%H:%M}" for s in common], utc_hours=[s.astimezone(UTC).isoformat() for s in common])


@clocks.get("/changes")
def clock_changes(
    time_zone: ZoneName, year: Annotated[int, integer("Calendar year", 2025, ge=1970, le=2037)]
) -> ClockChanges:
    """The days of a year on which a time zone moves its clocks for daylight saving time."""
    tz = zone(time_zone)
    noons = [datetime(year, 1, 1, 12, tzinfo=tz) + timedelta(days=n) for n in range(366)]
    return ClockChanges(
        changes=[
            ClockChange(date=b.date(), utc_offset_after=_offset(b))
            for a, b in pairwise(noons)
            if a.utcoffset() != b.utcoffset() and b.year == year
        ]
    )
