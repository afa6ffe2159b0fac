"""The lexicon seed: exact bytes, hostile bytes, and a transformer that computes its scores."""

import dataclasses
import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from fedseed.errors import SeedError
from fedseed.models.architecture import architecture
from fedseed.seeds.assemble import grow
from fedseed.seeds.codec import assemble, decode, encode, sizes
from fedseed.seeds.kinds.lexicon.coding import decode_lexicon, encode_lexicon
from fedseed.seeds.kinds.lexicon.format import OVERHEAD, lexicon_seed, read_lexicon
from fedseed.seeds.kinds.lexicon.low_rank import coordinates_of, head_of, signs_of
from fedseed.seeds.kinds.lexicon.words import EXPONENTS, Lexicon, frequency_order, rarity
from fedseed.seeds.make import make_seed

GOLDEN = Path(__file__).parents[1] / "golden"
SHAPES = architecture("bert-tiny").shapes()


def made_up(words: int, columns: int, levels: int, seed: int = 0, exponent: float = 0.5) -> Lexicon:
    """A lexicon of random words and levels."""
    rng = np.random.Generator(np.random.PCG64(seed))
    order = frequency_order()
    tokens = np.sort(rng.choice(order[: max(words, 3000)], words, replace=False))
    rounded = rng.integers(-levels, levels + 1, size=(words, columns))
    rounded[~rounded.any(axis=1), 0] = levels
    if columns == 1:
        rounded[rounded == 0] = 1
    rounded[0, 0] = levels
    biases = rng.integers(-127, 128, columns) * (2.0 / 127)
    biases[0] = 2.0
    return Lexicon(tokens, rounded.astype(np.int32), 0.25, exponent, biases)


def equal(one: Lexicon, other: Lexicon) -> bool:
    return (
        np.array_equal(one.tokens, other.tokens)
        and np.array_equal(one.levels, other.levels)
        and (one.step, one.exponent) == (other.step, other.exponent)
        and np.allclose(one.biases, other.biases, rtol=1e-12)
    )


@settings(max_examples=40, deadline=None)
@given(
    words=st.integers(1, 400), columns=st.sampled_from([1, 3, 20]), levels=st.integers(1, 127),
    exponent=st.sampled_from(EXPONENTS), seed=st.integers(0, 1000),
)  # fmt: skip
def test_round_trip(words: int, columns: int, levels: int, exponent: float, seed: int) -> None:
    lexicon = made_up(words, columns, levels, seed, exponent)
    assert equal(decode_lexicon(encode_lexicon(lexicon), columns), lexicon)


def test_all_words_at_once() -> None:
    lexicon = made_up(len(frequency_order()), 1, 1)
    assert equal(decode_lexicon(encode_lexicon(lexicon), 1), lexicon)


def test_bytes_are_near_the_entropy() -> None:
    """A thousand words anywhere with two levels: at most 8 bits of place and 2.1 of level each."""
    assert len(encode_lexicon(made_up(1000, 1, 2))) <= 1000 * 10.1 / 8


def test_golden_bytes_and_weights() -> None:
    """The same bytes and the same weights on every machine."""
    expected = json.loads((GOLDEN / "lexicon.json").read_text())
    payload = bytes.fromhex(expected["payload"])
    lexicon, key, slope = read_lexicon(payload)
    assert (key, slope) == (7, expected["slope"])
    assert equal(lexicon, made_up(40, 1, 3))
    assert encode_lexicon(made_up(40, 1, 3)) == payload[7:]
    state = assemble(lexicon_seed(lexicon, "bert-tiny", 2, 7, SHAPES), SHAPES)
    whole = hashlib.sha256(b"".join(values.astype("<f4").tobytes() for values in state.values()))
    assert whole.hexdigest() == expected["weights_sha256"]


def test_its_frame_is_short_and_checked() -> None:
    """Eight bytes of checksum: no byte can change, and no other frame is taken."""
    seed = lexicon_seed(made_up(3, 1, 1), "bert-tiny", 2, 7, SHAPES)
    encoded = encode(seed)
    body = encoded[:-8]
    assert len(encoded) == len(seed.payload) + 17
    assert encoded[4] == 2
    assert encoded[-8:] == hashlib.sha256(body).digest()[:8]
    for place in range(len(encoded)):
        with pytest.raises(SeedError):
            decode(encoded[:place] + bytes([encoded[place] ^ 1]) + encoded[place + 1 :])
    for end in range(len(encoded)):
        with pytest.raises(SeedError):
            decode(encoded[:end])
    old = body[:4] + b"\x01" + body[5:]
    with pytest.raises(SeedError, match="canonical"):
        decode(old + hashlib.sha256(old).digest())


