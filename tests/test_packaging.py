"""What is published, as far as files say it: package data, MANIFEST.in, the version, the changelog's form.

Nothing is built here. ``tools/package`` builds, installs and uses all of it; run it before a release.
"""

from __future__ import annotations

import re
import shutil
from fnmatch import fnmatchcase
from pathlib import Path

import pytest

from tools.packaging import installed
from tools.packaging.project import (
    ROOT,
    UNRELEASED,
    extras_of,
    files_of,
    name_version,
    places_of_version,
    requirements_of,
    setup_of,
)

SECTIONS = ["Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"]
"""Those of Keep a Changelog, in its order."""

FILES = files_of(ROOT)


# -- what is packed -------------------------------------------------------------------


def test_every_file_of_the_package_is_in_the_wheel() -> None:
    """A module's folder is a package, and anything else is named as package data."""
    data = setup_of(ROOT)["options.package_data"]["resumehub"].split()
    for name in sorted(name for name in FILES if name.startswith("resumehub/")):
        if name.endswith(".py"):
            assert f"{Path(name).parent.as_posix()}/__init__.py" in FILES, name
        else:
            inside = name.removeprefix("resumehub/")
            assert any(fnmatchcase(inside, pattern) for pattern in data), f"no package data: {name}"
    for name in ("py.typed", "static/index.html", "static/resumehub.js", "static/resumehub.d.ts"):
        assert f"resumehub/{name}" in FILES


def test_only_the_package_is_in_the_wheel() -> None:
    assert setup_of(ROOT)["options.packages.find"]["include"].split() == ["resumehub*"]
    assert not [name for name in FILES if re.match(r"resumehub[^/]+/", name)]


def test_every_file_of_the_project_is_in_the_sdist() -> None:
    """A new file or folder at the top is entered in MANIFEST.in, or the tests lack it there."""
    lines = [line.split() for line in (ROOT / "MANIFEST.in").read_text("utf-8").splitlines() if line]
    grafted = tuple(f"{folder}/" for command, *folders in lines if command == "graft" for folder in folders)
    included = [pattern for command, *patterns in lines if command == "include" for pattern in patterns]
    outside = [
        name
        for name in sorted(FILES)
        if not name.startswith(grafted)
        and not ("/" not in name and any(fnmatchcase(name, pattern) for pattern in included))
    ]
    assert not outside
    assert not [folder for folder in grafted if not any(name.startswith(folder) for name in FILES)]


def test_every_extra_is_used_by_the_tool() -> None:
    """An extra that nobody installs alone lacks something sooner or later."""
    for name in ["plain", "types", *extras_of(ROOT)]:
        assert (installed.USES / f"use_{name}.py").is_file(), (
            f"tools/package has nothing to use [{name}] with"
        )
    assert not [path for path in installed.FROM_THE_SDIST if path not in FILES]


def test_the_dependencies_are_three() -> None:
    names = [re.split("[<>=]", requirement)[0] for requirement in requirements_of(ROOT)]
    assert names == ["werkzeug", "simple-websocket", "wsproto"]
    assert set(names) < installed.PLAIN


def test_what_the_metadata_names_is_there() -> None:
    setup = setup_of(ROOT)
    assert setup["metadata"]["long_description"] == "file: README.md"
    assert setup["metadata"]["license_files"] in FILES
    scripts = setup["options.entry_points"]["console_scripts"] + setup["options.entry_points"]["pytest11"]
    modules = re.findall(r"= (resumehub[\w.]+)", scripts)
    assert len(modules) == 2
    assert all(f"{module.replace('.', '/')}.py" in FILES for module in modules)


# -- the version ----------------------------------------------------------------------


def test_the_version_is_the_same_wherever_it_stands() -> None:
    """setup.cfg has it; ``tools/package --release`` writes it into the other places."""
    version = setup_of(ROOT)["metadata"]["version"]
    minor = version.rpartition(".")[0]
    places = places_of_version(ROOT)
    assert places.pop("SECURITY.md") == [minor]
    assert places == {file: [version] for file in places}


