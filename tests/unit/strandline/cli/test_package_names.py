"""Another distribution that has a package of our name, installed as a package installer does it."""

import os
import shutil
import subprocess
import sys
from base64 import urlsafe_b64encode
from hashlib import sha256
from pathlib import Path

import pytest

from strandline.cli.package_names import PACKAGES
from tests.support.limits import HANGS_SECONDS

ROOT = Path(__file__).parents[4]
REMEDY = (
    "uninstall toolbox, or install Strandline in an environment of its own, then reinstall "
    "strandline"
)
CONFIG = """\
homeserver:
  url: http://127.0.0.1:9
  user_id: "@bot:example.org"
  password: hunter2
agents:
  - id: agent-1
    kind: echo
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a config, in which the command runs."""
    made = tmp_path / "bot"
    made.mkdir()
    (made / "config.yaml").write_text(CONFIG)
    return made


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A folder for installed distributions."""
    made = tmp_path / "site"
    made.mkdir()
    return made


def install(site: Path, name: str, files: dict[str, str], version: str = "1.0") -> None:
    """Put files there, with the folder in which an installer keeps what it has installed."""
    info = f"{name}-{version}.dist-info"
    files |= {f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"}
    for path, content in files.items():
        (site / path).parent.mkdir(parents=True, exist_ok=True)
        (site / path).write_text(content)
    lines = [f"{path},sha256={digest(site / path)},{len(files[path])}\n" for path in files]
    (site / info / "RECORD").write_text(f"{''.join(lines)}{info}/RECORD,,\n")


def digest(path: Path) -> str:
    return urlsafe_b64encode(sha256(path.read_bytes()).digest()).decode().rstrip("=")


def install_ours(site: Path) -> None:
    """Strandline as a wheel installs it, not editable."""
    for package in (*PACKAGES, "strandline"):
        shutil.copytree(ROOT / package, site / package, ignore=shutil.ignore_patterns("*.pyc"))
    texts = {str(p.relative_to(site)): p.read_text() for p in site.rglob("*.py")}
    install(site, "strandline", texts)


def run(folder: Path, *path: Path, command: str = "config check") -> tuple[int, str, str]:
    """Run the command, with these folders in front of what is importable."""
    done = subprocess.run(  # noqa: S603
        [sys.executable, "-m", "strandline", *command.split()],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(map(str, path))},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=HANGS_SECONDS,
        check=False,
    )
    return done.returncode, done.stdout.strip(), done.stderr.strip()


def test_a_distribution_that_has_packages_of_our_names_is_named_with_the_remedy(
    folder: Path, site: Path
) -> None:
    install(site, "toolbox", {f"{package}/__init__.py": "" for package in PACKAGES})

    code, output, errors = run(folder, ROOT, site)

    assert (code, output.startswith("config.yaml is fine")) == (0, True)
    assert errors.splitlines() == [
        "warning: a package of toolbox has the same name as Strandline's package "
        f"{package!r}; {REMEDY}"
        for package in PACKAGES
    ]


def test_the_bot_logs_such_a_distribution_when_it_starts(folder: Path, site: Path) -> None:
    install(site, "toolbox", {"matrix/__init__.py": ""})

    _, output, errors = run(folder, ROOT, site, command="run")

    assert "another distribution has a package of the same name" in output
    assert f"Strandline's package 'matrix'; {REMEDY}" in output
    assert errors.startswith("strandline: http://127.0.0.1:9"), "the start went on"


def test_all_distributions_of_one_name_are_named_however_they_were_installed(
    folder: Path, site: Path
) -> None:
    install(site, "toolbox", {"matrix/__init__.py": ""})
    install(site, "algebra", {"matrix.py": ""})
    legacy = site / "geometry-1.0.egg-info"
    legacy.mkdir()
    (legacy / "PKG-INFO").write_text("Metadata-Version: 1.0\nName: geometry\nVersion: 1.0\n")
    (legacy / "top_level.txt").write_text("shapes\nmatrix\n")

    _, _, errors = run(folder, ROOT, site)

    assert errors.startswith(
        "warning: a package of algebra and geometry and toolbox has the same name"
    )
    assert "uninstall algebra and geometry and toolbox, or" in errors


def test_names_that_only_begin_like_ours_and_ours_within_others_do_not_count(
    folder: Path, site: Path
) -> None:
    install(site, "toolbox", {"matrix_tools/__init__.py": "", "tools/matrix/__init__.py": ""})

    assert run(folder, ROOT, site)[::2] == (0, "")


@pytest.mark.parametrize(
    ("package", "command"), [("durable", "run"), ("ephemeral", "run"), ("matrix", "config check")]
)
def test_a_package_that_hides_ours_stops_the_start_with_a_line(
    folder: Path, site: Path, package: str, command: str
) -> None:
    install(site, "toolbox", {f"{package}/__init__.py": ""})

    code, output, errors = run(folder, site, ROOT, command=command)

    assert (code, output) == (2, "")
    assert errors == (
        f"strandline: Python imports {site}/{package}/__init__.py of toolbox instead of "
        f"Strandline's package {package!r}; {REMEDY}"
    )


def test_what_hides_the_first_package_that_is_imported_is_named_too(
    folder: Path, site: Path
) -> None:
    install(site, "toolbox", {"fsm/__init__.py": ""})

    code, _, errors = run(folder, site, ROOT)

    assert code != 0
    last = errors.splitlines()[-1]
    assert last.startswith(f"ImportError: Python imports {site}/fsm/__init__.py of toolbox")
    assert last.endswith(REMEDY)


def test_a_folder_of_the_operators_own_that_hides_ours_is_named(folder: Path) -> None:
    (folder / "matrix").mkdir()
    (folder / "matrix" / "__init__.py").write_text("")

    code, _, errors = run(folder, ROOT)

    assert code == 2
    assert f"{folder}/matrix/__init__.py" in errors
    assert "rename the other package, or install" in errors


def test_an_installed_strandline_alone_is_fine(folder: Path, site: Path) -> None:
    install_ours(site)

    assert run(folder, site)[::2] == (0, "")


def test_one_installed_besides_an_editable_one_is_not_taken_for_foreign(
    folder: Path, site: Path
) -> None:
    install_ours(site)

    assert run(folder, ROOT, site)[::2] == (0, "")


def test_a_distribution_that_has_overwritten_a_file_of_ours_stops_the_start(
    folder: Path, site: Path
) -> None:
    install_ours(site)
    theirs = (site / "durable" / "__init__.py").read_text() + "# and theirs\n"
    install(site, "toolbox", {"durable/__init__.py": theirs})

    code, output, errors = run(folder, site)

    assert (code, output) == (2, "")
    expected = (
        f"files of toolbox have overwritten those of Strandline's package 'durable'; {REMEDY}"
    )
    assert errors == f"strandline: {expected}"


def test_one_whose_files_ours_have_overwritten_does_not_stop_the_start(
    folder: Path, site: Path
) -> None:
    install(site, "toolbox", {"durable/__init__.py": ""})
    shutil.rmtree(site / "durable")
    install_ours(site)

    code, _, errors = run(folder, site)

    assert code == 0
    assert errors.startswith("warning: a package of toolbox has the same name")
