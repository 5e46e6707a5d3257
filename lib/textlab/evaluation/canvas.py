"""What every picture stands on: its style, its panels and axes, and texts that are shown letter by letter."""

from __future__ import annotations

import functools
import itertools
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties, findfont, fontManager, get_font
from matplotlib.text import Annotation, Text
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator
from matplotlib.transforms import Bbox

#: Character -> the family that has it; "" is the usual one, None means none here.
_families: dict[str, str | None] = {}


def literal(draw: Callable[..., Figure]) -> Callable[..., Figure]:
    """Let a function return a figure that shows its texts letter by letter, in whichever fonts have these letters."""

    @functools.wraps(draw)
    def drawn(*args, **kwargs) -> Figure:
        figure = draw(*args, **kwargs)
        texts = figure.findobj(Text)
        _find_families(set().union(*(text.get_text() for text in texts)))
        found = sorted({_families[letter] for text in texts for letter in text.get_text()} - {"", None})
        for text in texts:
            text.set_parse_math(False)
            text.set_fontfamily([*text.get_fontfamily(), *found])
        return figure

    return drawn


def shown(text: object, room: int = 28) -> str:
    r"""Return a text in the form in which a picture can show it in one line: cut to `room` letters, if it is longer.

    A control character, and a letter that no font here has, are written as in Python's source.

    >>> shown("a\tb"), shown("a long name", room=8)
    ('a\\tb', 'a long …')
    """
    text = str(text)
    _find_families(set(text[: room + 1]))
    pieces = [_piece(letter) for letter in text[: room + 1]]
    if sum(map(_width, pieces)) <= room:
        return "".join(pieces)
    while sum(map(_width, pieces)) > room - 2:
        pieces.pop()
    return "".join(pieces) + " …"


def names(labels: Iterable[object], room: int = 28) -> list[str]:
    """Return labels as `shown` does, with their number where two would look the same."""
    short = [shown(label, room) for label in labels]
    times = Counter(short)
    return [name if times[name] == 1 else f"{name} (label {i})" for i, name in enumerate(short)]


def _piece(letter: str) -> str:
    hidden = unicodedata.category(letter) in ("Cc", "Cs", "Zl", "Zp")
    return letter.encode("unicode_escape").decode() if hidden or _families[letter] is None else letter


def _width(piece: str) -> int:
    return 2 if len(piece) == 1 and unicodedata.east_asian_width(piece) in "WF" else len(piece)


def _find_families(letters: set[str]) -> None:
    """Note for letters which font has them; each font is opened once, since there may be hundreds."""
    missing = letters - _families.keys()
    for family, path in [("", findfont(FontProperties())), *_fonts()]:
        if not missing:
            return
        try:
            font = get_font(path)
        except RuntimeError:  # a file that FreeType cannot read has no letters
            continue
        has = {letter for letter in missing if font.scalable and font.get_char_index(ord(letter))}
        _families.update(dict.fromkeys(has, family))
        missing -= has
    _families.update(dict.fromkeys(missing))


def _fonts() -> list[tuple[str, str]]:
    """Return family and file of the upright fonts installed here, without those that matplotlib brings for formulas."""
    own = matplotlib.get_data_path()
    fonts = {
        entry.name: entry.fname
        for entry in fontManager.ttflist
        if entry.style == "normal" and entry.weight in (400, "normal") and not str(entry.fname).startswith(own)
    }
    plain = (name for name in fonts if "color" not in name.lower())
    return [(name, fonts[name]) for name in sorted(plain, key=lambda name: ("Sans" not in name, name))]


def use_style() -> None:
    """Use the project's plot style from here on."""
    plt.style.use(Path(__file__).with_name("plots.mplstyle"))


def logarithmic(axis: Axis) -> None:
    """Scale an axis; its labels stand at 1, 2 and 5 times the powers of ten, or at these where they are many."""
    low, high = axis.get_data_interval()
    axis.axes.set(**{f"{axis.axis_name}scale": "log"})
    axis.set_major_locator(LogLocator(subs=(1, 2, 5) if high < 1000 * low else (1,)))
    axis.set_major_formatter(FuncFormatter(_short))
    axis.set_minor_locator(NullLocator())


def _short(value: float, place: int | None = None) -> str:
    if value < 1e4:
        return f"{value:g}"
    return f"{value / 1e3:g}k" if value < 1e6 else f"{value / 1e6:g}M"


def name_columns(axes: Axes, labels: Sequence[str], room: int) -> None:
    """Name the columns of a picture, aslant where they take more than `room` letters together."""
    slope = {"rotation": 35, "ha": "left" if axes.xaxis.get_ticks_position() == "top" else "right"}
    axes.set_xticks(range(len(labels)), labels, **(slope if sum(map(len, labels)) > room else {}))


def part_names(axes: Axes) -> None:
    """Move the names of dots, annotations of a drawn figure, so that none lies on another or on a dot.

    Those that come first choose first. One for which there is no place within the panel is taken away.
    """
    dots = [axes.transData.transform(name.xy) for name in axes.texts if isinstance(name, Annotation)]
    taken = [Bbox.from_extents(*(dot - 5), *(dot + 5)) for dot in dots]
    for name in [text for text in axes.texts if isinstance(text, Annotation)]:
        name.set(va="center")
        for across, up in itertools.product((0, 1, -1), (9, -9, 0)):
            name.set(ha=("center", "left", "right")[across], position=(6 * across, up))
            box = name.get_window_extent()
            if axes.bbox.contains(*box.min) and axes.bbox.contains(*box.max) and not box.count_overlaps(taken):
                taken.append(box)
                break
        else:
            name.remove()


def words(name: str) -> str:
    """Return the name of a column as a picture shows it."""
    return shown(name.replace("_", " ").replace("f1", "F1"), room=40)


def axes_of(width: float, height: float) -> tuple[Figure, Axes]:
    """Return a figure as `panels_of` does, and its only panel."""
    figure, (axes,) = panels_of(width, height, columns=1)
    return figure, axes


def panels_of(
    width: float, height: float, columns: int, rows: int = 1, sharey: bool = False
) -> tuple[Figure, np.ndarray]:
    """Return a figure that a notebook shows once, as the value of its cell, and its panels, row by row."""
    figure, panels = plt.subplots(rows, columns, figsize=(width, height), sharey=sharey, squeeze=False)
    plt.close(figure)
    return figure, panels.ravel()
