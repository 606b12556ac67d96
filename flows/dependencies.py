"""The code that each stage runs, as deps in `dvc.yaml`: the modules of ours that it imports, and the data that lies beside them.

    python -m flows.dependencies          (what `make deps` does)

In: the imports of `python -m PACKAGE` and of the stage's module, followed through our own packages, inside functions too; what stands
under `if TYPE_CHECKING:` is never run. A file that is no module is a dep where a module of its folder names it, as
`Path(__file__).with_name("sample.json")` does; a folder without modules is one as a whole. Out: the same `dvc.yaml` with these deps, all
else as it stood: paths of no package of ours (data, the fingerprint of the salt), comments, order. A folder of which a stage
runs everything stands as one entry.
"""

from __future__ import annotations

import ast
import functools
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import yaml

from tasks.core import pipeline
from tasks.core.errors import UserError
from tasks.core.shell import guarded

FILE = Path("dvc.yaml")
WIDTH = 140  # characters of a line up to which the deps of a stage stand on one
OWN_MODULE = "stage.module"  # what the shells import by a name that only `dvc.yaml` knows: the stage itself
Deps = dict[str, list[str]]


def code_of(stage: pipeline.Stage, root: Path) -> list[str]:
    """The code deps of a stage, sorted, as paths below the root; folders that are whole as one."""
    package = stage.module.partition(".")[0]
    return _folded(closure((f"{package}.__main__", stage.module), root.resolve()), root.resolve())


def closure(modules: tuple[str, ...], root: Path) -> set[Path]:
    """Files below the root that run where these modules are imported: theirs, of all they import, and the data that those name."""
    files: set[Path] = set()
    queue = list(modules)
    while queue:
        for file in _files(queue.pop(), root) - files:
            files.add(file)
            queue += _imports(file, root)
    return files | {data for file in files for data in _data(file)}


def _files(module: str, root: Path) -> set[Path]:
    """The module's file and the `__init__.py` of every package above it; none for a module that is not ours."""
    parts = module.split(".")
    found = {root.joinpath(*parts[:depth], "__init__.py") for depth in range(1, len(parts) + 1)}
    found.add(root.joinpath(*parts).with_suffix(".py"))
    return {file for file in found if file.is_file() and (root / parts[0] / "__init__.py").is_file()}


@functools.cache
def _tree(file: Path) -> ast.Module:
    return ast.parse(file.read_text(encoding="utf-8"), str(file))


def _imports(file: Path, root: Path) -> list[str]:
    """Dotted names that the file may import while it runs; `from a import b` is both `a` and `a.b`."""
    package = file.relative_to(root).parent.parts
    names: list[str] = []
    for node in _run(_tree(file)):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else ()
            base = ".".join((*above, *([node.module] if node.module else ())))
            names += [base, *(f"{base}.{alias.name}" for alias in node.names)]
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith("import_module"):
            names += _named(node, file)
    return names


def _named(call: ast.Call, file: Path) -> list[str]:
    """What a call of `importlib.import_module` imports, where it says so."""
    given = call.args[0]
    if isinstance(given, ast.Constant):
        return [str(given.value)]
    if ast.unparse(given) == OWN_MODULE:
        return []
    raise UserError(
        f"{file}:{call.lineno}", f"import_module({ast.unparse(given)})", "a name that can be read, or the stage's own", "write an import"
    )


def _run(node: ast.AST) -> Iterator[ast.AST]:
    """The node and all below it, but what is there for type checkers alone."""
    if isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING"):
        for other in node.orelse:
            yield from _run(other)
        return
    yield node
    for child in ast.iter_child_nodes(node):
        yield from _run(child)


def _data(file: Path) -> set[Path]:
    """Files beside a module that are no modules and that it names, alone or by their folder, which then holds no modules."""
    names = {node.value for node in ast.walk(_tree(file)) if isinstance(node, ast.Constant) and isinstance(node.value, str)}
    found: set[Path] = set()
    for path in file.parent.iterdir():
        if path.name in names and path.suffix != ".py":
            below = _held(path)
            found |= set() if any(inner.suffix == ".py" for inner in below) else below
    return found


def _held(path: Path) -> set[Path]:
    """A file, or all files below a folder that are not made by running."""
    return {inner for inner in ([path] if path.is_file() else path.rglob("*")) if inner.is_file() and "__pycache__" not in inner.parts}


