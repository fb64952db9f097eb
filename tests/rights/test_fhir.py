"""The FHIR document of a patient, judged by models of the standard that are not ours."""

import json
import re
from dataclasses import replace
from datetime import UTC, datetime
from uuid import UUID

import pytest
from fhir.resources.R4B.bundle import Bundle
from hypothesis import given, settings
from hypothesis import strategies as st

from anamnesis.clinical.record import ClinicalRecord, Declined, NoneReported, NotAsked, Reported
from anamnesis.clinical.sbar import HEADINGS
from anamnesis.clinical.terms import Evidence, Person, VitalSigns
from anamnesis.rights.fhir import document_of
from anamnesis.rights.model import Interview, PatientFile
from anamnesis.rights.store import operating
from build import KEYRING, WHOLE_INTAKE, a_session, an_app, caller, closing, tell

AT = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)
MESSAGE, SESSION, PATIENT = (str(UUID(int=number)) for number in (1, 2, 3))
SAID = "I take amlodipine & <b>aspirin</b>, bp 120/80, temp 37.2, no allergies, my father had asthma"


def said(quote):
    return Evidence(MESSAGE, quote)


def a_file(record, *, status="ready", handover=None, **patient):
    row = {
        "id": UUID(SESSION), "status": status, "started_at": AT, "created_at": AT, "completed_at": AT, "updated_at": AT,
        "clinical_handover": handover,
    }  # fmt: skip
    told = {"id": UUID(MESSAGE), "content": SAID, "created_at": AT, "role": "user"}
    blank = dict.fromkeys(("date_of_birth", "gender", "phone", "emergency_contact", "emergency_phone"))
    who = {"id": UUID(PATIENT), **blank, **patient}
    account = dict.fromkeys(("first_name", "last_name", "email"))
    interview = Interview(row, record, (told,), (), ())
    return PatientFile(who, account, (), (interview,), (), (), (), (), (), ())


def judged(document):
    """The document if the standard's models accept it, by kind, with every reference leading to an entry."""
    text = json.dumps(document)
    bundle = Bundle.model_validate_json(text)
    assert bundle.type == "document"
    urls = [entry["fullUrl"] for entry in document["entry"]]
    assert len(urls) == len(set(urls))
    assert set(re.findall(r'"reference": "([^"]+)"', text)) <= set(urls)
    kinds = {}
    for entry in document["entry"]:
        assert entry["fullUrl"] == f"urn:uuid:{entry['resource']['id']}"
        kinds.setdefault(entry["resource"]["resourceType"], []).append(entry["resource"])
    assert document["entry"][0]["resource"]["resourceType"] == "Composition"
    return kinds


@pytest.fixture
async def document(clinic):
    async with closing(an_app(clinic.app_dsn)) as app:
        _, session_id = await a_session(app)
        await caller(app, "patient").call("patient.updateProfile", phone="0700", gender="female",
                                          dateOfBirth="1990-05-06T00:00:00Z")  # fmt: skip
        await tell(app, session_id, *WHOLE_INTAKE)
        patient = (await caller(app, "patient").call("user.me"))["patient"]
        async with operating(clinic.owner_dsn, KEYRING) as records:
            yield await records.whole(patient["id"])


async def test_a_whole_intake_is_a_document_the_standard_accepts(document):
    kinds = judged(document_of(document, AT))
    assert set(kinds) >= {
        "Composition", "Patient", "Encounter", "Condition", "Observation", "AllergyIntolerance", "MedicationStatement",
        "QuestionnaireResponse", "Provenance", "Device",
    }  # fmt: skip
    assert kinds["Patient"][0]["birthDate"] == "1990-05-06"
    assert kinds["Encounter"][0]["status"] == "finished"
    assert kinds["AllergyIntolerance"][0]["code"]["text"].lower().count("penicillin") == 1
    assert "amlodipine" in kinds["MedicationStatement"][0]["medicationCodeableConcept"]["text"]
    codes = {each["code"]["coding"][0]["code"]: each for each in kinds["Observation"]}
    pressure = {each["code"]["coding"][0]["code"]: each["valueQuantity"] for each in codes["85354-9"]["component"]}
    assert (pressure["8480-6"]["value"], pressure["8462-4"]["value"], pressure["8480-6"]["code"]) == (120, 80, "mm[Hg]")
    assert (codes["8310-5"]["valueQuantity"]["value"], codes["8310-5"]["valueQuantity"]["code"]) == (37.2, "Cel")
    assert codes["8310-5"]["category"][0]["coding"][0]["code"] == "vital-signs"


async def test_every_fact_has_a_provenance_whose_quote_stands_in_its_message(document):
    kinds = judged(document_of(document, AT))
    said_by = {str(message["id"]): message["content"] for each in document.interviews for message in each.messages}
    facts = {"Condition", "Observation", "AllergyIntolerance", "MedicationStatement", "Flag"}
    targets = [each["target"][0]["reference"] for each in kinds["Provenance"]]
    made = [f"urn:uuid:{each['id']}" for kind in facts & set(kinds) for each in kinds[kind]]
    assert sorted(targets) == sorted(made)
    for provenance in kinds["Provenance"]:
        for entity in provenance["entity"]:
            quoted = said_by[entity["what"]["identifier"]["value"]]
            assert entity["what"]["display"] in quoted


async def test_the_same_fact_has_the_same_id_in_every_document(document):
    one, two = (document_of(document, datetime(2026, 11, day, tzinfo=UTC)) for day in (1, 2))
    ids = [[entry["fullUrl"] for entry in each["entry"][1:]] for each in (one, two)]
    assert ids[0] == ids[1]
    assert one["identifier"] != two["identifier"]


