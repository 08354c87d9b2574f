"""Science: sun, moon, planets and chemical elements."""

import re
from datetime import date, datetime, timedelta
from typing import Annotated, Literal

from astral import Observer, moon, sun
from fastapi import Path

from toolbench.demo.categories.location import LocalTime, ZoneName, zone
from toolbench.demo.tables import find, table
from toolbench.demo.tool import Answer, Day, HubTool, Latitude, Longitude, day, integer, number, refuse, text, value

suns = HubTool(
    "sun-times",
    "Sun Times",
    "Sunrise, sunset, day length and the sun's position in the sky for any place and date.",
    "Science",
    ("Trip Planning",),
)
moons = HubTool(
    "moon-phases",
    "Moon Phases",
    "The moon's phase on any date, the next full moon, and moonrise and moonset for a place.",
    "Science",
    ("Trip Planning", "Classroom"),
)
planets = HubTool(
    "solar-system",
    "Solar System",
    "The eight planets: mass, gravity, orbit and day; one's weight and age on each; travel time of light.",
    "Science",
    ("Classroom",),
)
elements = HubTool(
    "chemical-elements",
    "Chemical Elements",
    "The periodic table: elements by symbol or atomic number, and the molar mass of compounds.",
    "Science",
    ("Classroom",),
)
TOOLS = (suns, moons, planets, elements)


class SunTimes(Answer):
    """The sun's times of one day, on the clock of the time zone asked for."""

    dawn: str | None
    """Beginning of civil twilight, ISO 8601; null where it does not occur that day."""
    sunrise: str | None
    """Sunrise, ISO 8601; null where the sun does not rise that day."""
    noon: str
    """When the sun is highest, ISO 8601."""
    sunset: str | None
    """Sunset, ISO 8601; null where the sun does not set that day."""
    dusk: str | None
    """End of civil twilight, ISO 8601; null where it does not occur that day."""


class DayLength(Answer):
    """How long the day is."""

    daylight_hours: float
    """Hours between sunrise and sunset; 24 in polar day, 0 in polar night."""
    daylight: str
    """The same as text, for example 16 h 10 min."""


class SunPosition(Answer):
    """Where the sun stands."""

    azimuth: float
    """Degrees clockwise from north."""
    elevation: float
    """Degrees above the horizon; negative below it."""


def _within(day: date) -> date:
    if not 1900 <= day.year <= 2100:
        raise refuse(f"{day} is out of range; choose a date between 1900 and 2100")
    return day


def _second(moment: datetime) -> str:
    return moment.replace(microsecond=0).isoformat()


@suns.get("/times")
def sunrise_and_sunset(latitude: Latitude, longitude: Longitude, date: Day, time_zone: ZoneName = "UTC") -> SunTimes:
    """Times of sunrise and sunset, solar noon, dawn and dusk for a latitude and longitude on a date."""
    place, tz = Observer(latitude, longitude), zone(time_zone)

    def when(name: Literal["dawn", "sunrise", "sunset", "dusk"]) -> str | None:
        try:
            return _second(getattr(sun, name)(place, _within(date), tzinfo=tz))
        except ValueError:  # astral's way to say that it does not happen that day
            return None

    return SunTimes(
        dawn=when("dawn"),
        sunrise=when("sunrise"),
        noon=_second(sun.noon(place, _within(date), tz)),
        sunset=when("sunset"),
        dusk=when("dusk"),
    )


@suns.get("/day-length")
def day_length(latitude: Latitude, date: Day) -> DayLength:
    """How many hours of daylight a day has at a latitude, polar day and polar night included."""
    place = Observer(latitude, 0.0)
    try:
        light = sun.sunset(place, _within(date)) - sun.sunrise(place, date)
    except ValueError:
        light = timedelta(hours=24 if sun.elevation(place, sun.noon(place, date)) > 0 else 0)
    minutes = round(light / timedelta(minutes=1))
    return DayLength(daylight_hours=round(minutes / 60, 2), daylight=f"{minutes // 60} h {minutes % 60} min")


