"""Clerk's webhook over HTTP with real signatures: what is believed, once, in the order in which it happened."""

import asyncio
import base64
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from anamnesis.edge.webhooks import read_event
from anamnesis.settings import Identity, Limits, Secret, Settings
from build import an_app, caller, closing, http

#: `make test` runs these, `make check` leaves them out.
pytestmark = pytest.mark.long

SECRET = "whsec_" + base64.b64encode(b"a secret of the tests").decode()
SETTINGS = Settings(limits=Limits(factor=1000), identity=Identity(webhook_secret=Secret(SECRET)))


@pytest.fixture
async def app(clinic):
    async with closing(an_app(clinic.app_dsn, settings=SETTINGS)) as app:
        yield app


def an_event(kind="user.updated", at=1_000_000, **data):
    address = {"id": "e1", "email_address": "second@example.test"}
    primary = {"id": "e2", "email_address": "ann@example.test"}
    account = {
        "id": "user_ann", "first_name": "Ann", "last_name": "Okot", "image_url": "https://img.example.test/a.png",
        "email_addresses": [address, primary], "primary_email_address_id": "e2", **data,
    }  # fmt: skip
    return json.dumps({"type": kind, "data": account, "timestamp": at}).encode()


def signed(body, *, event_id="msg_1", at=None, secret=SECRET):
    moment = at or datetime.now(UTC)
    return {
        "svix-id": event_id,
        "svix-timestamp": str(int(moment.timestamp())),
        "svix-signature": Webhook(secret).sign(event_id, moment, body.decode("latin-1")),
    }


async def post(app, body, headers):
    status, _, text = await http(app.asgi(), "POST", "/api/auth/webhook", body=body, headers=headers)
    return status, text


async def tell(app, body, event_id):
    assert (await post(app, body, signed(body, event_id=event_id)))[0] == 200


async def account(owner):
    return await owner.fetchrow("SELECT * FROM users WHERE clerk_id = 'user_ann'")


async def test_an_account_is_made_changed_and_closed(app, owner):
    await tell(app, an_event("user.created", at=1000), "a")
    made = await account(owner)
    assert (made["email"], made["first_name"], made["is_active"]) == ("ann@example.test", "Ann", True)
    assert made["primary_role"] == "patient"
    await tell(app, an_event(at=2000, first_name="Anna", image_url="http://plain.example.test/a.png"), "b")
    changed = await account(owner)
    assert (changed["first_name"], changed["image_url"]) == ("Anna", None)
    await tell(app, json.dumps({"type": "user.deleted", "data": {"id": "user_ann"}, "timestamp": 3000}).encode(), "c")
    closed = await account(owner)
    assert (closed["is_active"], closed["first_name"]) == (False, "Anna")


async def test_the_same_event_again_changes_nothing(app, owner):
    await tell(app, an_event(at=1000), "a")
    await owner.execute("UPDATE users SET first_name = 'Mine' WHERE clerk_id = 'user_ann'")
    await asyncio.gather(*(tell(app, an_event(at=1000), "a") for _ in range(5)))
    assert (await account(owner))["first_name"] == "Mine"


async def test_events_settle_by_when_they_happened_not_by_when_they_came(app, owner):
    await tell(app, an_event(at=3000, first_name="Third"), "c")
    await tell(app, an_event(at=2000, first_name="Second"), "b")
    assert (await account(owner))["first_name"] == "Third"
    await tell(app, json.dumps({"type": "user.deleted", "data": {"id": "user_ann"}, "timestamp": 4000}).encode(), "d")
    await tell(app, an_event("user.created", at=1000), "a")
    assert (await account(owner))["is_active"] is False


async def test_a_deletion_holds_even_when_something_newer_was_told_before_it_came(app, owner):
    await tell(app, an_event(at=4001, first_name="Latest"), "a")
    await tell(app, json.dumps({"type": "user.deleted", "data": {"id": "user_ann"}, "timestamp": 4000}).encode(), "b")
    await tell(app, an_event(at=4000, first_name="Older"), "c")
    closed = await account(owner)
    assert (closed["is_active"], closed["first_name"]) == (False, "Latest")


