"""Images: colours, their contrast and harmonies, and the sizes of pictures."""

from colorsys import hls_to_rgb, rgb_to_hls
from math import gcd
from typing import Annotated

import webcolors  # type: ignore[import-untyped]

from toolbench.demo.tool import Answer, HubTool, integer, number, refuse, text

names = HubTool(
    "colour-names",
    "Colour Names",
    "Translate between the names of colours, hexadecimal codes, RGB and HSL, with the 147 names of CSS 3.",
    "Video_Images",
    ("Design Studio",),
)
contrasts = HubTool(
    "colour-contrast",
    "Colour Contrast",
    "Check whether text is legible on a background by the web accessibility guidelines (WCAG 2).",
    "Video_Images",
    ("Design Studio",),
)
palettes = HubTool(
    "colour-palettes",
    "Colour Palettes",
    "Find colours that go together: complementary colours, harmonies, shades, gradients and mixtures.",
    "Video_Images",
    ("Design Studio",),
)
sizes = HubTool(
    "image-sizes",
    "Image Sizes",
    "Aspect ratios, scaled dimensions and print sizes of pictures and videos.",
    "Video_Images",
    ("Design Studio",),
)
TOOLS = (names, contrasts, palettes, sizes)

_HEX = "^#?[0-9A-Fa-f]{6}$"
Hex = Annotated[str, text("Colour as six hexadecimal digits, with or without #", "#4682B4", pattern=_HEX, max_length=7)]
OtherHex = Annotated[str, text("The other colour as six hexadecimal digits", "#FFD700", pattern=_HEX, max_length=7)]
Pixels = Annotated[int, integer("Width in pixels", 1920, ge=1, le=100_000)]
OtherPixels = Annotated[int, integer("Height in pixels", 1080, ge=1, le=100_000)]
RGB = tuple[int, int, int]


def _rgb(code: str) -> RGB:
    found = webcolors.hex_to_rgb("#" + code.lstrip("#"))
    return found.red, found.green, found.blue


def _hex(rgb: RGB) -> str:
    return "#{:02X}{:02X}{:02X}".format(*rgb)


def _mixed(first: RGB, second: RGB, share: float) -> str:
    """The colour `share` of the way from the first to the second, in RGB."""
    red, green, blue = (round(a + (b - a) * share) for a, b in zip(first, second, strict=True))
    return _hex((red, green, blue))


def _turned(rgb: RGB, turn: float = 0, lightness: float | None = None) -> str:
    """The colour with its hue turned by `turn` degrees, and its lightness set if one is given."""
    hue, light, saturation = rgb_to_hls(*(c / 255 for c in rgb))
    red, green, blue = hls_to_rgb((hue + turn / 360) % 1, light if lightness is None else lightness, saturation)
    return _hex((round(red * 255), round(green * 255), round(blue * 255)))


class Colour(Answer):
    """One colour in several notations."""

    hex: str
    """Six hexadecimal digits with #."""
    rgb: list[int]
    """Red, green and blue, 0 to 255 each."""
    hsl: list[int]
    """Hue in degrees, saturation and lightness in percent."""


class NamedColour(Answer):
    """A colour with a name."""

    name: str
    """The name in CSS."""
    hex: str
    """Six hexadecimal digits with #."""
    exact: bool
    """Whether it is the very colour asked for."""


def _colour(rgb: RGB) -> Colour:
    hue, light, saturation = rgb_to_hls(*(c / 255 for c in rgb))
    return Colour(
        hex=_hex(rgb), rgb=list(rgb), hsl=[round(hue * 360) % 360, round(saturation * 100), round(light * 100)]
    )


@names.get("/name")
def colour_by_name(name: Annotated[str, text("English name of a colour", "steel blue", max_length=40)]) -> Colour:
    """Look up a colour by its name, for example steel blue, to get its hex code, RGB and HSL values."""
    try:
        found = webcolors.name_to_rgb("".join(name.split()))
    except ValueError:
        raise refuse(f"'{name}' is not the name of a colour in CSS; try for example teal or dark orange", 404) from None
    return _colour((found.red, found.green, found.blue))


@names.get("/nearest")
def nearest_colour_name(colour: Hex) -> NamedColour:
    """Find the name that comes closest to a hex colour code."""
    wanted = _rgb(colour)

    def away(name: str) -> int:
        return sum((a - b) ** 2 for a, b in zip(wanted, webcolors.name_to_rgb(name), strict=True))

    best = min(sorted(webcolors.names()), key=away)
    return NamedColour(name=best, hex=webcolors.name_to_hex(best).upper(), exact=away(best) == 0)


@names.get("/convert")
def convert_hex_colour(colour: Hex) -> Colour:
    """Convert a hex colour code to RGB and HSL values."""
    return _colour(_rgb(colour))


class Contrast(Answer):
    """How text stands out."""

    ratio: float
    """Contrast ratio, 1 to 21."""
    aa_normal: bool
    """Whether normal text passes level AA (4.5)."""
    aa_large: bool
    """Whether large text passes level AA (3)."""
    aaa_normal: bool
    """Whether normal text passes level AAA (7)."""


class TextColour(Answer):
    """The better text colour."""

    text_colour: str
    """#000000 or #FFFFFF."""
    ratio: float
    """Its contrast ratio with the background."""


