"""How many small faults in the code the fast tests notice.

    python -m tests.benchmarks.mutation AREA... [--each 12] [--seed 1] [--only PART...] [--again] [--out FILE]
    python -m tests.benchmarks.mutation --table FILE...                                               what was found, as a table

Of every module of an area (core, split, pair, dedupe) a drawn sample of its mutants (`tests.benchmarks.mutants`) is tried, each in a
process of its own that has all tests imported: the code of one function is exchanged, and the tests that reach the changed statement run,
quickest first, until one fails. Which tests reach it was learnt before, with a mark before every statement. Nothing is written into the
checkout. A mutant that no test reaches survives unseen. One line of JSON a mutant goes to FILE as soon as its fate is known; what stands
there is not tried again, but with `--again` what survived: then only the later line counts.

A fault is `killed` by a failing test, or `endless` where the tests then take four times their processor time, and half a minute.
Limits: tests that start processes of their own see no fault; what runs at import is not tried.
"""

from __future__ import annotations

import argparse
import ast
import builtins
import gc
import inspect
import itertools
import json
import os
import pickle
import random
import resource
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import CodeType, FunctionType
from typing import Any, TypeVar

import pytest
from _pytest.runner import runtestprotocol
from hypothesis import Phase, settings

from tests.benchmarks.mutants import Mutant, functions, mutants, statements
from tests.conftest import ROOT

AREAS: dict[str, tuple[list[str], str]] = {
    "core": (["tasks/core/*.py"], "core contract bytes salt growth renamed_parameters wordlists"),
    "split": (
        ["tasks/split/*.py", "tasks/common/links.py"],
        "bounds split apart growth similar laws",
    ),
    "pair": (
        ["tasks/pair/*.py"],
        "pair pairing laws matching certainty trainable tool_calls extremes unblinded",
    ),
    "dedupe": (
        ["tasks/dedupe/*.py", "tasks/common/similarity/*.py", "tasks/common/text_identity.py", "tasks/common/wording.py"],
        "dedupe bounds similar extremes certificate product_logs aggregate text_identity",
    ),
}
Place = tuple[str, int]  # a file and the line of a statement
SLOWER, LEAST_SECONDS = 4.0, 30.0
WAITING = 20  # seconds that a second of processor time may take on a busy machine
MARK = "__reached__"
FATES = ("killed", "endless", "survived", "unreached")
T = TypeVar("T")


@dataclass
class Known:
    """What the tests do without a fault: seconds of processor time and the statements reached, by test."""

    seconds: dict[str, float] = field(default_factory=dict)
    reached: dict[str, set[Place]] = field(default_factory=dict)

    def reaching(self, place: Place, seconds: float) -> list[str]:
        """Tests that reach a statement, quickest first, as many as take so many seconds together; one at least."""
        tests = sorted((test for test, places in self.reached.items() if place in places), key=lambda test: self.seconds[test])
        together = itertools.accumulate(self.seconds[test] for test in tests)
        return [test for at, (test, spent) in enumerate(zip(tests, together, strict=True)) if spent <= seconds or not at]


