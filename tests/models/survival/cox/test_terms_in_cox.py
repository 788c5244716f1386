"""Formulas: coded as R codes them, read from a list of what is allowed, and nothing evaluated beyond it."""

import ast

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aih_outcomes.errors import OutcomeError
from aih_outcomes.models.survival.cox.fit import fit_cox
from aih_outcomes.models.terms.design import build_design, code_rows
from aih_outcomes.models.terms.formula import read_terms
from aih_outcomes.models.terms.splines import natural_spline, spline_knots

MODELS = {
    "numbers": "x * log(bili) + I(x**2)",
    "categories": "arm * sex + x",
    "category_by_number": "arm * x",
    "slopes_by_category": "arm + arm:x",
    "reference": "C(stage, reference='3') + log2(bili)",
    "arithmetic": "I(x / bili) + log10(alk.phos) + exp(x) + sqrt(`alk.phos`)",
    "power": "(x + arm + log(bili))**2 - arm:log(bili)",
    "dotted": "alk.phos + log(alk.phos)",
    "spline": "ns(x, df=4) + arm",
    "spline_by_number": "ns(log(bili), df=2) * x",
    "spline_straight": "ns(x, df=1)",
}


@pytest.mark.parametrize("name", MODELS)
def test_matches_r_coded_by_a_formula(name, terms_outcome, assert_terms):
    assert_terms(fit_cox(terms_outcome(), covariates=MODELS[name]), name)


def test_matches_r_where_knots_come_from_incomplete_rows_too(terms_outcome, assert_terms):
    fit = fit_cox(terms_outcome(), covariates="ns(bili, df=3) + gap", missing="exclude")
    assert fit.glance()["n_missing_excluded"] == 4
    assert_terms(fit, "spline_with_missing")


def test_a_list_may_hold_parts_of_a_formula(terms_outcome, assert_terms):
    assert_terms(fit_cox(terms_outcome(), covariates=["x * log(bili)", "I(x**2)"]), "numbers")
    assert_terms(fit_cox(terms_outcome(), by="arm", covariates=["sex", "group:sex", "x"]), "categories")


def test_the_spline_is_r_s_column_by_column_and_straight_beyond_its_knots(terms_outcome, r_figures, assert_close):
    figures = r_figures("cox_terms")
    x = terms_outcome().frame["x"].to_numpy(float)
    knots = spline_knots(x, 4)
    assert_close(natural_spline(x, knots).ravel(), figures["basis"], 1e-12, se=1.0, what="ns")
    beyond = natural_spline(np.array([-9.0, -3, 0, 4, 11]), knots)
    assert_close(beyond.ravel(), figures["basis_beyond"], 1e-12, se=1.0, what="ns beyond")


def test_a_spline_of_few_values_is_refused():
    with pytest.raises(OutcomeError, match="among 2 different values"):
        spline_knots(np.array([0.0, 1.0, 1.0, np.nan]), 3)


def test_terms_say_what_they_are_and_against_what(terms_outcome):
    design = build_design(terms_outcome().frame, "C(stage, reference=2) + sex:x + ns(bili, df=2) + x:bili")
    assert design.names == [
        "stage: 1 (ref. 2)", "stage: 3 (ref. 2)", "stage: 4 (ref. 2)", "ns(bili, df=2)1", "ns(bili, df=2)2",
        "sex: f × x", "sex: m × x", "x:bili",
    ]  # fmt: skip
    assert [term.variable for term in design.terms[3:]] == ["ns(bili, df=2)"] * 2 + ["sex:x"] * 2 + ["x:bili"]
    assert design.columns == ["stage", "bili", "sex", "x"]


def test_other_rows_are_coded_by_the_levels_and_knots_that_were_learned(terms_outcome):
    frame = terms_outcome().frame
    design = build_design(frame, "arm * ns(x, df=3) + log(bili)")
    some = frame[frame["arm"] == "c"].iloc[:5]
    np.testing.assert_array_equal(code_rows(design, some), design.X[some.index])
    with pytest.raises(OutcomeError, match="1 of 1 rows have a level of 'arm'"):
        code_rows(design, some.iloc[:1].assign(arm="z"))


def test_a_category_s_own_order_gives_the_reference(spells):
    frame = pd.DataFrame({"exit": range(1, 7), "event": 1, "dose": pd.Categorical(list("hlhlmm"), ["l", "m", "h"])})
    rows = spells(frame, ["dose"])
    assert build_design(rows.frame, "dose").names == ["dose: m (ref. l)", "dose: h (ref. l)"]
    assert build_design(rows.frame, "C(dose, reference='h')").names == ["dose: l (ref. h)", "dose: m (ref. h)"]
    with pytest.raises(OutcomeError, match="none of the 3 levels"):
        build_design(rows.frame, "C(dose, reference='x')")


