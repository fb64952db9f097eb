"""AppRouter as the real @trpc/client takes it: what is right compiles and runs, what is wrong does not compile."""

import asyncio
import json
import os
import shutil
import subprocess

import pytest

from anamnesis.edge.typescript import app_router
from build import ISSUER_OF_TESTS, a_session, an_app, claims, closing
from client.test_client import served

PACKAGES = ("typescript@5", "@trpc/client@11", "@trpc/server@11", "superjson@2")
CONFIG = {
    "compilerOptions": {
        "strict": True, "target": "es2022", "lib": ["esnext", "dom"], "module": "nodenext",
        "moduleResolution": "nodenext", "skipLibCheck": False, "types": [],
    },
    "include": ["*.ts"],
}  # fmt: skip
HEAD = """
import { createTRPCClient, httpBatchLink, TRPCClientError } from "@trpc/client";
import superjson from "superjson";
import type { AppRouter } from "./anamnesis.js";
declare const process: { argv: string[] };
const [, , origin, token, sessionId, connectionId] = process.argv;
const client = createTRPCClient<AppRouter>({
  links: [httpBatchLink({ url: `${origin}/api/trpc`, transformer: superjson,
                          headers: () => ({ authorization: `Bearer ${token}` }) })],
});
"""
RIGHT = """
const [me, found] = await Promise.all([client.user.me.query(), client.intake.getSession.query({ sessionId })]);
const since: Date = me.createdAt;
const sent = await client.message.send.mutate({ connectionId, content: "hello" });
const read: Date | null = sent.message.readAt;
const delivered: Date | null = sent.message.deliveredAt;
const advice: string | undefined = sent.emergencyAdvice;
const listed = await client.notification.getMyNotifications.query();
const page = await client.message.getConversation.query({ connectionId, limit: 5 });
let refused = "", field: string | undefined;
try { await client.message.send.mutate({ connectionId, content: "" }); } catch (error) {
  refused = String(error);
  if (error instanceof TRPCClientError) {
    const told = error as TRPCClientError<AppRouter>;
    field = told.data?.zodError?.fieldErrors["content"]?.[0];
  }
}
// Only compiled: this Node has no EventSource to listen with.
export function listens() {
  client.message.onConversation.subscribe({ connectionId, lastEventId: "0" }, {
    onData: (event) => {
      const kind: "message" | "delivered" | "read" = event.data.kind;
      const at: Date | undefined = event.data.message?.createdAt;
      return [event.id, kind, at, event.data.message?.sender.firstName];
    },
  });
  client.intake.onSession.subscribe({ sessionId, growing: true }, {
    onData: (event) => "isGrowing" in event ? event.text : [event.id, event.data.role, event.data.timestamp.getTime()],
  });
  client.intake.onInbox.subscribe(undefined, { onData: (event) => event.data.changed });
  client.notification.onNew.subscribe({}, { onData: (event) => event.data.title });
}
console.log(JSON.stringify({
  since: since instanceof Date, sent: sent.message.createdAt instanceof Date, read, delivered, advice: advice ?? null,
  session: found.session.id, texts: page.messages.map((message) => message.content),
  listed: listed.notifications.length,
  refused: refused.includes("too_small"), field: field ?? null,
}));
"""
WRONG = {
    "a field that is missing": "await client.message.send.mutate({ connectionId });",
    "a field of another type": "await client.message.getConversation.query({ connectionId, limit: 'five' });",
    "a word that is none of the choices": "await client.connection.getMyConnections.query({ status: 'gone' });",
    "a procedure that is not there": "await client.message.shout.mutate({ connectionId });",
    "a mutation as a query": "await client.message.send.query({ connectionId, content: 'x' });",
    "a date as a text": "const since: string = (await client.user.me.query()).createdAt;",
    "a field nobody answers": "console.log((await client.user.me.query()).password);",
    "a file, which only a form brings": "await client.file.upload.mutate({ sessionId, files: [] });",
    "what has not been built": "await client.support.getStats.query();",
    "a field no event has": "client.notification.onNew.subscribe({}, { onData: (event) => event.data.shout });",
    "a growing reply as one with an id": "client.intake.onSession.subscribe({ sessionId }, { onData: (e) => e.id });",
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with the packages; no machine has to have them."""
    if shutil.which("npm") is None or shutil.which("node") is None:
        pytest.skip("Node is not here")
    folder = tmp_path_factory.mktemp("typescript")
    (folder / "package.json").write_text(json.dumps({"name": "a-client", "private": True, "type": "module"}))
    (folder / "tsconfig.json").write_text(json.dumps(CONFIG))
    install = ["npm", "install", "--no-audit", "--no-fund", "--ignore-scripts", "--no-package-lock", *PACKAGES]
    try:
        done = subprocess.run(install, cwd=folder, capture_output=True, text=True, check=False, timeout=90)
    except subprocess.TimeoutExpired:
        pytest.skip("the registry did not answer in time")
    if done.returncode:
        pytest.skip("the packages could not be had")
    return folder


def compiled(folder, program, *more):
    """What the compiler says of a program; nothing when it is content."""
    (folder / "client.ts").write_text(HEAD + program)
    command = ["node", "node_modules/typescript/bin/tsc", "-p", ".", *more]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=60)
    return done.stdout


@pytest.fixture
async def app(clinic, folder):
    async with closing(an_app(clinic.app_dsn)) as app:
        (folder / "anamnesis.d.ts").write_text(app_router(app.registry))
        yield app


@pytest.mark.long
async def test_a_right_program_compiles_and_runs_against_a_live_server(app, folder):
    connection_id, session_id = await a_session(app)
    assert compiled(folder, RIGHT) == ""
    token = ISSUER_OF_TESTS.token(claims("patient"))
    async with served(app.asgi()) as origin:
        ran = await asyncio.create_subprocess_exec(
            "node", "client.js", origin, token, session_id, connection_id, cwd=folder,
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE, env={"PATH": os.environ["PATH"]},
        )  # fmt: skip
        said, failed = await asyncio.wait_for(ran.communicate(), 30)
    assert failed == b""
    assert json.loads(said) == {
        "since": True, "sent": True, "read": None, "delivered": None, "advice": None, "session": session_id,
        "texts": ["hello"], "listed": 0, "refused": True, "field": "String must contain at least 1 character(s)",
    }  # fmt: skip


@pytest.mark.long
async def test_what_is_wrong_does_not_compile(app, folder):
    lines = len(HEAD.splitlines())
    program = "\n".join(WRONG.values())
    found = compiled(folder, program, "--noEmit")
    told = {
        int(line.partition("client.ts(")[2].partition(",")[0]) for line in found.splitlines() if "client.ts(" in line
    }
    assert told == set(range(lines + 1, lines + 1 + len(WRONG))), found


def test_every_procedure_that_can_be_called_stands_in_the_type(clinic):
    app = an_app(clinic.app_dsn)
    declared = app_router(app.registry)
    for bound in app.registry:
        procedure = bound.procedure
        name = procedure.name.partition(".")[2]
        is_there = f"/** {procedure.summary} */\n    {name}: " in declared
        is_callable = procedure.summary != "Not available yet." and not procedure.takes_files
        assert is_there == is_callable, procedure.name


def test_dates_of_answers_are_dates_and_of_inputs_texts(clinic):
    declared = app_router(an_app(clinic.app_dsn).registry)
    assert "export type Consent = { purpose: string; version: string; givenAt: Date };" in declared
    (fields,) = (line for line in declared.splitlines() if line.startswith("export type ProfileFields"))
    assert "dateOfBirth?: string" in fields
