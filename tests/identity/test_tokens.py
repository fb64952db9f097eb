import hashlib
import hmac
import json
from dataclasses import replace

import jwt
import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding

from anamnesis.edge.auth import Credential, credentials, request_of
from anamnesis.edge.keys import PemKeys
from anamnesis.edge.tokens import Expected, Refusal, TokenRefused, Verifier
from anamnesis.kernel.identity import Claims
from identity.issuing import (
    APP,
    EXPECTED,
    ISSUER,
    KID,
    NOW,
    HeldClock,
    b64,
    claims,
    header,
    jwk,
    key,
    pem,
    scope,
    sign,
    token,
)

VALID = token()
LEEWAY = EXPECTED.leeway_s


def hmac_signed(secret: bytes, algorithm: str = "HS256") -> str:
    signing_input = f"{b64(json.dumps(header(alg=algorithm)).encode())}.{b64(json.dumps(claims()).encode())}"
    return f"{signing_input}.{b64(hmac.new(secret, signing_input.encode(), hashlib.sha256).digest())}"


def unsigned(algorithm: str, signature: str = "") -> str:
    return f"{b64(json.dumps(header(alg=algorithm)).encode())}.{VALID.split('.')[1]}.{signature}"


def pss_signed(algorithm: str) -> str:
    signing_input = f"{b64(json.dumps(header(alg=algorithm)).encode())}.{VALID.split('.')[1]}"
    pss = padding.PSS(mgf=padding.MGF1(hashes.SHA256()), salt_length=32)
    return f"{signing_input}.{b64(key('first').sign(signing_input.encode(), pss, hashes.SHA256()))}"


def es256_signed() -> str:
    return jwt.encode(claims(), ec.generate_private_key(ec.SECP256R1()), algorithm="ES256", headers={"kid": KID})


def rs512_signed() -> str:
    return jwt.encode(claims(), key("first"), algorithm="RS512", headers={"kid": KID})


def detached() -> str:
    head, body, _ = token(header(b64=False, crit=["b64"])).split(".")
    return f"{head}..{b64(sign(f'{head}.{body}', 'first'))}"


def raw_claims(**texts: str) -> str:
    """The claims with further members written out, so that a name may stand twice."""
    return json.dumps(claims())[:-1] + "".join(f', "{name}": {text}' for name, text in texts.items()) + "}"


