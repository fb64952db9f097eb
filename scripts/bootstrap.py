"""Make the environment and run one task in it; needs nothing but Python 3.11 or newer.

A fresh machine has no uv, so a hash-pinned one is installed into .venv, which then installs the
locked packages. Each step leaves a stamp of what it was made from, so a warm start does nothing.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import venv
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
BIN = VENV / "bin"
REQUIREMENTS = ROOT / "requirements"
OLDEST_PYTHON = (3, 11)

#: What the environment is for: `run` needs only the service, everything else its tools too.
LOCKS = {"runtime": REQUIREMENTS / "runtime.txt", "dev": REQUIREMENTS / "dev.txt"}

#: A moment each; the first that fails ends the check.
CHECKS: tuple[tuple[str, ...], ...] = (
    ("ruff", "format", "--check", "--quiet"),
    ("ruff", "check", "--quiet"),
    ("lint-imports", "--no-logo"),
)
#: What takes seconds runs while the tests do.
MEANWHILE: tuple[tuple[str, ...], ...] = (("mypy",), ("anamnesis", "content", "check"))
PYTEST = ("pytest", "-q", "--allow-unix-socket", "--allow-hosts=127.0.0.1,::1,localhost")


def main(arguments: list[str]) -> int:
    """Run the named task and answer its exit status."""
    if sys.version_info < OLDEST_PYTHON:
        return fail(f"Python 3.11 or newer is needed; this is {sys.version.split()[0]}. Try PYTHON=python3.11 make ...")
    task, *rest = arguments or ["run"]
    if task not in TASKS:
        return fail(f"unknown task {task!r}; known: {', '.join(TASKS)}")
    prepare("runtime" if task == "run" else "dev")
    keep_bytecode()
    return TASKS[task](rest)


def fail(message: str) -> int:
    """Say what went wrong on standard error; the exit status is 2."""
    print(f"bootstrap: {message}", file=sys.stderr)
    return 2


def prepare(kind: str) -> None:
    """Bring .venv in line with the lock of this kind; a development environment also serves a run."""
    if any(stamp(made) == fingerprint(LOCKS[made]) for made in {kind, "dev"}):
        return
    make_venv()
    uv = str(BIN / "uv")
    quiet = {**os.environ, "UV_NO_PROGRESS": "1"}
    call(
        uv,
        "pip",
        "install",
        "-q",
        "--python",
        str(BIN / "python"),
        "--require-hashes",
        "-r",
        str(LOCKS[kind]),
        env=quiet,
    )
    call(uv, "pip", "install", "-q", "--python", str(BIN / "python"), "--no-deps", "-e", str(ROOT), env=quiet)
    stamp_file(kind).write_text(fingerprint(LOCKS[kind]))


def make_venv() -> None:
    """Create .venv and put the pinned uv into it."""
    if (BIN / "uv").exists() and stamp("uv") == fingerprint(REQUIREMENTS / "uv.txt"):
        return
    print("bootstrap: making .venv (first run only)", file=sys.stderr)
    try:
        venv.create(VENV, with_pip=True, clear=VENV.exists())
    except subprocess.CalledProcessError:
        sys.exit(
            fail("this Python cannot make a virtual environment; on Debian or Ubuntu: apt-get install python3-venv")
        )
    call(
        str(BIN / "python"),
        "-m",
        "pip",
        "install",
        "-q",
        "--disable-pip-version-check",
        "--require-hashes",
        "-r",
        str(REQUIREMENTS / "uv.txt"),
    )
    stamp_file("uv").write_text(fingerprint(REQUIREMENTS / "uv.txt"))


def keep_bytecode() -> None:
    """Where Python was told to leave none beside the sources, as in most containers, it lies in .venv.

    With none at all each of a test run's two hundred processes would compile every module it loads.
    """
    if os.environ.pop("PYTHONDONTWRITEBYTECODE", ""):
        os.environ.setdefault("PYTHONPYCACHEPREFIX", str(VENV / "bytecode"))


def fingerprint(lock: Path) -> str:
    """A hash over everything the environment is made from."""
    parts = (lock.read_bytes(), str(ROOT).encode(), sys.version.encode())
    return hashlib.sha256(b"\0".join(parts)).hexdigest()


def stamp_file(kind: str) -> Path:
    """Where the stamp of one finished step lies."""
    return VENV / f".stamp-{kind}"


def stamp(kind: str) -> str:
    """The fingerprint the step was last finished with, or nothing."""
    try:
        return stamp_file(kind).read_text()
    except OSError:
        return ""


def call(*command: str, env: dict[str, str] | None = None) -> None:
    """Run a set-up step; its failure ends the program with what to do."""
    done = subprocess.run(command, cwd=ROOT, env=env, check=False)
    if done.returncode:
        sys.exit(
            fail(f"{Path(command[0]).name} failed (see above); check the network, then run the same command again")
        )


def tool(*command: str) -> int:
    """Run one tool of the environment in the project's root."""
    return subprocess.run((str(BIN / command[0]), *command[1:]), cwd=ROOT, check=False).returncode


