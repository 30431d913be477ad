"""What W&B would refuse at the end of a study is refused before it, and nothing else."""

from __future__ import annotations

import string

import pytest
import wandb
from hypothesis import given
from hypothesis import strategies as st

from studies.spec.study import SpecError, parse_spec
from studies.spec.wandb_names import FORBIDDEN, LONGEST, check_name, run_label


def with_project(**wandb_keys: str) -> dict:
    return {"name": "s", "datasets": ["wine"], "tracking": {"wandb": wandb_keys}}


@pytest.mark.parametrize("character", string.punctuation + " äé中")
def test_a_character_is_allowed_in_a_project_where_wandb_allows_it(character: str) -> None:
    name = f"a{character}b"
    try:
        wandb.Settings(project=name)
    except wandb.UsageError:
        assert character in FORBIDDEN
        with pytest.raises(ValueError, match="a W&B project has 1 to 128 characters"):
            check_name("project", name)
    else:
        assert check_name("project", name) == name


def test_a_project_may_be_as_long_as_wandb_allows() -> None:
    assert wandb.Settings(project="x" * LONGEST).project == check_name("project", "x" * LONGEST)
    with pytest.raises(wandb.UsageError):
        wandb.Settings(project="x" * (LONGEST + 1))
    with pytest.raises(ValueError, match="1 to 128"):
        check_name("project", "x" * (LONGEST + 1))


@given(st.text(max_size=140))
def test_wandb_takes_whatever_we_take(name: str) -> None:
    try:
        check_name("project", name)
    except ValueError:
        return
    assert wandb.Settings(project=name).project == name


@pytest.mark.parametrize("key", ["project", "entity"])
@pytest.mark.parametrize("name", ["team/churn", "50%", "a:b", "what?", "#1", "a\\b", "", " a", "two\nlines", "x" * 129])
def test_a_spec_with_a_name_that_wandb_refuses_is_refused(key: str, name: str) -> None:
    with pytest.raises(SpecError, match=f"tracking.wandb.{key}: a W&B {key} has 1 to 128") as caught:
        parse_spec(with_project(**{key: name}))
    assert "\n" not in str(caught.value)
    if key == "project" and "/" in name:
        assert "a team or user is named as entity" in str(caught.value)


def test_runs_of_datasets_with_long_names_keep_their_numbers() -> None:
    assert run_label("wine/3") == "wine/3"
    label = run_label("d" * 200 + "/17")
    assert len(label) == LONGEST
    assert label.endswith("/17")
