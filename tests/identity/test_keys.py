import asyncio
import base64
import time

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from anamnesis.edge.auth import request_of
from anamnesis.edge.keys import (
    JwksKeys,
    JwksPolicy,
    KeyState,
    PemKeys,
    read_key_set,
)
from anamnesis.edge.tokens import Verifier
from identity.issuing import (
    EXPECTED,
    KID,
    HeldClock,
    claims,
    header,
    jwk,
    key,
    key_server,
    key_set,
    pem,
    scope,
    token,
)

DAY = 24 * 3600
BRISK = JwksPolicy(timeout_s=0.3)
SECOND = token(header(kid="ins_second"), signed_by="second")


def over(server, monotonic=None, policy=BRISK):
    """A key source on the server, and a verifier over it, with time held."""
    keys = JwksKeys(server.url, policy=policy, monotonic=monotonic or HeldClock())
    return keys, Verifier(keys, EXPECTED, clock=HeldClock())


async def settled():
    """Let a renewal behind the scenes come to its end."""
    for task in asyncio.all_tasks() - {asyncio.current_task()}:
        if "_renew" in str(task.get_coro()):
            await task


async def test_a_token_is_verified_with_the_published_key():
    async with key_server() as server:
        keys, verifier = over(server)
        assert keys.state is KeyState.DOWN
        assert await verifier.verify(token())
        assert keys.state is KeyState.OK
        assert await verifier.verify(token(body=claims(sid="another")))
        assert server.asked == 1


async def test_a_token_without_a_key_id_asks_nobody():
    async with key_server() as server:
        _, verifier = over(server)
        assert await verifier.verify(token(header(kid=None))) is None
        assert server.asked == 0


OUTAGES = {
    "error": {"status": 500},
    "HTML": {"body": b"<!doctype html><title>Sign in</title>"},
    "nothing": {"body": b""},
    "empty set": {"body": key_set()},
    "ten megabytes": {"body": key_set(jwk("first", KID)) + b" " * 10_000_000},
    "slow": {"body": key_set(jwk("first", KID)), "delay_s": 5},
    "elsewhere": {"status": 302, "headers": "location: http://127.0.0.1:1/\r\n"},
    "compressed": {"body": b"\x1f\x8b\x08\x00", "headers": "content-encoding: gzip\r\n"},
    "a list": {"body": b"[]"},
    "keys no list": {"body": b'{"keys": {}}'},
    "deep": {"body": b"[" * 60_000},
    "a thousand keys": {"body": b'{"keys": [' + b",".join([b"{}"] * 1000) + b"]}"},
    "not UTF-8": {"body": b'{"keys": "\xff"}'},
}


@pytest.mark.proves("J1")
@pytest.mark.parametrize("outage", OUTAGES)
async def test_an_outage_at_the_start_leaves_everyone_anonymous_and_is_over_with_the_outage(outage):
    async with key_server() as server:
        held = HeldClock()
        keys, verifier = over(server, held)
        good = server.body
        server.says(**OUTAGES[outage])
        request = await request_of(verifier)(scope(authorization=f"Bearer {token()}"))
        assert request.claims is None
        assert keys.state is KeyState.DOWN
        server.says(body=good)
        held.seconds += 30
        assert await verifier.verify(token())


@pytest.mark.proves("J1")
@pytest.mark.parametrize("outage", OUTAGES)
async def test_known_keys_serve_for_a_day_and_more_of_any_outage_and_never_wait_for_it(outage):
    async with key_server() as server:
        held = HeldClock()
        keys, verifier = over(server, held)
        assert await verifier.verify(token())
        server.says(**OUTAGES[outage])
        for hours in (1, 12, 24, 72):
            held.seconds = HeldClock().seconds + hours * 3600
            started = time.perf_counter()
            assert await verifier.verify(token())
            assert time.perf_counter() - started < 0.25
            await settled()
        assert keys.state is KeyState.DEGRADED
        held.seconds += 1
        assert await verifier.verify(token()) is None
        assert keys.state is KeyState.DOWN


async def test_a_server_that_is_not_there_is_an_outage():
    keys = JwksKeys("http://127.0.0.1:9/", policy=BRISK, monotonic=HeldClock())
    assert await keys.find(KID) is None
    assert keys.state is KeyState.DOWN


@pytest.mark.proves("J1")
async def test_a_flood_of_unknown_key_ids_asks_the_issuer_once_in_thirty_seconds():
    async with key_server() as server:
        held = HeldClock()
        _, verifier = over(server, held)
        server.says(body=server.body, delay_s=0.05)
        flood = [token(header(kid=f"ins_{number}"), signed_by="other") for number in range(50)]
        assert await asyncio.gather(*map(verifier.verify, flood)) == [None] * 50
        assert server.asked == 1
        held.seconds += 29.9
        assert await asyncio.gather(*map(verifier.verify, flood)) == [None] * 50
        assert server.asked == 1
        held.seconds += 0.1
        await asyncio.gather(*map(verifier.verify, flood))
        assert server.asked == 2


