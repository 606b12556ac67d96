"""The probe: what a judge of words learns from pairs, what it suspects, and what more votes would bring."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any, cast

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.common.embeddings import Embeddings
from tasks.common.tfidf_bradley_terry import Probe
from tasks.core import manifest, params
from tasks.core.tables import Pairs
from tasks.release import stage as release
from tasks.release.probe import folds, learning_curve, probe
from tasks.release.probe.probe import Probed
from tasks.release.report.probe_section import probe as section
from tests.builders import releases, thesaurus
from tests.builders.harmless import harmless
from tests.conftest import ROOT

Texts = list[str]


def columns(rows: list[dict[str, Any]]) -> tuple[Texts, Texts, Texts]:
    """Prompts, chosen and rejected answers as texts."""
    prompts, chosen, rejected = ([row[name][-1]["content"] for row in rows] for name in ("prompt", "chosen", "rejected"))
    return prompts, chosen, rejected


def test_the_probe_learns_a_planted_preference() -> None:
    train, test = releases.planted({"train": 300}, 1, noise=0.1), releases.planted({"test": 200}, 2, noise=0.0)
    assert (Probe.fit(*columns(train)).margins(*columns(test)) > 0).mean() > 0.85


def test_swapping_the_answers_turns_the_sign_exactly() -> None:
    rows = releases.planted({"train": 120}, 3)
    prompts, chosen, rejected = columns(rows)
    probe = Probe.fit(prompts, chosen, rejected)
    forth, back = probe.margins(prompts, chosen, rejected), probe.margins(prompts, rejected, chosen)
    assert np.array_equal(forth, -back)
    assert np.all(probe.margins(prompts, chosen, chosen) == 0)


def test_embeddings_carry_a_preference_over_to_words_that_mean_the_same(tmp_path: Path) -> None:
    model = str(thesaurus.write(tmp_path / "model"))
    taught = ["a cheap train"] * 3, ["the fast ticket"] * 3
    embed = Embeddings(model, "release.probe.embedding").of
    asked = ["q"], ["inexpensive"], ["quick"]
    assert Probe.fit(["q"] * 3, *taught).margins(*asked)[0] == 0
    assert Probe.fit(["q"] * 3, *taught, embed=embed).margins(*asked)[0] > 0
    assert probed(releases.planted({"train": 120}, 3), embedding=model).accuracy.share > 0.6


def test_a_weight_counts_as_so_many_equal_pairs() -> None:
    prompts, chosen, rejected = ["q"] * 3, ["yes sir", "no sir", "yes sir"], ["no madam", "yes madam", "no madam"]
    weighed = Probe.fit(prompts[:2], chosen[:2], rejected[:2], [2.0, 1.0]).margins(["q"], ["yes"], ["no"])
    assert weighed[0] > 0
    assert Probe.fit(prompts[:2], chosen[:2], rejected[:2], [1.0, 2.0]).margins(["q"], ["yes"], ["no"])[0] < 0


@pytest.mark.parametrize(("prompts", "chosen", "rejected"), [([], [], []), (["q"], [""], [""]), (["q"], ["same"], ["same"])])
def test_pairs_that_say_nothing_teach_nothing(prompts: Texts, chosen: Texts, rejected: Texts) -> None:
    probe = Probe.fit(prompts, chosen, rejected)
    assert probe.margins(["a", "b"], ["c", ""], ["d", ""]).tolist() == [0, 0]
    assert probe.margins([], [], []).shape == (0,)


def test_one_pair_is_learned() -> None:
    assert Probe.fit(["q"], ["good word"], ["bad word"]).margins(["p"], ["good"], ["bad"])[0] > 0


def test_scripts_without_spaces_are_read_character_by_character() -> None:
    chosen, rejected = ["谢谢您的耐心", "谢谢您来信"], ["这是您的错", "是您的错误"]
    assert Probe.fit(["问", "问"], chosen, rejected).margins(["问"], ["非常谢谢"], ["您弄错了"])[0] > 0


@settings(max_examples=20)
@given(st.lists(st.tuples(st.text(max_size=8), st.text(max_size=8), st.text(max_size=8)), max_size=5))
def test_any_text_can_be_judged(rows: list[tuple[str, str, str]]) -> None:
    prompts, chosen, rejected = ([row[place] for row in rows] for place in range(3))
    assert np.isfinite(Probe.fit(prompts, chosen, rejected).margins(prompts, chosen, rejected)).all()


# The whole probe.

QUICK = {"draws": 100, "repeats": 1, "shares": [0.2, 0.5, 1.0]}
SETTINGS = params.load(ROOT / "params.yaml", "release", release.Params).probe.model_copy(update=QUICK)


def table(rows: list[dict[str, Any]]) -> pa.Table:
    return pa.Table.from_pylist(rows, schema=Pairs.schema())


def probed(rows: list[dict[str, Any]], **more: object) -> Probed:
    result = probe.run_probe(table(rows), SETTINGS.model_copy(update=more))
    assert result
    return result


def turned(rows: list[dict[str, Any]], share: float, seed: int = 5) -> tuple[list[dict[str, Any]], set[str]]:
    """The rows with this share of the labels turned round, and the ids of those; ids stay."""
    picked = set(random.Random(seed).sample([row["pair_id"] for row in rows], round(share * len(rows))))
    return [row | {"chosen": row["rejected"], "rejected": row["chosen"]} if row["pair_id"] in picked else row for row in rows], picked


PLANTED = releases.planted({"train": 240, "validation": 30, "test": 30}, 4, noise=0.06)


@pytest.fixture(scope="module")
def clean() -> Probed:
    return probed(PLANTED)


def test_the_probe_is_ahead_of_length_where_words_decide(clean: Probed) -> None:
    assert clean.accuracy.share > 0.85
    assert clean.accuracy.low > clean.longer.high
    assert clean.ahead[1] > 0.2
    assert not clean.at_chance()
    assert (clean.pairs, clean.probed, clean.by["recipe"]["choice"].pairs) == (300, 300, 300)


def test_what_words_never_dropped_has_a_figure_of_its_own(clean: Probed) -> None:
    held = [row for row in PLANTED if row["split"] != "train"]
    assert clean.untouched is not None
    assert (clean.untouched.pairs, len(held)) == (60, 60)
    assert str(clean.untouched) in clean.line()
    half = probed([*turned(held, 0.5)[0], *(row for row in PLANTED if row["split"] == "train")])
    assert half.untouched is not None
    assert half.untouched.share < 0.7 < half.accuracy.share
    assert probed([row | {"split": "train"} for row in PLANTED]).untouched is None


def test_accuracy_falls_as_labels_are_turned_and_ends_at_chance(clean: Probed) -> None:
    noisy = probed(turned(PLANTED, 0.25)[0]).accuracy.share
    assert clean.accuracy.share > noisy + 0.1
    half = probed(turned(PLANTED, 0.5)[0])
    assert half.at_chance()
    assert "about" not in half.curve.verdict.split(";")[0], "more of the same will not help"
    assert half.accuracy.share < noisy
    assert half.accuracy.drawn_low < 0.5 < half.accuracy.drawn_high + 0.03


def test_turned_labels_are_suspected_first(clean: Probed) -> None:
    rows, picked = turned(releases.planted({"train": 300}, 6, noise=0.0), 0.1)
    result = probed(rows)
    first = [suspect.pair_id for suspect in result.suspects.listed[: len(picked)]]
    assert len(picked & set(first)) > 0.7 * len(first)
    assert result.suspects.count > clean.suspects.count
    assert clean.planted.auc > 0.9
    assert clean.planted.found > 3 * clean.planted.others
    likely = [suspect.probability for suspect in result.suspects.listed]
    assert likely == sorted(likely)
    assert max(likely) < result.suspects.threshold <= SETTINGS.suspect


def test_the_order_of_the_rows_and_the_number_of_threads_change_nothing(clean: Probed) -> None:
    rows = list(PLANTED)
    random.Random(1).shuffle(rows)
    from threadpoolctl import threadpool_limits

    with threadpool_limits(limits=2):
        assert manifest.dumps(probed(rows).document()) == manifest.dumps(clean.document())


def test_variants_and_repeats_are_no_evidence(clean: Probed) -> None:
    more = [row | {"pair_id": f"{row['pair_id']}-again", "augmented_from": row["prompt_id"]} for row in PLANTED[:50]]
    assert probed(PLANTED + more).document() == clean.document()


def test_of_a_large_release_a_sample_is_probed_and_said_to_be(clean: Probed) -> None:
    result = probed(PLANTED, max_pairs=150)
    assert (result.pairs, result.probed) == (300, 150)
    assert "on 150 of 300 pairs" in result.line()
    assert "of 300 pairs" not in clean.line()
    assert result.suspects.count <= 150


def test_too_few_groups_say_nothing() -> None:
    assert probe.run_probe(table(PLANTED[:40]), SETTINGS) is None
    one = [row | {"conversations": ["all in one"]} for row in PLANTED]
    assert probe.run_probe(table(one), SETTINGS) is None
    assert probe.run_probe(table([]), SETTINGS) is None
    assert probe.run_probe(table(PLANTED), SETTINGS.model_copy(update={"use": False})) is None


def test_pairs_that_share_a_cluster_or_a_conversation_never_lie_in_two_folds() -> None:
    chance = random.Random(8)
    rows = [
        row | {"cluster_id": f"k{chance.randrange(150)}", "conversations": [f"c{chance.randrange(200)}", f"c{chance.randrange(4000)}"]}
        for row in PLANTED
    ]
    taken = folds.written(table(rows))
    numbers, names = folds.groups(taken)
    fold = folds.folds(numbers, names, 5, 1)
    for column in ("cluster_id", "conversations"):
        seen: dict[str, int] = {}
        for values, place in zip(cast("list[str | list[str]]", taken[column].to_pylist()), fold.tolist(), strict=True):
            for value in [values] if isinstance(values, str) else values:
                assert seen.setdefault(value, place) == place
    assert len(names) > 5
    sizes = np.bincount(fold, minlength=5)
    assert sizes.min() > 0


def test_repeating_what_one_prompt_says_does_not_help_the_probe() -> None:
    """Labels that only a pair's own copies give away: parted from them, the judge is at chance."""
    chance = random.Random(3)
    rows = []
    for number in range(80):
        sides = [f"answer{number} first", f"answer{number} second"]
        chance.shuffle(sides)
        row = releases.row(f"Question {number}", sides[0], sides[1], "train", cluster_id=f"k{number}")
        rows += [row | {"pair_id": f"{number}-{copy}"} for copy in range(4)]
    result = probed(rows)
    assert result.groups == 80
    assert result.accuracy.drawn_low < 0.5 < result.accuracy.drawn_high


