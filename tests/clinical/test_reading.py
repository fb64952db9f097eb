"""What words are heard to say: each trap of language, and the laws of reading."""

import json
import time
from pathlib import Path
from timeit import timeit

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from anamnesis.cli.triage import triage
from anamnesis.clinical.findings import ReadingContext, read_findings
from anamnesis.clinical.lexicon import LexiconText, compile_lexicon
from anamnesis.clinical.red_flags import WHO, screen
from anamnesis.clinical.terms import Acuity, Age, Assertion, Person, Sex
from anamnesis.content import load_content

CONTENT = load_content()
PHRASES = Path(__file__).parents[2] / "evals" / "phrases"


def heard(text, concept):
    """What the text says of a concept, most affirmed first, or None when it does not mention it."""
    said = [each.assertion for each in read_findings(text, CONTENT.lexicon) if each.concept == concept]
    return min(said, key=list(Assertion).index, default=None)


@pytest.mark.parametrize(
    ("text", "concept", "assertion"),
    [
        ("no chest pain", "chest_pain", Assertion.DENIED),
        ("without fever, vomiting or bleeding", "bleeding", Assertion.DENIED),
        ("fever: none", "fever", Assertion.DENIED),
        ("any fits? No.", "seizure", Assertion.DENIED),
        ("no fever, but I am vomiting blood", "vomiting_blood", Assertion.AFFIRMED),
        ("I can't breathe", "severe_breathless", Assertion.AFFIRMED),
        ("the bleeding won't stop", "heavy_bleeding", Assertion.AFFIRMED),
        ("I thought it was chest pain but it is not", "chest_pain", Assertion.DENIED),
        ("my mother had a stroke last year", "arm_weakness", Assertion.SOMEONE_ELSE),
        ("my son is fitting now", "seizure", Assertion.AFFIRMED),
        ("my husband has crushing chest pain", "chest_pain", Assertion.AFFIRMED),
        ("epilepsy and seizures run in my family", "seizure", Assertion.SOMEONE_ELSE),
        ("my goat was bitten by a snake", "snake_bite", Assertion.SOMEONE_ELSE),
        ("a dog bit me", "animal_bite", Assertion.AFFIRMED),
        ("I had seizures in 2009", "seizure", Assertion.PAST),
        ("seizures years ago and again this morning", "seizure", Assertion.AFFIRMED),
        ("if I get chest pain who do I call", "chest_pain", Assertion.HYPOTHETICAL),
        ("what are the signs of a stroke?", "arm_weakness", Assertion.HYPOTHETICAL),
        ("is there a painless way to die", "self_harm_intent", Assertion.AFFIRMED),
        ("the headache went away", "headache", Assertion.RESOLVED),
        ("She denies chest pain, feeling faint, having fits", "seizure", Assertion.DENIED),
        ("She denies chest pain but is vomiting blood", "vomiting_blood", Assertion.AFFIRMED),
        ("In 2021 I had a long labour and the fits came at the end", "seizure", Assertion.PAST),
        ("In 2021 I had a long labour and the fits are back", "seizure", Assertion.AFFIRMED),
        ("Our dog had puppies and one is fitting", "seizure", Assertion.SOMEONE_ELSE),
        ("Our dog had puppies and my son is fitting", "seizure", Assertion.AFFIRMED),
        ("My brother had fits when he was small, fine now", "seizure", Assertion.PAST),
        ("I had fits last year, fine now, but today fits again", "seizure", Assertion.AFFIRMED),
        ("I saw a film but my son is fitting now", "seizure", Assertion.AFFIRMED),
        ("I saw a film where a man is fitting now", "seizure", Assertion.HYPOTHETICAL),
        ("The bleeding stopped but has started again", "bleeding", Assertion.AFFIRMED),
        ("Suppose my child swallowed a battery, what then?", "swallowed_dangerous", Assertion.HYPOTHETICAL),
        ("My team was strangled by the defence", "strangled", None),
        ("I fainted, ok now", "fainted", Assertion.AFFIRMED),
        ("my boss is killing me", "self_harm_intent", None),
        ("the fit of my shoes", "seizure", None),
        ("heat rash and a blood test", "bleeding", None),
        ("my chst pane is bad", "chest_pain", Assertion.AFFIRMED),
        ("i caaaant breatheee", "severe_breathless", Assertion.AFFIRMED),
        ("v o m i t i n g blood", "vomiting_blood", Assertion.AFFIRMED),
        ("running stomach since night", "diarrhoea", Assertion.AFFIRMED),
        ("body hotness", "fever", Assertion.AFFIRMED),
        ("sina homa", "fever", Assertion.DENIED),
        ("nnina omusujja", "fever", Assertion.AFFIRMED),
    ],
)
def test_a_trap_of_language_is_read_as_meant(text, concept, assertion):
    assert heard(text, concept) is assertion


