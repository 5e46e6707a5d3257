"""The project's address: one command writes it everywhere and takes it out again."""

import json
import os
import shutil
import tomllib

import pytest

from conftest import NOTEBOOKS, ROOT
from textlab.notebooks import address

URL = "https://github.com/me/my.kit"


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A folder with copies of the files that hold the address, without one; it is the project, and no git checkout."""
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    shutil.copytree(ROOT / "notebooks", tmp_path / "notebooks", ignore=lambda *_: [".ipynb_checkpoints"])
    address.write(tmp_path, "")
    monkeypatch.setattr(address.machine, "project_root", lambda: tmp_path)
    return tmp_path


def contents(project):
    return {file.name: file.read_bytes() for file in (project / "pyproject.toml", *project.glob("notebooks/*.ipynb"))}


def sources(project, name):
    """Return the sources of the first cell and of the set-up cell of a notebook."""
    cells = json.loads((project / "notebooks" / f"{name}.ipynb").read_text())["cells"]
    (set_up,) = [cell for cell in cells if "hosted" in cell["metadata"].get("tags", [])]
    return "".join(cells[0]["source"]), "".join(set_up["source"])


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


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_with_an_address_there_are_badges_and_the_set_up_cell_clones(project, name, capsys):
    assert address.main([f"{URL}.git"]) == 0 and capsys.readouterr().out == f"{URL}\n"
    assert address.stated(project) == URL
    top, set_up = sources(project, name)
    title, badges, question = top.split("\n\n")[:3]
    assert title.startswith("# ") and question.startswith("**The question:**")
    assert badges.count("[![Open in ") == badges.count("\n") + 1 == 2
    assert f"(https://colab.research.google.com/github/me/my.kit/blob/main/notebooks/{name}.ipynb)" in badges
    assert f"(https://kaggle.com/kernels/welcome?src={URL}/blob/main/notebooks/{name}.ipynb)" in badges
    assert f'address = "{URL}"' in set_up and "clone" in set_up and "zip" not in set_up
    assert set_up.count(URL) == 1 and max(map(len, set_up.splitlines())) <= 120


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_without_an_address_there_is_no_badge_and_the_set_up_cell_says_what_to_upload(project, name, capsys):
    address.write(project, URL)
    assert address.main([""]) == 0 and "no address" in capsys.readouterr().out
    assert address.stated(project) == "" and "urls" not in tomllib.loads((project / "pyproject.toml").read_text())
    top, set_up = sources(project, name)
    assert "[![" not in top and "http" not in top and top.split("\n\n")[1].startswith("**The question:**")
    assert "git archive --prefix=textlab/ -o textlab.zip HEAD" in set_up and "http" not in set_up
    assert len([line for line in set_up.splitlines() if line]) <= 15


def test_going_back_and_forth_leaves_all_files_byte_equal(project):
    without = contents(project)
    address.write(project, URL)
    there = contents(project)
    address.write(project, "https://github.com/other/name")
    address.write(project, URL)
    assert contents(project) == there and all(there[name] != without[name] for name in without)
    address.write(project, "")
    assert contents(project) == without


def test_an_address_elsewhere_is_refused_and_nothing_is_changed(project, capsys):
    before = contents(project)
    assert address.main(["https://gitlab.example/me/kit"]) == 2
    assert "https://gitlab.example/me/kit is not a repository on GitHub" in capsys.readouterr().err
    assert contents(project) == before


@pytest.mark.parametrize("path", [os.environ["PATH"], ""], ids=["no remote", "no git"])
def test_without_a_remote_the_address_stays(project, monkeypatch, capsys, path):
    address.write(project, URL)
    before = contents(project)
    monkeypatch.setenv("PATH", path)
    assert address.main([]) == 2
    assert capsys.readouterr().err.startswith("git's remote origin is not a repository on GitHub, such as https://")
    assert contents(project) == before
