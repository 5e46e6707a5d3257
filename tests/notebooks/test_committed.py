"""The committed notebooks: complete, clean, and in the form that papermill, nbval and readers rely on."""

import json
import re
import statistics
from types import SimpleNamespace

import nbformat
import pytest
from transformers import AutoTokenizer, GPT2Config, GPT2ForSequenceClassification

from conftest import NOTEBOOKS, ROOT
from textlab import hub, settings, training
from textlab.notebooks import address

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
    assert 25 <= len(book.cells) <= 70


def test_notebook_1_sizes_decoders_too(tmp_path, capsys):
    options = {"vocab_size": 30522, "n_embd": 32, "n_layer": 2, "n_head": 2, "pad_token_id": 0}
    GPT2ForSequenceClassification(GPT2Config(**options)).save_pretrained(tmp_path)
    AutoTokenizer.from_pretrained(hub.resolve_model("packaged").path).save_pretrained(tmp_path)
    cells = code(nbformat.read(ROOT / "notebooks" / "01_hub_exploration.ipynb", as_version=4))
    [cell] = [cell.source for cell in cells if "in the embeddings" in cell.source]
    source = hub.Source("mine", "model", None, tmp_path, {})
    exec(cell, {"settings": settings, "training": training, "source": source, "cfg": SimpleNamespace(seed=1)})
    assert capsys.readouterr().out == "gpt2: 2 layers of width 32\n1.0 million weights, 94% of them in the embeddings\n"


def test_it_has_a_kernelspec_and_no_leftovers(book):
    assert book.metadata.kernelspec.name == "python3"
    assert "widgets" not in book.metadata and "papermill" not in book.metadata
    assert len(json.dumps(book)) < 1_500_000


def test_badges_and_the_set_up_cell_are_those_of_the_stated_address(book):
    """`python -m textlab.notebooks.address` mends it."""
    (cell,), stated = tagged(book, "hosted"), address.stated(ROOT)
    assert code(book)[1] is cell and cell.source == address.set_up_cell(stated)
    name = next(name for name in NOTEBOOKS if name[1] == book.cells[0].source[2])
    targets = re.findall(r"^\[!\[Open in \w+\]\(\S+\)\]\((\S+)\)$", book.cells[0].source, re.MULTILINE)
    place = f"/{stated.removeprefix('https://github.com/')}/blob/main/notebooks/{name}.ipynb"
    assert book.cells[0].source.count("[![") == len(targets) == (2 if stated else 0)
    assert all(target.endswith(place) for target in targets)
    assert address.origin(ROOT) in ("", stated)


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
