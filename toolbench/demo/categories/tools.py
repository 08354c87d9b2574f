"""Tools: units, notations of numbers, and check digits."""

import re
from functools import cache
from typing import Annotated, Literal

import pint

from toolbench.demo.tool import Answer, HubTool, integer, number, refuse, text, value

units = HubTool(
    "unit-converter",
    "Unit Converter",
    "Convert lengths, masses, volumes, speeds, energies, temperatures and other quantities between units.",
    "Tools",
    ("Classroom", "Trip Planning"),
)
notations = HubTool(
    "number-formats",
    "Number Formats",
    "Roman numerals, numbers in English words, and numbers in other bases such as binary and hexadecimal.",
    "Tools",
    ("Classroom",),
)
checks = HubTool(
    "check-digits",
    "Check Digits",
    "Validate the check digits of bank account numbers (IBAN), books (ISBN) and payment cards.",
    "Tools",
    ("Personal Finance",),
)
TOOLS = (units, notations, checks)

UnitName = Annotated[str, text("Unit to convert from, for example mile, kg, litre, km/hour", "mile", max_length=40)]
Scale = Literal["celsius", "fahrenheit", "kelvin"]
_UNIT = re.compile(r"[A-Za-z][A-Za-z_ ]*(\^[1-4])?([*/][A-Za-z][A-Za-z_]*(\^[1-4])?){0,3}")


class Quantity(Answer):
    """A converted quantity."""

    value: float
    """The number in the new unit."""
    unit: str
    """Full name of the new unit."""


class Units(Answer):
    """Some units."""

    units: list[str]
    """Units that can be converted into each other, from small to large."""


_COMMON_UNITS = {
    "length": ("millimeter", "centimeter", "inch", "foot", "yard", "meter", "kilometer", "mile", "nautical_mile"),
    "mass": ("milligram", "gram", "ounce", "pound", "kilogram", "stone", "metric_ton"),
    "volume": ("milliliter", "teaspoon", "tablespoon", "cup", "pint", "liter", "gallon", "meter^3"),
    "area": ("centimeter^2", "foot^2", "meter^2", "acre", "hectare", "kilometer^2"),
    "time": ("second", "minute", "hour", "day", "week", "year"),
    "speed": ("kilometer/hour", "mile/hour", "knot", "meter/second"),
    "energy": ("joule", "calorie", "kilojoule", "kilocalorie", "kilowatt_hour"),
    "pressure": ("pascal", "millibar", "psi", "bar", "atmosphere"),
}


@cache
def _registry() -> "pint.UnitRegistry[float]":
    return pint.UnitRegistry(autoconvert_offset_to_baseunit=True)


def _unit(name: str) -> pint.Unit:
    """The unit of that name. Only letters, * / and small powers reach pint: its parser would also compute numbers."""
    try:
        if not _UNIT.fullmatch(name.strip()):
            raise ValueError(name)
        return _registry().Unit(name.strip().replace(" ", "_"))
    except (ValueError, TypeError, AttributeError, pint.PintError):
        raise refuse(f"'{name}' is not a unit; write for example mile, kg, litre or km/hour") from None


def _converted(value: float, source: str, target: str) -> Quantity:
    before, after = _unit(source), _unit(target)
    try:
        converted = float(_registry().Quantity(value, before).to(after).magnitude)
    except pint.DimensionalityError:
        raise refuse(f"{before} cannot be converted to {after}: they measure different things") from None
    return Quantity(value=float(f"{converted:.10g}"), unit=str(after))


@units.get("/convert")
def convert_units(
    value: Annotated[float, number("The number to convert", 26.2)],
    from_unit: UnitName,
    to_unit: Annotated[str, text("Unit to convert to", "km", max_length=40)],
) -> Quantity:
    """Convert a quantity from one unit to another, for example miles to kilometres or pounds to kilograms."""
    return _converted(value, from_unit, to_unit)


@units.get("/temperature")
def convert_temperature(
    temperature: Annotated[float, number("The temperature to convert", 98.6)],
    from_scale: Annotated[Scale, value("Scale of the temperature given", "fahrenheit")],
    to_scale: Annotated[Scale, value("Scale to convert to", "celsius")],
) -> Quantity:
    """Convert a temperature between the scales of Celsius, Fahrenheit and kelvin."""
    return _converted(temperature, from_scale, to_scale)


@units.get("/units")
def list_units(
    quantity: Annotated[
        Literal["length", "mass", "volume", "area", "time", "speed", "energy", "pressure"],
        value("What is to be measured", "volume"),
    ],
) -> Units:
    """List the common units of a quantity such as length, mass or volume, under the names that conversions take."""
    return Units(units=list(_COMMON_UNITS[quantity]))


class Roman(Answer):
    """A Roman numeral."""

    roman: str
    """The numeral in capital letters."""


class WholeNumber(Answer):
    """A whole number."""

    value: int
    """The number."""


class Words(Answer):
    """A number in words."""

    words: str
    """The number in English words."""


class Digits(Answer):
    """A number in some base."""

    digits: str
    """Digits in the new base, with capital letters beyond 9."""
    decimal: int
    """The number in base ten."""


