"""Facts checked by hand or against almanacs, so that the hub is right and not only consistent."""

import json
from importlib.resources import files
from zoneinfo import ZoneInfo

import pytest
from fastapi.testclient import TestClient

PARIS_TOKYO = {"latitude1": 48.8566, "longitude1": 2.3522, "latitude2": 35.6762, "longitude2": 139.6503}

FACTS = [
    ("/date-calculator/weekday", {"date": "1969-07-20"}, {"weekday": "Sunday"}),
    ("/date-calculator/easter", {"year": 2025}, {"date": "2025-04-20", "weekday": "Sunday"}),
    ("/date-calculator/easter", {"year": 2038}, {"date": "2038-04-25"}),
    ("/date-calculator/difference", {"start": "2024-02-28", "end": "2024-03-01"}, {"days": 2}),
    ("/date-calculator/add", {"date": "2024-01-31", "months": 1}, {"date": "2024-02-29"}),
    ("/date-calculator/age", {"born": "2000-01-31", "on": "2025-03-01"}, {"years": 25, "months": 1, "days": 1}),
    ("/public-holidays/check", {"country": "fr", "date": "2025-07-14"}, {"is_holiday": True}),
    ("/public-holidays/check", {"country": "US", "date": "2025-07-05"}, {"is_holiday": False}),
    # 22 weekdays, less Labour Day (1st) and Ascension Day (29th)
    ("/working-days/count", {"country": "DE", "start": "2025-05-01", "end": "2025-05-31"}, {"working_days": 20}),
    ("/working-days/add", {"country": "DE", "start": "2025-04-17", "days": 1}, {"date": "2025-04-22"}),
    ("/loan-calculator/payment", {"principal": 200000, "annual_rate": 6, "years": 30}, {"monthly_payment": 1199.10}),
    ("/savings-planner/doubling", {"annual_rate": 7}, {"exact_years": 10.24, "years": 11}),
    ("/value-added-tax/remove", {"country": "DE", "gross": 119}, {"net": 100.0, "vat": 19.0}),
    ("/exchange-rates/convert", {"amount": 100, "from_currency": "EUR", "to_currency": "JPY"}, {"converted": 16306.0}),
    ("/number-theory/is-prime", {"value": 1_000_003}, {"is_prime": True}),
    ("/number-theory/is-prime", {"value": 1}, {"is_prime": False, "smallest_factor": None}),
    ("/number-theory/factors", {"value": 360}, {"expression": "2^3 × 3^2 × 5"}),
    ("/number-theory/primes", {"start": 1, "end": 1000}, {"count": 168}),
    ("/equation-solver/quadratic", {"a": 1, "b": -5, "c": 6}, {"real_roots": [2.0, 3.0]}),
    ("/geometry/triangle", {"a": 3, "b": 4, "c": 5}, {"area": 6.0, "angles": [36.8699, 53.1301, 90.0]}),
    ("/probability/dice", {"total": 7}, {"percent": 16.6667}),
    ("/probability/dice", {"total": 13}, {"percent": 0.0}),
    ("/probability/binomial", {"trials": 10, "successes": 3, "chance": 0.5}, {"probability": 0.1171875}),
    ("/chemical-elements/molar-mass", {"formula": "Ca(OH)2"}, {"grams_per_mole": 74.092}),
    ("/chemical-elements/molar-mass", {"formula": "K4(Fe(CN)6)"}, {"atoms": {"C": 6, "Fe": 1, "K": 4, "N": 6}}),
    ("/coordinate-formats/geohash/encode", {"latitude": 57.64911, "longitude": 10.40744}, {"geohash": "u4pruydqq"}),
    ("/coordinate-formats/to-dms", {"latitude": -33.8688, "longitude": 0}, {"latitude": "33°52'7.68\"S"}),
    ("/colour-names/name", {"name": "steel blue"}, {"hex": "#4682B4", "hsl": [207, 44, 49]}),
    (
        "/colour-contrast/ratio",
        {"text_colour": "#777777", "background": "#FFFFFF"},
        {"ratio": 4.48, "aa_normal": False},
    ),
    ("/colour-palettes/complementary", {"colour": "#FF0000"}, {"hex": "#00FFFF"}),
    ("/image-sizes/aspect-ratio", {"width": 1920, "height": 1080}, {"ratio": "16:9"}),
    ("/text-similarity/edit-distance", {"first": "kitten", "second": "sitting"}, {"distance": 3}),
    ("/unit-converter/convert", {"value": 1, "from_unit": "mile", "to_unit": "km"}, {"value": 1.609344}),
    (
        "/unit-converter/temperature",
        {"temperature": -40, "from_scale": "celsius", "to_scale": "fahrenheit"},
        {"value": -40.0},
    ),
    ("/number-formats/from-roman", {"roman": "MCMXCIV"}, {"value": 1994}),
    ("/number-formats/words", {"value": 1984}, {"words": "one thousand nine hundred and eighty-four"}),
    ("/number-formats/base", {"digits": "FF", "from_base": 16, "to_base": 2}, {"digits": "11111111", "decimal": 255}),
    ("/check-digits/iban", {"iban": "GB82 WEST 1234 5698 7654 32"}, {"valid": True, "country": "GB"}),
    ("/check-digits/iban", {"iban": "GB83 WEST 1234 5698 7654 32"}, {"valid": False}),
    ("/check-digits/isbn", {"isbn": "0-306-40615-2"}, {"valid": True, "kind": "ISBN-10"}),
    ("/time-zones/offset", {"time_zone": "Asia/Kolkata", "date": "2025-06-01"}, {"utc_offset": "+05:30"}),
    (
        "/time-zones/convert",
        {"date": "2025-03-12", "time": "09:00", "from_zone": "America/New_York", "to_zone": "Europe/Paris"},
        {"converted_time": "2025-03-12T14:00:00+01:00", "hours_ahead": 5.0},  # clocks changed in America only
    ),
    ("/time-zones/changes", {"time_zone": "Asia/Tokyo", "year": 2025}, {"changes": []}),
    ("/moon-phases/phase", {"date": "2025-03-14"}, {"phase": "Full moon"}),  # total lunar eclipse
    ("/sun-times/times", {"latitude": 78.2, "longitude": 15.6, "date": "2025-06-21"}, {"sunset": None}),
    ("/sun-times/day-length", {"latitude": -78, "date": "2025-06-21"}, {"daylight_hours": 0.0}),
]