class Trial:
    """A pytest plugin that tries mutants instead of running the tests that were collected."""

    def __init__(self, area: str, modules: list[Path], options: argparse.Namespace) -> None:
        self.area, self.modules, self.options = area, modules, options
        self.known = Known()

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """All mutants of the sample, one after the other."""
        items = {item.nodeid: item for item in session.items}
        self.known = self.learnt(items)
        done = {key_of(line) for line in read([self.options.out]) if not (self.options.again and line["fate"] == "survived")}
        say(f"\n{self.area}: {len(self.known.seconds)} of {len(items)} tests, {sum(self.known.seconds.values()):.0f} s of processor time")
        for path in (path for path in self.modules if any(part in str(path) for part in self.options.only)):
            every = [one for one in mutants(path.read_text(encoding="utf-8")) if is_bound(one) or not self.options.bounds]
            sample = random.Random(self.options.seed).sample(every, min(self.options.each, len(every)))
            for mutant in sorted(sample, key=lambda one: one.line):
                module = str(path.relative_to(ROOT))
                if (module, mutant.function, mutant.line, mutant.was, mutant.becomes) not in done:
                    self.tell(module, mutant, len(every), self.outcome(items, path, mutant))
        return True

    def learnt(self, items: dict[str, pytest.Item]) -> Known:
        """What is known of the tests, kept beside the results for the next time."""
        kept = Path(f"{self.options.out}.{self.area}.known")
        if not kept.is_file():
            known = in_child(lambda: watch(items, self.modules), 3600.0)
            assert known, "the tests came to no end without a fault"
            kept.write_bytes(pickle.dumps(known))
        known = pickle.loads(kept.read_bytes())
        assert isinstance(known, Known)
        return known

    def outcome(self, items: dict[str, pytest.Item], path: Path, mutant: Mutant) -> tuple[str, str]:
        """What became of a mutant, and the test that killed it."""
        tests = self.known.reaching((str(path), mutant.line), self.options.seconds)
        if not tests:
            return "unreached", ""
        limit = max(LEAST_SECONDS, SLOWER * sum(self.known.seconds[test] for test in tests))
        found = in_child(lambda: first_failure([items[test] for test in tests], path, mutant), limit)
        return ("endless", "") if found is None else ("killed", found) if found else ("survived", "")

    def tell(self, module: str, mutant: Mutant, of: int, fate: tuple[str, str]) -> None:
        line = {"area": self.area, "module": module, "line": mutant.line, "function": mutant.function, "was": mutant.was}
        line |= {"becomes": mutant.becomes, "of": of, "fate": fate[0], "by": fate[1], "again": self.options.again}
        with Path(self.options.out).open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(line) + "\n")
        if fate[0] != "killed":
            say(f"{fate[0]}: {module}:{mutant}")


def is_bound(mutant: Mutant) -> bool:
    """Whether the fault only moves a value that lies exactly at a bound; `> 0` and the like are questions of being there."""
    if any(mutant.was.endswith(f" {sign} {least}") for sign in (">", ">=", "<", "<=") for least in "01"):
        return False
    return mutant.was != mutant.becomes and mutant.was.replace("=", "") == mutant.becomes.replace("=", "")


def say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def in_child(work: Callable[[], T], limit: float) -> T | None:
    """What `work` gives in a forked process with so many seconds of processor time; None where it comes to no end or breaks down."""
    end, begin = os.pipe()
    child = os.fork()
    if not child:
        os.close(end)
        resource.setrlimit(resource.RLIMIT_CPU, (int(limit), int(limit) + 5))
        signal.alarm(int(WAITING * limit))
        hush()
        with os.fdopen(begin, "wb") as stream:
            pickle.dump(work(), stream)
        os._exit(0)
    os.close(begin)
    with os.fdopen(end, "rb") as stream:
        said = stream.read()
    os.waitpid(child, 0)
    return pickle.loads(said) if said else None


def hush() -> None:
    """What tests print goes nowhere."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)


def watch(items: dict[str, pytest.Item], modules: Iterable[Path]) -> Known:
    """Run all tests with a mark before every statement of the modules."""
    known, reached = Known(), set[Place]()
    vars(builtins)[MARK] = lambda path, line: reached.add((path, line))
    for path in modules:
        exchange(path, compile(marked(path), str(path), "exec"))
    for name, item in items.items():
        reached.clear()
        begun = time.process_time()
        if not failed(item):
            known.seconds[name], known.reached[name] = time.process_time() - begun, set(reached)
    return known


def marked(path: Path) -> ast.Module:
    """The module with a call before every statement in its functions that tells the statement's line."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for _, function in functions(tree):
        for owner in [function, *statements(function)]:
            blocks = [getattr(owner, name, []) for name in ("body", "orelse", "finalbody")]
            for block in [*blocks, *(handler.body for handler in getattr(owner, "handlers", []))]:
                block[:] = [one for statement in block for one in (mark(path, statement), statement)]
    return ast.fix_missing_locations(tree)


def mark(path: Path, statement: ast.stmt) -> ast.stmt:
    call = ast.Call(ast.Name(MARK, ast.Load()), [ast.Constant(str(path)), ast.Constant(statement.lineno)], [])
    return ast.copy_location(ast.Expr(call), statement)


def first_failure(items: Iterable[pytest.Item], path: Path, mutant: Mutant) -> str:
    """The first test that fails with the fault in place, by name; "" where none does."""
    exchange(path, compile(mutant.source, str(path), "exec"), mutant.function)
    return next((item.nodeid for item in items if failed(item)), "")


