"""Sets the project's address on GitHub: in pyproject.toml, and in the badges and set-up cells of the notebooks.

`python -m textlab.notebooks.address` takes it from git's remote `origin`.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

from .. import machine

_HOSTED = "hosted"  # tag of the set-up cells
_GITHUB = "https://github.com/"


def stated(project: Path) -> str:
    """Return the address in a project folder's pyproject.toml; empty when it has none."""
    settings = tomllib.loads((project / "pyproject.toml").read_text(encoding="utf-8"))
    return settings["project"].get("urls", {}).get("Repository", "")


def origin(project: Path) -> str:
    """Return the web address of git's remote `origin` in a project folder; empty when there is none on GitHub."""
    command = ["git", "-C", project, "remote", "get-url", "origin"]
    try:
        return of_remote(subprocess.run(command, capture_output=True, text=True).stdout)
    except OSError:  # there is no git
        return ""


def of_remote(remote: str) -> str:
    """Return the web address of a git remote on GitHub, where Colab and Kaggle read notebooks from; empty elsewhere."""
    match = re.fullmatch(
        r"(?:https://(?:[^@/]+@)?github\.com/|(?:ssh://)?git@github\.com[:/])([\w.-]+/[\w.-]+?)(?:\.git)?/?",
        remote.strip(),
    )
    return _GITHUB + match[1] if match else ""


def write(project: Path, address: str) -> None:
    """Write an address into pyproject.toml and all notebooks of a project folder.

    Args:
        project: the folder.
        address: such as `https://github.com/me/textlab`; empty for none: then the notebooks have no badges, and their
            set-up cells unpack an uploaded zip of the project instead of cloning it.
    """
    settings = project / "pyproject.toml"
    text = re.sub(r"^urls\.Repository = .*\n", "", settings.read_text(encoding="utf-8"), flags=re.MULTILINE)
    line = f'urls.Repository = "{address}"\n' if address else ""
    machine.write_text(settings, text.replace("[project]\n", f"[project]\n{line}", 1))
    for notebook in sorted((project / "notebooks").glob("*.ipynb")):
        book = json.loads(notebook.read_text(encoding="utf-8"))
        top = book["cells"][0]
        top["source"] = _lines(_with_badges("".join(top["source"]), notebook.name, address))
        for cell in book["cells"]:
            if _HOSTED in cell["metadata"].get("tags", []):
                cell["source"] = _lines(set_up_cell(address))
        machine.write_text(notebook, json.dumps(book, indent=1, ensure_ascii=False) + "\n")


def set_up_cell(address: str) -> str:
    """Return the source of the set-up cell: it clones the project, or unpacks a zip of it if the address is empty."""
    return _template(f"set_up_from_{'git' if address else 'zip'}.txt").replace("{address}", address)


def _with_badges(source: str, notebook: str, address: str) -> str:
    """Return the first cell of a notebook with the badges for an address below its title, instead of those it has."""
    title, _, story = re.sub(r"^\[!\[Open in .*\n+", "", source, flags=re.MULTILINE).partition("\n\n")
    badges = _template("badges.md").format(repository=address.removeprefix(_GITHUB), notebook=notebook)
    return "\n\n".join([title, badges, story] if address else [title, story])


def _template(name: str) -> str:
    return (Path(__file__).parent / "templates" / name).read_text(encoding="utf-8").rstrip("\n")


def _lines(source: str) -> list[str]:
    """Return the source of a cell as notebook files hold it."""
    return source.splitlines(keepends=True)


def main(arguments: list[str] | None = None) -> int:
    """Set the address that a command line names, and return the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m textlab.notebooks.address",
        description="Write the project's address on GitHub into pyproject.toml and into the notebooks' badges and "
        "set-up cells.",
    )
    parser.add_argument("url", nargs="?", help='the address; "" takes it out; default: git\'s remote origin')
    url, project = parser.parse_args(arguments).url, machine.project_root()
    address = origin(project) if url is None else of_remote(url)
    if not address and url != "":
        source = url or "git's remote origin"
        print(
            f"{source} is not a repository on GitHub, such as {_GITHUB}me/textlab; nothing was changed", file=sys.stderr
        )
        return 2
    write(project, address)
    print(address or "The notebooks have no address: they show no badges, and Colab needs a zip of the project.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
