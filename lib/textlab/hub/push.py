"""A fine-tuned model, or a Space with its page, on its way to the Hub: private, and over nothing unasked."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import huggingface_hub
from huggingface_hub import constants

from .. import machine
from ..errors import InputError
from . import connection, download, sources

#: What a saved model has at least, with its card.
MODEL_FILES = ("config.json", "model.safetensors", "README.md")
#: Kind of a repository -> what is overwritten in one that is there already.
OVERWRITTEN = {"model": "the model", "space": "app.py, README.md, requirements.txt and the folders model and textlab"}
#: What is removed from a Space, unless it comes again: what an earlier page may have left.
LEFT_OVER = ["model/*", "textlab/*"]


def push_model(folder: Path, repo: str, public: bool, agree: Callable[[str], bool]) -> str:
    """Upload a saved model with its card to the Hub and return the address of the commit.

    Args:
        folder: as `training.save` makes it, with a card.
        repo, agree: see `allowed`.
        public: everybody may see a repository that is made now.

    Raises:
        InputError: there is no token, no model with a card, no Hub, the Hub refuses, or the answer was no.
    """
    folder = model_folder(folder)
    there = allowed(repo, "model", agree)
    return upload(folder, repo, "model", public, there)


def model_folder(folder: Path) -> Path:
    """Return the folder of a model with its card; raise an InputError for another one."""
    folder = machine.expanded(folder)
    if missing := [name for name in MODEL_FILES if not (folder / name).is_file()]:
        raise InputError(f"push: {folder} has no {', '.join(missing)}; give the folder `model` of a run of notebook 2")
    return folder


def allowed(repo: str, kind: str, agree: Callable[[str], bool]) -> bool:
    """Return whether a repository is there already, after all is checked that an upload needs.

    Args:
        repo: `owner/name`.
        kind: `model` or `space`.
        agree: gets a question and returns the answer, before an existing repository is overwritten.

    Raises:
        InputError: there is no token, no Hub, the Hub refuses, or the answer was no.
    """
    if sources.split_id(repo) != (repo, None):
        raise InputError(f"push: got {repo!r}; accepted is owner/name")
    if not huggingface_hub.get_token():
        raise InputError(
            "push: needs a token that may write; make one in your settings on the Hub and put it into HF_TOKEN"
        )
    if why := connection.unreachable(constants.ENDPOINT):
        raise InputError(f"push: {connection.endpoint()} cannot be reached ({why}); nothing was uploaded")
    connection.bound_calls(60)
    with _refusal_of(repo):
        there = huggingface_hub.HfApi().repo_exists(repo, repo_type=kind)
    what = OVERWRITTEN[kind]
    if there and not agree(f"{repo} is there already. Overwrite {what} in it? Its other files stay."):
        raise InputError(
            f"push: {repo} is there already, and nothing was uploaded; give --yes to overwrite {what} in it"
        )
    return there


def upload(folder: Path, repo: str, kind: str, public: bool, there: bool) -> str:
    """Upload a folder and return the address of the commit; other files of the repository stay.

    Args:
        repo, kind: see `allowed`, which comes before.
        there: the repository is there already; else it is made, private unless `public`.

    Raises:
        InputError: the Hub refuses.
    """
    api = huggingface_hub.HfApi()
    space = kind == "space"
    with _refusal_of(repo):
        if not there:
            api.create_repo(repo, repo_type=kind, space_sdk="gradio" if space else None, private=not public)
        return api.upload_folder(
            repo_id=repo,
            repo_type=kind,
            folder_path=folder,
            allow_patterns=None if space else download.FILES["model"],
            delete_patterns=LEFT_OVER if space else None,
            commit_message="Upload a page to try a fine-tuned model" if space else "Upload a fine-tuned model",
        ).commit_url


@contextmanager
def _refusal_of(repo: str) -> Iterator[None]:
    """Say in one line that the Hub did not do what was asked inside the context."""
    try:
        yield
    except connection.UNREACHED as error:
        raise InputError(
            f"push: {connection.endpoint()} refuses {repo} ({connection.reason(error)}); see whether the token may "
            "write there, and run again"
        ) from None
