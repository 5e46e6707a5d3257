"""What variants of a text have in common, in any script."""

import pytest

from textlab.data.variants import bare


@pytest.mark.parametrize(
    "text, other",
    [
        ("DAMN, running late SUCKS.", "damn!! running late sucks!!"),
        ("so late", "@anna So late... https://t.co/x?y=1 www.late.org"),
        ("Stra\u00dfe 7", "STRASSE \uff17"),  # a full-width digit
        ("I \u2764\ufe0f it 5\ufe0f\u20e3", "i \u2764 it 5"),  # how a sign is drawn
        ("caf\u00e9", "CAFE\u0301"),  # one sign, and a letter with its mark
        ("\u00bfqu\u00e9?", "Qu\u00e9"),
        ("!!  !!", " !! !!\n"),
    ],
)
def test_variants_are_one(text, other):
    assert bare(text) == bare(other)


@pytest.mark.parametrize(
    "text, other",
    [
        ("so late", "so lately"),
        ("caf\u00e9", "cafe"),
        ("\u0939\u093f", "\u0939\u0940"),  # two vowels of Hindi, which are marks
        ("!!", "??"),
        ("\u2764\ufe0f", "\u2639\ufe0f"),
        ("@anna", "@bob"),
        ("a@home.org", "a@work.org"),
        ("1st", "2nd"),
    ],
)
def test_other_texts_stay_apart(text, other):
    assert bare(text) != bare(other)
