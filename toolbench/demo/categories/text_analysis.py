"""Text analysis: counting, readability and similarity."""

import re
from collections import Counter
from typing import Annotated

from toolbench.demo.tool import Answer, HubTool, integer, refuse, text, value

counts = HubTool(
    "word-statistics",
    "Word Statistics",
    "Count the words, sentences and characters of a text, find its most frequent words and the density of a keyword.",
    "Text_Analysis",
    ("Design Studio", "Classroom"),
)
reading = HubTool(
    "readability",
    "Readability",
    "How easy an English text is to read (Flesch and Flesch-Kincaid), and how long reading or speaking it takes.",
    "Text_Analysis",
    ("Design Studio", "Classroom"),
)
likeness = HubTool(
    "text-similarity",
    "Text Similarity",
    "Compare two texts: edit distance, shared words, and whether they are anagrams.",
    "Text_Analysis",
    ("Classroom",),
)
TOOLS = (counts, reading, likeness)

_SAMPLE = "The quick brown fox jumps over the lazy dog. The dog sleeps on."
Sample = Annotated[str, text("The text", _SAMPLE)]
First = Annotated[str, text("The first text", "listen", max_length=1000)]
Second = Annotated[str, text("The second text", "silent", max_length=1000)]
_STOP_WORDS = frozenset(
    """
    a an and are as at be but by for from has have he her his i in is it its not of on or she that the
    their they this to was we were will with you your
    """.split()  # noqa: SIM905  a list of literals would be a screen long
)


def _words(sample: str) -> list[str]:
    return re.findall(r"\w+(?:['’-]\w+)*", sample.casefold())


def _some_words(sample: str) -> list[str]:
    words = _words(sample)
    if not words:
        raise refuse("the text has no words")
    return words


def _sentences(sample: str) -> int:
    return max(1, len([part for part in re.split(r"[.!?]+(?:\s|$)", sample) if part.strip()]))


def _syllables(word: str) -> int:
    """Syllables of an English word by the usual rule of thumb: groups of vowels, without a silent final e."""
    groups = len(re.findall(r"[aeiouy]+", word))
    silent = word.endswith("e") and not re.search(r"([^aeiouy]le|[aeiouy]e)$", word)
    return max(1, groups - silent)


class TextCounts(Answer):
    """What a text consists of."""

    words: int
    """Number of words."""
    sentences: int
    """Number of sentences."""
    characters: int
    """Number of characters, spaces included."""
    characters_without_spaces: int
    """Number of characters other than white space."""
    average_word_length: float
    """Characters per word."""


class WordCount(Answer):
    """A word and how often it occurs."""

    word: str
    """The word in lower case."""
    count: int
    """How often it occurs."""


class FrequentWords(Answer):
    """The words of a text by frequency."""

    words: list[WordCount]
    """Most frequent first; equals in alphabetical order."""


class Density(Answer):
    """How often a keyword occurs."""

    count: int
    """How often the keyword occurs."""
    percent: float
    """Its share of all words in percent."""


@counts.get("/count")
def count_words(sample: Sample) -> TextCounts:
    """Count the words, sentences and characters of a text."""
    words = _words(sample)
    return TextCounts(
        words=len(words),
        sentences=_sentences(sample),
        characters=len(sample),
        characters_without_spaces=len("".join(sample.split())),
        average_word_length=round(sum(map(len, words)) / max(1, len(words)), 2),
    )


@counts.get("/frequent")
def most_frequent_words(
    sample: Sample,
    limit: Annotated[int, integer("How many words to list", 3, ge=1, le=100)] = 10,
    skip_common: Annotated[bool, value("Whether to leave out words such as 'the' and 'of'", True)] = True,
) -> FrequentWords:
    """List the most frequent words of a text, without common words such as 'the' unless they are asked for."""
    counted = Counter(word for word in _words(sample) if not (skip_common and word in _STOP_WORDS))
    ranked = sorted(counted.items(), key=lambda pair: (-pair[1], pair[0]))
    return FrequentWords(words=[WordCount(word=word, count=count) for word, count in ranked[:limit]])