def run(rest: list[str]) -> int:
    """Replace this process by the demo clinic, so that Ctrl-C and kill reach it directly."""
    os.chdir(ROOT)
    os.execv(BIN / "anamnesis", ("anamnesis", "demo", *rest))  # noqa: S606 - no shell, fixed program


def check(rest: list[str]) -> int:
    """Format, lint and architecture, then types, content and the quick tests at once; the first failure's status."""
    for command in CHECKS:
        if status := tool(*command):
            return status
    meanwhile = [subprocess.Popen((str(BIN / program), *words), cwd=ROOT) for program, *words in MEANWHILE]
    status = beside("not slow and not long", rest)
    for command, process in zip(MEANWHILE, meanwhile, strict=True):
        if failed := process.wait():
            fail(f"{' '.join(command)} failed (see above)")
            status = status or failed
    return status


def beside(which: str, rest: list[str]) -> int:
    """These tests side by side: they wait for the database and for clocks more than they work."""
    return tool(*PYTEST, "-n", str((os.cpu_count() or 1) + 1), "--dist", "worksteal", "-m", which, *rest)


def test(rest: list[str]) -> int:
    """The whole suite, those that load or kill things last and each alone. Further arguments choose."""
    if rest:
        return tool(*PYTEST, *rest)
    return beside("not slow", []) or tool(*PYTEST, "-m", "slow")


def fmt(_: list[str]) -> int:
    """Format, and mend what the linter can mend."""
    return tool("ruff", "format") or tool("ruff", "check", "--fix")


def lock(_: list[str]) -> int:
    """Compile both locks anew: newest versions older than the cool-down set in pyproject.toml."""
    compile_ = (
        "uv",
        "pip",
        "compile",
        "-q",
        "--universal",
        "--generate-hashes",
        "--no-annotate",
        "--no-header",
        "--no-emit-index-url",
        "--upgrade",
        "--exclude-newer",
        "7 days",
        "pyproject.toml",
    )
    return tool(*compile_, "-o", str(LOCKS["runtime"])) or tool(
        *compile_, "--group", "dev", "-c", str(LOCKS["runtime"]), "-o", str(LOCKS["dev"])
    )


def model_matrix(rest: list[str]) -> int:
    """Every way a provider fails, with the long cells too; what each cell came to goes to var/matrix.jsonl."""
    found = ROOT / "var" / "matrix.jsonl"
    found.parent.mkdir(exist_ok=True)
    found.unlink(missing_ok=True)
    os.environ["ANAMNESIS_MATRIX"] = str(found)
    return tool(*PYTEST, "tests/llm", *rest)


TASKS: dict[str, Callable[[list[str]], int]] = {
    "setup": lambda _: 0,
    "run": run,
    "check": check,
    "test": test,
    "fmt": fmt,
    "lock": lock,
    "conformance": lambda rest: tool("python", "tests/edge/conformance.py", *rest),
    "bench": lambda rest: tool("python", "tests/bench.py", *rest),
    "model-matrix": model_matrix,
    "matrix": lambda rest: tool(*PYTEST, "-n0", "-s", "--show-capture=no", "tests/matrix/whole.py", *rest),
    "fuzz": lambda rest: tool(*PYTEST, "-n0", "-s", "--show-capture=no", "tests/tenants/whole.py", *rest),
    "eval": lambda rest: tool("anamnesis", "eval", *rest),
}

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