#: What must never be accepted, though most of it carries the issuer's own genuine signature.
ATTACKS: dict[str, str] = {
    # J4: the algorithm
    "alg none": unsigned("none"),
    "alg None": unsigned("None"),
    "alg NONE": unsigned("NONE"),
    "alg nOnE": unsigned("nOnE"),
    "alg none with the genuine signature": unsigned("none", VALID.split(".")[2]),
    "alg empty": token(header(alg="")),
    "alg missing": token(header(alg=None)),
    "alg a list": token(header(alg=["RS256"])),
    "alg rs256 in small letters": token(header(alg="rs256")),
    "HS256 signed with the public key as PEM": hmac_signed(pem("first").encode()),
    "HS256 signed with the public key as stripped PEM": hmac_signed(pem("first").strip().encode()),
    "HS256 signed with the public key as JWK": hmac_signed(json.dumps(jwk("first", KID)).encode()),
    "HS256 signed with nothing": hmac_signed(b""),
    "a header that says RS256 over an HMAC": hmac_signed(pem("first").encode(), "RS256"),
    "PS256 with the genuine key": pss_signed("PS256"),
    "a PSS signature under RS256": pss_signed("RS256"),
    "RS512 with the genuine key": rs512_signed(),
    "ES256 with a key of the attacker": es256_signed(),
    # J4: the signature
    "no signature": VALID.rpartition(".")[0] + ".",
    "no third part": VALID.rpartition(".")[0],
    "a signature of another token": VALID.rpartition(".")[0] + "." + token(body=claims(sub="user_9")).split(".")[2],
    "a claim changed after signing": f"{VALID.split('.')[0]}.{b64(json.dumps(claims(sub='user_9')).encode())}."
    + VALID.split(".")[2],
    "a signature of zeros": VALID.rpartition(".")[0] + "." + b64(bytes(256)),
    "a padded signature": VALID + "==",
    "a bit more after the signature": VALID + "AAAA",
    # J4: keys the token brings along
    "jwk embedded, signed with it": token(header(jwk=jwk("attacker", KID)), signed_by="attacker"),
    "jwk embedded, genuine": token(header(jwk=jwk("first", KID))),
    "jku": token(header(jku="https://evil.example/jwks.json"), signed_by="attacker"),
    "jku, genuine signature": token(header(jku="https://evil.example/jwks.json")),
    "x5u": token(header(x5u="https://evil.example/cert.pem"), signed_by="attacker"),
    "x5u, genuine signature": token(header(x5u="https://evil.example/cert.pem")),
    "x5c, genuine signature": token(header(x5c=["MIIB"])),
    # J4: the key id
    "kid that climbs": token(header(kid="../../../../dev/null")),
    "kid that is SQL": token(header(kid="' OR 1=1 --")),
    "kid with a NUL": token(header(kid="ins_first\x00")),
    "kid a number": token(header(kid=7)),
    "kid an object": token(header(kid={"$ne": ""})),
    "kid of a thousand characters": token(header(kid="a" * 1000)),
    "kid empty": token(header(kid="")),
    # J4: what a header may change
    "crit": token(header(crit=["exp"])),
    "crit empty": token(header(crit=[])),
    "b64 false": token(header(b64=False, crit=["b64"])),
    "b64 false, detached": detached(),
    "b64 true": token(header(b64=True)),
    "typ of an access token": token(header(typ="at+jwt")),
    "typ of a JWE": token(header(typ="JWE")),
    "zip": token(header(zip="DEF")),
    # J4, whole forms
    "a JWE in five parts": "eyJhbGciOiJSU0EtT0FFUCIsImVuYyI6IkEyNTZHQ00ifQ.a.b.c.d",
    "enc": token(header(enc="A256GCM")),
    "nested, said so": token(header(cty="JWT"), VALID),
    "nested, not said": token(body=VALID),
    "JSON serialisation": json.dumps(dict(zip(("protected", "payload", "signature"), VALID.split("."), strict=True))),
    "a megabyte": token(body=claims(note="x" * 1_000_000)),
    "a megabyte of dots": "." * 1_000_000,
    "a megabyte of letters": "A" * 1_000_000,
    "a header nested ten thousand deep": f"{b64(b'[' * 4000)}.{VALID.split('.', 1)[1]}",
    "claims nested deep": token(body="[" * 3000),
    "a header that is a list": token("[]"),
    "claims that are a list": token(body="[]"),
    "claims that are not JSON": token(body="iss=clerk"),
    "not base64": "e!J.e!J.e!J",
    "empty": "",
    "two dots": "..",
    "a line break inside": VALID.replace(".", ".\n", 1),
    "not ASCII": VALID.replace(".", ".é", 1),
    # J4: names that stand twice
    "alg twice": token('{"alg": "none", "kid": "ins_first", "alg": "RS256"}'),
    "sub twice": token(body=raw_claims(sub='"user_9"')),
    "exp twice": token(body=raw_claims(exp="99999999999")),
    "a name twice further in": token(body=raw_claims(org='{"id": 1, "id": 2}')),
    # J3, the clock
    "expired by the leeway and a second": token(body=claims(exp=NOW - LEEWAY - 1)),
    "expired by the leeway": token(body=claims(exp=NOW - LEEWAY)),
    "not valid for the leeway and a second": token(body=claims(nbf=NOW + LEEWAY + 1)),
    "issued in the future by the leeway and a second": token(body=claims(iat=NOW + LEEWAY + 1)),
    "no exp": token(body=claims(exp=None)),
    "no iat": token(body=claims(iat=None)),
    "exp null": token(body=json.dumps({**claims(), "exp": None})),
    "exp a string": token(body=claims(exp=str(NOW + 60))),
    "exp true": token(body=claims(exp=True)),
    "exp NaN": token(body=raw_claims().replace(str(NOW + 60), "NaN")),
    "exp Infinity": token(body=raw_claims().replace(str(NOW + 60), "Infinity")),
    "exp beyond floating point": token(body=raw_claims().replace(str(NOW + 60), "1e999")),
    "exp of 400 digits": token(body=raw_claims().replace(str(NOW + 60), "9" * 400)),
    "exp of 5000 digits": token(body=raw_claims().replace(str(NOW + 60), "9" * 5000)),
    "nbf a string": token(body=claims(nbf="now")),
    "iat a list": token(body=claims(iat=[NOW])),
    # J5: from whom, for whom
    "another instance of the provider": token(body=claims(iss="https://clerk.other.example"), signed_by="other"),
    "our issuer's name, another instance's key": token(signed_by="other"),
    "wrong iss, genuine key": token(body=claims(iss="https://clerk.other.example")),
    "iss with a slash more": token(body=claims(iss=ISSUER + "/")),
    "iss in capitals": token(body=claims(iss=ISSUER.upper())),
    "iss a list": token(body=claims(iss=[ISSUER])),
    "no iss": token(body=claims(iss=None)),
    "azp of another site": token(body=claims(azp="https://evil.example")),
    "azp that begins like ours": token(body=claims(azp=APP + ".evil.example")),
    "azp of a subdomain": token(body=claims(azp="https://x.app.clinic.example")),
    "azp without TLS": token(body=claims(azp=APP.replace("https", "http"))),
    "azp a list": token(body=claims(azp=[APP])),
    "azp missing": token(body=claims(azp=None)),
    "aud of another service": token(body=claims(aud="https://api.other.example")),
    "aud empty": token(body=claims(aud=[])),
    "an ID token, for a client": token(body=claims(azp=None, aud="client_1", nonce="n")),
    "no sub": token(body=claims(sub=None)),
    "sub empty": token(body=claims(sub="")),
    "sub a number": token(body=claims(sub=7)),
    "sub with a space": token(body=claims(sub="user_1 user_2")),
    "sub with a line break": token(body=claims(sub="user_1\n")),
    "sub of a thousand characters": token(body=claims(sub="u" * 1000)),
    "a session that owes a second factor": token(body=claims(sts="pending")),
}