@suns.get("/position")
def sun_position(
    latitude: Latitude, longitude: Longitude, date: Day, time: LocalTime, time_zone: ZoneName = "UTC"
) -> SunPosition:
    """The sun's azimuth and elevation seen from a place at a date and time, for example to plan photographs."""
    moment = datetime.combine(_within(date), time.replace(tzinfo=None), zone(time_zone))
    place = Observer(latitude, longitude)
    return SunPosition(azimuth=round(sun.azimuth(place, moment), 2), elevation=round(sun.elevation(place, moment), 2))


class MoonPhase(Answer):
    """The moon on one day."""

    phase: str
    """New moon, waxing crescent, first quarter, waxing gibbous, full moon, and so on."""
    age_days: float
    """Days since new moon, 0 to 28."""


class FullMoon(Answer):
    """A full moon."""

    date: date
    """The day of the full moon."""
    days_from_start: int
    """Days from the date asked for."""


class MoonTimes(Answer):
    """The moon's times of one day."""

    moonrise: str | None
    """Moonrise in UTC, ISO 8601; null where the moon does not rise that day."""
    moonset: str | None
    """Moonset in UTC, ISO 8601; null where the moon does not set that day."""


_PHASES = (
    *("New moon", "Waxing crescent", "First quarter", "Waxing gibbous"),
    *("Full moon", "Waning gibbous", "Last quarter", "Waning crescent"),
)


@moons.get("/phase")
def moon_phase(date: Day) -> MoonPhase:
    """The phase of the moon on a date, such as full moon or waning crescent, and its age in days."""
    age = moon.phase(_within(date))
    return MoonPhase(phase=_PHASES[round(age / 3.5) % 8], age_days=round(age, 2))


@moons.get("/next-full-moon")
def next_full_moon(after: Annotated[date, day("Day to start from", "2025-06-01")]) -> FullMoon:
    """The date of the first full moon on or after a given day."""
    days = [_within(after) + timedelta(days=n) for n in range(31)]
    best = min(days, key=lambda d: abs(moon.phase(d) - 14))
    return FullMoon(date=best, days_from_start=(best - after).days)


@moons.get("/times")
def moonrise_and_moonset(latitude: Latitude, longitude: Longitude, date: Day) -> MoonTimes:
    """Times of moonrise and moonset in UTC for a place on a date."""
    place, found = Observer(latitude, longitude), {}
    for name, event in (("moonrise", moon.moonrise), ("moonset", moon.moonset)):
        try:
            moment = event(place, _within(date))
        except ValueError:
            moment = None
        found[name] = _second(moment) if moment else None
    return MoonTimes(**found)


PlanetName = Annotated[
    Literal["Mercury", "Venus", "Earth", "Mars", "Jupiter", "Saturn", "Uranus", "Neptune"],
    value("Name of the planet", "Mars"),
]


class Planet(Answer):
    """One planet."""

    name: str
    """Name."""
    mass_kg: float
    """Mass in kilograms."""
    radius_km: float
    """Mean radius in kilometres."""
    gravity_m_s2: float
    """Gravity at the surface (for gas giants: at one bar) in metres per second squared."""
    distance_au: float
    """Mean distance from the sun in astronomical units."""
    year_days: float
    """Orbital period in days on earth."""
    day_hours: float
    """Length of its day, noon to noon, in hours."""
    moons: int
    """Known moons at the end of 2024."""


class PlanetWeight(Answer):
    """Weight elsewhere."""

    weight_kg: float
    """What scales made for earth would show there, in kilograms."""
    times_earth: float
    """Gravity there divided by gravity on earth."""


class PlanetAge(Answer):
    """Age elsewhere."""

    age_years: float
    """Age in years of that planet."""
    year_days: float
    """Length of its year in days on earth."""


class LightTime(Answer):
    """How long light takes."""

    minutes: float
    """Minutes."""
    kilometres: float
    """The distance in kilometres."""


def _planet(name: str) -> Planet:
    row = find("planets", "name", name)
    assert row is not None, name  # noqa: S101  the parameter's type admits only names of the table
    return Planet(**row)