# The learning curve.


def test_a_law_is_found_again_from_its_own_points() -> None:
    sizes = np.array([100.0, 200.0, 400.0, 800.0])
    ceiling, fall, power = learning_curve.fit(sizes, np.array([0.9 - 2.0 * sizes**-0.5]))[:, 0]
    assert (round(ceiling, 6), round(fall, 6), power) == (0.9, 2.0, 0.5)


@given(st.lists(st.floats(0, 1), min_size=4, max_size=4))
def test_no_law_rises_above_one_or_falls_with_more_pairs(accuracies: list[float]) -> None:
    ceiling, fall, _ = learning_curve.fit(np.array([100.0, 200.0, 400.0, 800.0]), np.array([accuracies]))[:, 0]
    assert ceiling <= 1 + 1e-12
    assert fall >= 0


def test_what_is_needed_follows_from_the_law_and_beyond_tenfold_nothing_is_said() -> None:
    laws = np.array([[0.9], [2.0], [0.5]])  # at 800 pairs 0.829; one more point at 1,084
    result = learning_curve.needed(laws, 800, 1000, 0.01)
    assert (result.reached, result.pairs) == (1.0, int(float(f"{((2.0 / (2.0 * 800**-0.5 - 0.01)) ** 2 / 800 - 1) * 1000:.2g}")))
    assert learning_curve.needed(np.array([[0.9], [0.3], [1.0]]), 800, 1000, 0.01).pairs is None
    assert learning_curve.needed(np.array([[0.9], [2.0], [0.15]]), 800, 1000, 0.3).pairs is None


