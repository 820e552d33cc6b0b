"""Tables of hashing and of finding."""

from __future__ import annotations

from typing import Any

from handful.evaluation.hashing_tables import find_quality, hashing, hashing_lengths, ugh_order


def codes(model: str, shots: int, share: float, bits: int = 16, **against: Any) -> dict[str, Any]:
    about = {"protocol": "hashing", "dataset": "cifar10", "backbone": "b", "bits": bits}
    return about | {"model": model, "shots": shots, "metrics": {"map": share, "against": against}}


def test_codes_stand_in_blocks_with_what_the_best_gains() -> None:
    less = {"difference": -0.125, "interval": [-0.15, -0.1]}
    found = [
        codes("lsh", 1, 0.25, **{"handful-bits": less}),
        codes("ksh", 1, 0.3125),
        codes("all-codes", 1, 0.75, bits=2000),
        codes("handful-bits", 1, 0.375),
        codes("handful-bits", 10, 0.5),
        codes("dbc", 1, 0.34375),
        codes("dbc", 10, 0.34375, bits=32),
        {"protocol": "other"},
    ]
    head, *rows = hashing(found)
    assert head[5:] == ["mAP, 1 example", "mAP, 10 examples"]
    assert [row[4] for row in rows] == [
        f"`{name}`" for name in ("handful-bits", "dbc", "ksh", "lsh", "all-codes")
    ]
    assert [row[3] for row in rows][1:] == ["examples", "examples", "no labels", "for comparison"]
    assert rows[0][5:] == ["**37.5**", "**50.0**"]
    # the best of those that may be compared, not the row of all codes
    assert rows[3][5:] == ["**25.0** (best +12.5, 10.0 to 15.0)", ""]


def test_lengths_stand_where_there_are_several() -> None:
    found = [codes("a", 10, 0.5, 8), codes("a", 10, 0.625, 32), codes("b", 10, 0.75)]
    found += [codes("c", 10, 0.75, 8), codes("c", 10, 0.875, 16), codes("c", 1, 0.5, 16)]
    head, *rows = hashing_lengths(found)
    assert head[4:] == ["mAP, 8 bits", "mAP, 16 bits", "mAP, 32 bits"]
    assert [row[2:] for row in rows] == [
        ["10", "`c`", "**75.0**", "**87.5**", ""],
        ["10", "`a`", "**50.0**", "", "**62.5**"],
    ]


def test_conditions_of_ugh_stand_against_random_functions() -> None:
    models = {
        "ugh": {"map": 0.25, "more_than_random": -0.0625, "interval": [-0.125, 0.03125]},
        "ugh-random": {"map": 0.3125, "more_than_random": 0.0, "interval": None},
    }
    value = {"protocol": "ugh-order", "libraries": {"500 functions": {"3 shots": models}}}
    head, row = ugh_order([value])
    cells = dict(zip(head, row, strict=True))
    assert cells["library"] == "500 functions"
    assert cells["examples"] == "3"
    assert cells["random"] == "**31.2**"
    assert cells["shared (the paper's)"] == "**25.0** (-6.2, -12.5 to 3.1)"
    assert cells["all"] == ""


def test_what_is_found_stands_beside_plain_cosine() -> None:
    less = {"mean": -0.0125, "interval": [-0.025, 0.0]}
    row = {
        "place": "among others",
        "pictures": 12345,
        "shots": 3,
        "n": 80,
        "precision@20": {"cosine": 0.5, "default": 0.5125},
        "less_than_cosine": {"default": less},
    }
    head, cells = find_quality([{"protocol": "find-quality", "rows": [row]}])
    assert head[3:] == ["cosine to the mean", "default"]
    assert cells[0] == "12,345, among others"
    assert cells[3:] == ["**50.0**", "**51.2** (+1.2, 0.0 to 2.5)"]