def _luminance(rgb: RGB) -> float:
    """Relative luminance, 0 to 1, as WCAG 2.2 defines it."""
    red, green, blue = (c / 255 / 12.92 if c <= 10 else ((c / 255 + 0.055) / 1.055) ** 2.4 for c in rgb)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _contrast(first: RGB, second: RGB) -> float:
    light, dark = sorted((_luminance(first), _luminance(second)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


@contrasts.get("/ratio")
def contrast_ratio(
    text_colour: Hex,
    background: Annotated[str, text("Colour behind the text", "#FFFFFF", pattern=_HEX, max_length=7)],
) -> Contrast:
    """The contrast ratio between a text colour and a background, and whether it meets accessibility level AA or AAA."""
    ratio = _contrast(_rgb(text_colour), _rgb(background))
    return Contrast(ratio=round(ratio, 2), aa_normal=ratio >= 4.5, aa_large=ratio >= 3, aaa_normal=ratio >= 7)


@contrasts.get("/best-text-colour")
def best_text_colour(background: Hex) -> TextColour:
    """Choose black or white text for a background colour, whichever is easier to read."""
    white, black = (_contrast(_rgb(background), rgb) for rgb in ((255, 255, 255), (0, 0, 0)))
    if white > black:
        return TextColour(text_colour="#FFFFFF", ratio=round(white, 2))
    return TextColour(text_colour="#000000", ratio=round(black, 2))


class Palette(Answer):
    """Some colours."""

    colours: list[str]
    """Hex codes in order."""


class SingleColour(Answer):
    """A colour."""

    hex: str
    """Six hexadecimal digits with #."""


Count = Annotated[int, integer("Number of colours", 5, ge=2, le=20)]


@palettes.get("/complementary")
def complementary_colour(colour: Hex) -> SingleColour:
    """The complementary colour, on the other side of the colour wheel."""
    return SingleColour(hex=_turned(_rgb(colour), 180))


@palettes.get("/triad")
def triadic_colours(colour: Hex) -> Palette:
    """A triadic palette: the colour and the two that divide the colour wheel into thirds with it."""
    return Palette(colours=[_turned(_rgb(colour), turn) for turn in (0, 120, 240)])


@palettes.get("/shades")
def colour_shades(colour: Hex, count: Count = 5) -> Palette:
    """Shades of one colour from dark to light, with the same hue."""
    return Palette(colours=[_turned(_rgb(colour), lightness=(n + 1) / (count + 1)) for n in range(count)])


@palettes.get("/gradient")
def colour_gradient(start: Hex, end: OtherHex, count: Count = 5) -> Palette:
    """The steps of a gradient from one colour to another."""
    return Palette(colours=[_mixed(_rgb(start), _rgb(end), n / (count - 1)) for n in range(count)])


@palettes.get("/mix")
def mix_colours(
    first: Hex,
    second: OtherHex,
    share: Annotated[float, number("Share of the second colour, 0 to 1", 0.25, ge=0, le=1)] = 0.5,
) -> SingleColour:
    """Mix two colours in a proportion."""
    return SingleColour(hex=_mixed(_rgb(first), _rgb(second), share))


class AspectRatio(Answer):
    """The shape of a picture."""

    ratio: str
    """In lowest terms, for example 16:9."""
    decimal: float
    """Width divided by height."""
    orientation: str
    """landscape, portrait or square."""
    megapixels: float
    """Millions of pixels."""


class Dimensions(Answer):
    """The size of a picture."""

    width: int
    """Width in pixels."""
    height: int
    """Height in pixels."""


class PrintSize(Answer):
    """The size on paper."""

    width_cm: float
    """Width in centimetres."""
    height_cm: float
    """Height in centimetres."""


@sizes.get("/aspect-ratio")
def aspect_ratio(width: Pixels, height: OtherPixels) -> AspectRatio:
    """The aspect ratio of a picture or video from its width and height, its orientation and megapixels."""
    divisor = gcd(width, height)
    shape = "square" if width == height else "landscape" if width > height else "portrait"
    return AspectRatio(
        ratio=f"{width // divisor}:{height // divisor}",
        decimal=round(width / height, 4),
        orientation=shape,
        megapixels=round(width * height / 1e6, 2),
    )


@sizes.get("/fit")
def resize_to_fit(
    width: Pixels,
    height: OtherPixels,
    max_width: Annotated[int, integer("Width of the box in pixels", 800, ge=1, le=100_000)],
    max_height: Annotated[int, integer("Height of the box in pixels", 800, ge=1, le=100_000)],
) -> Dimensions:
    """The largest size at which a picture fits into a box without being distorted."""
    scale = min(max_width / width, max_height / height)
    return Dimensions(width=max(1, round(width * scale)), height=max(1, round(height * scale)))


@sizes.get("/print")
def print_size(
    width: Pixels,
    height: OtherPixels,
    dpi: Annotated[int, integer("Print resolution in dots per inch", 300, ge=10, le=4800)] = 300,
) -> PrintSize:
    """How large a picture can be printed, in centimetres, at a resolution in dots per inch."""
    return PrintSize(width_cm=round(width / dpi * 2.54, 2), height_cm=round(height / dpi * 2.54, 2))
