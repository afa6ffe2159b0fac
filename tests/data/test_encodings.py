"""Encodings: found by the letters of a language, or refused with the line."""

from pathlib import Path

import pytest

from fedseed.data.sources import open_source
from fedseed.data.tables.cells import Wanted
from fedseed.errors import DataError

from .made_tables import json_lines, put, rows, separated
from .test_formats import load

TWO = rows(60, 60)
SENTENCES = {
    "pl": "Film był świetny. Nie mogę się doczekać następnej części. Dlaczego ludzie mówią, że to "
    "słabe? Jedzenie pyszne, wrócimy tu z całą rodziną.",
    "cs": "Film byl skvělý. Nemohu se dočkat dalšího dílu. Proč lidé říkají, že je to špatné? "
    "Obsluha příjemná, určitě se vrátíme.",
    "hu": "A film nagyon jó volt. Alig várom a következő részt, mert ez igazán jó volt. Miért "
    "mondják, hogy rossz? Az étel finom, egyszerű és olcsó, a hűtött is.",
    "tr": "Film çok güzeldi. Bir sonraki bölümü bekliyorum, çünkü bu gerçekten eğlenceliydi. "
    "İnsanlar neden kötü olduğunu söylüyor? Ailemle tekrar geleceğiz, şüphesiz.",
    "sv": "Filmen var väldigt bra. Jag kan inte vänta på nästa del. Varför säger folk att den är "
    "dålig? Vi kommer tillbaka på måndag kväll.",
    "de": "Der Film war sehr schön. Ich kann den nächsten Teil kaum erwarten. Warum sagen sie, "
    "dass er schlecht sei? Wir kommen zurück, natürlich über Ostern, großartig.",
    "it": "Il film era molto bello. Il libro è migliore, perché è più lungo. Così è la città, "
    "però torneremo.",
}
OTHERS = {
    "ru": "Фильм был хороший, но книга лучше. Никто уже не может дождаться следующей части.",
    "ja": "映画はとても良かったですが、本の方がもっと良いです。次の作品が待ちきれません。",
    "zh": "电影非常好看。但是书更好。我迫不及待地想看下一部。因为这部真的很有趣。",
}
SENTENCES["mixed"] = " ".join(SENTENCES[language] for language in ("sv", "de", "it"))


@pytest.mark.parametrize(
    ("language", "encoding"),
    [("pl", "cp1250"), ("pl", "iso8859_2"), ("cs", "cp1250"), ("hu", "cp1250"), ("tr", "cp1254"),
     ("sv", "cp1252"), ("de", "cp1252"), ("it", "cp1252"), ("mixed", "cp1252")],
)  # fmt: skip
@pytest.mark.parametrize("few", [True, False])
def test_code_pages(tmp_path: Path, language: str, encoding: str, few: bool) -> None:
    words = SENTENCES[language].split()
    parts = [" ".join(words[n % len(words) :][:6]) for n in range(120)]
    body = [(f"{text if few else n} {part}", label)
            for n, ((text, label), part) in enumerate(zip(TWO, parts, strict=True))]  # fmt: skip
    path = put(tmp_path / "a.csv", separated(body), encoding)
    assert open_source(str(path)).read().texts == [text for text, _ in body]


@pytest.mark.parametrize(
    ("language", "encoding"),
    [("ru", "cp1251"), ("ja", "shift_jis"), ("ja", "euc_jp"), ("zh", "gbk")],
)
def test_other_scripts(tmp_path: Path, language: str, encoding: str) -> None:
    words = OTHERS[language]
    body = [(f"{words[n % 20 :]} {n}", n % 2) for n in range(120)]
    path = put(tmp_path / "a.csv", separated(body), encoding)
    assert open_source(str(path)).read().texts == [text for text, _ in body]


@pytest.mark.parametrize("name", ["a.csv", "a.jsonl"])
@pytest.mark.parametrize("times", [1, 400])
def test_one_row_that_is_not_utf_8(tmp_path: Path, name: str, times: int) -> None:
    body = [(f"{text} café {n}", label) for n in range(times) for text, label in TWO]
    content = separated(body)
    if name == "a.jsonl":
        content = "\n" + json_lines([{"text": t, "label": n} for t, n in body])
        content = content.replace("\\u00e9", "é")
    lines = [line.encode() for line in content.splitlines(keepends=True)]
    lines[60 * times] = lines[60 * times].decode().encode("latin-1")
    with pytest.raises(DataError, match=f"line {60 * times + 1} is not UTF-8, though the rest is"):
        load(put(tmp_path / name, b"".join(lines)))


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be", "utf-32-le"])
@pytest.mark.parametrize("given", [None, "utf-16"])
def test_no_byte_order_mark(tmp_path: Path, encoding: str, given: str | None) -> None:
    path = put(tmp_path / "a.csv", separated(TWO), encoding)
    for columns in ({}, {"text": "1", "label": "2"}):
        with pytest.raises(DataError, match=f"give --encoding {encoding}"):
            load(path, encoding=given, **columns)
    expected = load(put(tmp_path / "b.csv", separated(TWO))).sha256
    assert load(path, encoding=encoding).sha256 == expected


def test_bytes_that_are_no_text(tmp_path: Path) -> None:
    for given in (None, "utf-16"):
        with pytest.raises(DataError, match="save it as CSV in UTF-8, or give"):
            load(put(tmp_path / "a.csv", bytes(range(0, 256, 5)) * 9 + bytes(9999)), encoding=given)


def test_a_sign_among_few_accents(tmp_path: Path) -> None:
    body = [(f"{text} très naïve café ¤", label) for text, label in TWO]
    path = put(tmp_path / "a.csv", separated(body), "cp1252")
    assert open_source(str(path)).read().texts == [text for text, _ in body]


def test_a_mark_and_an_encoding_that_says_the_order(tmp_path: Path) -> None:
    path = put(tmp_path / "a.csv", b"\xff\xfe" + separated(TWO).encode("utf-16-le"))
    source = open_source(str(path), Wanted("text", "label", encoding="utf-16-le"))
    assert source.read().texts == [text for text, _ in TWO]