def test_what_rests_on_no_message_is_left_out():
    record = ClinicalRecord(
        answers={
            "medicines": Reported("aspirin", Evidence("elsewhere", "aspirin")),
            "allergies": NoneReported(said("words nobody said")),
            "past_history": Reported("asthma", said("")),
        },
        vitals=VitalSigns(temperature_celsius=39.0, heart_rate_per_min=80),
        readings=(("temperature_celsius", said("temp 39")),),
    )
    kinds = judged(document_of(a_file(record), AT))
    assert set(kinds) == {"Composition", "Patient", "Device", "Encounter"}


def test_none_not_obtained_and_not_asked_are_told_apart():
    record = ClinicalRecord(
        answers={
            "medicines": NoneReported(said("no allergies")),
            "allergies": NoneReported(said("no allergies")),
            "family_history": Declined("skipped", said("my father")),
        }
    )
    kinds = judged(document_of(a_file(record), AT))
    (part,) = kinds["Composition"][0]["section"]
    why = {each["title"]: each.get("emptyReason", {}).get("coding", [{}])[0].get("code") for each in part["section"]}
    assert why["History of Medication use"] == "nilknown"
    assert why["Allergies and adverse reactions"] is None
    assert kinds["AllergyIntolerance"][0]["code"]["coding"][0]["code"] == "716186003"
    assert why["History of family member diseases"] == "unavailable"
    assert why["Social history"] == "notasked"


def test_half_a_blood_pressure_says_that_the_other_half_is_missing():
    record = ClinicalRecord(vitals=VitalSigns(systolic_mmhg=120), readings=(("systolic_mmhg", said("bp 120")),))
    (pressure,) = judged(document_of(a_file(record), AT))["Observation"]
    assert [("valueQuantity" in each, "dataAbsentReason" in each) for each in pressure["component"]] == [
        (True, False), (False, True),
    ]  # fmt: skip


def test_a_pregnancy_is_coded():
    record = ClinicalRecord(answers={"pregnancy": Reported("yes", said("I take"))}, person=Person(pregnant=True))
    (found,) = judged(document_of(a_file(record), AT))["Observation"]
    assert found["valueCodeableConcept"]["coding"][0]["display"] == "Pregnant"


def test_nobody_with_nothing_is_a_document_too():
    nobody = a_file(ClinicalRecord())
    empty = PatientFile(nobody.patient, nobody.account, (), (), (), (), (), (), (), ())
    judged(document_of(empty, AT))


FOREIGN = "\x00\x0b\x1f\x7f\x85\xa0\u2003\u2028\u202f\u3000\ufffe"


@pytest.mark.parametrize("odd", [f"a{each}b" for each in FOREIGN] + [*FOREIGN, " ", "\n\t", ""])
def test_a_character_that_no_document_can_hold_is_a_space_in_it_and_a_blank_text_is_none(odd):
    """A phone's keyboard writes spaces that do not break a line; other characters come with a take-over."""
    words = f"I take{odd}aspirin"
    record = ClinicalRecord(
        answers={"medicines": Reported(words, said(words)), "social_history": Reported(words, said(words))}
    )
    file = a_file(record, phone=odd, emergency_contact=odd, emergency_phone=odd, gender=odd)
    (interview,) = file.interviews
    told = {**interview.messages[0], "content": words}
    account = {"first_name": odd, "last_name": odd, "email": odd}
    note = {heading: [{"text": words, "evidence": [{"message_id": MESSAGE, "quote": words}]}] for heading in HEADINGS}
    row = {**interview.row, "clinical_handover": note}
    file = replace(file, account=account, interviews=(replace(interview, messages=(told,), row=row),))
    text = json.dumps(document_of(file, AT), ensure_ascii=False)
    kinds = judged(json.loads(text))
    assert not set(text) & set(FOREIGN)
    assert len(kinds["MedicationStatement"]) == 1
    assert ("name" in kinds["Patient"][0]) == bool(odd.strip(FOREIGN).strip())


TEXTS = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=30).filter(str.strip)
EVIDENCE = st.sampled_from(["I take", "bp 120/80", "no allergies", "<b>aspirin</b>", "nobody said this"]).map(said)
ANSWERS = st.one_of(
    st.just(NotAsked()),
    st.builds(Declined, st.sampled_from(["skipped", "refused"]), EVIDENCE),
    st.builds(NoneReported, EVIDENCE),
    st.builds(
        Reported, TEXTS, EVIDENCE, st.lists(TEXTS, max_size=2).map(tuple), st.lists(EVIDENCE, max_size=2).map(tuple)
    ),
)
SLOTS = ("chief_complaint", "medicines", "allergies", "past_history", "family_history", "social_history", "pregnancy",
         "onset", "records")  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(
    answers=st.dictionaries(st.sampled_from(SLOTS), ANSWERS),
    signs=st.dictionaries(st.sampled_from(["fever", "cough"]), ANSWERS),
    temperature=st.floats(25, 45),
    is_pregnant=st.sampled_from([None, True, False]),
    for_patient=st.booleans(),
)
def test_whatever_was_told_the_standard_accepts_the_document(answers, signs, temperature, is_pregnant, for_patient):
    record = ClinicalRecord(
        answers=answers, signs=signs, person=Person(pregnant=is_pregnant),
        vitals=VitalSigns(temperature_celsius=temperature),
        readings=(("temperature_celsius", said("temp 37.2")),),
    )  # fmt: skip
    judged(document_of(a_file(record, gender="prefer_not_to_say"), AT, for_patient=for_patient))
