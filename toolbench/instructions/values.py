"""Values that a text may hold: numbers, dates, addresses, names; told by their look, not by their meaning."""

import json
import re
from collections.abc import Callable, Iterable, Mapping
from functools import cache, cached_property
from importlib.resources import files

from toolbench.records import Parameter

_QUOTED = re.compile(r"""(?<!\w)(?:'[^']+'|"[^"]+"|‘[^’]+’|“[^”]+”|«[^»]+»|`[^`]+`)(?!\w)""")
_WORD = re.compile(r"[^\W\d_][\w'’.&-]*|\d[\w.,:/-]*")
_NUMBER = re.compile(
    r"\d|\b(?:zero|one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|thirteen|fourteen|fifteen|sixteen|"
    r"seventeen|eighteen|nineteen|twenty|thirty|forty|fifty|sixty|seventy|eighty|ninety|hundred|thousand|million|"
    r"billion|dozen|half|quarter|couple|pair|first|second|third|fourth|fifth|once|twice|single|both|double|triple)\b",
    re.I,
)
_DATE = re.compile(
    r"\d|\b(?:today|tonight|tomorrow|yesterday|now|current(?:ly)?|latest|newest|recent(?:ly)?|upcoming|past|ago|noon|"
    r"midnight|morning|afternoon|evening|weekend|weekday|daily|weekly|monthly|(?:this|next|last|coming|previous|each|"
    r"every|whole|entire)\s+\w+|(?:mon|tues|wednes|thurs|fri|satur|sun)days?|january|february|march|april|may|june|"
    r"july|august|september|october|november|december|spring|summer|autumn|fall|winter|christmas|easter|halloween|"
    r"thanksgiving|hanukkah|diwali|ramadan|new year\w*|valentine\w*|century|decade|birthday)\b",
    re.I,
)
_ADDRESS = re.compile(r"://|\bwww\.|\w\.[a-z]{2,24}\b", re.I)
_MAIL = re.compile(r"\S@\S")
_IP = re.compile(r"\b\d{1,3}(?:\.\d{1,3}){3}\b|(?:\b[0-9a-f]{1,4})?::?[0-9a-f]{1,4}:", re.I)
_DIGITS = re.compile(r"\d")
_VAGUE = (
    r"\b(?:(?:an?|some|any|the|one|my|our|your|this|that)\s+)?"
    r"(?:specific|particular|certain|given|specified|desired|chosen|selected|respective|favou?rite|preferred)\s+"
    r"(?:[\w'-]+\s+){0,2}?"
)
_OPEN = r"\b(?:any|some|an?|the)\s+(?:random|popular|common|example|sample|well-known|few)\s+(?:[\w'-]+\s+){0,1}?"


class Text:
    """An instruction, read for values. `titles` are names of tools: no values, but what is asked."""

    def __init__(self, text: str, titles: Iterable[str] = ()) -> None:
        self.text = text
        bare = text
        for title in sorted({t for t in titles if len(t) > 2}, key=len, reverse=True):
            bare = re.sub(rf"(?<!\w){re.escape(title)}(?!\w)", " ", bare, flags=re.IGNORECASE)
        self._bare = bare

    @cached_property
    def quoted(self) -> bool:
        """Something stands in quotation marks."""
        return _QUOTED.search(self.text) is not None

    @cached_property
    def named(self) -> bool:
        """A proper name, an acronym or a code stands there; in a text that knows no capitals it cannot be told."""
        letters = [c for c in self._bare if c.isalpha()]
        if not any(c.isupper() for c in letters) or not any(c.islower() for c in letters):
            return True
        for sentence in re.split(r"(?<=[.!?:;])\s+|\n", self._bare):
            for position, word in enumerate(_WORD.findall(sentence)):
                plain = word.rstrip(".,").replace("’", "'").lower()
                opens = position == 0 and plain in _words("openers")
                if any(c.isupper() for c in word) and not opens and plain not in _words("no_names"):
                    return True
        return False

    @cached_property
    def specific(self) -> bool:
        """Something concrete stands there: quoted, named, or a figure."""
        return self.quoted or self.named or self.has(_DIGITS)

    def has(self, pattern: re.Pattern[str]) -> bool:
        """Whether the pattern stands in the text."""
        return pattern.search(self.text) is not None

    def names_any(self, choices: Iterable[object]) -> bool:
        """Whether one of the choices stands in the text, in any form that shares its stem."""
        lowered = self.text.lower()
        return any(stem[:5] in lowered for choice in choices for stem in stems(str(choice)) or {str(choice).lower()})

    def leaves_open(self, parameter: str) -> bool:
        """Whether any value will do: "a popular domain", "some random city"."""
        words = "|".join(re.escape(stem) for stem in sorted(stems(parameter)))
        return bool(words) and re.search(rf"{_OPEN}(?:{words})\w*", self.text, re.IGNORECASE) is not None

    def vague(self, parameter: str) -> str:
        """The words that name a parameter without giving it: "a specific date"; empty if there are none."""
        words = "|".join(re.escape(stem) for stem in sorted(stems(parameter)))
        found = re.search(rf"{_VAGUE}(?:{words})\w*", self.text, re.IGNORECASE) if words else None
        return found[0] if found else ""

    def speaks_of(self, parameter: str) -> str:
        """The words of a parameter's name as they stand in the text, one behind the other; empty if they do not."""
        words = re.findall(r"[a-z]+|[A-Z][a-z]*", parameter)
        found = re.search(rf"\b{r'[ _-]?'.join(words)}\b", self.text, re.IGNORECASE) if len(words) > 1 else None
        return found[0] if found else ""