GENUINE: dict[str, str] = {
    "as issued": VALID,
    "a second before the leeway ends": token(body=claims(exp=NOW - LEEWAY + 1)),
    "valid in the leeway": token(body=claims(nbf=NOW + LEEWAY)),
    "valid in a second less than the leeway": token(body=claims(nbf=NOW + LEEWAY - 1)),
    "issued in the leeway": token(body=claims(iat=NOW + LEEWAY)),
    "no nbf": token(body=claims(nbf=None)),
    "times with fractions": token(body=claims(exp=NOW + 0.5)),
    "typ left out": token(header(typ=None)),
    "a header parameter nobody knows": token(header(cat="cl_B7d4PD111AAA")),
    "an active session": token(body=claims(sts="active")),
    "claims nobody knows": token(body=claims(org={"id": "org_1"}, fva=[1, -1])),
}


def verifier(clock: HeldClock | None = None, expected: Expected = EXPECTED) -> Verifier:
    return Verifier(PemKeys(pem("first")), expected, clock=clock or HeldClock())


@pytest.mark.proves("J3", "J4", "J5")
@pytest.mark.parametrize("attack", ATTACKS)
async def test_no_token_that_should_not_be_accepted_is(attack):
    assert await verifier().verify(ATTACKS[attack]) is None


