"""The closed set of outcomes and reasons, and the clinician's sentences."""

import pytest

from reader import explanation, outcome, wire


def test_every_reason_has_a_name_of_its_own_and_stands_beside_one_kind_of_outcome():
    names = [outcome.reason_name(reason) for reason in outcome.reasons()]
    assert len(set(names)) == len(names)
    for reason in outcome.reasons():
        assert outcome.reason_by_name(outcome.reason_name(reason)) == reason
        beside = [one for one in outcome.OUTCOMES if outcome.allowed(one, reason)]
        if reason == outcome.NONE:
            assert beside == [outcome.POSITIVE, outcome.NEGATIVE]
        else:
            assert beside == [outcome.outcome_of(reason)]
            assert beside[0] not in (outcome.POSITIVE, outcome.NEGATIVE)


def test_outcomes_have_the_numbers_of_the_protocol():
    for name in ("POSITIVE", "NEGATIVE", "INDETERMINATE", "INVALID", "ERROR"):
        assert getattr(outcome, name) == getattr(wire, "OUTCOME_" + name)


def test_what_is_not_in_the_closed_set_is_refused_and_never_negative():
    for value in (0, 6, -1, 255):
        with pytest.raises(KeyError):
            outcome.outcome_name(value)
        assert not outcome.allowed(value, outcome.NONE)
    for reason in (99, 255, -1):
        with pytest.raises(KeyError):
            outcome.reason_name(reason)
        assert not outcome.allowed(outcome.NEGATIVE, reason)
    with pytest.raises(KeyError):
        outcome.reason_by_name("all-fine")
    with pytest.raises(KeyError):
        outcome.outcome_of(outcome.NONE)


def test_each_reason_tells_the_clinician_in_one_sentence_what_happened():
    assert set(explanation.SENTENCES) == set(outcome.reasons())
    for reason in outcome.reasons():
        sentence = outcome.clinician_sentence(reason)
        if reason != outcome.NONE:
            assert sentence[0].isupper()
            assert sentence.endswith(".")
            assert sentence.count(".") == 1
