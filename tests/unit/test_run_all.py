"""run_all.sh makes .venv where none works, and keeps it otherwise, with what else was installed into it."""

import os
import shutil
import subprocess

import pytest

from conftest import ROOT

#: In the place of a Python: it writes down how it was called, and a .venv that it makes holds a copy of it.
PYTHON = """#!/bin/sh
echo "$*" >> {log}
if [ "$2" = venv ]; then mkdir -p {bin} && rm -f {bin}/python && cp "$0" {bin}/python; fi
"""
MADE, INSTALLED = "-m venv --clear", "-m pip install"


@pytest.fixture
def project(tmp_path):
    """A folder with what run_all.sh needs, where it was called once."""
    folder = tmp_path / "project"
    folder.mkdir()
    for name in ("run_all.sh", "requirements.txt", "pyproject.toml"):
        shutil.copy(ROOT / name, folder)
    (tmp_path / "base").write_text(PYTHON.format(log=tmp_path / "log", bin=folder / ".venv" / "bin"))
    (tmp_path / "base").chmod(0o755)
    assert done(folder) == [MADE, INSTALLED]
    return folder


def done(project):
    """Call run_all.sh and return what it did to .venv."""
    log = project.parent / "log"
    log.unlink(missing_ok=True)
    environment = os.environ | {"PYTHON": str(project.parent / "base")}
    subprocess.run([project / "run_all.sh", "--profile", "smoke"], env=environment, check=True, capture_output=True)
    calls = log.read_text().splitlines()
    assert calls[-1] == "-m textlab run all --profile smoke"
    return [step for call in calls for step in (MADE, INSTALLED) if call.startswith(step)]


def test_a_later_call_starts_at_once(project):
    assert done(project) == []


@pytest.mark.parametrize("name", ["requirements.txt", "pyproject.toml"])
def test_what_changed_is_brought_into_the_venv_that_is_there(project, name):
    with (project / name).open("a") as file:
        file.write("# changed\n")
    assert done(project) == [INSTALLED] and done(project) == []


def test_an_update_that_broke_off_is_done_again_even_if_it_is_not_wanted_any_more(project):
    before = (project / "requirements.txt").read_text()
    (project / "requirements.txt").write_text("# others\n")
    base = (project / ".venv" / "bin" / "python").read_text()
    (project / ".venv" / "bin" / "python").write_text('#!/bin/sh\n[ "$2" != pip ]\n')
    with pytest.raises(subprocess.CalledProcessError):
        done(project)
    (project / ".venv" / "bin" / "python").write_text(base)
    (project / "requirements.txt").write_text(before)
    assert done(project) == [INSTALLED] and done(project) == []


def test_a_venv_whose_python_is_gone_is_made_anew(project):
    (project / ".venv" / "bin" / "python").unlink()
    (project / ".venv" / "bin" / "python").symlink_to("gone")
    assert done(project) == [MADE, INSTALLED] and done(project) == []


def test_a_venv_that_was_made_elsewhere_is_made_anew(project):
    moved = project.rename(project.parent / "moved")
    base = project.parent / "base"
    base.write_text(base.read_text().replace(f"{project}/", f"{moved}/"))
    assert done(moved) == [MADE, INSTALLED] and done(moved) == []


def test_a_venv_that_was_not_installed_to_the_end_is_made_anew(project):
    (project / ".venv" / "installed").unlink()
    assert done(project) == [MADE, INSTALLED]