@counts.get("/density")
def keyword_density(sample: Sample, keyword: Annotated[str, text("A single word", "dog", max_length=60)]) -> Density:
    """How often a keyword occurs in a text, and its share of all words, for search engine optimisation."""
    words = _some_words(sample)
    count = words.count(keyword.strip().casefold())
    return Density(count=count, percent=round(100 * count / len(words), 2))


class ReadingEase(Answer):
    """How easy a text is."""

    score: float
    """Flesch reading ease: 100 is very easy, 0 very hard."""
    level: str
    """Very easy, easy, standard, difficult or very difficult."""


class Grade(Answer):
    """The school year a text is for."""

    grade: float
    """Flesch-Kincaid grade: school years in the United States needed to understand the text."""
    words_per_sentence: float
    """Average length of the sentences."""
    syllables_per_word: float
    """Average length of the words."""


class Duration(Answer):
    """How long a text takes."""

    reading_seconds: int
    """Seconds to read it in silence."""
    speaking_seconds: int
    """Seconds to read it aloud, at 130 words a minute."""


def _ratios(sample: str) -> tuple[float, float]:
    words = _some_words(sample)
    return len(words) / _sentences(sample), sum(map(_syllables, words)) / len(words)


@reading.get("/ease")
def reading_ease(sample: Sample) -> ReadingEase:
    """The Flesch reading ease of an English text: how easy or difficult it is to read."""
    length, syllables = _ratios(sample)
    score = round(206.835 - 1.015 * length - 84.6 * syllables, 2)
    levels = ((90, "very easy"), (70, "easy"), (50, "standard"), (30, "difficult"))
    return ReadingEase(score=score, level=next((name for bound, name in levels if score >= bound), "very difficult"))


@reading.get("/grade")
def grade_level(sample: Sample) -> Grade:
    """The school grade for which an English text is suitable (Flesch-Kincaid grade level)."""
    length, syllables = _ratios(sample)
    return Grade(
        grade=round(0.39 * length + 11.8 * syllables - 15.59, 2),
        words_per_sentence=round(length, 2),
        syllables_per_word=round(syllables, 2),
    )


@reading.get("/time")
def reading_time(
    sample: Sample,
    words_per_minute: Annotated[int, integer("Reading speed", 200, ge=50, le=1000)] = 230,
) -> Duration:
    """Estimate how long it takes to read a text silently or to speak it aloud."""
    words = len(_words(sample))
    return Duration(reading_seconds=round(words * 60 / words_per_minute), speaking_seconds=round(words * 60 / 130))


class EditDistance(Answer):
    """How far apart two texts are."""

    distance: int
    """Fewest characters to insert, delete or replace (Levenshtein distance)."""
    similarity: float
    """1 for equal texts, 0 for texts with nothing in common."""


class Overlap(Answer):
    """The words two texts share."""

    shared_words: list[str]
    """Words of both texts, in alphabetical order."""
    jaccard: float
    """Shared words divided by all words, 0 to 1."""


class AnagramCheck(Answer):
    """Whether two texts are anagrams."""

    is_anagram: bool
    """True if both have the same letters, case and spaces aside."""


@likeness.get("/edit-distance")
def edit_distance(first: First, second: Second) -> EditDistance:
    """The Levenshtein distance between two words or texts: how many edits turn one into the other."""
    previous = list(range(len(second) + 1))
    for i, a in enumerate(first, 1):
        current = [i]
        for j, b in enumerate(second, 1):
            current.append(min(previous[j] + 1, current[-1] + 1, previous[j - 1] + (a != b)))
        previous = current
    longest = max(len(first), len(second))
    return EditDistance(distance=previous[-1], similarity=round(1 - previous[-1] / longest, 4))


@likeness.get("/overlap")
def word_overlap(first: First, second: Second) -> Overlap:
    """Which words two texts have in common, and how similar their vocabularies are (Jaccard index)."""
    a, b = set(_words(first)), set(_words(second))
    return Overlap(shared_words=sorted(a & b), jaccard=round(len(a & b) / max(1, len(a | b)), 4))


@likeness.get("/anagram")
def check_anagram(first: First, second: Second) -> AnagramCheck:
    """Tell whether two words or phrases are anagrams of each other."""
    a, b = (sorted(c for c in side.casefold() if c.isalnum()) for side in (first, second))
    return AnagramCheck(is_anagram=bool(a) and a == b)
