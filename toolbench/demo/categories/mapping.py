"""Mapping: distances on the globe, ways to write coordinates, and what a way costs."""

from math import asin, atan2, cos, degrees, hypot, radians, sin, sqrt
from typing import Annotated, Literal

from toolbench.demo.tool import Answer, HubTool, Latitude, Longitude, integer, number, refuse, text, value

circle = HubTool(
    "great-circle",
    "Great Circle",
    "Distances, bearings, midpoints and destinations on the globe, between points given by latitude and longitude.",
    "Mapping",
    ("Trip Planning",),
)
formats = HubTool(
    "coordinate-formats",
    "Coordinate Formats",
    "Convert geographic coordinates between decimal degrees, degrees-minutes-seconds and geohashes.",
    "Mapping",
    ("Classroom",),
)
costs = HubTool(
    "travel-costs",
    "Travel Costs",
    "How long a distance takes by a means of transport, what fuel it burns, and how much carbon dioxide it emits.",
    "Mapping",
    ("Trip Planning",),
)
TOOLS = (circle, formats, costs)

EARTH_RADIUS_KM = 6371.0088
"""Mean radius (IUGG)."""
_BASE32 = "0123456789bcdefghjkmnpqrstuvwxyz"

StartLatitude = Annotated[float, number("Latitude of the starting point in degrees", 48.8566, ge=-90, le=90)]
StartLongitude = Annotated[float, number("Longitude of the starting point in degrees", 2.3522, ge=-180, le=180)]
EndLatitude = Annotated[float, number("Latitude of the end point in degrees", 35.6762, ge=-90, le=90)]
EndLongitude = Annotated[float, number("Longitude of the end point in degrees", 139.6503, ge=-180, le=180)]
Kilometres = Annotated[float, number("Distance in kilometres", 420, ge=0, le=1_000_000)]


def kilometres(lat1: float, lon1: float, lat2: float, lon2: float) -> float:
    """Great-circle distance between two points in degrees, by the haversine formula on a sphere."""
    dlat, dlon = radians(lat2 - lat1), radians(lon2 - lon1)
    h = sin(dlat / 2) ** 2 + cos(radians(lat1)) * cos(radians(lat2)) * sin(dlon / 2) ** 2
    return 2 * EARTH_RADIUS_KM * asin(min(1.0, sqrt(h)))


def bearing(lat1: float, lon1: float, lat2: float, lon2: float) -> float:
    """Initial bearing from the first point to the second, in degrees clockwise from north, 0 to 360."""
    a, b, dlon = radians(lat1), radians(lat2), radians(lon2 - lon1)
    return degrees(atan2(sin(dlon) * cos(b), cos(a) * sin(b) - sin(a) * cos(b) * cos(dlon))) % 360


def _wrap(longitude: float) -> float:
    return (longitude + 180) % 360 - 180


class Distance(Answer):
    """A distance."""

    kilometres: float
    """Distance in kilometres."""
    miles: float
    """Distance in statute miles."""
    nautical_miles: float
    """Distance in nautical miles."""


class Bearing(Answer):
    """A direction."""

    degrees: float
    """Clockwise from north, 0 to 360."""
    compass: str
    """The nearest of the 16 compass points, for example NNE."""


class Point(Answer):
    """A point on the globe."""

    latitude: float
    """Degrees, north positive."""
    longitude: float
    """Degrees, east positive."""


@circle.get("/distance")
def great_circle_distance(
    latitude1: StartLatitude, longitude1: StartLongitude, latitude2: EndLatitude, longitude2: EndLongitude
) -> Distance:
    """The shortest distance over the earth's surface between two points, in kilometres, miles and nautical miles."""
    km = kilometres(latitude1, longitude1, latitude2, longitude2)
    return Distance(kilometres=round(km, 2), miles=round(km / 1.609344, 2), nautical_miles=round(km / 1.852, 2))


@circle.get("/bearing")
def initial_bearing(
    latitude1: StartLatitude, longitude1: StartLongitude, latitude2: EndLatitude, longitude2: EndLongitude
) -> Bearing:
    """The compass direction to set out in to reach one point from another on the shortest way."""
    angle = round(bearing(latitude1, longitude1, latitude2, longitude2), 2) % 360
    points = ["N", "NNE", "NE", "ENE", "E", "ESE", "SE", "SSE", "S", "SSW", "SW", "WSW", "W", "WNW", "NW", "NNW"]
    return Bearing(degrees=angle, compass=points[round(angle / 22.5) % 16])