@pytest.mark.parametrize("case", GENUINE)
async def test_a_genuine_token_is_accepted(case):
    claimed = await verifier().verify(GENUINE[case])
    assert claimed is not None
    assert claimed.subject == "user_2abc"


def test_the_list_of_attacks_is_long():
    assert len(ATTACKS) >= 40


async def test_every_reason_to_refuse_is_met_by_some_attack():
    reasons = set()
    for attack in ATTACKS.values():
        with pytest.raises(TokenRefused) as refused:
            await verifier().check(attack)
        reasons.add(refused.value.reason)
    assert reasons == set(Refusal) - {Refusal.UNKNOWN_KEY}


async def test_the_algorithm_is_refused_before_any_key_is_asked_for():
    class NoKeys(PemKeys):
        async def find(self, kid):
            raise AssertionError("asked for a key")

    refuse = Verifier(NoKeys(pem("first")), EXPECTED, clock=HeldClock())
    for attack in ("alg nOnE", "HS256 signed with the public key as PEM", "jku", "kid that climbs", "a megabyte"):
        assert await refuse.verify(ATTACKS[attack]) is None


async def test_an_audience_is_accepted_when_it_is_expected():
    expected = replace(EXPECTED, audiences=frozenset({"anamnesis"}))
    assert await verifier(expected=expected).verify(token(body=claims(aud=["other", "anamnesis"])))
    assert await verifier(expected=expected).verify(token(body=claims(aud="other"))) is None
    assert await verifier(expected=expected).verify(VALID)


async def test_a_remembered_token_is_not_accepted_a_moment_longer_than_it_says():
    clock = HeldClock()
    remembering = verifier(clock)
    assert await remembering.verify(VALID)
    clock.seconds = NOW + 60 + LEEWAY - 1
    assert await remembering.verify(VALID)
    clock.seconds = NOW + 60 + LEEWAY
    assert await remembering.verify(VALID) is None
    clock.seconds = NOW - 3600
    assert await remembering.verify(VALID) is None


async def test_a_remembered_token_is_not_verified_again():
    remembering = verifier()
    await remembering.verify(VALID)
    remembering._jws = None  # whoever verifies a signature now fails
    assert await remembering.verify(VALID)


async def test_no_more_tokens_are_remembered_than_allowed():
    few = Verifier(PemKeys(pem("first")), EXPECTED, clock=HeldClock(), remembered=3)
    for number in range(5):
        assert await few.verify(token(body=claims(sid=str(number))))
    assert len(few._seen) == 3


async def test_a_refused_token_is_not_remembered():
    refusing = verifier()
    await refusing.verify(ATTACKS["azp missing"])
    assert not refusing._seen


async def test_claims_carry_what_the_token_says_of_the_person():
    body = claims(email=" a@b.example ", given_name="Ama\x00", family_name="Ož", picture="https://i.example/1.png")
    claimed = await verifier().verify(token(body=body))
    assert claimed == Claims("user_2abc", "a@b.example", "Ama", "Ož", "https://i.example/1.png")


async def test_a_claim_that_is_no_usable_text_is_left_out():
    body = claims(email={"a": 1}, first_name=7, last_name="x" * 5000, image_url="javascript:alert(1)")
    assert await verifier().verify(token(body=body)) == Claims("user_2abc")


@pytest.mark.parametrize("leeway", [-1, 61, 3600])
def test_a_leeway_above_a_minute_is_refused(leeway):
    with pytest.raises(ValueError, match="leeway"):
        replace(EXPECTED, leeway_s=leeway)


def test_a_verifier_without_issuer_or_party_cannot_be_made():
    for incomplete in ({"issuer": ""}, {"parties": frozenset()}):
        with pytest.raises(ValueError, match="needs"):
            replace(EXPECTED, **incomplete)


# -- where the token stands in a request -----------------------------------------------------------------------

OTHER = token(body=claims(sub="user_9"))