def test_a_sample_counts_what_more_pairs_bring_from_all_pairs_on() -> None:
    sizes = np.array([100.0, 200.0, 400.0, 800.0])
    accuracies = np.array([0.9 - 2.0 * sizes**-0.5])
    counts = [int(size) for size in sizes]
    sample, whole = (
        learning_curve.curve(counts, accuracies, accuracies[0], learning_curve.Extent(total, 0.8 * total, 1.0), 0.95)
        for total in (4000, 1000)
    )
    times = (2.0 / (2.0 * 3200**-0.5 - 0.01)) ** 2 / 3200
    assert sample.more[0].pairs == int(float(f"{(times - 1) * 4000:.2g}"))
    assert sample.more[0].pairs > 4 * (whole.more[0].pairs or 0), "the curve is flatter there"


def test_the_curves_intervals_are_as_wide_as_they_are_asked_to_be() -> None:
    drawn = np.random.default_rng(0).normal(0.7, 0.02, (2000, 4))
    result = [
        learning_curve.curve([100, 200, 400, 800], drawn, drawn[0], learning_curve.Extent(1000, 800.0, 1.0), sure) for sure in (0.95, 0.5)
    ]
    widths = [one.points[0].high - one.points[0].low for one in result]
    assert widths[0] / widths[1] == pytest.approx(1.96 / 0.674, rel=0.1)