@circle.get("/midpoint")
def midpoint(
    latitude1: StartLatitude, longitude1: StartLongitude, latitude2: EndLatitude, longitude2: EndLongitude
) -> Point:
    """The point halfway between two places on the great circle, for example to find where to meet."""
    a, b, dlon = radians(latitude1), radians(latitude2), radians(longitude2 - longitude1)
    x, y = cos(b) * cos(dlon), cos(b) * sin(dlon)
    lat = atan2(sin(a) + sin(b), hypot(cos(a) + x, y))
    lon = longitude1 + degrees(atan2(y, cos(a) + x))
    return Point(latitude=round(degrees(lat), 5), longitude=round(_wrap(lon), 5))


@circle.get("/destination")
def destination_point(
    latitude: Latitude,
    longitude: Longitude,
    bearing: Annotated[float, number("Direction in degrees clockwise from north", 45, ge=0, le=360)],
    distance_km: Annotated[float, number("Distance to travel in kilometres", 250, ge=0, le=20000)],
) -> Point:
    """Where one arrives after travelling a distance in a direction from a starting point."""
    angle, way, a = radians(bearing), distance_km / EARTH_RADIUS_KM, radians(latitude)
    lat = asin(max(-1.0, min(1.0, sin(a) * cos(way) + cos(a) * sin(way) * cos(angle))))
    dlon = atan2(sin(angle) * sin(way) * cos(a), cos(way) - sin(a) * sin(lat))
    return Point(latitude=round(degrees(lat), 5), longitude=round(_wrap(longitude + degrees(dlon)), 5))


class Sexagesimal(Answer):
    """Coordinates as sailors write them."""

    latitude: str
    """For example 48°51'23.76"N."""
    longitude: str
    """For example 2°21'7.92"E."""


class DecimalAngle(Answer):
    """One angle."""

    decimal_degrees: float
    """Decimal degrees; south and west are negative."""


class Geohash(Answer):
    """A geohash."""

    geohash: str
    """The geohash, in lower case."""


class GeohashCell(Answer):
    """The cell that a geohash names."""

    latitude: float
    """Latitude of the cell's centre."""
    longitude: float
    """Longitude of the cell's centre."""
    latitude_error: float
    """Half the cell's height in degrees."""
    longitude_error: float
    """Half the cell's width in degrees."""


def _sexagesimal(angle: float, signs: str) -> str:
    hundredths = round(abs(angle) * 360_000)
    minutes, seconds = divmod(hundredths, 6000)
    return f"{minutes // 60}°{minutes % 60}'{seconds / 100:g}\"{signs[angle < 0]}"


@formats.get("/to-dms")
def to_degrees_minutes_seconds(latitude: Latitude, longitude: Longitude) -> Sexagesimal:
    """Write decimal coordinates as degrees, minutes and seconds with N, S, E or W."""
    return Sexagesimal(latitude=_sexagesimal(latitude, "NS"), longitude=_sexagesimal(longitude, "EW"))


@formats.get("/from-dms")
def from_degrees_minutes_seconds(
    degrees: Annotated[int, integer("Whole degrees", 40, ge=0, le=180)],
    minutes: Annotated[int, integer("Minutes of arc", 42, ge=0, lt=60)],
    seconds: Annotated[float, number("Seconds of arc", 46.08, ge=0, lt=60)],
    direction: Annotated[Literal["N", "S", "E", "W"], value("Hemisphere", "N")],
) -> DecimalAngle:
    """Turn an angle in degrees, minutes and seconds with a hemisphere letter into decimal degrees."""
    value = degrees + minutes / 60 + seconds / 3600
    if value > (90 if direction in "NS" else 180):
        raise refuse(f"{degrees}°{minutes}'{seconds}\" is beyond the pole or the date line for direction {direction}")
    return DecimalAngle(decimal_degrees=round(-value if direction in "SW" else value, 6))