def scores_of(lexicon: Lexicon, texts: np.ndarray) -> np.ndarray:
    """The linear model's scores."""
    return lexicon.weights()[texts].mean(axis=1) + lexicon.class_biases()


@pytest.mark.parametrize(
    ("model", "classes"),
    [("bert-tiny", 2), ("bert-tiny", 3), ("bert-tiny", 77), ("bert-tiny", 96), ("bert-mini", 192)],
)
def test_the_assembled_model_computes_the_scores(model: str, classes: int) -> None:
    lexicon = made_up(600, 1 if classes == 2 else classes, 4)
    lexicon = Lexicon(
        lexicon.tokens, lexicon.levels, 2.0, 0.5, np.zeros_like(lexicon.biases)
    )  # fmt: skip
    shapes = architecture(model, classes).shapes()
    encoded = encode(lexicon_seed(lexicon, model, classes, 7, shapes))
    rng = np.random.Generator(np.random.PCG64(1))
    texts = rng.choice(frequency_order()[:3000], (200, 64))
    texts[:, 0], texts[:, -1] = 101, 102
    with torch.no_grad():
        logits = grow(encoded)(torch.from_numpy(texts), torch.full((200,), 64)).numpy()
    logits -= logits.mean(axis=1, keepdims=True)
    expected = scores_of(lexicon, texts)
    assert np.corrcoef(logits.ravel(), expected.ravel())[0, 1] > 0.99
    largest = np.sort(expected, axis=1)
    clear = largest[:, -1] - largest[:, -2] > 0.1 * expected.std()
    assert clear.sum() > 100
    assert (logits.argmax(axis=1) == expected.argmax(axis=1))[clear].mean() > 0.97


@pytest.mark.parametrize(("classes", "right"), [(97, 0.9), (150, 0.9), (255, 0.8)])
def test_more_classes_than_coordinates(classes: int, right: float) -> None:
    rng = np.random.Generator(np.random.PCG64(classes))
    tokens = np.sort(rng.choice(frequency_order()[:3000], 2000, replace=False))
    levels = np.zeros((2000, classes), np.int32)
    levels[np.arange(2000), np.arange(2000) % classes] = 4
    lexicon = Lexicon(tokens, levels, 2.0, 0.5, np.zeros(classes))
    shapes = architecture("bert-tiny", classes).shapes()
    labels = np.arange(300) % classes
    texts = rng.choice(frequency_order()[:3000], (300, 32))
    for text, label in zip(texts, labels, strict=True):
        text[1:5] = rng.choice(tokens[levels[:, label] > 0], 4)
    texts[:, 0], texts[:, -1] = 101, 102
    model = grow(encode(lexicon_seed(lexicon, "bert-tiny", classes, 7, shapes)))
    with torch.no_grad():
        logits = model(torch.from_numpy(texts), torch.full((300,), 32)).numpy()
    linear = (scores_of(lexicon, texts).argmax(axis=1) == labels).mean()
    assert linear > 0.95
    assert (logits.argmax(axis=1) == labels).mean() > right


def test_coordinates_and_head_are_the_same_on_every_machine() -> None:
    signs = signs_of(7, 150, 96)
    assert np.array_equal(signs.sum(axis=1), np.zeros(150))
    weights = made_up(300, 150, 3).weights()
    entries = coordinates_of(weights, signs)
    assert np.allclose(entries, weights @ signs, rtol=1e-4, atol=1e-4)
    head = head_of(weights, entries)
    often = (1 / rarity())[:, None]
    system = entries.T.astype(float) @ (entries * often)
    system += np.eye(96) * 0.01 * np.trace(system) / 96
    assert np.allclose(head.T, np.linalg.solve(system, entries.T @ (weights * often)), atol=1e-5)
    digest = hashlib.sha256(signs.tobytes() + entries.tobytes() + head.tobytes()).hexdigest()
    assert digest[:16] == "1e3aca5235c59095"


