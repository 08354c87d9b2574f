"""Education: whole numbers, equations and figures of geometry."""

from fractions import Fraction
from math import acos, ceil, degrees, gcd, isqrt, lcm, pi, sqrt
from typing import Annotated

from pydantic import Field

from toolbench.demo.tool import Answer, HubTool, integer, number, refuse

whole = HubTool(
    "number-theory",
    "Number Theory",
    "Primes, prime factors, common divisors and multiples of whole numbers.",
    "Education",
    ("Classroom",),
)
equations = HubTool(
    "equation-solver",
    "Equation Solver",
    "Solve quadratic equations and systems of linear equations.",
    "Education",
    ("Classroom",),
)
figures = HubTool(
    "geometry",
    "Geometry",
    "Areas, perimeters, angles and volumes of circles, triangles, cylinders and rectangles.",
    "Education",
    ("Classroom", "Design Studio"),
)
TOOLS = (whole, equations, figures)


class PrimeCheck(Answer):
    """Whether a number is prime."""

    is_prime: bool
    """True for a prime number."""
    smallest_factor: int | None
    """The smallest factor above 1; null for prime numbers and for 1."""


class PrimePower(Answer):
    """A prime and how often it divides."""

    prime: int
    """The prime."""
    exponent: int
    """How often it divides."""


class Factors(Answer):
    """A number as a product of primes."""

    factors: list[PrimePower]
    """Prime powers from small to large."""
    expression: str
    """For example 2^3 × 3^2 × 5."""


class CommonFactors(Answer):
    """What two numbers have in common."""

    greatest_common_divisor: int
    """The largest number that divides both."""
    least_common_multiple: int
    """The smallest number that both divide."""


class Primes(Answer):
    """Some primes."""

    count: int
    """How many there are."""
    primes: list[int]
    """The primes from small to large."""


def _factors(value: int) -> dict[int, int]:
    """Prime → exponent by trial division: at most a million divisions for numbers up to 10¹²."""
    found: dict[int, int] = {}
    divisor = 2
    while divisor * divisor <= value:
        while value % divisor == 0:
            found[divisor] = found.get(divisor, 0) + 1
            value //= divisor
        divisor += 1 + divisor % 2
    if value > 1:
        found[value] = found.get(value, 0) + 1
    return found


@whole.get("/is-prime")
def check_prime(value: Annotated[int, integer("Whole number", 97, ge=1)]) -> PrimeCheck:
    """Tell whether a whole number is prime, and if not, its smallest factor."""
    smallest = min(_factors(value), default=None)
    return PrimeCheck(is_prime=smallest == value, smallest_factor=None if smallest == value else smallest)


@whole.get("/factors")
def prime_factors(value: Annotated[int, integer("Whole number", 360, ge=2)]) -> Factors:
    """The prime factorisation of a whole number, for example 360 = 2^3 × 3^2 × 5."""
    found = _factors(value)
    terms = (f"{p}^{e}" if e > 1 else str(p) for p, e in found.items())
    return Factors(factors=[PrimePower(prime=p, exponent=e) for p, e in found.items()], expression=" × ".join(terms))


@whole.get("/common")
def common_divisor_and_multiple(
    first: Annotated[int, integer("First whole number", 84, ge=1, le=10**7)],
    second: Annotated[int, integer("Second whole number", 126, ge=1, le=10**7)],
) -> CommonFactors:
    """The greatest common divisor and the least common multiple of two whole numbers."""
    return CommonFactors(greatest_common_divisor=gcd(first, second), least_common_multiple=lcm(first, second))


@whole.get("/primes")
def prime_table(
    start: Annotated[int, integer("First number of the range", 100, ge=1, le=10**6)],
    end: Annotated[int, integer("Last number of the range", 150, ge=1, le=10**6)],
) -> Primes:
    """List all prime numbers in a range."""
    if not 0 <= end - start <= 10_000:
        raise refuse(f"the range {start} to {end} must run upwards and span at most 10000 numbers")
    found = [n for n in range(max(2, start), end + 1) if all(n % d for d in range(2, isqrt(n) + 1))]
    return Primes(count=len(found), primes=found)


class Roots(Answer):
    """The solutions of a quadratic equation."""

    discriminant: float
    """b² - 4ac: positive for two real roots, zero for one, negative for none."""
    real_roots: list[float]
    """Real roots from small to large."""
    complex_roots: list[str]
    """The pair of complex roots where there are no real ones, as text."""


class LinearSystem(Answer):
    """As many linear equations as unknowns."""

    coefficients: list[list[float]] = Field(min_length=1, max_length=10, examples=[[[2, 1], [1, -1]]])
    """One list of coefficients for each equation."""
    constants: list[float] = Field(min_length=1, max_length=10, examples=[[7, 2]])
    """The right-hand sides of the equations."""


class LinearSolution(Answer):
    """The solution of a linear system."""

    solution: list[float]
    """The values of the unknowns in order."""


Coefficient = Annotated[float, number("Coefficient of x²; not zero", 1, ge=-1e6, le=1e6)]
MiddleCoefficient = Annotated[float, number("Coefficient of x", -5, ge=-1e6, le=1e6)]
LastCoefficient = Annotated[float, number("Constant term", 6, ge=-1e6, le=1e6)]