def test_a_bare_answer_speaks_of_what_was_asked():
    asked = ReadingContext(frozenset({"fever"}))
    denied = read_findings("no", CONTENT.lexicon, context=asked)
    affirmed = read_findings("yes since morning", CONTENT.lexicon, context=asked)
    assert [each.assertion for each in denied if each.concept == "fever"] == [Assertion.DENIED]
    assert [each.assertion for each in affirmed if each.concept == "fever"] == [Assertion.AFFIRMED]


def test_a_yes_to_several_questions_does_not_say_to_which():
    asked = ReadingContext(frozenset({"fever", "seizure"}))
    assert [each for each in read_findings("yes", CONTENT.lexicon, context=asked) if each.concept == "fever"] == []
    assert {each.concept for each in read_findings("no", CONTENT.lexicon, context=asked)} == {"fever", "seizure"}


@pytest.mark.parametrize(
    ("name", "least"), [("worked_on", 0.97), ("told", 0.95), ("plain", 0.95), ("short", 0.94), ("exam", 0.88)]
)
def test_most_phrases_that_were_worked_on_stay_understood(name, least):
    cases = [json.loads(line) for line in (PHRASES / f"{name}.jsonl").read_text().splitlines()]
    right = sum(triage(case, CONTENT)["triage"] == case["expected"] for case in cases)
    assert right / len(cases) >= least


def test_risks_lift_an_urgent_case_and_nothing_else():
    told = read_findings("I am diabetic and on chemo and the redness on my shin is spreading", CONTENT.lexicon)
    well = read_findings("I am diabetic and on chemo and feel well", CONTENT.lexicon)
    lifts = "two_risks_lift_urgent"
    assert lifts in {flag.rule_id for flag in screen(told, Person(), CONTENT.rules)}
    assert lifts not in {flag.rule_id for flag in screen(well, Person(), CONTENT.rules)}


def test_what_a_risk_alone_made_urgent_is_not_lifted_by_risks_again():
    told = read_findings("I am diabetic and on chemo and have a runny nose and a cough", CONTENT.lexicon)
    raised = {flag.rule_id for flag in screen(told, Person(), CONTENT.rules)}
    assert "mild_illness_at_risk" in raised
    assert "two_risks_lift_urgent" not in raised


def test_a_man_is_never_pregnant_and_a_known_age_beats_a_word():
    assert not WHO["pregnant"](Person(sex=Sex.MALE, pregnant=True), {"pregnant"})
    assert not WHO["under_two"](Person(age=Age.of_years(30)), {"newborn_word"})
    assert WHO["under_two"](Person(), {"newborn_word"})
    assert WHO["over_60"](Person(), {"elderly_word"})
    assert WHO["could_be_pregnant"](Person(age=Age.of_years(20), sex=Sex.FEMALE), set())


def test_every_line_of_the_catalogue_has_a_rule():
    assert {line for rule in CONTENT.written_rules for line in rule.catalogue} == set(range(1, 87))


CLUES = "no not never mother I if chest pain bleeding , . ? - : fever stroke now since last year lol fits dog bit but"
WORDS = st.sampled_from([*CLUES.split(), "\n"])
MESSAGES = st.text(max_size=400) | st.lists(WORDS, max_size=60).map(" ".join)


@settings(max_examples=300, deadline=None)
@given(MESSAGES)
def test_any_text_is_read_in_order_with_verbatim_quotes(text):
    found = read_findings(text, CONTENT.lexicon)
    assert all(text[each.start : each.end] == each.quote for each in found)
    assert [each.start for each in found] == sorted(each.start for each in found)