def test_a_release_writes_the_version_everywhere(tmp_path: Path) -> None:
    """One command, and the pages, the client for bundlers and the changelog agree again."""
    project = copy_of_the_places(tmp_path)
    version = setup_of(ROOT)["metadata"]["version"]
    major, minor, _ = map(int, version.split("."))
    new = f"{major}.{minor + 1}.0"
    changelog = project / "CHANGELOG.md"
    released = changelog.read_text("utf-8").partition("\n## [0")[2]
    changelog.write_text(f"# Changelog\n\n{UNRELEASED}\n### Added\n\n- It flies.\n\n## [0{released}", "utf-8")

    assert name_version(project, new, "2099-01-31") == sorted(places_of_version(ROOT))

    places = places_of_version(project)
    assert places.pop("SECURITY.md") == [f"{major}.{minor + 1}"]
    assert places == {file: [new] for file in places}
    assert f"{UNRELEASED}\n## [{new}] - 2099-01-31\n\n### Added\n\n- It flies." in changelog.read_text(
        "utf-8"
    )
    page = (project / "docs" / "reference" / "versions.md").read_text("utf-8")
    assert f"resumehub>={major}.{minor + 1},<{major}.{minor + 2}" in page
    assert f"({major}.{minor + 1} to {major}.{minor + 2})" in page
    assert version not in page


@pytest.mark.parametrize(
    ("version", "date", "said"),
    [
        ("0.0.1", "2099-01-31", "0.0.1 is not newer than"),
        ("1.0", "2099-01-31", "a version is like 0.3.0"),
        ("99.0.0", "31.1.2099", "a date like 2026-11-30"),
        ("99.0.0", "2099-01-31", "nothing under [Unreleased]"),
    ],
)
def test_a_release_that_cannot_be_changes_nothing(tmp_path: Path, version: str, date: str, said: str) -> None:
    project = copy_of_the_places(tmp_path)
    changelog = project / "CHANGELOG.md"
    entries = changelog.read_text("utf-8").partition("\n## [0")
    changelog.write_text(
        f"{entries[0].partition(UNRELEASED)[0]}{UNRELEASED}{entries[1]}{entries[2]}", "utf-8"
    )
    before = places_of_version(project)

    with pytest.raises(ValueError, match=re.escape(said)):
        name_version(project, version, date)

    assert places_of_version(project) == before


def copy_of_the_places(folder: Path) -> Path:
    """A project of the files that have the version in them."""
    for name in places_of_version(ROOT):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, folder / name)
    return folder


# -- the changelog --------------------------------------------------------------------

HEADING = re.compile(r"^## \[(\d+\.\d+\.\d+)\] - (\d{4}-\d\d-\d\d)$")


def test_the_changelog_keeps_its_form() -> None:
    """Unreleased first, then the versions with their days, newest first; each section once and in order."""
    text = (ROOT / "CHANGELOG.md").read_text("utf-8")
    headings = [line for line in text.splitlines() if line.startswith("#")]
    assert headings[:2] == ["# Changelog", UNRELEASED.strip()]
    versions = [HEADING.fullmatch(line) for line in headings[2:] if line.startswith("## ")]
    assert all(versions), "a version is headed like ## [0.2.0] - 2026-11-30"
    numbered = [tuple(map(int, found[1].split("."))) for found in versions if found]
    assert numbered == sorted(set(numbered), reverse=True)
    days = [found[2] for found in versions if found]
    assert days == sorted(days, reverse=True)


def test_each_section_of_the_changelog_is_there_once_and_has_entries() -> None:
    """A merge that keeps both sides may leave a section twice, or an entry outside of one."""
    text = (ROOT / "CHANGELOG.md").read_text("utf-8")
    for version in re.split(r"^## ", text, flags=re.MULTILINE)[1:]:
        title, *sections = re.split(r"^### ", version, flags=re.MULTILINE)
        assert len(title.strip().splitlines()) == 1, f"outside of a section: {title}"
        names = [section.partition("\n")[0] for section in sections]
        assert names == [name for name in SECTIONS if name in names], title
        for section in sections:
            entries = [line for line in section.splitlines()[1:] if line]
            assert all(line.startswith(("- ", "  ")) for line in entries), section[:200]
            assert entries, f"{section.strip()} is empty"
            assert entries[0].startswith("- "), section[:200]