def failed(item: pytest.Item) -> bool:
    """Whether a test fails or is skipped, which shows nothing either."""
    return any(not report.passed for report in runtestprotocol(item, log=False, nextitem=None))


def exchange(path: Path, module: CodeType, only: str = "") -> None:
    """Give the functions of a module, or one of them, other code in their place, whoever holds them."""
    codes = {code.co_qualname: code for code in inner(module)}
    for known in gc.get_objects():
        if isinstance(known, FunctionType) and known.__code__.co_filename == str(path):
            code = codes.get(known.__code__.co_qualname)
            if code and only in ("", code.co_qualname) and code.co_freevars == known.__code__.co_freevars:
                known.__code__ = code


def inner(code: CodeType) -> Iterator[CodeType]:
    """The code of functions and methods, not of what is nested in them."""
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield constant
            if not constant.co_flags & inspect.CO_OPTIMIZED:  # a class
                yield from inner(constant)


def read(paths: Iterable[str]) -> list[dict[str, Any]]:
    """Lines that were written before; of what was tried again the later ones."""
    lines = [json.loads(line) for path in map(Path, paths) if path.is_file() for line in path.read_text(encoding="utf-8").splitlines()]
    again = {key_of(line) for line in lines if line.get("again")}
    return [line for line in lines if line.get("again") or line["fate"] != "survived" or key_of(line) not in again]


def key_of(line: dict[str, Any]) -> tuple[object, ...]:
    """What a mutant is known by."""
    return tuple(line[name] for name in ("module", "function", "line", "was", "becomes"))


def table(lines: Iterable[dict[str, Any]]) -> str:
    """Score by module, in Markdown."""
    by: dict[str, Counter[str]] = {}
    of: dict[str, int] = {}
    for line in lines:
        for key, every in ((line["module"], line["of"]), (f"**{line['area']}**", 0)):
            by.setdefault(key, Counter())[line["fate"]] += 1
            of[key] = max(every, of.get(key, 0))
    rows = ["| module | mutants | tried | killed | endless | survived | no test reaches it | score |", "|---|--:|--:|--:|--:|--:|--:|--:|"]
    for key, fates in sorted(by.items()):
        caught, tried = fates["killed"] + fates["endless"], fates.total()
        cells = [key, of[key] or "", tried, *(fates[fate] for fate in FATES), f"{caught / tried:.0%}"]
        rows.append("| " + " | ".join(map(str, cells)) + " |")
    return "\n".join(rows)


def files(area: str) -> list[Path]:
    """The modules of an area in which there is something to change."""
    found = [path for pattern in AREAS[area][0] for path in sorted(ROOT.glob(pattern))]
    return [path for path in found if mutants(path.read_text(encoding="utf-8"))]


def options() -> argparse.ArgumentParser:
    """What the command takes."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.benchmarks.mutation", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("area", nargs="*", help=", ".join(AREAS))
    parser.add_argument("--each", type=int, default=12, help="mutants drawn of each module")
    parser.add_argument("--seconds", type=float, default=60.0, help="processor time of the tests that a mutant must pass at most")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", nargs="+", default=[""], metavar="PART", help="parts of the paths of the modules to draw from")
    parser.add_argument("--bounds", action="store_true", help="only comparisons that let a value at the bound in or out (`<` for `<=`)")
    parser.add_argument("--again", action="store_true", help="try those that survived anew, with other tests or more seconds")
    parser.add_argument("--out", default="mutation.jsonl")
    parser.add_argument("--table", nargs="+", default=[], metavar="FILE")
    return parser


def main(arguments: list[str]) -> int:
    """Try the areas' samples; or print the table of what was found."""
    given = options().parse_args(arguments)
    if given.table:
        sys.stdout.write(table(read(given.table)) + "\n")
        return 0
    os.chdir(ROOT)
    settings.register_profile("unshrunk", parent=settings.get_profile("house"), phases=(Phase.explicit, Phase.generate))
    settings.load_profile("unshrunk")  # that a test fails is enough: no time for the smallest example
    for area in given.area:
        tests = [f"tests/test_{name}.py" for name in AREAS[area][1].split()]
        trial = Trial(area, files(area), given)
        if pytest.main(["-q", "-p", "no:cacheprovider", "-p", "no:warnings", "-m", "not slow", *tests], plugins=[trial]):
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