@settings(max_examples=100, deadline=None)
@given(MESSAGES, MESSAGES)
def test_a_second_message_never_lowers_what_the_first_raised(first, second):
    def acuity(*texts):
        found = [each for text in texts for each in read_findings(text, CONTENT.lexicon)]
        return max((flag.acuity for flag in screen(found, Person(), CONTENT.rules)), default=Acuity.ROUTINE)

    assert acuity(first, second) >= acuity(first)


def seconds(text):
    # timeit keeps the garbage collector out: what it costs grows with everything else the suite holds.
    return timeit(lambda: read_findings(text, CONTENT.lexicon), timer=time.process_time, number=1)


@pytest.mark.long
@pytest.mark.parametrize(
    "words",
    [
        "my mother had a stroke and if I bleed no fever and chest pain not vomiting ",
        "a film of a stroke but now I have chest pain, she denies fever and my dog is bleeding ",
        "no ",
        "h e l l o ",
        "zq",
    ],
)
def test_reading_takes_time_in_proportion_to_length(words):
    text = words * (200_000 // len(words))
    seconds(text[:20_000])
    short = min(seconds(text[:20_000]) for _ in range(3))
    assert seconds(text) < 30 * max(short, 0.005)


def test_two_thousand_characters_are_read_in_milliseconds():
    text = "I have had a bad cough and fever since Monday, no chest pain, and my son vomits everything he eats. " * 20
    seconds(text)
    assert sorted(seconds(text[:2000]) for _ in range(50))[25] < 0.05


def a_lexicon(**changes):
    empty = {name: {} for name in ("classes", "spellings", "rewrites", "cues", "concepts", "implies")}
    lists = dict.fromkeys(
        (
            "not_typos",
            "benign",
            "pseudo_negations",
            "refinements",
            "still_dangerous",
            "attributes",
            "own_wishes",
            "deeds",
            "contacts",
            "lasting",
            "lifelong",
            "states",
            "of_person",
        ),
        (),
    )
    return compile_lexicon(LexiconText(**{**empty, **lists, **changes}))


def test_a_phrase_may_have_choices_classes_gaps_numbers_and_either_order():
    lexicon = a_lexicon(
        classes={"pain": ["hurts", "pain*"]},
        concepts={"foot": ["foot &2 <pain>"], "many": ["took ~1 #10-50 {pills|tab* {a|b}}"]},
    )

    def names(text):
        return {each.concept for each in read_findings(text, lexicon)}

    assert names("my foot really hurts") == names("painful in my foot") == {"foot"}
    assert names("took about 12 pills") == names("took 50 tablets b") == {"many"}
    assert names("took 9 pills") == names("foot and then more hurts") == set()


@pytest.mark.parametrize("phrase", ["~2 pain", "chest }", "<nothing>"])
def test_a_phrase_that_cannot_be_read_is_refused_by_name(phrase):
    with pytest.raises(ValueError, match="sore"):
        a_lexicon(concepts={"sore": [phrase]})


@pytest.mark.parametrize(
    ("said", "concept", "assertion"),
    [
        ("Weakness on one side I don't have. What I have is a corn.", "arm_weakness", Assertion.DENIED),
        ("Sore throat. Voice gone odd, no. Dribbling, no.", "no_voice", Assertion.DENIED),
        ("Neither my lips nor my tongue swelled.", "mouth_swelling", Assertion.DENIED),
        ("Six years ago, after my caesarean, they found a clot in my lung.", "clot_risk", Assertion.PAST),
        ("I had fits until I was twelve, none for nineteen years.", "seizure", Assertion.PAST),
        ("I had fits until this morning.", "seizure", Assertion.AFFIRMED),
        ("Nine years ago I took tablets to end it. The dull days are back.", "overdose", Assertion.PAST),
        ("In 2019 I had fits. The same thing is back.", "seizure", Assertion.AFFIRMED),
        ("As a kid my sickle cell used to hit the legs.", "sickle", Assertion.AFFIRMED),
        ("None of us can wake her.", "unresponsive", Assertion.AFFIRMED),
        ("Should I come if baby hasn't kicked? Nothing since last night.", "baby_moves_less", Assertion.AFFIRMED),
        ("What helps a dog knocked down by a boda?", "high_risk_trauma", Assertion.SOMEONE_ELSE),
        ("The ox is burnt down one side.", "burn_any", Assertion.SOMEONE_ELSE),
        ("Sprayed the cows for ticks, now I am dribbling.", "pesticide_exposure", Assertion.AFFIRMED),
        ("What would a heart attack feel like if one ever came?", "heartattack", Assertion.HYPOTHETICAL),
        ("If a person swallows 30 panadol, what then? I did it an hour ago.", "overdose", Assertion.AFFIRMED),
        ("If a person swallows 30 panadol, what then? I did a course on it.", "overdose", Assertion.HYPOTHETICAL),
        ("Our cow is sick, she fell and she is convulsing.", "seizure", Assertion.SOMEONE_ELSE),
        ("A stray dog, in August, and now he is convulsing.", "seizure", Assertion.AFFIRMED),
        ("The cow trod on his foot, he is convulsing.", "seizure", Assertion.AFFIRMED),
        ("Our goat is fine, but he is convulsing.", "seizure", Assertion.AFFIRMED),
        ("Cats everywhere and she is convulsing.", "seizure", Assertion.AFFIRMED),
        ("A hippo overturned us. It opened his thigh.", "deep_wound", Assertion.AFFIRMED),
        ("Do you people treat goats? Mine is foaming at the mouth.", "seizure", Assertion.SOMEONE_ELSE),
        ("A boy from school drowned in April. Mine swims well.", "drowning", Assertion.SOMEONE_ELSE),
        ("Cramps had me bent over but ibuprofen took them away.", "severe_belly_pain", Assertion.RESOLVED),
        ("Cramps had me bent over but ibuprofen did nothing.", "severe_belly_pain", Assertion.AFFIRMED),
        ("Stroke took my mother in the same year.", "arm_weakness", Assertion.SOMEONE_ELSE),
        ("During my first delivery in 2019 I had eclampsia, two seizures.", "seizure", Assertion.PAST),
        ("After my operation in 2020 all was fine, chest pain and sweating.", "chest_pain", Assertion.AFFIRMED),
        ("I can stand and walk, no fainting feeling.", "fainted", Assertion.DENIED),
        ("He hasn't fitted and breathing is as always.", "seizure", Assertion.DENIED),
        ("I can't stop bleeding, no feeling in my hand.", "bleeding", Assertion.AFFIRMED),
        ("I can't say that I don't have chest pain, it presses.", "chest_pain", Assertion.AFFIRMED),
        ("It's not true that I have no chest pain.", "chest_pain", Assertion.AFFIRMED),
        ("I can't deny the crushing chest pain.", "chest_pain", Assertion.AFFIRMED),
        ("I won't lie, no chest pain.", "chest_pain", Assertion.DENIED),
        ("The headmaster had a stroke, we buried him yesterday.", "arm_weakness", Assertion.SOMEONE_ELSE),
        ("My uncle had a stroke yesterday.", "arm_weakness", Assertion.AFFIRMED),
        ("Bleeding, not even a spot.", "bleeding", Assertion.DENIED),
        ("Choked? No way.", "choking", Assertion.DENIED),
        ("Conscious? No sir. He fell.", "unresponsive", Assertion.AFFIRMED),
        ("Can she lift her arm? No, since morning.", "arm_weakness", Assertion.AFFIRMED),
        ("Bleeding stopped? No.", "bleeding", Assertion.AFFIRMED),
        ("Waking at night? No. Breathless? No.", "breathless", Assertion.DENIED),
        ("He drank paraffin but is fine.", "poison_taken", Assertion.AFFIRMED),
        ("Her mouth was crooked for ten minutes, now all is fine.", "face_droop", Assertion.AFFIRMED),
        ("Crushing chest pain, walking is easy.", "chest_pressure", Assertion.AFFIRMED),
        ("Severe breathlessness is no trouble now.", "severe_breathless", Assertion.DENIED),
        ("He took insulin without eating, sweaty and confused.", "confusion", Assertion.AFFIRMED),
        ("It came without fever, vomiting or confusion.", "confusion", Assertion.DENIED),
        ("My uncle once choked on meat. Is there a first aid course?", "choking", Assertion.SOMEONE_ELSE),
        ("Can it come from the heart if one faints three times, as I did today?", "fainted", Assertion.AFFIRMED),
        ("What can I do if my throat keeps closing after the cake?", "throat_closing", Assertion.AFFIRMED),
        ("What should I do if my throat ever closes?", "throat_closing", Assertion.HYPOTHETICAL),
        ("he was chokin on a bone", "choking", Assertion.AFFIRMED),
        ("A box asks about wanting to end it all. Honest answer: no.", "self_harm_intent", Assertion.DENIED),
        ("A box asks about wanting to end it all. My answer is yes.", "self_harm_intent", Assertion.AFFIRMED),
        ("I want to end it all. The answer is no.", "self_harm_intent", Assertion.AFFIRMED),
        ("Bleeding? No. Kicks? None.", "bleeding", Assertion.DENIED),
        ("Kicks? None either, not since yesterday.", "baby_moves_less", Assertion.AFFIRMED),
        ("Kicks? Not one since last night.", "baby_moves_less", Assertion.AFFIRMED),
        ("Movements? I haven't felt one today.", "baby_moves_less", Assertion.AFFIRMED),
        ("Sick as a dog, vomiting blood", "vomiting_blood", Assertion.AFFIRMED),
        ("No animal has ever bitten him.", "bite_word", Assertion.DENIED),
        ("His heart races in a sprint, as all the boys do.", "palpitations", Assertion.DENIED),
        ("My apron is soaked in blood and none of it is mine.", "heavy_bleeding", Assertion.DENIED),
        ("Hot tea on his arm. Nothing on the face.", "burn_serious_place", Assertion.DENIED),
        ("Burnt by hot tea. None on the face.", "burn_serious_place", Assertion.DENIED),
        ("Show, water, blood: nothing. He wriggles.", "bleeding", Assertion.DENIED),
        ("I pressed it, blood: nothing stops it.", "bleeding", Assertion.AFFIRMED),
        ("Our old spaniel had a seizure and the vet has him on tablets.", "seizure", Assertion.SOMEONE_ELSE),
        ("Follow-up after my kidney infection in February.", "kidney_infection", Assertion.PAST),
        ("I had a fever, cured before we went home.", "fever", Assertion.RESOLVED),
        ("I had no pain, nor did I faint.", "fainted", Assertion.DENIED),
        ("He says an elephant is sitting on his chest.", "chest_pressure", Assertion.AFFIRMED),
        ("Our heifer is not breathing well.", "breathless", Assertion.SOMEONE_ELSE),
        ("I broke it during my school days when I fainted.", "fainted", Assertion.PAST),
        ("Epilepsy since school, last seizure in 2019, tablets never missed.", "seizure", Assertion.PAST),
        ("My last seizure was an hour ago.", "seizure", Assertion.AFFIRMED),
        ("Last seizure last night, first in years.", "seizure", Assertion.AFFIRMED),
        ("At fourteen I keeled over, never again since then.", "fainted", Assertion.PAST),
        ("He was jaundiced as a newborn, that's five years ago.", "jaundice", Assertion.PAST),
        ("Lockjaw, that's my sewing machine.", "lockjaw", Assertion.DENIED),
        ("My jaw is so locked that my phone is all I speak with, lockjaw.", "lockjaw", Assertion.AFFIRMED),
        ("Blood to the elbows daily, none my own.", "heavy_bleeding", Assertion.DENIED),
        ("She can't tell whether it's practice: pains five minutes apart.", "labour", Assertion.AFFIRMED),
        ("He had sex with me though I said no.", "sexual_assault", Assertion.AFFIRMED),
        (
            "My neighbour had to be fetched with a low sugar. Mine for Friday: 6.1.",
            "sugar_extreme",
            Assertion.SOMEONE_ELSE,
        ),
        ("Our aunt went blind from sugar.", "vision_loss", Assertion.SOMEONE_ELSE),
        ("I'm preparing a talk for my class about fainting.", "fainted", Assertion.HYPOTHETICAL),
        ("What is it called when one sees two of everything? That is my week.", "double_vision", Assertion.AFFIRMED),
    ],
)
def test_what_is_said_around_a_finding_decides_what_becomes_of_it(said, concept, assertion):
    found = [each for each in read_findings(said, CONTENT.lexicon) if each.concept == concept]
    assert found
    assert {each.assertion for each in found} == {assertion}


def test_an_animal_that_only_lies_there_is_not_who_cannot_breathe():
    found = read_findings("Our dog sleeps by the bed. He cannot breathe and his lips are blue.", CONTENT.lexicon)
    assert {each.assertion for each in found if each.concept in ("cyanosis", "severe_breathless")} == {
        Assertion.AFFIRMED
    }
