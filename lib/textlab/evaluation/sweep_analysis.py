"""What the runs of an experiment say, whoever recorded them: what can be compared, what mattered, what is chance, what next."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import optuna
import pandas as pd
from scipy import stats

from .scores import BASELINES, compare, over_seeds

#: Parameters that say what was trained on; runs are compared only where they are equal.
SAME = ("data_sha256", "validation_sha256", "train_rows")
#: Parameters that follow from others or from the place, and are no settings to choose.
NOT_SETTINGS = (*SAME, "seed", "dataset", "model_sha256")
#: Fewest trials from which an importance is told.
ENOUGH = 6


@dataclass(frozen=True)
class Runs:
    """The runs of an experiment, sorted out."""

    metric: str  # that decides; higher is better
    table: pd.DataFrame  # comparable completed runs, oldest first: run_id, name, minutes, params, metrics, tags.*
    settings: list[str]  # the parameters that differ between them, without the seed
    states: pd.DataFrame  # indexed by state: runs, minutes
    left_out: int  # completed runs with the metric that saw other data
    note: str  # why the table is empty, in a sentence; empty when it is not
    given_up: pd.DataFrame = field(
        default_factory=pd.DataFrame
    )  # pruned runs, likewise; the metric is that of their last validation

    @property
    def trials(self) -> pd.DataFrame:
        """One run for each choice of settings, the oldest; those that were given up have True in the column given_up."""
        runs = pd.concat([self.table.assign(given_up=False), self.given_up.assign(given_up=True)], ignore_index=True)
        return runs.drop_duplicates(self.settings) if self.settings else runs[:1]


def comparable(found: pd.DataFrame, metric: str) -> Runs:
    """Return the runs of an experiment, sorted out; the newest completed one decides which data the others must have seen.

    Args:
        found: all runs of the experiment, newest first, as `tracking.runs` returns them.
        metric: that decides.
    """
    parents = set(found["parent"].dropna())
    found = found[~found["run_id"].isin(parents)]
    score, last_look, nowhere = (
        f"metrics.{metric}",
        f"metrics.{metric.replace('validation_', 'eval_', 1)}",
        pd.Series(index=found.index),
    )
    given_up = found.get("tags.trial_state", nowhere) == "pruned"
    found[score] = found.get(score, nowhere).astype(float).where(~given_up, found.get(last_look, nowhere))
    done = (found["status"] == "FINISHED") & found[score].notna()
    state = (
        found["status"]
        .str.lower()
        .where(~done, "completed")
        .where(~given_up, "pruned")
        .replace({"finished": f"finished without {metric}"})
    )
    found["state"] = state
    states = found.groupby("state").agg(runs=("run_id", "size"), minutes=("minutes", "sum"))
    table = found[done | (given_up & found[score].notna() & done.any())]
    for column in [f"params.{name}" for name in SAME if f"params.{name}" in table and done.any()]:
        newest = found.loc[done, column].fillna("").iloc[0]
        table = table[table[column].fillna("") == newest]
    plain = [column.removeprefix("params.") for column in table if column.startswith("params.")]
    table = table.rename(
        columns={
            column: column.partition(".")[2]
            for column in table
            if column.startswith("params.") or (column.startswith("metrics.") and column.partition(".")[2] not in plain)
        }
    )
    table = table.rename(columns={score: metric}).iloc[::-1].reset_index(drop=True)
    for column in table.select_dtypes(["object", "string"]):
        numbers = pd.to_numeric(table[column], errors="coerce")
        if len(table) and numbers.notna().eq(table[column].notna()).all():
            table[column] = numbers
    settings = sorted(name for name in plain if name not in NOT_SETTINGS and table[name].nunique(dropna=False) > 1)
    note = ""
    if table.empty:
        metrics = sorted(
            column.partition(".")[2]
            for column in found
            if column.startswith("metrics.") and "system/" not in column and found[column].notna().any()
        )
        note = f"The experiment has {len(found)} runs, but no completed one with the metric {metric}" + (
            f"; there are {', '.join(metrics[:12])}." if metrics else ": notebook 3 makes some."
        )
    pruned = table.pop("state") == "pruned"
    kept = table[~pruned].reset_index(drop=True)
    return Runs(metric, kept, settings, states, int(done.sum()) - len(kept), note, table[pruned].reset_index(drop=True))


def by_settings(runs: Runs) -> pd.DataFrame:
    """Return what each choice of settings came to over its seeds, best mean first.

    Returns:
        Indexed by the name of its oldest run: mean, sd, min, max, seeds, low, high (95 % t interval of the mean, from two seeds
        on), and the settings. A seed that was run twice counts once.
    """
    rows = {}
    groups = runs.table.groupby(runs.settings, dropna=False, sort=False) if runs.settings else [("", runs.table)]
    for _, group in groups if len(runs.table) else []:
        scores = group.drop_duplicates("seed") if "seed" in group else group[:1]
        row = over_seeds(scores, [runs.metric]).loc[runs.metric].to_dict() | {"seeds": len(scores)}
        reach = (
            stats.t.ppf(0.975, len(scores) - 1) * row["sd"] / math.sqrt(len(scores)) if len(scores) > 1 else math.nan
        )
        rows[group["name"].iloc[0]] = (
            row | {"low": row["mean"] - reach, "high": row["mean"] + reach} | group[runs.settings].iloc[0].to_dict()
        )
    columns = ["mean", "sd", "min", "max", "seeds", "low", "high", *runs.settings]
    table = pd.DataFrame.from_dict(rows, orient="index", columns=columns)
    return table.sort_values("mean", ascending=False)


def winner(runs: Runs) -> pd.Series:
    """Return the run that won: the newest that a sweep chose as its winner, else the best by the metric."""
    chosen = runs.table[runs.table["tags.role"] == "winner"] if "tags.role" in runs.table else runs.table[:0]
    return chosen.iloc[-1] if len(chosen) else runs.table.loc[runs.table[runs.metric].idxmax()]


def headline(runs: Runs, chosen: Mapping[str, Any]) -> str:
    """Return in a sentence how good the chosen run is, over the seeds of its settings where there are several."""
    table = by_settings(runs)
    (own,) = table[_same(table, chosen, runs.settings)].to_dict("records")
    said = f"Best of {len(table)} settings: {chosen['name']} with {runs.metric} {chosen[runs.metric]:.3f}"
    if own["seeds"] > 1:
        said += f"; over {own['seeds']} seeds its settings have a mean of {own['mean']:.3f} (sd {own['sd']:.3f}, {own['min']:.3f} to {own['max']:.3f})"
    return said + "."


def importance(runs: Runs) -> pd.Series:
    """Return the share of the differences in rank that each setting explains by itself (fANOVA, Hutter et al. 2014), largest first.

    Ranks, since the score of a trial that was given up is one of a shorter training; it ranks below every completed one. Settings
    that some trials lack are left out. Empty when there are fewer than `ENOUGH` trials, or all score the same.
    """
    trials = runs.trials
    if len(trials) < ENOUGH or not runs.settings or trials[runs.metric].nunique() == 1:
        return pd.Series(dtype=float)
    ranges = {name: _distribution(trials[name]) for name in runs.settings}
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(direction="maximize")
    in_order = trials.sort_values(["given_up", runs.metric], ascending=[False, True])
    for rank, (_, row) in enumerate(in_order.iterrows()):
        values = {
            name: row[name]
            if not isinstance(ranges[name], optuna.distributions.CategoricalDistribution)
            else str(row[name])
            for name in runs.settings
            if pd.notna(row[name])
        }
        study.add_trial(
            optuna.trial.create_trial(
                params=values, distributions={name: ranges[name] for name in values}, value=float(rank)
            )
        )
    found = optuna.importance.get_param_importances(
        study, evaluator=optuna.importance.FanovaImportanceEvaluator(seed=0)
    )
    return pd.Series(found, dtype=float).sort_values(ascending=False)


def _distribution(column: pd.Series) -> optuna.distributions.BaseDistribution:
    values = column.dropna()
    if not pd.api.types.is_numeric_dtype(values) or pd.api.types.is_bool_dtype(values) or values.nunique() == 1:
        return optuna.distributions.CategoricalDistribution(sorted(values.astype(str).unique()))
    low, high = float(values.min()), float(values.max())
    return optuna.distributions.FloatDistribution(low, high, log=low > 0 and high / low >= 5)


def budget_curve(runs: Runs) -> pd.DataFrame:
    """Return the best score to expect from fewer trials (Dodge et al. 2019): columns trials, expected, minutes.

    The expectation over all ways to draw so many of the trials without putting any back.
    """
    if runs.table.empty:
        return pd.DataFrame(columns=["trials", "expected", "minutes"])
    scores = np.sort(runs.trials[runs.metric].to_numpy(float))
    n, minutes = len(scores), runs.trials["minutes"].mean()
    rows = []
    for k in range(1, n + 1):
        ways = np.array([math.comb(i, k - 1) for i in range(n)], dtype=float) / math.comb(
            n, k
        )  # score i is the best of k
        rows.append({"trials": k, "expected": float(scores @ ways), "minutes": k * minutes})
    return pd.DataFrame(rows, columns=["trials", "expected", "minutes"])


def on_edge(space: Mapping[str, Any], best: Mapping[str, Any], share: float = 0.1) -> list[str]:
    """Return a sentence for each setting whose best value lies at the edge of its range.

    Args:
        share: how close to a bound counts, as a share of the range (of its logarithm with `log`).
    """
    found = []
    for name, spec in space.items():
        if "choices" in spec or pd.isna(best.get(name)):
            continue
        scale = math.log if spec.get("log") else float
        low, high, value = (scale(float(x)) for x in (spec["low"], spec["high"], best[name]))
        place = (value - low) / (high - low)
        if place <= share or place >= 1 - share:
            bound, direction = (spec["low"], "lower") if place <= share else (spec["high"], "higher")
            found.append(
                f"The best {name} ({float(best[name]):.3g}) lies at the edge of the range searched ({bound}): "
                f"a {direction} value may be better still."
            )
    return found


def next_space(space: Mapping[str, Any], runs: Runs) -> dict[str, Any]:
    """Return a search space for the next sweep, around the best third of the trials; wider where the best lies at an edge.

    Args:
        space: that was searched, as `search_space.check_space` returns it; settings that no trial has stay as they were.
    """
    trials = runs.trials.sort_values(runs.metric, ascending=False)
    top = trials[: max(2, math.ceil(len(trials) / 3))]
    found: dict[str, Any] = {}
    for name, spec in space.items():
        values = top[name].dropna() if name in top else pd.Series(dtype=float)
        if len(values) < 2:
            found[name] = spec
        elif "choices" in spec:
            found[name] = spec | {
                "choices": [
                    choice
                    for choice in spec["choices"]
                    if str(choice) in set(values.astype(str)) or choice in values.tolist()
                ]
            }
        else:
            scale, back = (np.log, np.exp) if spec.get("log") else (np.asarray, np.asarray)
            low, high, least, most = (float(scale(x)) for x in (spec["low"], spec["high"], values.min(), values.max()))
            margin = max((most - least) * 0.25, (high - low) * 0.1)
            bounds = [float(f"{float(back(x)):.2g}") for x in (least - margin, most + margin)]
            if isinstance(spec["low"], int):
                bounds = [max(1, math.floor(bounds[0])), math.ceil(bounds[1])]
            elif bounds[0] < 0 <= spec["low"]:
                bounds[0] = spec["low"]
            found[name] = spec | {"low": bounds[0], "high": bounds[1]}
    return found


def against(
    runs: Runs, chosen: Mapping[str, Any], answers: Callable[[str, str], Mapping[str, Any] | None]
) -> pd.DataFrame:
    """Return paired tests of a run against the next best settings and the baselines, on the same rows.

    Args:
        answers: (run id, split or `<split>_<baseline>`) -> what was recorded of the answers, see `tracking.predictions`.

    Returns:
        Indexed by the other's name: split, difference (accuracy of the chosen one minus the other's), low, high, p_value; only
        those whose answers were recorded for the same rows.
    """
    table = by_settings(runs)
    others = [
        (
            "validation",
            "validation",
            f"runner-up ({name})",
            runs.table.loc[runs.table["name"] == name, "run_id"].iloc[0],
        )
        for name in table.index[~_same(table, chosen, runs.settings)][:1]
    ]
    others += [
        (split, f"{split}_{baseline}", words, chosen["run_id"])
        for split in ("test", "validation")
        for baseline, words in reversed(BASELINES.items())
    ]
    rows = {}
    for split, file, name, run_id in others:
        mine, theirs = answers(chosen["run_id"], split), answers(run_id, file)
        if (
            mine
            and theirs
            and mine["rows_sha256"] == theirs["rows_sha256"]
            and mine["labels"] == theirs["labels"]
            and name not in rows
        ):
            found = compare(mine["true"], mine["predicted"], theirs["predicted"])
            low, high = found["difference_ci95"]
            rows[name] = {
                "split": split,
                "difference": found["difference"],
                "low": low,
                "high": high,
                "p_value": found["p_value"],
            }
    return pd.DataFrame.from_dict(rows, orient="index", columns=["split", "difference", "low", "high", "p_value"])


def _same(table: pd.DataFrame, chosen: Mapping[str, Any], settings: list[str]) -> pd.Series:
    """Return which rows have the same settings as a run, where what neither has is the same too."""
    same = pd.Series(True, index=table.index)
    for name in settings:
        same &= table[name].isna() if pd.isna(chosen[name]) else table[name] == chosen[name]
    return same