def _folded(files: set[Path], root: Path) -> list[str]:
    """The files as paths below the root; a folder stands for its files where all that it holds are among them."""
    left, whole = set(files), set[Path]()
    for folder in sorted({above for file in files for above in file.parents if root in above.parents}):
        held = _held(folder)
        if held <= left and len(held) > 1:
            left -= held
            whole.add(folder)
    return sorted(path.relative_to(root).as_posix() for path in left | whole)


@dataclass(frozen=True)
class _Entry:
    """One dep as it stands in the file."""

    path: str
    comment: str = ""  # behind it, with its sign

    def line(self) -> str:
        """The entry in a list of its own lines."""
        return f"      - {self.path}{' ' + self.comment if self.comment else ''}"


def rewritten(text: str, code: Mapping[str, list[str]], root: Path) -> str:
    """The text of `dvc.yaml` with the code deps of each stage in place of those that it has; all other deps before them, as they stand."""
    document = yaml.compose(text, Loader=yaml.SafeLoader)
    stages = dict(_pairs(dict(_pairs(document))["stages"]))
    for name in sorted(code, key=lambda name: stages[name].start_mark.index, reverse=True):  # from the end, so that places stay right
        node = dict(_pairs(stages[name]))["deps"]
        assert isinstance(node, yaml.SequenceNode)
        start = text.rindex("deps:", 0, node.start_mark.index)
        last = node.end_mark.index if node.flow_style else text.index("\n", node.value[-1].end_mark.index)
        rest = text[last : text.index("\n", last)]
        text = text[:start] + _written(_entries(text, node, code[name], root), rest) + text[last:]
    return text


def _pairs(node: yaml.Node | None) -> Iterator[tuple[str, yaml.Node]]:
    """Keys and values of a mapping."""
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            yield str(key.value), value


def _entries(text: str, node: yaml.SequenceNode, code: list[str], root: Path) -> list[_Entry]:
    """The entries that the list shall have: those of no package of ours as they stand, then the code."""
    there = [_Entry(item.value, _comment(text, item) if not node.flow_style else "") for item in node.value]
    kept = [entry for entry in there if not (root / Path(entry.path).parts[0] / "__init__.py").is_file()]
    comments = {entry.path: entry.comment for entry in there}
    return kept + [_Entry(path, comments.get(path, "")) for path in code]


def _comment(text: str, item: yaml.Node) -> str:
    """What stands behind an entry on its line."""
    end = item.end_mark.index
    return text[end : text.index("\n", end)].strip()


def _written(entries: list[_Entry], rest: str) -> str:
    """The list on one line where it fits with what stands behind it, else an entry a line."""
    line = f"deps: [{', '.join(entry.path for entry in entries)}]"
    if len(f"    {line}{rest}") <= WIDTH and not any(entry.comment for entry in entries):
        return line
    return "\n".join(["deps:", *(entry.line() for entry in entries)])


def differences(root: Path) -> list[str]:
    """One line for each code dep that a stage lacks, or has and does not run."""
    lines = []
    for name, stage in pipeline.stages(root).items():
        wanted, there = set(code_of(stage, root)), {path.as_posix() for path in stage.code if _is_ours(path, root)}
        lines += [f"{name}: {path} is run and no dep: run `make deps`" for path in sorted(wanted - there)]
        lines += [f"{name}: {path} is a dep and not run: run `make deps`" for path in sorted(there - wanted)]
    return lines


def _is_ours(path: Path, root: Path) -> bool:
    return (root / path.parts[0] / "__init__.py").is_file()


def write(root: Path) -> list[str]:
    """Write the deps into `dvc.yaml`; the lines about what changed."""
    changed = differences(root)
    text = (root / FILE).read_text(encoding="utf-8")
    code = {name: code_of(stage, root) for name, stage in pipeline.stages(root).items()}
    beside = root / f".{FILE.name}.new"
    beside.write_text(rewritten(text, code, root), encoding="utf-8")
    beside.replace(root / FILE)
    return changed


def main() -> int:
    """Write the deps of the project in the current folder, and say what changed."""
    return guarded(lambda: [sys.stdout.write(f"{line.removesuffix(': run `make deps`')}: written\n") for line in write(Path())])


if __name__ == "__main__":
    sys.exit(main())
