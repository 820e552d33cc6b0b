"""Recipes: those of the package are whole, changes are typed, slips are one line."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import BaseModel, ConfigDict

from handful.errors import InputError
from handful.training.recipe import UNLABELLED, options, read_recipe, recipes
from handful.training.run import TASKS
from handful.zoo import Card

FIELDS = {"name": "x", "method": "m", "backbone": "b"}


def refused(name: str, *overrides: str) -> str:
    with pytest.raises(InputError) as error:
        read_recipe(name, overrides)
    assert "\n" not in str(error.value)
    return str(error.value)


@pytest.mark.parametrize("name", recipes())
def test_the_packages_recipes_are_whole(name: str) -> None:
    recipe = read_recipe(name)
    assert recipe["name"] == name
    assert recipe["task"] in TASKS
    assert bool(recipe.get("validation")) != (recipe["task"] in UNLABELLED)
    Card(**FIELDS, **recipe["card"])


def test_no_recipe_learns_from_what_it_validates_on() -> None:
    # the three alphabets that no recipe may train on are the same in all: figures compare
    drawings = ("calibration", "drawing-embedding", "koch")
    found = [recipe for name in recipes() if (recipe := read_recipe(name))["task"] in drawings]
    assert len({tuple(recipe["validation"]) for recipe in found}) == 1


def test_changes_are_read_as_yaml() -> None:
    changes = [
        "loop.steps=7",
        "loop.keep=last",
        "options.rates=[0.1, 2]",
        "options.bias=no",
        "seed=3",
    ]
    recipe = read_recipe("koch-paper", changes)
    assert (recipe["loop"]["steps"], recipe["loop"]["keep"], recipe["seed"]) == (7, "last", 3)
    assert (recipe["options"]["rates"], recipe["options"]["bias"]) == ([0.1, 2], False)
    untouched = read_recipe("koch-paper")
    assert recipe["card"] == untouched["card"]
    assert untouched["loop"]["steps"] != 7


def test_a_key_may_be_new_below_the_top_and_hold_an_equals_sign() -> None:
    recipe = read_recipe("koch-paper", ["loop.clip=1.5", "card.title=a=b"])
    assert (recipe["loop"]["clip"], recipe["card"]["title"]) == (1.5, "a=b")


def test_slips_in_a_change_are_one_line() -> None:
    assert "give key=value" in refused("koch-paper", "loop.steps")
    assert "no 'lop'" in refused("koch-paper", "lop.steps=1")
    assert "no 'steps'" in refused("koch-paper", "steps=1")
    assert "no 'name'" in refused("koch-paper", "name.first=1")
    assert "no YAML" in refused("koch-paper", "options.rates=[1, 2")
    assert "no YAML" in refused("koch-paper", "options.rates={1: 2: 3}")


def test_an_unknown_recipe_is_answered_with_those_there_are() -> None:
    message = refused("koch-papr")
    assert all(name in message for name in recipes())
    assert "no such recipe file" in refused("nowhere.yaml")


def test_a_recipe_of_ones_own(tmp_path: Path) -> None:
    own = tmp_path / "own.yaml"
    own.write_text("name: own\ntask: koch\nvalidation: [A]\ncard: {}\nloop: {steps: 3}\n")
    assert read_recipe(str(own), ["loop.steps=4"])["loop"] == {"steps": 4}
    own.write_text("name: own\ntask: koch\n")
    assert "needs name, task, validation, card" in refused(str(own))
    own.write_text("- a\n- b\n")
    assert "is no recipe" in refused(str(own))
    own.write_text("name: [\n")
    assert "own.yaml: is no YAML" in refused(str(own))


class Settings(BaseModel):
    model_config = ConfigDict(extra="forbid")
    rates: list[float] = [0.5]
    bias: bool = True


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"rate": 1}, "options.rate: "),
        ({"rates": ["fast"]}, r"options.rates.0: "),
        (5, "options: "),
        (None, "options: "),
    ],
)
def test_options_that_cannot_be(given: object, named: str) -> None:
    with pytest.raises(InputError, match=f"recipe own: {named}") as error:
        options(Settings, {"name": "own", "options": given})
    assert "\n" not in str(error.value)


def test_options_have_defaults() -> None:
    assert options(Settings, {"name": "own"}) == Settings()
    assert options(Settings, {"name": "own", "options": {"rates": [1]}}).rates == [1.0]
