import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from anamnesis.clinical.findings import read_findings
from anamnesis.clinical.red_flags import RedFlagRule, RuleBook, screen
from anamnesis.clinical.terms import Acuity, Age, Assertion, Finding, Person
from anamnesis.content import load_content

CONTENT = load_content()


NOBODY = Person()


def acuity_of(*texts, person=NOBODY):
    findings = [finding for text in texts for finding in read_findings(text, CONTENT.lexicon)]
    return max((flag.acuity for flag in screen(findings, person, CONTENT.rules)), default=Acuity.ROUTINE)


@pytest.mark.parametrize(
    "text",
    [
        "I can’t breathe properly and my lips are blue",
        "crushing chest pain, sweating a lot",
        "my son is fitting now",
        "he drank rat poison",
        "I want to kill myself",
        "bleeding heavily since I delivered yesterday",
        "bitten by a snake",
        "her face is drooping and she is slurring",
        "vomiting blood since morning",
        "fell from a tree today",
    ],
)
@pytest.mark.regression("D4")
def test_danger_told_plainly_is_an_emergency(text):
    assert acuity_of(text) is Acuity.EMERGENCY


@pytest.mark.parametrize(
    "text",
    [
        "no chest pain, no sweating",
        "my mother had a stroke last year",
        "what are the signs of a stroke?",
        "I am fit and healthy",
        "my boss is killing me lol",
        "when I was a child I had seizures",
        "fever? no. convulsions: none",
        "heat rash on my arm",
    ],
)
@pytest.mark.regression("D4")
def test_words_that_only_look_dangerous_are_not_an_emergency(text):
    assert acuity_of(text) < Acuity.EMERGENCY


def test_danger_told_in_pieces_counts():
    assert acuity_of("my neck is stiff") < Acuity.EMERGENCY
    assert acuity_of("my neck is stiff", "also I have a fever") is Acuity.EMERGENCY


def test_fever_is_urgent_under_five_and_an_emergency_under_two_months():
    assert acuity_of("she has a fever", person=Person(age=Age.of_years(3))) is Acuity.URGENT
    assert acuity_of("she has a fever", person=Person(age=Age(20))) is Acuity.EMERGENCY


CONCEPTS = st.sampled_from(sorted(CONTENT.lexicon.concepts))
FINDINGS = st.lists(st.builds(Finding, CONCEPTS, st.sampled_from(Assertion), st.just(0), st.just(1), st.just("x")))


@settings(max_examples=100, deadline=None)
@given(told=FINDINGS, more=FINDINGS, years=st.none() | st.floats(0, 100), pregnant=st.none() | st.booleans())
def test_telling_us_more_never_makes_a_patient_less_urgent(told, more, years, pregnant):
    person = Person(age=None if years is None else Age.of_years(years), pregnant=pregnant)

    def acuity(findings):
        return max((flag.acuity for flag in screen(findings, person, CONTENT.rules)), default=Acuity.ROUTINE)

    assert acuity([*told, *more]) >= acuity(told)


@settings(max_examples=100, deadline=None)
@given(st.text(max_size=300))
def test_any_text_is_read_and_every_quote_is_verbatim(text):
    for finding in read_findings(text, CONTENT.lexicon):
        assert text[finding.start : finding.end] == finding.quote


@settings(max_examples=100, deadline=None)
@given(st.frozensets(st.sampled_from(sorted(CONTENT.lexicon.concepts)), max_size=40), st.randoms(use_true_random=False))
def test_no_rule_that_could_hold_is_left_unasked(names, random):
    rule = random.choice(list(CONTENT.rules))
    names |= rule.all_of.union(*(random.sample(sorted(group), 1) for group in rule.any_of))
    could = [
        each.id
        for each in CONTENT.rules
        if each.all_of <= names and not any(group.isdisjoint(names) for group in each.any_of)
    ]
    asked = [each.id for each in CONTENT.rules.about(names)]
    assert rule.id in could
    assert set(could) <= set(asked)
    assert asked == [each.id for each in CONTENT.rules if each.id in asked]


def told(concept, message_id):
    return Finding(concept, Assertion.AFFIRMED, 0, 1, "x", message_id)


def test_what_is_said_in_passing_counts_with_its_own_message_and_the_one_that_began_the_story():
    rule = RedFlagRule("r", Acuity.EMERGENCY, "advice", all_of=frozenset({"weak", "faint_hint"}))
    both = RedFlagRule("s", Acuity.EMERGENCY, "advice", all_of=frozenset({"pain", "weak"}))
    book = RuleBook([rule, both], frozenset({"weak", "faint_hint"}))

    def fired(*findings):
        return [flag.rule_id for flag in screen(findings, NOBODY, book)]

    assert fired(told("weak", "1"), told("faint_hint", "1")) == ["r"]
    assert fired(told("weak", "1"), told("faint_hint", "2")) == []
    assert fired(told("pain", "1"), told("weak", "2")) == ["s"]
    assert fired(told("pain", "1"), told("weak", "1"), told("faint_hint", "2")) == ["r", "s"]
    assert fired(told("pain", "1"), told("weak", "2"), told("faint_hint", "3")) == ["s"]


def test_most_of_what_a_rule_needs_may_be_told_in_several_messages():
    findings = [
        finding
        for number, text in enumerate(("I have a bad headache", "yes, fever since yesterday", "my neck is stiff"))
        for finding in read_findings(text, CONTENT.lexicon, message_id=f"m{number}")
    ]
    assert max(flag.acuity for flag in screen(findings, NOBODY, CONTENT.rules)) is Acuity.EMERGENCY


@pytest.mark.parametrize(
    ("text", "acuity"),
    [
        ("Is it okay to bleed this much at 30 weeks pregnant?", Acuity.EMERGENCY),
        ("Could a headache this sudden and terrible be nothing?", Acuity.EMERGENCY),
        ("What are the signs of a stroke?", Acuity.ROUTINE),
        ("Can a baby die of fever?", Acuity.ROUTINE),
        ("Is it dangerous to be bitten by a snake?", Acuity.ROUTINE),
    ],
)
def test_what_is_asked_of_as_ones_own_is_told(text, acuity):
    assert acuity_of(text) is acuity
