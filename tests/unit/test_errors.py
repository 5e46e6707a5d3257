"""Messages: one line of bounded length, without control characters and secrets, whatever they are made of."""

import pytest

from textlab.errors import InputError, TrainingError, first_line, one_line, show


@pytest.mark.parametrize(
    "text, shown",
    [
        ("got 'épée 😀 数'", "got 'épée 😀 数'"),
        ("two\nlines\r\n", "two\\nlines\\r\\n"),
        ("a\x00b\x1b[31m\x7f", "a\\x00b\\x1b[31m\\x7f"),
        ("half \ud800, turned \u202e, line \u2028", "half \\ud800, turned \\u202e, line \\u2028"),
    ],
)
def test_a_message_is_one_printable_line(text, shown):
    for error in (InputError(text), TrainingError(text)):
        assert (
            str(error) == shown
            and str(type(error)(error)) == shown
            and error._render_traceback_() == [f"{type(error).__name__}: {shown}"]
        )


def test_a_long_message_keeps_both_ends():
    told = str(InputError(f"got {'x' * 10**6}; accepted is a number"))
    assert told.startswith("got xxx") and told.endswith("xxx; accepted is a number") and len(told) < 2000


@pytest.mark.parametrize(
    "text, shown",
    [
        ("http://me:secret@host:5000/x", "http://***@host:5000/x"),
        ("http://me:s@secret@host", "http://***@host"),
        ("https://me:s/e?c#secret@host/x", "https://***@host/x"),
        ("http://secret@host", "http://***@host"),
        ("'https://host/file.csv?token=secret&a=b', and more", "'https://host/file.csv?***', and more"),
        ("https://host/#access_token=secret", "https://host/#***"),
        ("http://host:5000;token=secret", "http://host:5000;***"),
        ("http://host:5000/a;token=secret=/b;c=secret?d", "http://host:5000/a;***/b;***?***"),
        ("http://me:5secret@host:5000/x;token=secret", "http://***@host:5000/x;***"),
        ("http://host:5000/a;b/c", "http://host:5000/a;b/c"),
        ("databricks://secret: no", "databricks://***: no"),
        ("postgresql:///db?user=me&password=secret", "postgresql:///db?***"),
        ("{'storage': 'postgresql+psycopg://me:secret@host/db'}", "{'storage': 'postgresql+psycopg://***@host/db'}"),
        ("http://[secret:secret", "http://***"),
        ("from http://me:secret@a to http://me:secret@b", "from http://***@a to http://***@b"),
        ("http://127.0.0.1:5000/#/experiments/1", "http://127.0.0.1:5000/#/experiments/1"),
        ("sqlite:////a@b:c@d/what?x#y.db", "sqlite:////a@b:c@d/what?x#y.db"),
        ("models:/emotion@champion of owner/name@main", "models:/emotion@champion of owner/name@main"),
    ],
)
def test_secrets_in_addresses_are_hidden(text, shown):
    assert one_line(text) == shown and one_line(shown) == shown
    assert str(InputError(text)) == first_line(OSError(text)) == shown


def test_any_value_is_shown_in_bounded_length():
    deep = []
    for _ in range(10_000):
        deep = [deep]
    bomb = ["x"] * 10
    for _ in range(20):
        bomb = [bomb] * 10
    for value in (deep, bomb, "x" * 10**6, 10**6000, [10**6000], {"a": bomb}, list(range(10**6))):
        assert len(show(value)) < 200_000 and len(str(InputError(show(value)))) < 2000
    assert show({"a": [1, "b"], "c": None}) == "{'a': [1, 'b'], 'c': None}"


def test_a_name_of_5000_characters_leaves_the_rest_of_the_message_legible():
    told = str(InputError(f"file {'x' * 5000} is missing; choose another than {'y' * 5000}, please"))
    assert "xxx... " not in told and " is missing; choose another than yyy" in told and len(told) < 800