@formats.get("/geohash/encode")
def geohash_encode(
    latitude: Latitude,
    longitude: Longitude,
    length: Annotated[int, integer("Number of characters; more is more exact", 7, ge=1, le=12)] = 9,
) -> Geohash:
    """Encode a latitude and longitude as a geohash, a short text that names a cell of the map."""
    spans = {True: [-180.0, 180.0], False: [-90.0, 90.0]}
    bits = 0
    for n in range(5 * length):
        span, value = spans[n % 2 == 0], longitude if n % 2 == 0 else latitude
        middle = sum(span) / 2
        upper = value >= middle
        span[not upper] = middle
        bits = bits << 1 | upper
    return Geohash(geohash="".join(_BASE32[bits >> 5 * n & 31] for n in reversed(range(length))))


@formats.get("/geohash/decode")
def geohash_decode(
    geohash: Annotated[str, text("The geohash", "u09tvw0f", pattern=f"^[{_BASE32}]+$", max_length=12)],
) -> GeohashCell:
    """Decode a geohash to the latitude and longitude of its cell's centre, with the margin of error."""
    spans = {True: [-180.0, 180.0], False: [-90.0, 90.0]}
    for n, bit in enumerate(f"{_BASE32.index(c):05b}" for c in geohash):
        for k, digit in enumerate(bit):
            span = spans[(5 * n + k) % 2 == 0]
            span[digit == "0"] = sum(span) / 2
    (west, east), (south, north) = spans[True], spans[False]
    return GeohashCell(
        latitude=round((south + north) / 2, 8),
        longitude=round((west + east) / 2, 8),
        latitude_error=(north - south) / 2,
        longitude_error=(east - west) / 2,
    )


_SPEED_KMH = {"walking": 5, "cycling": 16, "car": 80, "train": 120, "ferry": 35, "plane": 800}
_GRAMS_CO2_PER_KM = {"walking": 0, "cycling": 0, "car": 160, "train": 35, "ferry": 115, "plane": 180}
Mode = Annotated[
    Literal["walking", "cycling", "car", "train", "ferry", "plane"],
    value("Means of transport", "train"),
]


class TravelTime(Answer):
    """How long a journey takes."""

    hours: float
    """Hours, decimal."""
    duration: str
    """The same as text, for example 5 h 15 min."""
    speed_kmh: int
    """The average speed that was assumed, in kilometres per hour."""


class FuelCost(Answer):
    """What a drive burns."""

    litres: float
    """Litres of fuel."""
    cost: float
    """Litres times price, in the currency of the price."""


class Emissions(Answer):
    """What a journey emits."""

    kilograms_co2: float
    """Kilograms of carbon dioxide for all passengers."""
    grams_per_km: int
    """The grams per passenger and kilometre that were assumed."""


@costs.get("/time")
def travel_time(distance_km: Kilometres, mode: Mode) -> TravelTime:
    """Estimate how long a distance takes on foot, by bicycle, car, train, ferry or plane at a usual average speed."""
    minutes = round(distance_km / _SPEED_KMH[mode] * 60)
    return TravelTime(
        hours=round(minutes / 60, 2), duration=f"{minutes // 60} h {minutes % 60} min", speed_kmh=_SPEED_KMH[mode]
    )


@costs.get("/fuel")
def fuel_cost(
    distance_km: Kilometres,
    litres_per_100_km: Annotated[float, number("The car's consumption in litres per 100 km", 6.5, ge=0, le=100)],
    price_per_litre: Annotated[float, number("Price of one litre of fuel", 1.79, ge=0, le=10000)],
) -> FuelCost:
    """The fuel a car needs for a distance and what it costs at a given price per litre."""
    litres = distance_km * litres_per_100_km / 100
    return FuelCost(litres=round(litres, 2), cost=round(litres * price_per_litre, 2))


@costs.get("/emissions")
def travel_emissions(
    distance_km: Kilometres,
    mode: Mode,
    passengers: Annotated[int, integer("Number of passengers", 2, ge=1, le=1000)] = 1,
) -> Emissions:
    """Estimate the carbon dioxide of a journey by means of transport, for a number of passengers."""
    grams = _GRAMS_CO2_PER_KM[mode]
    return Emissions(kilograms_co2=round(distance_km * grams * passengers / 1000, 2), grams_per_km=grams)
