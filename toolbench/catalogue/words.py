"""The telling words of names and descriptions: what collections are named after and categories are recognised by."""

import re
from functools import lru_cache

_WORD = re.compile(r"[^\W\d_]{2,20}")
_INNER_CAPITAL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|_")
_KEEP_S = frozenset(
    ["atlas", "bias", "canvas", "christmas", "cors", "kansas", "lens", "news", "odds", "species", "texas"]
)

STOPWORDS = frozenset(
    """
    aa about above access according accordingly accurate across action add additional advanced after against ago ai all
    allow allows along already also always am amazing amazon amount an and another any anyone api apis app application
    applications apply appropriate apps are around as asset associated at automatically available avoid back backend
    background base based basic be become been before behalf behind being below benefit best beta better between big
    body both bring built but button by call calls can capability care case certain chance change check choose clean
    clear click client collection com combination combine come common complete completely complex comprehensive
    condition configuration connect consider consist contain continue control convenient correct could count coverage
    create created current currently custom customizable customize daily de default definition del deliver demo depend
    deprecated der des description designed desired detail detailed details determine developer developers difference
    different direct directly discover display do does done down due dummy dynamic each ease easiest easily easy edit
    efficient eg either el element else empower en enable end endpoint endpoints enjoy ensure enter entire entry error
    essential est et etc even every everyone everything exact example excellent existing experience explore extensive
    external extract fast faster feature features feedback feel fetch few field fill filter final find first fit flask
    flexible follow following for form format free friendly from full fully function functionality further general
    generally generate get gets getting give given gives global go goal going good got great group growing guide handle
    happen has hassle have he hello help helpful helps here heroku high highest highly hit how however html http https
    huge id idea ideal identify if important improve in include included includes including increase incredible
    individual info information input insert inside instant instantly instead integrate integration interest interface
    into is it item its java javascript json just keep key kind know known la lab large largest last latest le lead
    least leave left legal less let leverage like limit line link list little load long look lot low main maintain
    major make making manage manner many match matter maximum may me mean meet mere meta method might million minimum
    minute missing mode model modern module moment more most much multiple must my myapi name named nearly need needed
    net never new next no node non not note now number numerous object of off offer offering offers official on once
    one online only open operation optimal option optional or os other otherwise our out output over overall own
    package page paid para part particular party pas pass per perfect perform period php place plan plateform platform
    please plus point popular por position possible post potential powered powerful practice present previous primary
    private pro problem process produce proper provide provided provider provides providing public pull purpose put
    python quality que query quick quickly range rapid rapidapi reach read ready real reason receive recommend reduce
    regarding regular related release relevant reliable remaining remember remove request requests require required
    resource respective respond response rest result results retrieve return returned returns right robust row run safe
    same sample save say seamless second section see seem select self send series serve server service services set
    setting several share she short should show similar simple simply since single site situation size small so
    software solution some something soon source special specific specified specify spring stack standard start started
    status step still straightforward string structure stuff submit subscribe such suit suitable support supported
    supports sure swagger system take target term test testapi testing than thank that the their them then there these
    they thing think this those thousand three through throughout time title to today together too tool tools top total
    totally trial true trusted try turn two type typically ui ultimate under understand unique unlimited unofficial
    until up update updated updates url us usage use used useful user users uses using valid valuable value values
    variety various ve version very via view visit wa want was way we web webservice website well were what when where
    whether which while who whole why wide will wish with within without word work works would wrapper write wrong www
    yes yet you your yourself zero
    """.split()  # noqa: SIM905 - hundreds of quoted words could not be read
)
"""Words without a topic: glue of English and its neighbours, the vocabulary of API documents, and praise."""


def words(text: str) -> list[str]:
    """The words of `text` in order, lower case, in the singular, without the stop words."""
    found = ((word, singular(word)) for word in _WORD.findall(text.lower()))
    return [one for word, one in found if word not in STOPWORDS and one not in STOPWORDS]


@lru_cache(maxsize=1 << 16)
def singular(word: str) -> str:
    """`movies` and `movie` are one word; `news` and `status` keep their s."""
    if len(word) < 4 or not word.endswith("s") or word[-2] in "sui" or word in _KEEP_S:
        return word
    if word.endswith("ies"):
        return word[:-3] + ("ie" if len(word) == 5 or word == "movies" else "y")
    return word[:-2] if word.endswith(("sses", "ches", "shes", "xes")) else word[:-1]


def apart(name: str) -> str:
    """`getWeatherByCity` and `get_weather_by_city` as words; for names of APIs, since `YouTube` is one word."""
    return _INNER_CAPITAL.sub(" ", name)