KINDS: Mapping[str, Callable[[Text], bool]] = {
    "number": lambda text: text.has(_NUMBER),
    "date or time": lambda text: text.has(_DATE),
    "e-mail address": lambda text: text.has(_MAIL),
    "web address": lambda text: text.has(_ADDRESS) or text.quoted or text.named,
    "IP address": lambda text: text.has(_IP) or text.has(_ADDRESS),
    "phone number": lambda text: text.has(_DIGITS),
    "postal code": lambda text: text.has(_DIGITS) or text.named,
    "place": lambda text: text.specific or text.has(_MAIL) or text.has(_ADDRESS),
    "name": lambda text: text.specific,
    "id": lambda text: text.specific,
}
"""What each kind of value looks like; a place may stand for its coordinates and its postal code, and
an `address` may be one of any kind."""

_NAMES: tuple[tuple[str, re.Pattern[str]], ...] = tuple(
    (kind, re.compile(rf"(?:^|_)(?:{words})(?:_|$)"))
    for kind, words in (
        ("id", "ids?|uuid|guid|hash|.*_ids?"),
        ("e-mail address", "e_?mails?|mail_?address|email_?address"),
        ("IP address", "ips?|ip_?address|ipv4|ipv6"),
        ("phone number", "phones?|phone_?number|tel|telephone|mobile|msisdn"),
        ("postal code", "zips?|zip_?code|postal|post_?code|postal_?code|plz|cep"),
        ("web address", "urls?|uri|website|web_?site|domains?|domain_?name|link|hostname|imageurl|image_?url"),
        ("date or time", "dates?|day|month|year|time|timestamp|datetime|start_?date|end_?date|from_?date|to_?date|"
                         "check_?in|check_?out|departure|season|birthday|since|until"),
        ("place", "lat|lon|lng|long|latitude|longitude|coordinates?|latlng|city|cities|town|country|countries|state|"
                  "province|region|place|location|address|airport|station|origin|destination|harbou?r|beach|"
                  "iata|icao|county|street"),
        ("name", "(?:first|last|full|user|player|team|artist|song|track|album|movie|film|book|author|brand|company|"
                 "stock|coin|actor|person|product|show|series|game|channel|hotel|school|drug)_?(?:name|title)?|"
                 "username|title|symbols?|ticker|isbn|barcode|vin|plate"),
    )
)  # fmt: skip
_FORMATS = {
    "date": "date or time", "date-time": "date or time", "time": "date or time", "email": "e-mail address",
    "uri": "web address", "url": "web address", "hostname": "web address", "ipv4": "IP address", "ipv6": "IP address",
    "uuid": "id",
}  # fmt: skip


def kind_of(parameter: Parameter, form: str = "") -> str:
    """The kind of value a parameter takes, by the schema's `format`, its name and its type; empty: any words may do."""
    if form in _FORMATS:
        return _FORMATS[form]
    name = re.sub(r"([a-z])([A-Z])", r"\1_\2", parameter.shown_as).lower()
    for kind, pattern in _NAMES:
        if pattern.search(name):
            return kind
    if re.search(r".(?:id|ids|uuid)$", name):
        return "id"
    return "number" if parameter.type in ("number", "integer") else ""


def stems(name: str) -> set[str]:
    """The words of a name, small, without a plural's ending: `MatchStats_list` → match, stat, list."""
    words = re.findall(r"[a-z]+|[A-Z][a-z]*|[A-Z]+(?![a-z])", name)
    plain = {re.sub(r"(?<=[a-z]{3})(?:ies|es|s|y)$", "", word.lower()) for word in words}
    return {word for word in plain if len(word) > 1}


@cache
def _words(kind: str) -> frozenset[str]:
    """Words with a capital that are no names: `openers` of sentences, and `no_names`."""
    return frozenset(json.loads(files("toolbench.instructions").joinpath("words.json").read_text("utf-8"))[kind])
