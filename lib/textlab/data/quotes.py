"""Quotation marks in csv and tsv: what a lone one would swallow is refused, by line; the rest stays as it stands.

A field may be put between quotes, and then hold separators, line breaks and quotes, each of these doubled. A lone quote
at the beginning of a field would take all lines up to the next one as a single text. Two things give it away: a quote
that is closed in the middle of a field, or lines inside of the quotes that look like rows of their own.
"""

from __future__ import annotations

import csv
import re
import sys
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import chain, islice, pairwise

import numpy as np
import pandas as pd

from ..errors import InputError

csv.field_size_limit(sys.maxsize)  # a text may have any length

#: So many lines show whether all rows are longer than the header.
_FIRST = 50

_ADVICE = (
    'put a text with separators, quotes or line breaks in it between quotes and double those within (""), or '
    "save the file as jsonl"
)


def check(name: str, table: pd.DataFrame, lines: list[str], breaks: np.ndarray, line: int, separator: str) -> None:
    """Check the quotes of parsed rows against their lines; put in place what the parser altered.

    In a line such as `"Fine" she said,good` no field is quoted as a whole, so its quotes belong to the text.

    Args:
        name: of the file, for messages.
        table: the parsed rows; those whose quotes belong to the text are changed in place.
        lines: the lines that the rows take up, with their ends.
        breaks: how many line breaks the fields of each row have.
        line: the number of the first line.
        separator: of the fields.

    Raises:
        InputError: a quote swallows rows, is closed in the middle of a field, or has a space in front.
    """
    starts = (np.arange(len(table)) + breaks.cumsum() - breaks).tolist()
    columns = _Columns(table)
    for row in np.flatnonzero(breaks).tolist():
        taken = lines[starts[row] : starts[row] + breaks[row] + 1]
        if any(_badly_quoted(taken, separator)) or _rows_within(columns, row, taken, separator):
            raise InputError(_swallowed(name, taken, line + starts[row], separator))
    single = [row for row in np.flatnonzero(breaks == 0).tolist() if '"' in lines[starts[row]]]
    for row in single:
        if _is_spaced(lines[starts[row]], separator):
            raise InputError(_spaced(name, line + starts[row]))
    literal = {}
    for number in _badly_quoted([lines[starts[row]] for row in single], separator):
        row = single[number - 1]
        literal[row] = _as_it_stands(lines[starts[row]], separator, table.shape[1])
        if literal[row] is None:
            raise InputError(_mid_field(name, line + starts[row]))
    if literal:
        for place in table:
            column = table[place].to_numpy(object)
            column[list(literal)] = [fields[place] for fields in literal.values()]
            table[place] = pd.Series(column, table.index, dtype="str")


def fault(name: str, lines: Iterable[str], line: int, separator: str, width: int) -> str:
    """Return what is wrong with the first record among lines that cannot be read as a table.

    Args:
        name: of the file.
        lines: with their ends, from the beginning of a record.
        line: the number of the first line.
        separator: of the fields.
        width: the number of fields that a record may have.
    """
    lines = iter(lines)
    first, taken = list(islice(lines, _FIRST)), []

    def feed() -> Iterator[str]:
        for text in chain(first, lines):
            taken.append(text)
            yield text

    reader = csv.reader(feed(), delimiter=separator, strict=True)
    while True:
        line += len(taken)
        taken.clear()
        try:
            fields = next(reader, None)
        except csv.Error:
            if len(taken) > 1 or not _spans(taken, separator)[-1].is_closed:
                return _swallowed(name, taken, line, separator)
            if not (fields := _as_it_stands(taken[0], separator, width)):
                return _mid_field(name, line)
        if fields is None:
            return f"{name} cannot be read as a table; {_ADVICE}"
        if len(fields) > width:
            return _too_long(name, first, taken, line, separator, width)


def _too_long(name: str, first: list[str], lines: list[str], line: int, separator: str, width: int) -> str:
    """Return the message about the lines of a record, from number `line` on, with more than `width` fields.

    Args:
        first: lines of the file that show whether all records are longer than the header.
    """
    saw, tight = (len(next(csv.reader(lines, delimiter=separator, skipinitialspace=skip))) for skip in (False, True))
    if tight == width:
        return _spaced(name, line)
    rows = list(filter(None, csv.reader(first, delimiter=separator)))
    prose = any(field.startswith(" ") for fields in rows for field in fields)
    if min(len(rows), width) > 1 and {len(fields) for fields in rows} == {width + 1} and not prose:
        return (
            f"{name}: the rows have one field more than the header; name the column of row names on top, or delete "
            f"the {separator!r} at the ends of the lines"
        )
    if len(lines) > 1:
        return _swallowed(name, lines, line, separator)
    return (
        f"{name}: Expected {width} fields in line {line}, saw {saw}; put texts with {separator!r} or quotes "
        "in them between double quotes"
    )


