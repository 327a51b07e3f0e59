"""`run.py` under a bare Python: the packages it installs, the time of each installation, and its error messages."""

import ast
import hashlib
import os
import re
import shutil
import subprocess
import sys
import urllib.request
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
BARE_PYTHON = sys._base_executable
NOT_TRACKED = shutil.ignore_patterns(".git", ".venv", "node_modules", "data", "__pycache__", ".*_cache", ".hypothesis")


def environment():
    """Return the environment of a new terminal: no active virtual environment, nothing of the one running the tests."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("RKV_", "PYTHON"))}
    environ.pop("VIRTUAL_ENV", None)
    environ["PATH"] = os.pathsep.join(
        folder for folder in environ["PATH"].split(os.pathsep) if not Path(folder).is_relative_to(sys.prefix)
    )
    return environ


def run(checkout, *arguments, python=BARE_PYTHON, cwd=None):
    return subprocess.run(
        [python, checkout / "run.py", *arguments],
        cwd=cwd or checkout,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


@pytest.fixture(scope="module")
def checkout(tmp_path_factory):
    """Make a fresh copy of the project, with nothing installed."""
    folder = tmp_path_factory.mktemp("fresh") / "checkout"
    shutil.copytree(ROOT, folder, ignore=NOT_TRACKED)
    return folder


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """Make the same with one small package as the only dependency, so that each set-up takes a second."""
    folder = tmp_path_factory.mktemp("small") / "checkout"
    shutil.copytree(ROOT, folder, ignore=NOT_TRACKED)
    (folder / "node_modules").symlink_to(ROOT / "node_modules")  # the npm packages are installed already
    require(folder, "1.0")
    return folder


def require(checkout, version, digest=None):
    """Reduce the tools' requirements to this version of one package, in a wheel beside them."""
    wheel = checkout / f"tiny_thing-{version}-py3-none-any.whl"
    info = f"tiny_thing-{version}.dist-info"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("tiny_thing.py", "")
        archive.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: tiny-thing\nVersion: {version}\n")
        archive.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        archive.writestr(f"{info}/RECORD", f"tiny_thing.py,,\n{info}/METADATA,,\n{info}/WHEEL,,\n{info}/RECORD,,\n")
    digest = digest or hashlib.sha256(wheel.read_bytes()).hexdigest()
    (checkout / "requirements-dev.txt").write_text(
        f"--no-index\n--find-links {checkout}\ntiny-thing=={version} \\\n    --hash=sha256:{digest}\n"
    )


def steps(done):
    return re.findall(r"^(\w+ .*) …$", done.stderr, re.MULTILINE)


INSTALL = "Installing the Python packages of requirements-dev.txt"


def test_help_lists_the_commands_before_anything_is_installed(checkout, tmp_path):
    done = run(checkout, "--help", cwd=tmp_path)
    assert done.returncode == 0
    assert all(
        re.search(rf"^ +{command} ", done.stdout, re.MULTILINE) for command in ("serve", "test", "check", "bench")
    )
    assert run(checkout, "serve", "--help").returncode == run(checkout, "test", "--help").returncode == 0
    assert not (checkout / ".venv").exists()


def test_a_misspelt_command_is_refused_before_anything_is_installed(checkout):
    done = run(checkout, "sevre")
    assert done.returncode == 2 and "serve" in done.stderr
    assert run(checkout, "--prot", "80").returncode == 2
    assert not (checkout / ".venv").exists()


def test_run_py_reaches_its_version_check_under_an_old_python():
    statements = ast.parse((ROOT / "run.py").read_text(), feature_version=(3, 7)).body
    check = next(n for n, statement in enumerate(statements) if isinstance(statement, ast.If))
    assert "version_info" in ast.unparse(statements[check].test)
    before = [statement for statement in statements[:check] if not isinstance(statement, ast.Expr)]
    assert {ast.unparse(statement) for statement in before} == {"import os", "import sys"}


def test_active_virtual_environment_is_used(small, tmp_path):
    subprocess.run([BARE_PYTHON, "-m", "venv", tmp_path / "active"], check=True)
    done = run(small, "check", python=tmp_path / "active" / "bin" / "python")
    assert steps(done) == [INSTALL] and str(tmp_path / "active") in done.stderr
    assert not (small / ".venv").exists()
    assert list(tmp_path.glob("active/lib/python*/site-packages/tiny_thing.py"))


def test_setup_runs_once_and_again_only_for_missing_parts(small):
    assert steps(run(small, "check")) == ["Making .venv", INSTALL]
    assert steps(run(small, "check", cwd="/")) == []

    stamp = small / ".venv" / "realtime_kv-requirements-dev.txt.json"
    stamp.unlink()  # as after an interrupted set-up
    assert steps(run(small, "check")) == [INSTALL]

    site = next(small.glob(".venv/lib/python*/site-packages"))
    shutil.rmtree(site / "tiny_thing-1.0.dist-info")
    assert steps(run(small, "check")) == [INSTALL]

    require(small, "1.1")
    (small / ".venv" / "bin" / "python").unlink()  # as if the base Python had been removed
    assert steps(run(small, "check")) == ["Making .venv", INSTALL]
    assert (site / "tiny_thing-1.1.dist-info").is_dir()
    assert steps(run(small, "check")) == []


def test_failed_step_shows_the_output_of_the_tool_and_what_to_do(small):
    require(small, "2.0", digest="0" * 64)
    done = run(small, "check")
    assert done.returncode == 1
    assert f"{INSTALL} failed" in done.stderr and "0" * 64 in done.stderr and "run this again" in done.stderr
    assert "Traceback" not in done.stderr


def test_first_start_serves_a_working_page_and_the_second_installs_nothing(checkout):
    assert start(checkout) == ["Making .venv", *steps_of_a_first_start()]
    assert start(checkout) == []


def steps_of_a_first_start():
    packaged_node = [] if shutil.which("npm") else ["Installing the Python packages of requirements-node.txt"]
    return ["Installing the Python packages of requirements.txt", *packaged_node, "Installing the browser libraries"]


def start(checkout):
    """Start the server as a new user would, open the printed address and kill the server; return the steps it took."""
    log = checkout / "log"
    with log.open("w") as stderr:
        server = subprocess.Popen(
            [BARE_PYTHON, "run.py", "--port", "0"],
            cwd=checkout,
            env=environment(),
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
        )
    with server:
        try:
            ready = server.stdout.readline()
            assert ready.startswith("Ready on http://"), log.read_text()
            address = ready.split()[-1]
            with urllib.request.urlopen(f"{address}/", timeout=10) as page:
                assert page.status == 200 and "<form" in page.read().decode()
            with urllib.request.urlopen(f"{address}/static/js/vendor/socket.io.esm.min.js", timeout=10) as library:
                assert library.status == 200
        finally:
            server.kill()
    return re.findall(r"^(\w+ .*) …$", log.read_text(), re.MULTILINE)
