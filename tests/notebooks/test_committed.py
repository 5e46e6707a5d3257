"""The committed notebooks: complete, clean, and in the form that papermill, nbval and readers rely on."""

import json
import re
import statistics

import nbformat
import pytest

import address
from conftest import NOTEBOOKS, ROOT

ABSOLUTE_PATH = re.compile(r"(?<![\w.:/~>])/(?:root|home|Users|tmp|work|content|opt|usr|var|mnt)/\w|[A-Z]:\\\\")
NOISE = re.compile(r"Traceback \(most recent|Warning|WARNING|\x1b\[")


@pytest.fixture(scope="module", params=NOTEBOOKS)
def book(request):
    return nbformat.read(ROOT / "notebooks" / f"{request.param}.ipynb", as_version=4)


def code(book):
    return [cell for cell in book.cells if cell.cell_type == "code"]


def tagged(book, tag):
    return [cell for cell in code(book) if tag in cell.metadata.get("tags", [])]


def output_texts(book):
    for cell in code(book):
        for out in cell.outputs:
            yield from (
                value
                for kind, value in {"text": out.get("text"), **out.get("data", {})}.items()
                if isinstance(value, str) and not kind.startswith("image/")
            )


def test_the_parameters_come_first(book):
    assert len(tagged(book, "parameters")) == 1 and tagged(book, "parameters")[0] is code(book)[0]


def test_outputs_are_compared_somewhere(book):
    """nbval compares only tagged cells: with none tagged it would check nothing."""
    assert len([cell for cell in tagged(book, "nbval-check-output") if cell.outputs]) >= 2


def test_outputs_are_committed_in_order(book):
    counts = [cell.execution_count for cell in code(book)]
    assert counts == list(range(1, len(counts) + 1))
    assert all(out.output_type != "error" for cell in code(book) for out in cell.outputs)


def test_outputs_hold_no_warning_traceback_or_absolute_path(book):
    for text in output_texts(book):
        assert not NOISE.search(text), text[:300]
        assert not ABSOLUTE_PATH.search(text), text[:300]
    assert all(out.get("name") != "stderr" for cell in code(book) for out in cell.outputs)


def test_the_check_above_would_see_a_path():
    assert ABSOLUTE_PATH.search("saved to /" + "home/me") and ABSOLUTE_PATH.search("C:\\\\Users")
    assert not ABSOLUTE_PATH.search("owner/name/tmp/x https://a.b/home/x")


def test_cells_are_short(book):
    lengths = [sum(1 for line in cell.source.splitlines() if line.strip()) for cell in code(book)]
    assert max(lengths) <= 25 and statistics.median(lengths) <= 8
    assert 25 <= len(book.cells) <= 60


def test_it_has_a_kernelspec_and_no_leftovers(book):
    assert book.metadata.kernelspec.name == "python3"
    assert "widgets" not in book.metadata and "papermill" not in book.metadata
    assert len(json.dumps(book)) < 1_500_000


def test_badges_and_the_set_up_cell_name_this_repository(book):
    """`python tests/address.py` mends it."""
    (cell,), wanted = tagged(book, "hosted"), address.stated().removeprefix("https://github.com/")
    name = next(name for name in NOTEBOOKS if name[1] == book.cells[0].source[2])
    assert f"colab.research.google.com/github/{wanted}/blob/main/notebooks/{name}.ipynb)" in book.cells[0].source
    assert (
        f"kaggle.com/kernels/welcome?src=https://github.com/{wanted}/blob/main/notebooks/{name}.ipynb)"
        in book.cells[0].source
    )
    assert f'"https://github.com/{wanted}"' in cell.source and code(book)[1] is cell
    assert address.origin() in ("", address.stated())


@pytest.mark.parametrize(
    "remote, wanted",
    [
        ("https://github.com/me/kit.git\n", "https://github.com/me/kit"),
        ("git@github.com:me/my.kit", "https://github.com/me/my.kit"),
        ("https://token@github.com/me/kit/", "https://github.com/me/kit"),
        ("ssh://git@github.com/me/kit.git", "https://github.com/me/kit"),
        ("/srv/git/kit", ""),
        ("https://gitlab.example/me/kit", ""),
        ("", ""),
    ],
)
def test_the_address_of_a_remote(remote, wanted):
    assert address.of_remote(remote) == wanted


def test_every_parameter_is_documented_by_papermill(book, capsys):
    """`papermill --help-notebook` shows every parameter with type, default and help."""
    from click.testing import CliRunner
    from papermill.cli import papermill

    title = next(name for name in NOTEBOOKS if name[1] == book.cells[0].source[2])
    shown = CliRunner().invoke(papermill, ["--help-notebook", str(ROOT / "notebooks" / f"{title}.ipynb")]).output
    for line in tagged(book, "parameters")[0].source.splitlines():
        if ":" in line:
            name, kind, text = re.match(r"(\w+): ([\w\[\]]+) = .*?  # (.+)", line).groups()
            assert re.search(rf"{name}: {re.escape(kind)} ", shown), name
            assert text[:20] in " ".join(shown.split()), name
