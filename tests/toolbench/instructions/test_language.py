"""The asked language, by the names users give it, and nothing rejected that may be in it."""

import pytest

from toolbench.errors import UsageError
from toolbench.instructions import seeds
from toolbench.instructions.language import code, other_language
from toolbench.instructions.written import Written


def judged(text: str, language: str = "English") -> str:
    reason = other_language(Written(text, []), language)
    return reason[0] if reason else ""


@pytest.mark.parametrize(
    "text",
    [
        "Wie wird das Wetter morgen in Oslo?",
        "¿Cuál es el precio de Bitcoin hoy?",
        "Quelle heure est-il à Tokyo en ce moment ?",
        "今日の東京の天気を教えてください",
        "Погода в Москве завтра",
        "Kannst du mir die Nachrichten über Tesla zeigen und den Aktienkurs von 'the company of the year'?",
    ],
)
def test_another_language_is_rejected(text: str) -> None:
    assert judged(text) == "wrong_language"
    assert judged(text, "") == ""


@pytest.mark.parametrize(
    "text",
    [
        "Translate 'Guten Morgen, wie geht es Ihnen heute nach der langen Reise?' to French, please.",
        "Recommend a restaurant in Buenos Aires near Avenida Corrientes.",
        "Get ETH BTC DOGE prices",
        "Who sings “Je ne regrette rien” on https://chansons.example/la-vie-en-rose?",
        "12345",
        "",
    ],
)
def test_names_quotations_and_figures_do_not_make_a_language(text: str) -> None:
    assert judged(text) == ""


@pytest.mark.parametrize(
    ("text", "language"),
    [("Wie wird das Wetter morgen in Oslo?", "de"), ("Wie spät ist es in Tokio?", "Deutsch"),
     ("Qual é a previsão do tempo para amanhã?", "pt-BR"), ("今天北京的天气怎么样?", "Chinese"),
     ("Hvad er klokken i København lige nu?", "danish")],
)  # fmt: skip
def test_what_is_in_the_asked_language_passes(text: str, language: str) -> None:
    assert judged(text, language) == ""


def test_the_reason_names_both_languages() -> None:
    reason = other_language(Written("Wie wird das Wetter morgen in Oslo, und brauche ich einen Schirm?", []), "English")
    assert reason == ("wrong_language", "The text is not in English, but probably in German.")


@pytest.mark.parametrize(
    ("name", "expected"),
    [("English", "en"), ("  english ", "en"), ("en", "en"), ("en-GB", "en"), ("EN_us", "en"), ("German", "de"),
     ("Deutsch", "de"), ("español", "es"), ("日本語", "ja"), ("nb", "no"), ("zh-Hans", "zh"), ("az", "az")],
)  # fmt: skip
def test_languages_are_named_as_users_name_them(name: str, expected: str) -> None:
    assert code(name) == expected


@pytest.mark.parametrize("name", ["Klingon", "xx", "-"])
def test_an_unknown_language_is_said(name: str) -> None:
    with pytest.raises(UsageError, match=rf"'{name}' is not known: give a code such as de"):
        code(name)


def test_every_seed_is_english() -> None:
    texts = [request.text for multi in (False, True) for seed in seeds.load(multi) for request in seed.requests]
    assert len(texts) > 90
    assert [text for text in texts if judged(text)] == []