REQUESTS = {
    "header": (scope(authorization=f"Bearer {VALID}"), "user_2abc"),
    "header, scheme in small letters": (scope(authorization=f"bearer  {VALID}"), "user_2abc"),
    "cookie": (scope(cookie=f"a=1; __session={VALID}; b=2"), "user_2abc"),
    "cookie in a second line": (scope(cookie=["a=1", f"__session={VALID}"]), "user_2abc"),
    "the same cookie twice": (scope(cookie=f"__session={VALID}; __session={VALID}"), "user_2abc"),
    "header and cookie disagree: the header": (
        scope(authorization=f"Bearer {VALID}", cookie=f"__session={OTHER}"),
        "user_2abc",
    ),
    "a bad header is not made good by a cookie": (
        scope(authorization="Bearer undefined", cookie=f"__session={VALID}"),
        None,
    ),
    "an empty header is not made good by a cookie": (scope(authorization="Bearer ", cookie=f"__session={VALID}"), None),
    "another scheme says nothing about the cookie": (
        scope(authorization="Basic eDp5", cookie=f"__session={VALID}"),
        "user_2abc",
    ),
    "two cookies": (scope(cookie=f"__session={VALID}; __session={OTHER}"), None),
    "two cookies in two lines": (scope(cookie=[f"__session={VALID}", f"__session={OTHER}"]), None),
    "two headers": (scope(authorization=[f"Bearer {VALID}", f"Bearer {OTHER}"]), None),
    "query token": (scope(query=f"token={VALID}"), None),
    "query access_token": (scope(query=f"access_token={VALID}"), None),
    "query __session": (scope(query=f"__session={VALID}"), None),
    "a cookie that ends like ours": (scope(cookie=f"x__session={VALID}"), None),
    "a cookie in other letters": (scope(cookie=f"__SESSION={VALID}"), None),
    "nothing": (scope(), None),
    "bytes": (scope(authorization="Bearer \xff\xfe", cookie="\xff=\xff;;=;__session"), None),
}


@pytest.mark.proves("J7")
@pytest.mark.parametrize("case", REQUESTS)
async def test_a_request_is_whose_credential_it_carries(case):
    asked, subject = REQUESTS[case]
    request = await request_of(verifier())(asked)
    assert (request.claims.subject if request.claims else None) == subject
    assert request.peer == "203.0.113.9"


def test_a_credential_knows_whether_a_browser_added_it():
    assert credentials(scope(cookie="__session=t")) == Credential("t", from_cookie=True)
    assert credentials(scope(authorization="Bearer t", cookie="__session=u")) == Credential("t", from_cookie=False)
    assert credentials(scope(cookie="__session=t; __session=u")) == Credential("", from_cookie=True)
    assert credentials(scope(cookie="other=t")) is None


def test_a_credential_does_not_show_its_token():
    assert "secret" not in repr(Credential("secret", from_cookie=True))


async def test_a_verifier_that_fails_makes_an_anonymous_request(capsys):
    class Broken(PemKeys):
        async def find(self, kid):
            raise RuntimeError("patient words")

    request = await request_of(Verifier(Broken(pem("first")), EXPECTED))(scope(authorization=f"Bearer {VALID}"))
    assert request.claims is None
    line = json.loads(capsys.readouterr().err)
    assert (line["event"], line["error_type"]) == ("trpc.context", "RuntimeError")
    assert "patient" not in json.dumps(line)


async def test_a_refusal_is_written_down_with_its_reason_and_without_the_token(capsys):
    await request_of(verifier())(scope(authorization=f"Bearer {ATTACKS['azp missing']}", x_request_id="request-1"))
    text = capsys.readouterr().err
    line = json.loads(text)
    assert (line["error_code"], line["request_id"], line["level"]) == (Refusal.PARTY, "request-1", "warning")
    assert ATTACKS["azp missing"][:20] not in text


async def test_one_request_is_verified_once():
    counting = verifier()
    asked = scope(authorization=f"Bearer {VALID}")
    make = request_of(counting)
    assert await make(asked) is await make(asked)