_ROMAN = {
    **{"M": 1000, "CM": 900, "D": 500, "CD": 400, "C": 100, "XC": 90},
    **{"L": 50, "XL": 40, "X": 10, "IX": 9, "V": 5, "IV": 4, "I": 1},
}
_SMALL = (
    *("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"),
    *("thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen"),
)
_TENS = ("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
_DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
Base = Annotated[int, integer("Base of the digits given, 2 to 36", 10, ge=2, le=36)]


def _roman(value: int) -> str:
    out = ""
    for letters, worth in _ROMAN.items():
        out += letters * (value // worth)
        value %= worth
    return out


def _words(value: int) -> str:
    if value < 20:
        return _SMALL[value]
    if value < 100:
        return _TENS[value // 10 - 2] + (f"-{_SMALL[value % 10]}" if value % 10 else "")
    for worth, name in (
        (10**12, "trillion"),
        (10**9, "billion"),
        (10**6, "million"),
        (1000, "thousand"),
        (100, "hundred"),
    ):
        if value >= worth:
            rest = value % worth
            joint = " and " if 0 < rest < 100 else " "
            return f"{_words(value // worth)} {name}" + (joint + _words(rest) if rest else "")
    raise AssertionError(value)


@notations.get("/to-roman")
def to_roman_numeral(value: Annotated[int, integer("Whole number from 1 to 3999", 2025, ge=1, le=3999)]) -> Roman:
    """Write a number as a Roman numeral."""
    return Roman(roman=_roman(value))


@notations.get("/from-roman")
def from_roman_numeral(
    roman: Annotated[str, text("Roman numeral", "MCMXCIV", pattern="^[IVXLCDMivxlcdm]+$", max_length=15)],
) -> WholeNumber:
    """Read a Roman numeral as a number."""
    values = [_ROMAN[letter] for letter in roman.upper()]
    total = sum(-v if v < max(values[n:]) else v for n, v in enumerate(values))
    if not 1 <= total <= 3999 or _roman(total) != roman.upper():
        raise refuse(f"'{roman}' is not a Roman numeral in its usual form")
    return WholeNumber(value=total)


@notations.get("/words")
def number_in_words(value: Annotated[int, integer("Whole number", 1984, ge=0)]) -> Words:
    """Spell out a whole number in English words, for example for a cheque."""
    return Words(words=_words(value))


@notations.get("/base")
def convert_number_base(
    digits: Annotated[str, text("The number", "255", pattern="^[0-9A-Za-z]+$", max_length=64)],
    to_base: Annotated[int, integer("Base to convert to, 2 to 36", 2, ge=2, le=36)],
    from_base: Base = 10,
) -> Digits:
    """Convert a whole number between bases, for example decimal to binary or hexadecimal."""
    try:
        value = rest = int(digits, from_base)
    except ValueError:
        raise refuse(f"'{digits}' has digits that do not exist in base {from_base}") from None
    if value > 2**53:
        raise refuse("the number is too large; the limit is 2^53")
    out = ""
    while rest or not out:
        rest, digit = divmod(rest, to_base)
        out = _DIGITS[digit] + out
    return Digits(digits=out, decimal=value)


class IbanCheck(Answer):
    """What an IBAN says."""

    valid: bool
    """Whether the check digits are right."""
    country: str
    """Two-letter code of the bank's country."""
    formatted: str
    """The IBAN in groups of four."""


class CodeCheck(Answer):
    """Whether a code is valid."""

    valid: bool
    """Whether the check digit is right."""
    kind: str
    """What the number looks like, for example ISBN-13 or Visa."""


def _compact(code: str) -> str:
    return re.sub(r"[\s-]", "", code).upper()


@checks.get("/iban")
def check_iban(
    iban: Annotated[str, text("International bank account number", "DE89 3704 0044 0532 0130 00", max_length=50)],
) -> IbanCheck:
    """Check whether an international bank account number (IBAN) is valid, and tell its country."""
    code = _compact(iban)
    if not re.fullmatch(r"[A-Z]{2}[0-9]{2}[A-Z0-9]{11,30}", code):
        raise refuse(f"'{iban}' does not have the form of an IBAN: two letters, two digits, 11 to 30 more characters")
    remainder = int("".join(str(int(c, 36)) for c in code[4:] + code[:4])) % 97
    groups = " ".join(code[n : n + 4] for n in range(0, len(code), 4))
    return IbanCheck(valid=remainder == 1, country=code[:2], formatted=groups)


@checks.get("/isbn")
def check_isbn(isbn: Annotated[str, text("ISBN of a book", "978-0-306-40615-7", max_length=30)]) -> CodeCheck:
    """Check whether the ISBN of a book is valid, in its form of 10 or 13 digits."""
    code = _compact(isbn)
    if re.fullmatch(r"[0-9]{13}", code):
        total = sum(int(c) * (3 if n % 2 else 1) for n, c in enumerate(code))
        return CodeCheck(valid=total % 10 == 0, kind="ISBN-13")
    if re.fullmatch(r"[0-9]{9}[0-9X]", code):
        total = sum((10 if c == "X" else int(c)) * (10 - n) for n, c in enumerate(code))
        return CodeCheck(valid=total % 11 == 0, kind="ISBN-10")
    raise refuse(f"'{isbn}' has neither 10 nor 13 digits")


@checks.get("/card")
def check_card_number(
    number: Annotated[str, text("Number of a payment card", "4111 1111 1111 1111", max_length=30)],
) -> CodeCheck:
    """Check a payment card number for typing errors (Luhn algorithm) and tell the card's network."""
    code = _compact(number)
    if not re.fullmatch(r"[0-9]{12,19}", code):
        raise refuse("a card number has 12 to 19 digits")
    total = sum(sum(divmod(int(c) * (2 if n % 2 else 1), 10)) for n, c in enumerate(reversed(code)))
    networks = (("4", "Visa"), ("5[1-5]", "Mastercard"), ("3[47]", "American Express"), ("6(011|5)", "Discover"))
    kind = next((name for start, name in networks if re.match(start, code)), "unknown")
    return CodeCheck(valid=total % 10 == 0, kind=kind)