@pytest.mark.proves("J1")
async def test_a_slow_issuer_delays_unknown_keys_alone():
    async with key_server() as server:
        held = HeldClock()
        _, verifier = over(server, held)
        assert await verifier.verify(token())
        held.seconds += 31
        server.says(body=server.body, delay_s=5)
        unknown = asyncio.ensure_future(verifier.verify(SECOND))
        await asyncio.sleep(0.01)
        started = time.perf_counter()
        assert await verifier.verify(token(body=claims(sid="another")))
        assert time.perf_counter() - started < 0.25
        assert await unknown is None


@pytest.mark.proves("J2")
async def test_a_new_key_is_accepted_half_a_minute_after_the_last_look_at_the_latest():
    async with key_server() as server:
        held = HeldClock()
        _, verifier = over(server, held)
        assert await verifier.verify(token())
        server.says(body=key_set(jwk("first", KID), jwk("second", "ins_second")))
        assert await verifier.verify(SECOND) is None
        held.seconds += 30
        assert await verifier.verify(SECOND)
        assert await verifier.verify(token())


@pytest.mark.proves("J2")
async def test_a_withdrawn_key_ends_with_the_next_renewal_even_for_remembered_tokens():
    async with key_server() as server:
        held = HeldClock()
        _, verifier = over(server, held)
        assert await verifier.verify(token())
        server.says(body=key_set(jwk("second", "ins_second")))
        held.seconds += 601
        assert await verifier.verify(token())  # served while the renewal runs behind it
        await settled()
        assert await verifier.verify(token()) is None
        assert await verifier.verify(SECOND)


async def test_a_key_replaced_under_its_own_id_ends_too():
    async with key_server() as server:
        held = HeldClock()
        _, verifier = over(server, held)
        assert await verifier.verify(token())
        server.says(body=key_set(jwk("second", KID)))
        held.seconds += 601
        await verifier.verify(token())
        await settled()
        assert await verifier.verify(token()) is None


async def test_a_caller_who_gives_up_does_not_end_what_others_wait_for():
    async with key_server() as server:
        _, verifier = over(server)
        server.says(body=server.body, delay_s=0.1)
        leaving = asyncio.ensure_future(verifier.verify(token()))
        await asyncio.sleep(0.01)
        staying = asyncio.ensure_future(verifier.verify(token(body=claims(sid="another"))))
        await asyncio.sleep(0.01)
        leaving.cancel()
        assert await staying
        assert server.asked == 1


def test_only_keys_that_may_verify_rs256_are_taken_from_a_set():
    private = key("leaked").private_numbers()
    keys = read_key_set(
        key_set(
            jwk("first", KID),
            jwk("first", "encryption", use="enc"),
            jwk("first", "other algorithm", alg="PS256"),
            jwk("small", "small", bits=1024),
            jwk("leaked", "leaked", d=base64.urlsafe_b64encode(b"x").decode(), p=str(private.p)),
            {**jwk("first", "broken"), "n": "!"},
            {**jwk("first", "without a modulus"), "n": None},
            {"kty": "oct", "k": "AAAA", "kid": "symmetric", "alg": "RS256"},
            {"kty": "EC", "kid": "curve"},
            {**jwk("first", "x"), "kid": 7},
        ),
        max_keys=20,
    )
    assert list(keys) == [KID]


@pytest.mark.parametrize("url", ["http://clerk.example/jwks", "file:///etc/passwd", "ftp://x", "", "//x"])
def test_a_key_set_is_fetched_over_tls_or_loopback_only(url):
    with pytest.raises(ValueError, match="https"):
        JwksKeys(url)


def test_a_pem_is_read_with_real_or_written_line_breaks():
    for text in (pem("first"), f"\n {pem('first')} ", pem("first").replace("\n", "\\n")):
        assert PemKeys(text).in_hand("any") == key("first").public_key()


def _pem(public) -> str:
    return public.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo).decode()


BAD_PEMS = {
    "empty": "",
    "words": "sk_live_secret",
    "small": pem("small", 1024),
    "curve": _pem(ec.generate_private_key(ec.SECP256R1()).public_key()),
    "cut": pem("first")[:200],
    "private": key("first")
    .private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    .decode(),
}


@pytest.mark.parametrize("case", BAD_PEMS)
def test_a_pem_that_is_no_public_rsa_key_is_refused_without_being_repeated(case):
    with pytest.raises(ValueError, match="RSA public key") as refused:
        PemKeys(BAD_PEMS[case])
    assert refused.value.__cause__ is None
    assert "secret" not in str(refused.value)
