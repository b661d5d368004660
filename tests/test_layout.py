"""The rules of the tree itself: sizes, names, imports, what an import may do, generated pages."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tools.gen_docs import pages, role
from tools.size import FOLDERS, code_lines, sizes, sources


ROOT = Path(__file__).resolve().parent.parent
FILE_LINES = 400
CODE_LINES = 31_000

# Assembled from pieces, so that this file passes its own test.
HOSTS = re.compile(
    r"\b(?:pypi|pythonhosted|registry\.npmjs|download\.pytorch|proxy\.golang|crates)\.(?:org|io)\b"
)
MACHINE_PATHS = re.compile(r"(?<![\w.~>*-])/(?:work|root|opt|home|Users|tmp)/\w")

# Runs in a fresh interpreter: prints every audited event that leaves a trace outside the process.
WATCH_IMPORT = """
import os, sys
TRACES = ("socket.", "subprocess.", "shutil.", "tempfile.", "os.exec", "os.fork", "os.link",
          "os.mkdir", "os.posix_spawn", "os.remove", "os.rename", "os.rmdir", "os.spawn",
          "os.symlink", "os.system", "os.truncate", "urllib.")
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT
def watch(event, args):
    if event.startswith(TRACES):
        print(event, args)
    elif event == "open" and (set(args[1] or "") & set("wax+") or (args[2] or 0) & WRITING):
        print(event, args)
sys.addaudithook(watch)
import {module}
"""


def python_files(folder: str) -> list[Path]:
    return sorted((ROOT / folder).rglob("*.py"))


def package_trees() -> list[tuple[str, ast.Module]]:
    return [
        (path.relative_to(ROOT).as_posix(), ast.parse(path.read_text(encoding="utf-8")))
        for path in python_files("regluon")
    ]


def tracked_texts() -> list[tuple[str, str]]:
    listing = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True, text=True
    ).stdout
    texts = []
    for name in filter(None, listing.split("\0")):
        data = (ROOT / name).read_bytes() if (ROOT / name).is_file() else b""
        if b"\0" not in data:
            texts.append((name, data.decode("utf-8")))
    return texts


def lines_matching(pattern: re.Pattern[str]) -> list[str]:
    return [
        f"{name}:{number}: {line.strip()}"
        for name, text in tracked_texts()
        for number, line in enumerate(text.splitlines(), 1)
        if pattern.search(line)
    ]


@pytest.mark.parametrize("folder", FOLDERS)
def test_no_file_is_longer_than_the_limit(folder):
    long = {name: lines for name, lines in sizes(folder).items() if lines > FILE_LINES}
    assert not long


def test_the_package_stays_within_its_budget_of_code():
    assert sum(code_lines(text) for text in sources("regluon").values()) <= CODE_LINES


def test_file_names_are_nouns_and_not_drawers():
    allowed = {ROOT / "regluon/gluon/utils.py", ROOT / "regluon/util.py"}  # MXNet's names
    drawers = {"utils", "util", "helpers", "helper", "common", "misc"}
    found = [
        path
        for folder in FOLDERS
        for path in python_files(folder)
        if path not in allowed and (drawers & {path.stem, path.parent.name})
    ]
    assert not found


def test_every_folder_of_the_package_has_an_init_file():
    folders = {path.parent for path in python_files("regluon")}
    assert not [folder for folder in folders if not (folder / "__init__.py").exists()]


def imports_of(tree: ast.AST) -> set[ast.Import | ast.ImportFrom]:
    return {node for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom)}


def test_no_function_or_class_of_the_package_holds_an_import():
    scopes = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
    found = {
        f"{name}:{held.lineno}"
        for name, tree in package_trees()
        for node in ast.walk(tree)
        if isinstance(node, scopes)
        for held in imports_of(node)
    }
    assert not found


def test_every_import_of_the_package_is_absolute():
    found = {
        f"{name}:{node.lineno}"
        for name, tree in package_trees()
        for node in imports_of(tree)
        if isinstance(node, ast.ImportFrom) and node.level > 0
    }
    assert not found


def test_the_package_imports_no_library_that_it_does_not_require():
    # rich comes with typer; every other library goes through regluon.base.optional.
    allowed = {
        "numpy",
        "regluon",
        "rich",
        "torch",
        "typer",
    } | sys.stdlib_module_names
    found = set()
    for name, tree in package_trees():
        for node in imports_of(tree):
            modules = [alias.name for alias in node.names]
            if isinstance(node, ast.ImportFrom):
                modules = [node.module or ""]
            found |= {f"{name}: {item}" for item in modules if item.split(".")[0] not in allowed}
    assert not found


def test_no_unfinished_mark_is_left_in_the_package():
    marks = re.compile(r"\b(?:TODO|FIXME|XXX)\b")
    found = [
        f"{path.relative_to(ROOT)}:{number}"
        for path in python_files("regluon")
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if marks.search(line)
    ]
    assert not found


def test_no_test_is_switched_off():
    mark = re.compile(r"pytest\.(?:mark\.)?(?:skip|skipif|xfail|importorskip)\b")
    allowed = {"conftest.py", "test_layout.py"}  # the first skips what needs a missing GPU
    found = [
        path.name
        for path in python_files("tests")
        if path.name not in allowed and mark.search(path.read_text(encoding="utf-8"))
    ]
    assert not found


def test_no_path_of_one_machine_is_in_the_tree():
    assert lines_matching(MACHINE_PATHS) == []


def test_no_registry_host_is_in_the_tree():
    assert lines_matching(HOSTS) == []


def test_the_generated_pages_are_current():
    stale = [
        path.name for path, text in pages().items() if path.read_text(encoding="utf-8") != text
    ]
    assert not stale, "run: python tools/gen_docs.py"


def test_every_file_of_the_package_says_in_its_first_line_what_it_is_for():
    silent = [
        path for path in python_files("regluon") if path.name != "__init__.py" and not role(path)
    ]
    assert not silent


def test_the_test_command_of_the_readme_is_part_of_make_check():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    (steps,) = re.findall(r"^check:(.*)$", makefile, flags=re.MULTILINE)
    assert "\nmake test\n" in readme
    assert "test" in steps.split()


def output_of(program: str) -> str:
    done = subprocess.run(
        [sys.executable, "-B", "-c", program], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.mark.parametrize("module", ["regluon", "regluon.cli"])
def test_importing_opens_no_socket_starts_no_process_and_writes_no_file(module):
    assert output_of(WATCH_IMPORT.replace("{module}", module)) == ""


def test_importing_does_not_load_the_optional_libraries():
    optional = ("cv2", "simplejpeg", "PIL", "matplotlib", "skimage", "tensorboard")
    program = f"import sys, regluon.cli; print([m for m in {optional!r} if m in sys.modules])"
    assert output_of(program) == "[]"
