"""The assays of this release are sound data, written and read alike, and no cassette is of two of them."""

from itertools import pairwise

import pytest

from reader import assays, gs1, packfile
from reader.assays import AmplificationAssay, StripAssay

SHIPPED = {
    "crp", "ct-lamp", "fit", "flu-ab-ag", "hiv-ab", "hpv-lamp", "malaria-ag", "mtb-lamp", "ng-lamp", "sars2-ag",
    "sars2-lamp", "strep-a-ag",
}  # fmt: skip


def test_the_twelve_assays_are_there_and_every_one_says_that_its_values_are_illustrative():
    assert {assay.id for assay in packfile.every()} == SHIPPED
    assert all(assay.illustrative for assay in packfile.every())


def test_every_trade_item_number_has_its_check_digit_is_nobodys_and_is_of_one_assay():
    numbers = [
        gtin for assay in packfile.every() for gtin in (*assay.gtins, *(material[0] for material in assay.controls))
    ]
    assert len(set(numbers)) == len(numbers)
    for gtin in numbers:
        assert gs1.parse("01" + gtin).gtin == gtin
        assert gtin[:2] == "02"


def test_an_assay_is_found_by_id_and_version_and_an_unknown_one_is_none():
    assert packfile.strip_assay("sars2-ag").name == "SARS-CoV-2 antigen"
    assert packfile.find("sars2-ag", 1) is packfile.find("sars2-ag")
    assert packfile.find("sars2-ag", 99) is None
    assert packfile.find("nothing") is None


def test_lines_lie_in_the_window_far_enough_apart_to_tell_and_limits_are_ordered():
    for assay in packfile.every():
        if not isinstance(assay, StripAssay):
            continue
        places = sorted([*assay.test_um, assay.control_um])
        edge = assay.search_um + assay.line_um
        assert edge <= places[0]
        assert places[-1] <= assays.PIXELS * assays.PIXEL_UM - edge
        assert all(b - a >= 2 * assay.line_um for a, b in pairwise(places))
        assert all(0 < a < b for a, b in zip(assay.grey_ppm, assay.positive_ppm, strict=True))
        assert 0 < assay.control_ppm < assay.control_faint_ppm
        assert assay.earliest_s <= assay.incubation_s < assay.latest_s


def test_an_amplification_can_end_before_its_latest_plausible_positive_is_past():
    for assay in packfile.every():
        if isinstance(assay, AmplificationAssay):
            assert assay.warm_up_s < assay.latest_positive_s <= assay.duration_s
            assert assay.duration_s // assay.sample_s >= 10


@pytest.mark.parametrize(("assay_id", "unit", "lot"), [("crp", "mg/L", "CRP002"), ("fit", "ug/g", "FIT001")])
def test_a_quantitative_assay_has_its_unit_its_range_and_a_calibration_for_each_lot_it_knows(assay_id, unit, lot):
    assay = packfile.strip_assay(assay_id)
    assert assay.unit == unit
    assert assay.low_milli <= assay.grey_milli < assay.decision_milli < assay.high_milli
    a, b, c, d = assay.calibration(lot)
    assert a < d
    assert all(isinstance(one, int) for one in (a, b, c, d))
    assert assay.calibration("OTHER") is None
    assert assay.calibration(None) is None


def test_every_assay_has_control_material_for_each_level_that_quality_control_needs():
    for assay in packfile.every():
        assert len(assay.qc_levels) == 2
        levels = {level: expected for _, level, expected in assay.controls}
        assert set(assay.qc_levels) <= set(levels)
        for expected in levels.values():
            assert len(expected) == len(assay.analytes)
        gtin = assay.controls[0][0]
        assert assay.control(gtin) == assay.controls[0]
        assert assay.control(assay.gtins[0]) is None


# A definition never changes under its version, because records name it: a change here is a mistake, and wants a new
# version beside the old one.
FIRST_OF_DIGEST = {
    ("crp", 1): "c413f35de5190fd5",
    ("ct-lamp", 1): "ef39b175ec58b49b",
    ("fit", 1): "03a8ac85283dc193",
    ("flu-ab-ag", 1): "1300b9459a5638a8",
    ("hiv-ab", 1): "08048fe97126a5a7",
    ("hpv-lamp", 1): "d4bf642a7bd58d7f",
    ("malaria-ag", 1): "f1f8a8cc871aa6f2",
    ("mtb-lamp", 1): "92105259406c67de",
    ("ng-lamp", 1): "f717bb0dda1257f5",
    ("sars2-ag", 1): "0e9a9fff17477667",
    ("sars2-lamp", 1): "b53cc2a0d4e62dcf",
    ("strep-a-ag", 1): "3873036bb746f294",
}


def test_no_definition_was_changed_under_its_version():
    found = {named: packfile.digest(pack)[:16] for named, pack in packfile.built_in().items()}
    assert {named: digest for named, digest in found.items() if named in FIRST_OF_DIGEST} == FIRST_OF_DIGEST
