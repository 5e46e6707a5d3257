"""The repository's address, which Colab and Kaggle fetch the project from.

It stands once, in pyproject.toml, and is copied from there to the notebooks.
`python tests/address.py` takes it from git's remote `origin`, once the project has moved there.
"""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]


def stated() -> str:
    """Return the address in pyproject.toml."""
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["urls"]["Repository"]


def of_remote(remote: str) -> str:
    """Return the web address of a remote on GitHub, where Colab and Kaggle read notebooks from; empty for any other."""
    found = re.fullmatch(
        r"(?:https://(?:[^@/]+@)?github\.com/|(?:ssh://)?git@github\.com[:/])([\w.-]+/[\w.-]+?)(?:\.git)?/?",
        remote.strip(),
    )
    return f"https://github.com/{found[1]}" if found else ""


def origin() -> str:
    """Return the web address of the remote `origin` of this checkout; empty when it is not on GitHub."""
    return of_remote(
        subprocess.run(["git", "-C", ROOT, "remote", "get-url", "origin"], capture_output=True, text=True).stdout
    )


def main() -> int:
    old, new = stated(), origin()
    if not new:
        print("the remote `origin` of this checkout is not on GitHub; nothing was changed", file=sys.stderr)
        return 2
    for file in (ROOT / "pyproject.toml", *sorted((ROOT / "notebooks").glob("*.ipynb"))):
        text = file.read_text(encoding="utf-8")
        for form in ("https://github.com/{}", "/github/{}/blob/"):
            text = text.replace(
                form.format(old.partition("github.com/")[2]), form.format(new.partition("github.com/")[2])
            )
        file.write_text(text, encoding="utf-8")
    print(new)
    return 0


if __name__ == "__main__":
    sys.exit(main())
