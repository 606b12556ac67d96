"""Small faults put into a module's functions, one at a time: what a test suite should notice.

In: the source of a module. Out: its mutants, each the whole source with one change inside one function: another comparison, a number off
by one, `and` for `or`, plus for minus, a condition or a mask turned over, another text, a kernel of Arrow or numpy for its neighbour
(`greater` for `greater_equal`, `all` for `any`), a result that is not returned, a call that is not made. Annotations, docstrings, default
values, the texts of errors and warnings, and what stands outside of functions are left alone.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass

COMPARED: dict[type[ast.cmpop], ast.cmpop] = {
    ast.Lt: ast.LtE(),
    ast.LtE: ast.Lt(),
    ast.Gt: ast.GtE(),
    ast.GtE: ast.Gt(),
    ast.Eq: ast.NotEq(),
    ast.NotEq: ast.Eq(),
    ast.Is: ast.IsNot(),
    ast.IsNot: ast.Is(),
    ast.In: ast.NotIn(),
    ast.NotIn: ast.In(),
}
COUNTED: dict[type[ast.operator], ast.operator] = {
    ast.Add: ast.Sub(),
    ast.Sub: ast.Add(),
    ast.Mult: ast.Div(),
    ast.Div: ast.Mult(),
    ast.BitAnd: ast.BitOr(),
    ast.BitOr: ast.BitAnd(),
}
NEIGHBOURS = [
    ("greater", "greater_equal"),
    ("less", "less_equal"),
    ("equal", "not_equal"),
    ("and_", "or_"),
    ("and_kleene", "or_kleene"),
    ("is_null", "is_valid"),
    ("any", "all"),
    ("min", "max"),
    ("minimum", "maximum"),
    ("floor", "ceil"),
    ("argmin", "argmax"),
    ("logical_and", "logical_or"),
]
KERNELS = dict(NEIGHBOURS) | {right: left for left, right in NEIGHBOURS}
TEXTS = {"left": "right", "right": "left", "ascending": "descending", "descending": "ascending"}
SPOKEN = ("warn", "UserError", "AccountError", "AssertionError", "ValueError")


@dataclass(frozen=True)
class Mutant:
    """One change of one function."""

    function: str  # qualified name
    line: int  # of the statement that is changed
    was: str
    becomes: str
    source: str  # of the whole module

    def __str__(self) -> str:
        return f"{self.line} {self.function}: {self.was} -> {self.becomes}"


def mutants(source: str) -> list[Mutant]:
    """All mutants of a module, in the order of its text."""
    lines = [line.encode() for line in source.splitlines(keepends=True)]
    found = []
    for name, function in functions(ast.parse(source)):
        for statement in statements(function):
            for old, new in changes(statement):
                was, becomes = ast.unparse(old), new if isinstance(new, str) else ast.unparse(new)
                text = becomes if isinstance(old, ast.stmt) else f"({becomes})"
                found.append(Mutant(name, statement.lineno, was, becomes, spliced(lines, old, text)))
    return found


def functions(tree: ast.Module) -> Iterator[tuple[str, ast.FunctionDef]]:
    """Functions and methods by qualified name; what is nested in them belongs to them."""
    for node in tree.body:
        if isinstance(node, ast.FunctionDef):
            yield node.name, node
        elif isinstance(node, ast.ClassDef):
            yield from ((f"{node.name}.{inner.name}", inner) for inner in node.body if isinstance(inner, ast.FunctionDef))


def statements(function: ast.FunctionDef) -> Iterator[ast.stmt]:
    """All statements in a function's body, at any depth."""
    stack = list(reversed(function.body))
    while stack:
        node = stack.pop()
        yield node
        for name in ("orelse", "finalbody", "handlers", "body"):
            for inner in reversed(getattr(node, name, [])):
                stack += reversed(inner.body) if isinstance(inner, ast.ExceptHandler) else [inner]


def changes(statement: ast.stmt) -> Iterator[tuple[ast.stmt | ast.expr, ast.stmt | ast.expr | str]]:
    """What of a statement's own may become what."""
    if isinstance(statement, (ast.FunctionDef, ast.ClassDef, ast.Raise, ast.Assert)) or is_text(statement):
        return
    if isinstance(statement, ast.Return) and statement.value is not None and not is_none(statement.value):
        yield statement, "return None"
    called = isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Call) and not speaks(statement)
    if called or isinstance(statement, ast.AugAssign):
        yield statement, "pass"
    for node in expressions(statement):
        yield from ((node, new) for new in neighbours(node))


def is_text(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)


def is_none(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value is None


def speaks(node: ast.AST) -> bool:
    """Whether it is a call that says something to people."""
    call = node.value if isinstance(node, ast.Expr) else node
    return isinstance(call, ast.Call) and getattr(call.func, "attr", getattr(call.func, "id", "")) in SPOKEN


def expressions(statement: ast.stmt) -> Iterator[ast.expr]:
    """The expressions of a statement, without those of statements in it, of annotations and of what is said to people."""
    stack: list[ast.AST] = [node for name, node in parts(statement) if name != "annotation"]
    while stack:
        node = stack.pop()
        if isinstance(node, ast.JoinedStr) or speaks(node):
            continue
        if isinstance(node, ast.expr):
            yield node
        stack += [inner for name, inner in parts(node) if name != "annotation"]


def parts(node: ast.AST) -> Iterator[tuple[str, ast.AST]]:
    for name, value in ast.iter_fields(node):
        for inner in value if isinstance(value, list) else [value]:
            if isinstance(inner, ast.AST) and not isinstance(inner, (ast.stmt, ast.ExceptHandler, ast.match_case)):
                yield name, inner


def neighbours(node: ast.expr) -> Iterator[ast.expr]:
    """What stands near this expression and is wrong."""
    match node:
        case ast.Compare(left, operators, others):
            for at, operator in enumerate(operators):
                yield ast.Compare(left, [*operators[:at], COMPARED[type(operator)], *operators[at + 1 :]], others)
        case ast.BoolOp(operator, values):
            yield ast.BoolOp(ast.Or() if isinstance(operator, ast.And) else ast.And(), values)
        case ast.IfExp(test, body, other):
            yield ast.IfExp(ast.UnaryOp(ast.Not(), test), body, other)
        case ast.Constant(value):
            yield from (ast.Constant(near) for near in constants(value))
        case _:
            yield from turned(node)


def turned(node: ast.expr) -> Iterator[ast.expr]:
    """The other operator, the operand without its negation, or the neighbouring kernel."""
    if isinstance(node, ast.BinOp) and type(node.op) in COUNTED:
        yield ast.BinOp(node.left, COUNTED[type(node.op)], node.right)
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, (ast.Not, ast.Invert)):
        yield node.operand
    elif isinstance(node, ast.Attribute) and node.attr in KERNELS and isinstance(node.ctx, ast.Load):
        yield ast.Attribute(node.value, KERNELS[node.attr], node.ctx)


def constants(value: object) -> Iterator[bool | float | str]:
    if isinstance(value, bool):
        yield not value
    elif isinstance(value, (int, float)):
        yield value + 1
    elif isinstance(value, str):
        yield TEXTS.get(value, f"{value}X")


def spliced(lines: list[bytes], node: ast.stmt | ast.expr, text: str) -> str:
    """The source with other text in the place of a node."""
    first, last = node.lineno - 1, (node.end_lineno or node.lineno) - 1
    before, after = lines[first][: node.col_offset], lines[last][node.end_col_offset :]
    return b"".join([*lines[:first], before, text.encode(), after, *lines[last + 1 :]]).decode()