@equations.get("/quadratic")
def solve_quadratic_equation(a: Coefficient, b: MiddleCoefficient, c: LastCoefficient) -> Roots:
    """Solve the quadratic equation a x² + b x + c = 0, with complex roots where there are no real ones."""
    if abs(a) < 1e-9:
        raise refuse("a must not be zero: without x² the equation is linear")
    discriminant = b * b - 4 * a * c
    middle, offset = -b / (2 * a), sqrt(abs(discriminant)) / abs(2 * a)
    if discriminant < 0:
        pair = [f"{middle:.6g} - {offset:.6g}i", f"{middle:.6g} + {offset:.6g}i"]
        return Roots(discriminant=discriminant, real_roots=[], complex_roots=pair)
    roots = sorted({round(middle - offset, 9) + 0.0, round(middle + offset, 9) + 0.0})
    return Roots(discriminant=discriminant, real_roots=roots, complex_roots=[])


@equations.post("/linear-system")
def solve_linear_system(system: LinearSystem) -> LinearSolution:
    """Solve a system of linear equations with as many unknowns as equations, for example 2x + y = 7, x - y = 2."""
    size = len(system.constants)
    if len(system.coefficients) != size or any(len(row) != size for row in system.coefficients):
        raise refuse(f"{size} constants need {size} equations with {size} coefficients each")
    values = [value for row in (*system.coefficients, system.constants) for value in row]
    if not all(abs(value) <= 1e12 for value in values):
        raise refuse("coefficients and constants must lie within ±1e12")
    # Fractions make elimination exact: whether the system is singular is a fact, not a matter of rounding.
    rows = [
        [Fraction(value) for value in (*row, constant)]
        for row, constant in zip(system.coefficients, system.constants, strict=True)
    ]
    for n in range(size):
        pivot = next((m for m in range(n, size) if rows[m][n]), None)
        if pivot is None:
            raise refuse("the equations depend on each other: they have no solution or infinitely many")
        rows[n], rows[pivot] = rows[pivot], rows[n]
        rows[n] = [value / rows[n][n] for value in rows[n]]
        for m in range(size):
            if m != n:
                rows[m] = [a - rows[m][n] * b for a, b in zip(rows[m], rows[n], strict=True)]
    return LinearSolution(solution=[round(float(row[-1]), 9) for row in rows])


class Circle(Answer):
    """A circle."""

    area: float
    """Area in square units."""
    circumference: float
    """Circumference in units."""


class Triangle(Answer):
    """A triangle."""

    area: float
    """Area in square units."""
    perimeter: float
    """Perimeter in units."""
    angles: list[float]
    """Angles opposite the three sides, in degrees."""


class Cylinder(Answer):
    """A cylinder."""

    volume: float
    """Volume in cubic units."""
    surface: float
    """Whole surface in square units."""


class PaintNeed(Answer):
    """What walls need."""

    wall_area: float
    """Area of the walls in square metres, without doors and windows."""
    litres: int
    """Litres of paint for it, rounded up."""


Length = Annotated[float, number("Length of the first side", 3, gt=0, le=1e6)]


@figures.get("/circle")
def circle_from_radius(radius: Annotated[float, number("Radius", 2.5, gt=0, le=1e6)]) -> Circle:
    """Area and circumference of a circle from its radius."""
    return Circle(area=round(pi * radius**2, 6), circumference=round(2 * pi * radius, 6))


@figures.get("/triangle")
def triangle_from_sides(
    a: Length,
    b: Annotated[float, number("Length of the second side", 4, gt=0, le=1e6)],
    c: Annotated[float, number("Length of the third side", 5, gt=0, le=1e6)],
) -> Triangle:
    """Area, perimeter and angles of a triangle from the lengths of its three sides."""
    if 2 * max(a, b, c) >= a + b + c:
        raise refuse(f"sides {a:g}, {b:g} and {c:g} make no triangle: each must be shorter than the other two together")
    s = (a + b + c) / 2
    cosines = ((y * y + z * z - x * x) / (2 * y * z) for x, y, z in ((a, b, c), (b, c, a), (c, a, b)))
    return Triangle(
        area=round(sqrt(max(0.0, s * (s - a) * (s - b) * (s - c))), 6),
        perimeter=round(2 * s, 6),
        angles=[round(degrees(acos(max(-1.0, min(1.0, cosine)))), 4) for cosine in cosines],
    )


@figures.get("/cylinder")
def cylinder_volume(
    radius: Annotated[float, number("Radius of the base", 3, gt=0, le=1e4)],
    height: Annotated[float, number("Height", 10, gt=0, le=1e4)],
) -> Cylinder:
    """Volume and surface of a cylinder, such as a can or a tank, from radius and height."""
    return Cylinder(volume=round(pi * radius**2 * height, 6), surface=round(2 * pi * radius * (radius + height), 6))


@figures.get("/wall-paint")
def wall_paint(
    length: Annotated[float, number("Length of the room in metres", 5, gt=0, le=1000)],
    width: Annotated[float, number("Width of the room in metres", 4, gt=0, le=1000)],
    height: Annotated[float, number("Height of the room in metres", 2.5, gt=0, le=100)],
    openings: Annotated[float, number("Area of doors and windows in square metres", 4, ge=0, le=1e6)] = 0,
) -> PaintNeed:
    """The wall area of a rectangular room and the litres of paint it needs, at ten square metres a litre."""
    area = max(0.0, 2 * (length + width) * height - openings)
    return PaintNeed(wall_area=round(area, 2), litres=ceil(round(area / 10, 6)))
