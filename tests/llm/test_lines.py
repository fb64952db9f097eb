"""Lines to a provider that fail before a word is said: certificates, handshakes, packets that vanish (P1, P10).

The whole application against servers on this machine. An authority of our own is the only one trusted meanwhile, so
that a certificate can be good, expired or another's, and the good one is shown to work.
"""

import asyncio
import datetime as dt
import ipaddress
import socket
import ssl
import time
from contextlib import asynccontextmanager

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from fault_server import VENDORS, FaultServer, good
from test_matrix import AI, DEADLINE_S, GROWING, SCRIPTED, WHOLE, a_clinic, is_useful, settings_for

from build import a_session, tell
from checker import broken

pytestmark = pytest.mark.long

_HOUR = dt.timedelta(hours=1)


class Authority:
    """Signs certificates, of which it is itself the only trusted one."""

    def __init__(self, folder):
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = _name("Authority of the tests")
        now = dt.datetime.now(dt.UTC)
        made = _builder(self._name, self._name, self._key, now - _HOUR, now + _HOUR).add_extension(
            x509.BasicConstraints(ca=True, path_length=0), critical=True
        )
        self.path = folder / "authority.pem"
        self.path.write_bytes(made.sign(self._key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))

    def server(self, address="127.0.0.1", *, ended=False, by_itself=False):
        """What a server at this address shows, good unless it ended an hour ago or nobody vouches for it."""
        key, subject, now = ec.generate_private_key(ec.SECP256R1()), _name(address), dt.datetime.now(dt.UTC)
        begins, ends = (now - 3 * _HOUR, now - _HOUR) if ended else (now - _HOUR, now + _HOUR)
        issuer, signing = (subject, key) if by_itself else (self._name, self._key)
        named = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(address))])
        made = _builder(subject, issuer, key, begins, ends).add_extension(named, critical=False)
        path = self._folder / "server.pem"
        path.write_bytes(
            made.sign(signing, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
            + key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(path)
        return context


def _name(text):
    return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, text)])


def _builder(subject, issuer, key, begins, ends):
    made = x509.CertificateBuilder().subject_name(subject).issuer_name(issuer).public_key(key.public_key())
    return made.serial_number(x509.random_serial_number()).not_valid_before(begins).not_valid_after(ends)


@pytest.fixture
def authority(tmp_path, monkeypatch):
    trusted = Authority(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(trusted.path))
    return trusted


@asynccontextmanager
async def silent():
    """An address that takes the connection and never says a word, not even of the handshake."""
    with socket.socket() as mute:
        mute.bind(("127.0.0.1", 0))
        mute.listen(8)
        yield f"https://127.0.0.1:{mute.getsockname()[1]}"
        called, _ = mute.accept()
        with called:
            await asyncio.wait_for(asyncio.to_thread(_hung_up, called), 1.0)


def _hung_up(called):
    """Return when the other side has closed the connection."""
    called.settimeout(1.0)
    while called.recv(1 << 16):
        pass


@asynccontextmanager
async def black_hole():
    """An address whose packets vanish: its queue is full and nobody takes anything from it."""
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))
        deaf.listen(0)
        waiting = [socket.socket() for _ in range(4)]
        for each in waiting:
            each.settimeout(0)
            each.connect_ex(deaf.getsockname())
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(asyncio.open_connection(*deaf.getsockname()), 0.2)
        try:
            yield f"http://127.0.0.1:{deaf.getsockname()[1]}"
        finally:
            for each in waiting:
                each.close()


async def a_turn(clinic, owner, vendor, url, way):
    """How a patient's turn ends at this address: its state and what the ledger says of the calls."""
    async with a_clinic(clinic, settings_for(vendor, url, way=way)) as app:
        _, session_id = await a_session(app)
        started = time.monotonic()
        answer = await tell(app, session_id, "It is about me")
        assert time.monotonic() - started <= DEADLINE_S + 0.5
        assert is_useful(answer["aiMessage"]["text"])
        await app.relay.written()
        assert app.database.in_use == 0
        assert await broken(owner) == []
    state = await owner.fetchval("SELECT turn_state FROM chat_messages WHERE role = 'user'")
    return state, [
        (row["outcome"], row["detail"]) for row in await owner.fetch("SELECT outcome, detail FROM model_calls")
    ]


@pytest.mark.parametrize("way", [WHOLE, GROWING])
@pytest.mark.parametrize("vendor", VENDORS)
@pytest.mark.parametrize("shown", ["good", "expired", "another host's", "nobody's"])
@pytest.mark.proves("I18")
async def test_only_a_certificate_that_is_good_now_for_this_address_is_spoken_to(
    clinic, owner, authority, vendor, shown, way
):
    certificates = {
        "good": authority.server,
        "expired": lambda: authority.server(ended=True),
        "another host's": lambda: authority.server("127.0.0.9"),
        "nobody's": lambda: authority.server(by_itself=True),
    }
    async with FaultServer(tls=certificates[shown]()) as server:
        server.will(good())
        state, calls = await a_turn(clinic, owner, vendor, server.url, way)
        spoken = len(server.calls)
    if shown == "good":
        assert (state, spoken) == (AI, 1)
        return
    assert (state, spoken) == (SCRIPTED, 0)
    assert calls == [("misconfigured", "certificate")]


@pytest.mark.parametrize("way", [WHOLE, GROWING])
@pytest.mark.parametrize("vendor", VENDORS)
@pytest.mark.parametrize("line", [silent, black_hole])
@pytest.mark.proves("I18")
async def test_a_line_on_which_nothing_comes_back_costs_the_deadline_and_no_more(clinic, owner, vendor, line, way):
    async with line() as url:
        state, calls = await a_turn(clinic, owner, vendor, url, way)
    assert state == SCRIPTED
    assert calls
    assert {outcome for outcome, _ in calls} <= {"timed_out", "unavailable"}