def test_a_column_called_c_shadows_nothing(spells):
    frame = pd.DataFrame({"exit": range(1, 9), "event": 1, "C": list("abababba"), "log": range(2, 10)})
    rows = spells(frame, ["C", "log"])
    assert build_design(rows.frame, "C(C, reference='b') + log(log)").names == ["C: a (ref. b)", "log(log)"]
    C, log = "a name of the caller", None
    assert build_design(rows.frame, "C + log").names == ["C: b (ref. a)", "log"], (C, log)


ATTACKS = [
    "__import__('os').system('true')", "x.__class__", "().__class__.__bases__", "eval('1')", "open('x')",
    "log(__import__('os').getpid())", "I(x.__class__)", "x[0]", "{x.values}", "{[y for y in x]}", "{lambda: 1}",
    "I((lambda: 1)())", "log(x, out=x)", "log(*x)", "C(x, reference=print(1))", "ns(x, df=print(1))", "ns(x)",
    "ns(x, df=0)", "ns(x, df=True)", "C(x + 1)", "C(x, levels=[1])", "log(C(x))", "I(ns(x, df=2))", "I('a')",
    "np.log(x)", "log(np)", "frame", "caller", "{caller}", "I(caller)", "{x if x else x}", "{x and x}", "{f'{x}'}",
    "{(y := 1)}", "I(1)", "{x @ x}", "{x // x}", "{x == 1}", "{True}", "patient_id", "log(exit)", "entry:x",
    "poly(x, 2)", "scale(x)", "lag(x, 1)", "hashed(x)", "bs(x, df=3)", "Q('x')", "`x y`",
]  # fmt: skip


@pytest.mark.parametrize("text", ATTACKS)
def test_only_covariates_and_functions_of_the_list_are_terms(text, spells):
    caller = 1.0  # never visible
    rows = spells(pd.DataFrame({"exit": [1, 2, 3], "event": 1, "x": [1.0, 3, 2]}), ["x"])
    for covariates in (text, [text]):
        with pytest.raises(OutcomeError, match=r"term|formula") as error:
            fit_cox(rows, covariates=covariates)
        assert error.value.rule
        assert error.value.way_out, caller


@pytest.mark.parametrize(
    "text", ["x +", "y ~ x", "x |", "x | x", "[x ~ x]", ".", "2 * x", "x + 'a'", "(x", "x)", "x ? x", "{x", "`x"]
)
def test_what_is_no_right_hand_side_is_refused(text, spells):
    rows = spells(pd.DataFrame({"exit": [1, 2, 3], "event": 1, "x": [1.0, 3, 2]}), ["x"])
    with pytest.raises(OutcomeError, match=r"term|formula"):
        fit_cox(rows, covariates=text)


@given(st.text(st.sampled_from("x zlogns(),.=*+-/:^~{}[]|'\"`_03df"), max_size=25))
def test_no_text_does_more_than_read_or_refuse(text):
    try:
        terms = read_terms(text, ["x", "z"])
    except OutcomeError:
        return
    for factor in (factor for term in terms for factor in term):
        named = {node.id for node in ast.walk(factor.tree) if isinstance(node, ast.Name)}
        assert named <= {"x", "z", "log", "ns", *factor.columns}


def test_numbers_that_arithmetic_cannot_give_are_refused_not_dropped(spells):
    rows = spells(pd.DataFrame({"exit": [1, 2, 3], "event": 1, "x": [1.0, 0, 2], "sex": list("mfm")}), ["x", "sex"])
    for text in ("log(x)", "I(1 / x)", "exp(1000 * x)", "sqrt(x - 1)"):
        with pytest.raises(OutcomeError, match="of 3 values"):
            fit_cox(rows, covariates=text)
    with pytest.raises(OutcomeError, match="holds names"):
        fit_cox(rows, covariates="log(sex)")


def test_what_is_asked_for_twice_stands_once(terms_outcome):
    design = build_design(terms_outcome().frame, ["x", "x + log(bili)", "log( bili )", "bili:x", "x:bili"])
    assert design.names == ["x", "log(bili)", "bili:x"]


def test_a_baseline_hazard_leaves_no_intercept(terms_outcome):
    for text in ("x", "x - 1", "0 + x", "1 + x", "~ x"):
        assert build_design(terms_outcome().frame, text).names == ["x"]
