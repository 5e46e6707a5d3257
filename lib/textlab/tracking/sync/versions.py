"""Registered models: their versions and aliases."""

from __future__ import annotations

from mlflow.entities.model_registry import ModelVersion, RegisteredModel

from ..queries import equals
from ..registry import use_registered_model
from ..store import SOURCE_TAG, as_global, paged
from .passage import Passage, one_copy, origin_of, undisturbed
from .source import Rows


class VersionCarrier:
    """Carries the registered versions of the runs and logged models that were carried.

    Args:
        passage: that this is part of.
    """

    def __init__(self, passage: Passage) -> None:
        self._passage, self._source, self._target = passage, passage.source, passage.target

    def carry_all(self) -> None:
        """Carry the versions, and the aliases that point at them."""
        carried = self._passage.copies.keys() - self._passage.owned
        client, listed = self._source, self._passage.listed
        rows = Rows("SELECT name FROM registered_models", client.get_registered_model)
        models = listed("registered model", client.search_registered_models, rows=rows)
        rows = Rows("SELECT name, version FROM model_versions", client.get_model_version)
        all_versions = listed("version of the registered model", client.search_model_versions, rows=rows)
        for model in models:
            versions = [version for version in all_versions if version.name == model.name]
            if alone := [version for version in versions if not version.run_id]:
                self._passage.done[f"versions of {model.name} left behind, since no run has made them"] += len(alone)
            mine = [version for version in versions if version.run_id in carried]
            if mine:
                known = {_origin(version) for version in versions}
                self._passage.attempt(f"registered model {model.name}", self._carry_model, model, mine, known)

    def _carry_model(self, model: RegisteredModel, versions: list[ModelVersion], known: set[str]) -> None:
        def carry() -> None:
            use_registered_model(self._target, model.name, model.tags, model.description)
            ordered = sorted(versions, key=lambda version: int(version.version))
            numbers = {str(version.version): self._carry_version(version) for version in ordered}
            self._carry_aliases(model.name, {version: number for version, number in numbers.items() if number}, known)

        undisturbed(carry)

    def _carry_version(self, version: ModelVersion) -> str | None:
        """Carry a version and return its number in the target; None when its files are in no run that was carried."""
        kind, owner, slash, path = self._place(version)
        address = self._passage.copies.get(owner)
        if kind not in ("models", "runs") or not address:
            reason = f"versions of {version.name} left behind, since their files are in none of the carried runs"
            self._passage.done[reason] += 1
            return None
        copy = self._one_copy(version, f"{kind}:/{address}{slash}{path}", address if kind == "models" else None)
        for key, value in version.tags.items() - copy.tags.items():
            if key != SOURCE_TAG:
                self._target.set_model_version_tag(version.name, copy.version, key, value)
        return str(copy.version)

    def _place(self, version: ModelVersion) -> tuple[str, str, str, str]:
        """Return where the files of a version are: `models` or `runs`, the id of it, a slash, and the path in it."""
        source, home = version.source or "", self._source.get_run(version.run_id).info.artifact_uri or ""
        if home and source.startswith(f"{home}/"):  # so says an older MLflow
            return "runs", version.run_id, "/", source.removeprefix(f"{home}/")
        kind, _, rest = source.partition(":/")
        return kind, *rest.partition("/")

    def _one_copy(self, version: ModelVersion, source: str, model_id: str | None) -> ModelVersion:
        origin, run_id = _origin(version), self._passage.copies[version.run_id]

        def search() -> list[ModelVersion]:
            versions = paged(self._target.search_model_versions, equals("name", version.name))
            return [copy for copy in versions if _origin(copy) == origin]

        def make() -> None:
            tags = version.tags | {SOURCE_TAG: origin}
            with as_global(self._target.tracking_uri):
                self._target.create_model_version(
                    version.name, source, run_id, tags, description=version.description, model_id=model_id
                )
            self._passage.done["model versions"] += 1

        return one_copy(
            search,
            lambda copy: (copy.run_id != run_id, int(copy.version)),
            lambda copy: self._target.delete_model_version(copy.name, copy.version),
            make,
        )

    def _carry_aliases(self, name: str, numbers: dict[str, str], known: set[str]) -> None:
        """Point the target's aliases where the source's point, unless one has gone to a version that is no copy of one.

        Args:
            name: of the registered model.
            numbers: of its versions that were carried, in the source -> in the target.
            known: origins of all its versions in the source, those of other experiments too.
        """
        there = {alias: str(number) for alias, number in self._target.get_registered_model(name).aliases.items()}
        for alias, version in self._source.get_registered_model(name).aliases.items():
            wanted = numbers.get(str(version))
            current = there.get(alias)
            if not wanted or current == wanted:
                continue
            if current and self._target.get_model_version(name, current).tags.get(SOURCE_TAG) not in known:
                self._passage.done[f"alias {alias} of {name} left at the target's own version"] += 1
            else:
                self._target.set_registered_model_alias(name, alias, wanted)
                self._passage.done["aliases"] += 1


def _origin(version: ModelVersion) -> str:
    """Return what a version is a copy of; an original has no id of its own but its source and its time."""
    return origin_of(version.tags, f"{version.source} {version.creation_timestamp}")
