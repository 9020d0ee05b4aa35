"""Studies: made once, joined by whoever asks for the same."""

from __future__ import annotations

from pathlib import Path

import pytest

optuna = pytest.importorskip("optuna", reason="needs the extra `tune`")

from studying import opened  # noqa: E402

from rl_lab.errors import BadInput  # noqa: E402
from rl_lab.search import studies  # noqa: E402


@pytest.mark.parametrize("url", [None, "sqlite"])
def test_another_space_is_refused(tmp_path: Path, url: str | None) -> None:
    url = url and f"sqlite:///{tmp_path}/s.db"
    opened(tmp_path, url)
    opened(tmp_path, url)
    with pytest.raises(BadInput, match="another search space: it differs in b"):
        opened(tmp_path, url, space=[{"key": "a"}, {"key": "b"}])
    with pytest.raises(BadInput, match="another training"):
        opened(tmp_path, url, words=["env=y"])
    with pytest.raises(BadInput, match="another recipe"):
        opened(tmp_path, url, recipe="2")


def test_a_study_of_somebody_else_is_refused(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/s.db"
    theirs = optuna.create_study(storage=url, study_name="s")
    theirs.tell(theirs.ask({"x": optuna.distributions.FloatDistribution(0, 1)}), 1.0)
    with pytest.raises(BadInput, match="study s was not made by rl-lab tune"):
        opened(tmp_path, url)
    (trial,) = optuna.load_study(storage=url, study_name="s").trials
    assert trial.value == 1.0
    assert theirs.user_attrs == {}


def test_a_name_that_is_nearly_right_is_named() -> None:
    with pytest.raises(BadInput, match="Did you mean 'tpe'"):
        studies.sampler("tpee", 0)
    with pytest.raises(BadInput, match="Did you mean 'median'"):
        studies.pruner("medan")