def _badly_quoted(lines: list[str], separator: str) -> Iterator[int]:
    """Yield the numbers of the lines, from 1, in which a quote is closed although its field goes on."""
    reader = csv.reader(lines, delimiter=separator, strict=True)
    while reader.line_num < len(lines):
        try:
            deque(reader, maxlen=0)
        except csv.Error:
            yield reader.line_num


@dataclass(frozen=True)
class _Span:
    """A field between quotes: the lines of its record in which it begins and ends, counted from 0."""

    opened: int
    closed: int
    is_closed: bool
    fault: bool  # it is not closed, or something else than a separator or a line's end comes after it


def _spans(lines: list[str], separator: str) -> list[_Span]:
    """Return the fields between quotes of the lines of a record."""
    text, spans = "".join(lines), []
    for field in re.finditer(rf'(?:^|{re.escape(separator)})"(?:[^"]+|"")*+("?)', text):
        begin, end = (text.count("\n", 0, place) for place in field.span())
        after = text[field.end() : field.end() + 1]
        spans.append(_Span(begin, end, bool(field[1]), not field[1] or after not in ("", "\n", separator)))
    return spans


def _swallowed(name: str, lines: list[str], line: int, separator: str) -> str:
    """Return the message about the lines of a record, the first of which is number `line`, that a quote swallows."""
    spans = _spans(lines, separator)
    span = max(spans, key=lambda span: (span.fault, span.opened < span.closed))
    closed = f"closed in line {line + span.closed}" if span.is_closed else "never closed"
    return f"{name}: a quote opened in line {line + span.opened} is {closed}, and swallows what lies between; {_ADVICE}"


def _mid_field(name: str, line: int) -> str:
    return f"{name}, line {line}: a quote is closed in the middle of a field; {_ADVICE}"


def _is_spaced(line: str, separator: str) -> bool:
    """Return whether a field of a line has quotes around it that a space in front makes a part of it."""
    if ' "' not in line:
        return False
    fields = next(csv.reader([line], delimiter=separator))
    return any(re.fullmatch(' +"[^"]*" *', field) and separator + field in separator + line for field in fields)


def _spaced(name: str, line: int) -> str:
    return f"{name}, line {line}: a space stands in front of a quote; delete the spaces between separators and quotes"


def _as_it_stands(line: str, separator: str, width: int) -> list[str] | None:
    """Return the fields of a line with their quotes, None if some field is quoted as a whole or the width differs."""
    fields = line.rstrip("\n").split(separator)
    whole = any(len(field) > 1 and field[0] == field[-1] == '"' for field in fields)
    return None if whole or len(fields) != width else fields


class _Columns:
    """What the lines of a row are compared with: the values of each column, gathered when they are first asked for."""

    def __init__(self, table: pd.DataFrame) -> None:
        self.table = table
        self.values = cache(self._values)

    def _values(self, place: int) -> set[str]:
        """Return the values of a column; of one such as ids or texts, in which nine of ten differ or more, none."""
        column = self.table[place][self.table[place] != ""]
        values = set(column.unique())
        return values if 10 * len(values) < 9 * len(column) else set()

    def has(self, place: int, values: Sequence[str | None]) -> bool:
        """Return whether half of the values of lines or more recur, in a column or, if it has one, among themselves.

        Lines that have no value, None, have to be fewer.
        """
        known, counts = self.values(place), Counter(values)
        odd = counts.pop(None, 0)
        recurring = sum(count for value, count in counts.items() if value in known or count > 1)
        return not known.isdisjoint(counts) and odd < recurring and 2 * recurring >= counts.total()

    def count_on(self, place: int, row: int, values: Sequence[str]) -> bool:
        """Return whether whole numbers rise or fall from the row before through values to that after, most by one step.

        Nothing lies between a row and the next where ids count on, so that no list in a text does.
        """
        numbers = [*self.table[place].iloc[max(row - 1, 0) : row], *values, *self.table[place].iloc[row + 1 : row + 2]]
        if len(numbers) < 3 or not all(re.fullmatch(r"\d{1,18}", number) for number in numbers):
            return False
        steps = [int(after) - int(before) for before, after in pairwise(numbers)]
        return (min(steps) > 0 or max(steps) < 0) and 2 * max(Counter(steps).values()) > len(steps)


def _rows_within(columns: _Columns, row: int, lines: list[str], separator: str) -> bool:
    """Return whether the lines of a row look like rows of their own.

    Most have as many fields as the table has columns. And in some column the values of these recur, or count on from
    row to row. What stands before the text in the first line and behind it in the last is the row's own.
    """
    width = columns.table.shape[1]
    rows = [line.rstrip("\n").split(separator) for line in lines]
    alike = [fields for fields in rows if len(fields) == width]
    if width < 2 or 2 * len(alike) <= len(rows):
        return False
    text = next(place for place in range(width) if "\n" in columns.table[place].iloc[row])
    for place in range(width):
        within = rows[1:] if place < text else rows[:-1]
        values = [fields[place] if len(fields) == width else None for fields in within]
        if columns.has(place, values) or columns.count_on(place, row, [fields[place] for fields in alike]):
            return True
    return False