@pytest.mark.parametrize(
    ("reached", "words"), [(0.95, "about 500 more pairs (some 750 votes)"), (0.5, "unclear whether"), (0.05, "will hardly improve")]
)
def test_the_verdict_is_as_sure_as_the_draws(reached: float, words: str) -> None:
    assert words in learning_curve.verdict(
        (learning_curve.More(0.01, reached, 500, 300, None), learning_curve.More(0.02, 0.0, None, None, None)), 1.5
    )


def test_the_curve_rises_and_is_drawn(clean: Probed) -> None:
    chance = random.Random(2)  # forty good words and forty bad ones: each must have been seen
    rows = [releases.row(f"Q {n}", f"good{chance.randrange(40)}", f"bad{chance.randrange(40)}", "train") for n in range(240)]
    result = probed(rows).curve
    assert result.points[0].accuracy + 0.05 < result.points[-1].accuracy
    assert result.fall > 0
    assert result.at(1000) >= result.at(100)
    assert [point.pairs for point in clean.curve.points] == [48, 120, 240]
    page = section(clean)
    assert page.count("<circle") == 3
    assert "What the pairs teach" in page
    assert section(None) == ""


# Real labels.


@pytest.mark.slow
def test_real_preferences_are_seen_as_far_as_words_carry_them_and_noise_is_seen(shared_data: Path) -> None:
    rows = harmless(shared_data)
    result = [probed(turned(rows, share)[0]) for share in (0.0, 0.2, 0.5)]
    shares = [one.accuracy.share for one in result]
    assert 0.60 <= shares[0] <= 0.66
    assert result[0].accuracy.low > result[0].longer.high
    assert shares[0] > shares[1] + 0.03 > shares[2] + 0.03
    assert result[2].at_chance()