def test_what_cannot_be_carried() -> None:
    with pytest.raises(SeedError, match="2 to 255 classes, not 256"):
        lexicon_seed(made_up(9, 256, 1), "bert-tiny", 256, 7, SHAPES)
    with pytest.raises(SeedError, match="bert-tiny, bert-mini, bert-small, not minilm"):
        lexicon_seed(made_up(9, 1, 1), "minilm", 2, 7, SHAPES)
    with pytest.raises(SeedError, match="is not of 2 classes"):
        lexicon_seed(made_up(9, 3, 1), "bert-tiny", 2, 7, SHAPES)
    with pytest.raises(SeedError, match="made of labelled texts"):
        make_seed("lexicon", "bert-tiny", 2, 7)


def test_words_that_say_the_same_of_every_class_are_refused() -> None:
    lexicon = made_up(3, 3, 1)
    same = Lexicon(lexicon.tokens, np.ones((3, 3), np.int32), 1.0, 0.0, np.zeros(3))
    shapes = architecture("bert-tiny", 3).shapes()
    with pytest.raises(SeedError, match="say nothing about the classes"):
        lexicon_seed(same, "bert-tiny", 3, 7, shapes)


@pytest.mark.parametrize(
    "changes",
    [
        {"step": 60_000.0}, {"step": 1e-9}, {"step": float("nan")}, {"biases": np.array([7e4])},
        {"biases": np.array([np.inf])}, {"levels": np.full((9, 1), 128, np.int32)},
    ],
)  # fmt: skip
def test_numbers_that_do_not_travel_are_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(SeedError, match="a lexicon"):
        encode_lexicon(dataclasses.replace(made_up(9, 1, 1), **changes))


@pytest.mark.parametrize(("step", "level"), [(6e-8, 1), (50_000.0, 127)])
def test_slopes_that_do_not_travel_are_refused(step: float, level: int) -> None:
    lexicon = dataclasses.replace(
        made_up(9, 1, 1, exponent=0.75), step=step, levels=np.full((9, 1), level, np.int32),
        tokens=np.arange(30_500, 30_509),
    )  # fmt: skip
    with pytest.raises(SeedError):
        lexicon_seed(lexicon, "bert-small", 2, 7, architecture("bert-small").shapes())


@pytest.mark.parametrize(("place", "value"), [(1, 4), (8, 0x80), (8, 1), (9, 254)])
def test_other_forms_of_the_same_lexicon_are_refused(place: int, value: int) -> None:
    """A largest level that does not occur, biases off their scale, frequencies off theirs."""
    data = bytearray(encode_lexicon(made_up(9, 1, 1)))
    assert data[place] != value
    data[place] = value
    with pytest.raises(SeedError):
        decode_lexicon(bytes(data), 1)


def test_sizes_add_up() -> None:
    seed = lexicon_seed(made_up(200, 1, 3), "bert-tiny", 2, 7, SHAPES)
    assert sum(sizes(seed, SHAPES).values()) == len(encode(seed))
    assert len(encode(seed)) <= OVERHEAD + len(encode_lexicon(made_up(200, 1, 3)))


@pytest.mark.parametrize("columns", [1, 4])
def test_truncated(columns: int) -> None:
    data = encode_lexicon(made_up(30, columns, 2))
    for end in range(len(data)):
        with pytest.raises(SeedError):
            decode_lexicon(data[:end], columns)


@settings(max_examples=200, deadline=None)
@given(place=st.integers(0, 200), value=st.integers(0, 255), data=st.binary(max_size=60))
def test_altered_bytes_are_refused_or_another_lexicon(place: int, value: int, data: bytes) -> None:
    good = bytearray(encode_lexicon(made_up(60, 3, 2)))
    good[place % len(good)] = value
    for hostile in (bytes(good), bytes(good[:20]) + data, data):
        try:
            lexicon = decode_lexicon(hostile, 3)
        except SeedError:
            continue
        assert np.isfinite(lexicon.weights()).all()
        assert len(lexicon.tokens) == len(lexicon.levels) > 0


def test_a_payload_of_another_number_of_classes_is_refused() -> None:
    seed = lexicon_seed(made_up(30, 1, 2), "bert-tiny", 2, 7, SHAPES)
    other = type(seed)(seed.kind, seed.model, 3, seed.payload)
    with pytest.raises(SeedError, match="another number of classes"):
        assemble(other, architecture("bert-tiny", 3).shapes())


def test_rarity_is_made_of_square_roots() -> None:
    assert np.array_equal(rarity(0.25) ** 2, np.square(np.sqrt(np.sqrt(rarity()))))
    assert rarity()[1996] == (65 + 50) / 50  # after 65 signs and letters