@planets.get("/planet")
def planet_facts(name: PlanetName) -> Planet:
    """Facts about a planet of the solar system: mass, radius, gravity, distance from the sun, year, day, moons."""
    return _planet(name)


@planets.get("/weight")
def weight_on_planet(
    name: PlanetName, weight_kg: Annotated[float, number("Weight on earth in kilograms", 70, ge=0, le=1_000_000)]
) -> PlanetWeight:
    """What somebody or something would weigh on another planet."""
    ratio = _planet(name).gravity_m_s2 / _planet("Earth").gravity_m_s2
    return PlanetWeight(weight_kg=round(weight_kg * ratio, 2), times_earth=round(ratio, 3))


@planets.get("/age")
def age_on_planet(
    name: PlanetName, age_years: Annotated[float, number("Age on earth in years", 30, ge=0, le=1_000_000)]
) -> PlanetAge:
    """How old somebody would be in years of another planet."""
    planet = _planet(name)
    return PlanetAge(age_years=round(age_years * 365.25 / planet.year_days, 2), year_days=planet.year_days)


@planets.get("/light-time")
def light_travel_time(name: PlanetName) -> LightTime:
    """How many minutes sunlight needs to reach a planet."""
    km = _planet(name).distance_au * 149_597_870.7
    return LightTime(minutes=round(km / 299_792.458 / 60, 2), kilometres=round(km))


class Element(Answer):
    """One chemical element."""

    number: int
    """Atomic number."""
    symbol: str
    """Chemical symbol."""
    name: str
    """Name (IUPAC)."""
    atomic_mass: float
    """Standard atomic weight; for radioactive elements the mass number of the longest-lived isotope."""


class MolarMass(Answer):
    """What a mole weighs."""

    grams_per_mole: float
    """Molar mass in grams per mole."""
    atoms: dict[str, int]
    """Atoms of each element in the formula."""


@elements.get("/symbol/{symbol}")
def element_by_symbol(
    symbol: Annotated[str, Path(description="Chemical symbol", examples=["Fe"], pattern="^[A-Za-z]{1,2}$")],
) -> Element:
    """Look up a chemical element by its symbol: name, atomic number and atomic mass."""
    row = find("elements", "symbol", symbol)
    if row is None:
        raise refuse(f"'{symbol}' is not the symbol of an element up to lawrencium", 404)
    return Element(**row)


@elements.get("/number")
def element_by_number(
    atomic_number: Annotated[int, integer("Atomic number, the count of protons", 79, ge=1, le=103)],
) -> Element:
    """Look up a chemical element by its atomic number."""
    return Element(**table("elements")[atomic_number - 1])


@elements.get("/molar-mass")
def molar_mass(
    formula: Annotated[
        str, text("Chemical formula, parentheses allowed", "Ca(OH)2", max_length=60, pattern=r"^[A-Za-z0-9()]+$")
    ],
) -> MolarMass:
    """The molar mass of a compound from its chemical formula, for example H2O or C6H12O6, and its atoms."""
    levels: list[dict[str, int]] = [{}]
    for symbol, opened, closed, count in re.findall(r"(?:([A-Z][a-z]?)|(\()|(\))|[a-z0-9])(\d{0,3})", formula):
        times = int(count or 1)
        if opened and not count:
            levels.append({})
        elif closed and len(levels) > 1:
            for name, atoms in levels.pop().items():
                levels[-1][name] = levels[-1].get(name, 0) + atoms * times
        elif symbol:
            levels[-1][symbol] = levels[-1].get(symbol, 0) + times
        else:
            raise refuse(f"'{formula}' is not a chemical formula; write for example Ca(OH)2")
    masses = {row["symbol"]: row["atomic_mass"] for row in table("elements")}
    if unknown := sorted(levels[0].keys() - masses.keys()):
        raise refuse(f"'{unknown[0]}' in '{formula}' is not the symbol of an element; mind upper and lower case")
    if len(levels) > 1:
        raise refuse(f"a parenthesis in '{formula}' is not closed")
    total = sum(masses[name] * atoms for name, atoms in levels[0].items())
    return MolarMass(grams_per_mole=round(total, 3), atoms=dict(sorted(levels[0].items())))