async def test_a_deleted_account_that_was_never_seen_is_not_made_by_its_late_creation(app, owner):
    await tell(app, json.dumps({"type": "user.deleted", "data": {"id": "user_ann"}, "timestamp": 4000}).encode(), "d")
    await tell(app, an_event("user.created", at=1000), "a")
    assert (await account(owner))["is_active"] is False


async def test_an_account_closed_here_is_not_opened_by_the_provider(app, owner):
    await tell(app, an_event(at=1000), "a")
    await owner.execute("UPDATE users SET is_active = false WHERE clerk_id = 'user_ann'")
    await tell(app, an_event(at=2000), "b")
    assert (await account(owner))["is_active"] is False


async def test_a_role_is_never_taken_from_an_event(app, owner):
    await tell(app, an_event(at=1000, primary_role="super_admin", public_metadata={"role": "super_admin"}), "a")
    assert (await account(owner))["primary_role"] == "patient"


async def test_other_events_are_taken_and_mean_nothing(app, owner):
    await tell(app, json.dumps({"type": "session.created", "data": {"id": "x"}}).encode(), "a")
    assert await account(owner) is None


REFUSED = {
    "another secret": lambda body: signed(body, secret="whsec_" + base64.b64encode(b"another").decode()),
    "too old": lambda body: signed(body, at=datetime.now(UTC) - timedelta(minutes=6)),
    "from the future": lambda body: signed(body, at=datetime.now(UTC) + timedelta(minutes=6)),
    "other bytes": lambda body: signed(body + b" "),
    "no headers": lambda _: {},
    "no id": lambda body: {**signed(body), "svix-id": ""},
    "another id": lambda body: {**signed(body), "svix-id": "msg_2"},
    "a fraction of a second": lambda body: {**signed(body), "svix-timestamp": signed(body)["svix-timestamp"] + ".5"},
    "no version": lambda body: {**signed(body), "svix-signature": "abc"},
    "another version": lambda body: {**signed(body), "svix-signature": "v2" + signed(body)["svix-signature"][2:]},
    "not base64": lambda body: {**signed(body), "svix-signature": "v1,%%%"},
}  # fmt: skip


@pytest.mark.parametrize("why", REFUSED)
async def test_what_is_not_signed_for_us_now_is_refused(app, owner, why):
    body = an_event()
    assert (await post(app, body, REFUSED[why](body)))[0] == 400
    assert await account(owner) is None


@pytest.mark.parametrize(
    "body",
    [b"", b"[]", b"{}", b'{"type":"user.created","data":{}}', b'{"type":"user.created","data":{"id":7}}', b"\xff\xfe"],
)
async def test_a_signed_body_that_tells_nothing_is_a_bad_request(app, body):
    assert (await post(app, body, signed(body)))[0] == 400


async def test_more_than_the_limit_is_refused_and_only_post_is_answered(clinic):
    small = replace(SETTINGS, limits=Limits(body_bytes=100))
    async with closing(an_app(clinic.app_dsn, settings=small)) as app:
        body = an_event()
        assert (await post(app, body, signed(body)))[0] == 413
        assert (await http(app.asgi(), "GET", "/api/auth/webhook"))[0] == 405


async def test_without_a_secret_nothing_is_believed_and_svix_is_asked_to_come_again(clinic):
    async with closing(an_app(clinic.app_dsn)) as app:
        body = an_event()
        assert (await post(app, body, signed(body)))[0] == 503


async def test_an_account_told_of_signs_in_as_itself(app):
    await tell(app, an_event("user.created", at=1000, id="patient"), "a")
    me = await caller(app, "patient").call("user.getMe")
    assert (me["firstName"], me["email"]) == ("Ann", "ann@example.test")


@given(
    st.binary(max_size=200),
    st.dictionaries(st.sampled_from(["svix-id", "svix-timestamp", "svix-signature"]), st.text(max_size=60)),
)
def test_any_bytes_are_refused_in_an_orderly_way(body, headers):
    with pytest.raises((WebhookVerificationError, ValueError)):
        read_event(body, headers, SECRET)
