"""Registered models: their versions and aliases."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping

from mlflow.entities.model_registry import ModelVersion, RegisteredModel

from ..queries import equals
from ..registry import use_registered_model
from ..store import SOURCE_TAG, as_global, paged, unanswered
from .passage import Passage, one_copy, undisturbed
from .source import Rows

#: The source of a version that MLflow's own promotion made: it has the files, and all tags, of another version.
_PROMOTED = re.compile(r"models:/[^/]+/\d+")


class VersionCarrier:
    """Carries the registered versions of the runs and logged models that were carried.

    Args:
        passage: that this is part of.
    """

    def __init__(self, passage: Passage) -> None:
        self._passage, self._source, self._target = passage, passage.source, passage.target
        self._sources: dict[str, str] = {}  # address of a version in the source -> what that version has as its source

    def carry_all(self, only: str) -> None:
        """Carry the versions, and the aliases that point at them; those that are left behind are counted.

        Args:
            only: id of the only experiment to carry; the versions of others are passed over. Empty means all.
        """
        client, listed = self._source, self._passage.listed
        rows = Rows("SELECT name FROM registered_models", client.get_registered_model)
        models = listed("registered model", client.search_registered_models, rows=rows)
        rows = Rows("SELECT name, version FROM model_versions", client.get_model_version)
        all_versions = listed("version of the registered model", client.search_model_versions, rows=rows)
        self._sources = {f"models:/{one.name}/{one.version}": one.source or "" for one in all_versions}
        for model in models:
            versions = [version for version in all_versions if version.name == model.name]
            label = f"registered model {model.name}"
            self._passage.attempt(label, self._carry_model, model, versions, only)

    def _carry_model(self, model: RegisteredModel, versions: list[ModelVersion], only: str) -> None:
        known = {_origin(version) for version in versions}
        asked_for = [version for version in versions if self._is_asked_for(version, only)]
        owned = self._owned(model.name, [one for one in asked_for if one.run_id in self._passage.owned])
        left = {str(version.version): reason for version in asked_for if (reason := self._obstacle(version, owned))}
        for reason, number in Counter(left.values()).items():
            self._passage.left[f"versions of {model.name} left behind, since {reason}"] += number
        aliases = {alias: str(one) for alias, one in self._source.get_registered_model(model.name).aliases.items()}
        for alias in [alias for alias, number in aliases.items() if number in left]:
            self._passage.left[f"alias {alias} of {model.name} left behind with its version"] += 1
        mine = sorted((one for one in asked_for if str(one.version) not in left), key=lambda one: int(one.version))

        def carry() -> None:
            use_registered_model(self._target, model.name, model.tags, model.description)
            new = [version for version in mine if str(version.version) not in owned]
            numbers = owned | {str(version.version): self._carry_version(version) for version in new}
            wanted = {alias: numbers[number] for alias, number in aliases.items() if numbers.get(number)}
            self._carry_aliases(model.name, wanted, {*owned.values()}, known)

        if mine:
            undisturbed(carry)

    def _is_asked_for(self, version: ModelVersion, only: str) -> bool:
        """Tell whether a version is to be carried or counted; those of experiments that are passed over are not."""
        if not only or not version.run_id or version.run_id in self._passage.copies:
            return True
        try:
            run = self._passage.run(version.run_id)
        except Exception as error:
            if unanswered(error):
                raise
            return True  # no one knows of which experiment it is
        return run is not None and run.info.experiment_id == only

    def _owned(self, name: str, versions: list[ModelVersion]) -> dict[str, str]:
        """Return the numbers of versions of the target's own runs -> their numbers there, empty for one it has not."""
        there = {_origin(version): str(version.version) for version in self._there(name)} if versions else {}
        return {str(version.version): there.get(_origin(version), "") for version in versions}

    def _obstacle(self, version: ModelVersion, owned: Mapping[str, str]) -> str:
        """Return why a version has to be left behind; empty when there is nothing against it.

        Args:
            version: in the source.
            owned: what `_owned` returned.
        """
        if version.run_id not in self._passage.copies:
            return self._passage.why_left(version.run_id)
        if (number := owned.get(str(version.version))) is not None:
            return "" if number else "the target has their runs itself"
        kind, owner, *_ = self._place(version)
        if kind not in ("models", "runs") or owner not in self._passage.copies:
            return "no carried run is known to have their files"
        return ""

    def _carry_version(self, version: ModelVersion) -> str:
        """Carry a version and return its number in the target."""
        kind, owner, slash, path = self._place(version)
        address = self._passage.copies[owner]
        copy = self._one_copy(version, f"{kind}:/{address}{slash}{path}", address if kind == "models" else None)
        for key, value in version.tags.items() - copy.tags.items():
            if key != SOURCE_TAG:
                self._target.set_model_version_tag(version.name, copy.version, key, value)
        return str(copy.version)

    def _place(self, version: ModelVersion) -> tuple[str, str, str, str]:
        """Return where the files of a version are: `models` or `runs`, the id of it, a slash, and the path in it."""
        sources = [version.source or ""]
        while (promoted := self._sources.get(sources[-1], "")) and promoted not in sources:
            sources.append(promoted)
        source, home = sources[-1], self._source.get_run(version.run_id).info.artifact_uri or ""
        if home and source.startswith(f"{home}/"):  # so says an older MLflow
            return "runs", version.run_id, "/", source.removeprefix(f"{home}/")
        kind, _, rest = source.partition(":/")
        return kind, *rest.partition("/")

    def _there(self, name: str) -> Iterator[ModelVersion]:
        """Yield the versions of a registered model that the target has."""
        return paged(self._target.search_model_versions, equals("name", name))

    def _one_copy(self, version: ModelVersion, source: str, model_id: str | None) -> ModelVersion:
        run_id = self._passage.copies[version.run_id]

        def make() -> None:
            tags = version.tags | {SOURCE_TAG: _origin(version)}
            with as_global(self._target.tracking_uri):
                self._target.create_model_version(
                    version.name, source, run_id, tags, description=version.description, model_id=model_id
                )
            self._passage.done["model versions"] += 1

        return one_copy(
            lambda: [copy for copy in self._there(version.name) if _origin(copy) == _origin(version)],
            lambda copy: (copy.run_id != run_id, int(copy.version)),
            lambda copy: self._target.delete_model_version(copy.name, copy.version),
            make,
        )

    def _carry_aliases(self, name: str, wanted: dict[str, str], owned: set[str], known: set[str]) -> None:
        """Point the target's aliases where the source's point, unless the target itself has a say in it.

        Args:
            name: of the registered model.
            wanted: alias -> number in the target.
            owned: numbers of versions of the target's own runs.
            known: origins of all versions of the model in the source, those of other experiments too.
        """
        there = {alias: str(number) for alias, number in self._target.get_registered_model(name).aliases.items()}
        for alias, number in wanted.items():
            current = there.get(alias)
            if current == number:
                continue
            if number in owned or current and not self._is_from_here(name, current, known):
                self._passage.left[f"alias {alias} of {name} left as the target has it"] += 1
            else:
                self._target.set_registered_model_alias(name, alias, number)
                self._passage.done["aliases"] += 1

    def _is_from_here(self, name: str, number: str, known: set[str]) -> bool:
        """Tell whether a version of the target is a copy of one that the source has, or has deleted since."""
        origin = _copied_from(self._target.get_model_version(name, number))
        owner = re.match(r"(?:models|runs):/([^/ ]+)", origin)
        return origin in known or owner is not None and owner[1] in self._passage.copies


def _copied_from(version: ModelVersion) -> str:
    """Return the origin of a version that a sync has made; empty for others, among them those that were promoted."""
    return "" if _PROMOTED.fullmatch(version.source or "") else version.tags.get(SOURCE_TAG, "")


def _origin(version: ModelVersion) -> str:
    """Return what a version is a copy of; an original has no id of its own but its source and its time."""
    return _copied_from(version) or f"{version.source} {version.creation_timestamp}"
