"""Odd and hostile YAML: what people may mean is read, all else is refused in one line, at once."""

import os
import time

import pytest

from textlab.errors import InputError
from textlab.settings import parameters
from textlab.settings.rules import Rule, convert
from textlab.settings.strict_yaml import from_text, read_yaml

BOMB = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{one}: &{one} [{', '.join([f'*{before}'] * 9)}]\n" for before, one in zip("abcdefgh", "bcdefghi")
)
REFUSED = {
    "!!int hello": "'hello' is no int",
    "!!float hello": "'hello' is no float",
    "!!bool hello": "'hello' is no bool",
    "!!int ''": "'' is no int",
    "!!map [1]": "expected a mapping",
    "!!timestamp x": "timestamp is not accepted",
    "0b_": "'0b_' is no int",
    "0x_": "'0x_' is no int",
    "9" * 400: "a number of more than 300 characters",
    "9" * 5000: "a number of more than 300 characters",
    "0x" + "f" * 5000: "a number of more than 300 characters",
    "9" * 5000 + ".0": "a number of more than 300 characters",
    "!!int 1:30": "'1:30' is no int",
    "{[1]: b}": "`name: value`",
    "{{a: b}: c}": "`name: value`",
    "{1: b}": "`name: value`",
    "{? [x] : y}": "`name: value`",
    "[" * 500 + "]" * 500: "more than 50 levels",
    "[" * 20_000: "more than 50 levels",
    "{a: " * 20_000 + "}" * 20_000: "more than 50 levels",
    r'"\UFFFFFFFF"': "names a character that does not exist",
    r'"\ud800"': "has half a character",
    "b\0c": r"line 1 has the character '\\x00'",
    "b\x07c": r"line 1 has the character '\\x07'",
    "&a [*a]": "more than 200,000 values",
    "&a {b: *a}": "more than 200,000 values",
    f"1\n{BOMB}": "more than 200,000 values",
    "x" * 300_000: "longer than 200,000 characters",
}


@pytest.mark.parametrize("text", REFUSED, ids=lambda text: ascii(text[:20]))
def test_yaml_that_means_nothing_is_refused_in_one_line_at_once(tmp_path, text):
    (tmp_path / "p.yaml").write_text(f"z: {text}\n" if "\n" not in text else text.partition("\n")[2])
    start = time.monotonic()
    with pytest.raises(InputError) as told:
        read_yaml(tmp_path / "p.yaml")
    assert REFUSED[text].replace("\\\\", "\\") in str(told.value) and len(str(told.value).splitlines()) == 1
    assert from_text(text) == text and time.monotonic() - start < 10


GOOD = {
    "'5'": "5",
    "!!str 5": "5",
    "!!int '3'": 3,
    "1e-4": 0.0001,
    "-2.5E+3": -2500.0,
    ".5": 0.5,
    "1_000": 1000,
    "0x1F": 31,
    "0b101": 5,
    "042": 42,
    "-010": -10,
    "1:30": "1:30",
    "1.5abc": "1.5abc",
    "3.csv": "3.csv",
    "2024.01.05-data": "2024.01.05-data",
    "trueman.csv": "trueman.csv",
    "falsehood": "falsehood",
    "1.2.3": "1.2.3",
    "no": "no",
    "TRUE": True,
    "~": None,
    "[&a x, *a]": ["x", "x"],
    "数 😀": "数 😀",
    r'"\ud83d\ude00"': "😀",  # as JSON writes it
    '{"a": ["b"]}': {"a": ["b"]},
    "[" * 40 + "]" * 40: from_text("[" * 40 + "]" * 40),
}


@pytest.mark.parametrize("text", GOOD, ids=lambda text: ascii(text[:20]))
@pytest.mark.parametrize("start, end", [("", "\n"), ("\ufeff", "\n"), ("# note\r\n", "\r\n"), ("---\n", "\n...\n")])
def test_what_people_write_is_read(tmp_path, text, start, end):
    (tmp_path / "p.yaml").write_text(f"{start}z: {text}{end}", encoding="utf-8", newline="")
    found = read_yaml(tmp_path / "p.yaml")["z"]
    assert found == GOOD[text] == from_text(text) and type(found) is type(GOOD[text])


def test_only_a_file_of_text_is_read(tmp_path):
    os.mkfifo(tmp_path / "fifo")
    for path in (tmp_path / "fifo", "/dev/zero", tmp_path):
        with pytest.raises(InputError, match="is not a file of text"):
            read_yaml(path)
    for path in ("x" * 5000, "a\0b"):
        with pytest.raises(InputError, match="cannot be a path here"):
            read_yaml(path)
    assert read_yaml(os.devnull) == {}


@pytest.mark.parametrize("digits", [400, 6000])
@pytest.mark.parametrize("kind", [int, float])
def test_numbers_beyond_all_bounds_are_refused(digits, kind):
    for value in (10**digits, -(10**digits), "9" * digits, [10**digits], "1e999", float("inf")):
        with pytest.raises(InputError, match="^x: got .*; accepted is a") as told:
            convert("x", value, Rule(kind, 0, 100))
        assert len(str(told.value)) < 500


@pytest.mark.parametrize("name, value", [("dataset", "a\0b"), ("model", "\ud800"), ("sentences", ["fine", "\udce9"])])
def test_texts_that_no_file_holds_are_refused(name, value):
    with pytest.raises(InputError, match="without NUL and lone surrogates") as told:
        convert(name, value, parameters.NOTEBOOKS["02_fine_tuning"][name])
    assert str(told.value).isprintable()
