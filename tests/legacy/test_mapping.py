import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from anamnesis.legacy.deciding import Entry, Step, decide
from anamnesis.legacy.mapping import Parties, World, fingerprint, layer_of, map_row
from anamnesis.legacy.source import READ
from anamnesis.legacy.target import COLUMNS

KEY = "00000000-0000-0000-0000-000000000001"
WORLD = World(
    {table: {KEY: KEY} for table in ("users", "patients", "doctors", "connections", "intake_sessions")},
    {KEY: Parties(KEY, KEY)},
)
ODD = (
    None, True, False, 0, -1, 2.5, 10**400, 1e300, "", "  ", "longer than a reason quotes", "\x7f", "infinity", "{}",
    '{"a": 1e999}', '{"a": "\\u0000"}', "[" * 5000, "0001-01-01T00:00:00+14:00", [], [1, "x"], {}, {"situation": 1},
    {"vitalsData": {"triageDecision": []}}, {"clinicalHandover": {"situation": "said"}}, "ready", "user", "model", KEY,
)  # fmt: skip
NAMES = sorted({column for columns in COLUMNS.values() for column in columns} | {"context_layer", "grounding_metadata"})
ROWS = st.dictionaries(st.sampled_from(NAMES), st.sampled_from(ODD), max_size=12)


@settings(max_examples=100, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(table=st.sampled_from(sorted(READ)), values=ROWS)
def test_no_row_is_so_odd_that_it_stops_the_others_and_what_it_says_is_kept(table, values):
    mapped = map_row(table, {"id": KEY, **values}, WORLD)
    if mapped.is_kept:
        assert set(mapped.values) == set(COLUMNS[mapped.table])
        json.dumps(mapped.values, allow_nan=False)
    else:
        assert mapped.leftovers == {"id": KEY, **values}
    assert all(str(value) not in reason for value in values.values() if isinstance(value, str) and len(value) > 12
               for reason in mapped.reasons)  # fmt: skip


@pytest.mark.parametrize(
    ("role", "layer", "is_doctors"),
    [
        ("user", "patient-intake", False), ("model", None, False), ("doctor", "patient-intake", True),
        ("model", "doctor-enhancement", True), ("user", "doctor-enhancement", True), ("system", None, True),
        ("user", "unheard-of", True), (None, None, True),
    ],
)  # fmt: skip
def test_a_line_is_a_patients_only_when_that_is_certain(role, layer, is_doctors):
    assert layer_of(role, layer)[0] is is_doctors


def test_a_time_without_a_zone_is_utc():
    values = {"id": KEY, "clerk_id": "c", "created_at": "2025-03-01T01:02:03.5", "updated_at": "infinity"}
    mapped = map_row("users", values, WORLD)
    assert mapped.values["created_at"] == mapped.values["updated_at"] == "2025-03-01T01:02:03.5+00:00"
    assert mapped.reasons == ("updated_at is not a time",)
    assert mapped.leftovers == {"updated_at": "infinity"}


def test_a_notice_that_quotes_says_only_that_there_is_something_and_its_words_are_kept_aside():
    data = {"connectionId": KEY, "senderName": "Jane", "preview": "my head hurts"}
    row = {
        "id": KEY,
        "user_id": KEY,
        "type": "message",
        "title": "New message",
        "message": "my head hurts",
        "data": data,
    }
    mapped = map_row("notifications", row, WORLD)
    assert mapped.values["message"] == "You have a new message."
    assert mapped.values["data"] == {**data, "preview": ""}
    assert mapped.leftovers == {"user_id": KEY, "message": "my head hurts", "data": data}
    complaint = {**row, "type": "intake_complete", "data": {"sessionId": KEY, "chiefComplaint": "headache"}}
    assert "head" not in json.dumps(map_row("notifications", complaint, WORLD).values)
    quiet = {**row, "type": "appointment", "data": {"appointmentId": KEY, "preview": ""}}
    mapped = map_row("notifications", quiet, WORLD)
    assert (mapped.values["message"], mapped.leftovers) == ("my head hurts", {})


def test_an_audit_line_keeps_ids_and_known_words_and_what_people_wrote_is_kept_aside():
    told = {"connectionId": KEY, "allowsMultipleSessions": True, "messageType": "test-result", "reason": None}
    row = {"id": KEY, "user_id": KEY, "action": "a", "resource_type": "intake", "resource_id": KEY}
    mapped = map_row("audit_logs", {**row, "metadata": told}, WORLD)
    assert (mapped.values["metadata"], mapped.leftovers) == (told, {})
    written = {**told, "newName": "HIV test", "previousValue": {"firstName": "Jane"}, "age": 34}
    mapped = map_row("audit_logs", {**row, "metadata": written}, WORLD)
    assert mapped.values["metadata"] == told
    assert mapped.leftovers == {"user_id": KEY, "resource_id": KEY, "metadata": written}


def test_what_is_of_the_wrong_kind_is_kept_aside_and_never_lets_anybody_in():
    mapped = map_row("users", {"id": KEY, "clerk_id": "c", "is_active": "yes", "primary_role": "king"}, WORLD)
    assert mapped.values["is_active"] is False
    assert mapped.values["primary_role"] == "patient"
    assert mapped.leftovers == {"is_active": "yes", "primary_role": "king"}
    connection = map_row("connections", {"id": KEY, "patient_id": KEY, "doctor_id": KEY, "status": "open"}, WORLD)
    assert connection.values["status"] == "disconnected"


OLD, NEW, OTHER = (fingerprint({"v": each}) for each in ("old", "new", "other"))


@pytest.mark.parametrize(
    ("entry", "wanted", "ours", "step"),
    [
        (None, NEW, None, Step.INSERT), (None, NEW, NEW, Step.NOTE), (None, NEW, OTHER, Step.OURS),
        (OLD, OLD, OTHER, Step.LEAVE), (OLD, NEW, OLD, Step.OVERWRITE), (OLD, NEW, OTHER, Step.OURS),
        (OLD, NEW, None, Step.OURS), (OLD, NEW, NEW, Step.NOTE),
    ],
)  # fmt: skip
def test_a_row_follows_its_source_until_somebody_changes_it_here(entry, wanted, ours, step):
    assert decide(entry and Entry("users", KEY, entry), "users", wanted, ours) is step