@pytest.mark.parametrize(("url", "query", "expected"), FACTS)
def test_fact(honest: TestClient, url: str, query: dict, expected: dict) -> None:
    answer = honest.get(url, params=query).json()
    assert {key: answer[key] for key in expected} == expected


def test_paris_to_tokyo(honest: TestClient) -> None:
    answer = honest.get("/great-circle/distance", params=PARIS_TOKYO).json()
    assert answer["kilometres"] == pytest.approx(9712, rel=0.01)


def test_a_degree_along_the_equator_is_sixty_nautical_miles(honest: TestClient) -> None:
    arc = {"latitude": 0, "longitude": 179.5, "bearing": 90, "distance_km": 111.195}
    assert honest.get("/great-circle/destination", params=arc).json() == {"latitude": 0.0, "longitude": -179.5}


def test_midsummer_sunrise_in_paris(honest: TestClient) -> None:
    query = {"latitude": 48.8566, "longitude": 2.3522, "date": "2025-06-21", "time_zone": "Europe/Paris"}
    answer = honest.get("/sun-times/times", params=query).json()
    assert answer["sunrise"][:15] == "2025-06-21T05:4"
    assert answer["sunset"][:15] == "2025-06-21T21:5"


def test_a_project_skips_easter(honest: TestClient) -> None:
    tasks = [{"name": "Design", "days": 4}, {"name": "Build", "days": 1}]
    body = {"country": "DE", "start": "2025-04-12", "tasks": tasks}  # a Saturday; Good Friday is the 18th
    answer = honest.post("/working-days/schedule", json=body).json()
    assert answer["tasks"][0] == {"name": "Design", "start": "2025-04-14", "end": "2025-04-17"}
    assert answer["end"] == "2025-04-22"


def test_a_geohash_decodes_to_where_it_was_encoded(honest: TestClient) -> None:
    cell = honest.get("/coordinate-formats/geohash/decode", params={"geohash": "u4pruydqq"}).json()
    assert cell["latitude"] == pytest.approx(57.64911, abs=cell["latitude_error"])
    assert cell["longitude"] == pytest.approx(10.40744, abs=cell["longitude_error"])


def test_answers_feed_other_apis(honest: TestClient) -> None:
    """Colour name → hex → contrast, and city → coordinates → sunrise: the ways that instructions are built on."""
    colour = honest.get("/colour-names/name", params={"name": "navy"}).json()["hex"]
    assert honest.get("/colour-contrast/ratio", params={"text_colour": colour, "background": "#FFFFFF"}).json()[
        "aa_normal"
    ]
    city = honest.get("/world-cities/city", params={"name": "tokyo"}).json()
    query = {"latitude": city["latitude"], "longitude": city["longitude"], "time_zone": city["time_zone"]}
    sunrise = honest.get("/sun-times/times", params=query | {"date": "2025-06-21"}).json()["sunrise"]
    assert sunrise.startswith("2025-06-21T04:2")


@pytest.mark.parametrize("quantity", ["length", "mass", "volume", "area", "time", "speed", "energy", "pressure"])
def test_listed_units_convert_and_run_from_small_to_large(honest: TestClient, quantity: str) -> None:
    listed = honest.get("/unit-converter/units", params={"quantity": quantity}).json()["units"]
    query = {"value": 1, "to_unit": listed[0]}
    sizes = [honest.get("/unit-converter/convert", params=query | {"from_unit": u}).json()["value"] for u in listed]
    assert sizes == sorted(sizes)


def test_reference_tables_agree() -> None:
    data = files("toolbench.demo") / "data"
    cities, countries, currencies = (
        json.loads((data / f"{name}.json").read_text("utf-8")) for name in ("cities", "countries", "currencies")
    )
    codes = {country["code"] for country in countries}
    assert {city["country"] for city in cities} <= codes
    assert {country["currency"] for country in countries} <= {currency["code"] for currency in currencies}
    assert all(ZoneInfo(city["time_zone"]) for city in cities)
    assert len(cities) >= 60
    assert len(codes) == len(countries) >= 40
