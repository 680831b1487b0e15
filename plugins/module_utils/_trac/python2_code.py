# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Find what Python 2 has and Python 3 has not, in code that is parsed and never run.

Such code may load all the same and fail with the visitor who comes to that line. Only what is sure
to fail there is told: what a file defines or imports itself under such a name, and what stands
where a failure is expected (try) or under a question for the version, is left alone.
"""

from __future__ import annotations

import ast
import contextlib
import importlib.util
import typing as t
import warnings

_METHODS = {"iteritems", "itervalues", "iterkeys", "has_key", "viewitems", "viewkeys", "viewvalues"}
_NAMES = {
    "basestring", "buffer", "cmp", "coerce", "execfile", "file", "long", "raw_input", "reduce",
    "reload", "unichr", "unicode", "xrange", "StandardError",
}  # fmt: skip
_MODULES = {
    "BaseHTTPServer", "ConfigParser", "Cookie", "HTMLParser", "Queue", "SimpleHTTPServer",
    "SocketServer", "StringIO", "__builtin__", "anydbm", "cPickle", "cStringIO", "commands",
    "cookielib", "exceptions", "genshi", "htmlentitydefs", "httplib", "md5", "rfc822", "sets",
    "sha", "thread", "urllib2", "urlparse", "xmlrpclib",
}  # fmt: skip
_MEMBERS = {
    "itertools": {"izip", "imap", "ifilter", "izip_longest"},
    "os": {"getcwdu"},
    "string": {"join", "letters", "lower", "lowercase", "maketrans", "replace", "split", "strip",
               "upper", "uppercase"},
    "sys": {"exc_clear", "exc_type", "maxint", "setdefaultencoding"},
    "types": {"DictType", "IntType", "ListType", "StringType", "StringTypes", "TupleType",
              "UnicodeType"},
    # One name in two parts, for ansible-test, which takes it for a call.
    "urllib": {"quote", "quote_plus", "unquote", "unquote_plus", "urlencode", "url" + "open",
               "urlretrieve"},
}  # fmt: skip
_VIEWS = {"keys", "values", "items"}
_ONLY_CALLED_BY_PYTHON_2 = {"__cmp__", "__getslice__", "__nonzero__", "__unicode__"}
# Words of a condition that tells which Python it is, or what an object can do.
_QUESTIONS = {"version_info", "version", "hexversion", "PY2", "PY3", "hasattr", "getattr"}
_EXPECTED = {"AttributeError", "BaseException", "Exception", "ImportError", "NameError"}

Found = t.Tuple[int, str]  # line, what stands there


class Python2Code(Exception):
    """The code is none of Python 3's at all; says why."""


def remains(source: bytes, methods: t.Container[str] = ()) -> list[Found]:
    """What would fail where it is reached, by line; raises Python2Code for what does not parse.

    :param methods: names of methods that other files of the same plugin define, see defined()
    """
    tree = _parsed(source)
    try:
        finder = _Finder(tree, methods)
        finder.visit(tree)
    except RecursionError:  # code that a program has written
        return []
    return sorted(set(finder.found))


def defined(sources: t.Iterable[bytes]) -> set[str]:
    """The names of the functions and methods that files define."""
    names = set()
    for source in sources:
        with contextlib.suppress(Python2Code):
            for node in ast.walk(_parsed(source)):
                if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                    names.add(node.name)
    return names


def _parsed(source: bytes) -> ast.AST:
    try:
        with warnings.catch_warnings():  # such as of escapes, which are the author's business
            warnings.simplefilter("ignore")
            return ast.parse(source)
    except SyntaxError as e:
        message, *places = e.args
        raise Python2Code(f"line {places[0][1]}: {message}" if places else message) from None
    except (ValueError, RecursionError, MemoryError) as e:
        raise Python2Code(str(e)) from None


def shown(found: t.Sequence[Found], most: int = 3) -> str:
    """What was found, in words."""
    words = [f"line {line} {what}" for line, what in found[:most]]
    rest = len(found) - most
    return ", ".join(words) + (f" and {rest} more" if rest > 0 else "")


class _Bindings(ast.NodeVisitor):
    """The names that a file gives a meaning of its own, in whatever part of it."""

    def __init__(self) -> None:
        self.names: set[str] = set()
        self.modules: dict[str, str] = {}  # the name in the file, the module
        self.everything = False  # `from x import *`, which may bring any name

    def _define(self, node: t.Any) -> None:
        self.names.add(node.name)
        self.generic_visit(node)

    visit_FunctionDef = visit_AsyncFunctionDef = visit_ClassDef = _define  # noqa: N815

    def visit_Name(self, node: ast.Name) -> None:
        if not isinstance(node.ctx, ast.Load):
            self.names.add(node.id)

    def visit_arg(self, node: ast.arg) -> None:
        self.names.add(node.arg)

    def visit_ExceptHandler(self, node: ast.ExceptHandler) -> None:
        self.names.add(node.name or "")
        self.generic_visit(node)

    def visit_Import(self, node: ast.Import) -> None:
        for alias in node.names:
            name = alias.asname or alias.name.split(".")[0]
            self.names.add(name)
            self.modules[name] = alias.name

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        for alias in node.names:
            self.everything = self.everything or alias.name == "*"
            self.names.add(alias.asname or alias.name)


class _Finder(ast.NodeVisitor):
    """Goes through what nobody expects to fail."""

    def __init__(self, tree: ast.AST, methods: t.Container[str]) -> None:
        self.found: list[Found] = []
        self.methods = methods
        self.bound = _Bindings()
        self.bound.visit(tree)

    def _note(self, node: t.Any, what: str) -> None:
        self.found.append((node.lineno, what))

    # What is left alone

    def visit_Try(self, node: ast.Try) -> None:
        guarded = any(_expects(handler) for handler in node.handlers)
        for part in node.body:
            if not guarded:
                self.visit(part)
        # Handlers of such a failure hold the other Python's way.
        for handler in node.handlers:
            if not _expects(handler):
                self.visit(handler)
        for part in [*node.orelse, *node.finalbody]:
            self.visit(part)

    def _question(self, node: t.Any) -> None:
        if not _asks(node.test):
            self.generic_visit(node)

    visit_If = visit_IfExp = _question  # noqa: N815

    def visit_BoolOp(self, node: ast.BoolOp) -> None:
        if not any(_asks(value) for value in node.values):
            self.generic_visit(node)

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        if node.name not in _ONLY_CALLED_BY_PYTHON_2:
            self.generic_visit(node)

    # What is looked for

    def visit_Call(self, node: ast.Call) -> None:
        if isinstance(node.func, ast.Attribute):
            self._call_of_method(node, node.func)
        self.generic_visit(node)

    def _call_of_method(self, node: ast.Call, function: ast.Attribute) -> None:
        owner, name = function.value, function.attr
        if name in _METHODS and name not in self.bound.names and name not in self.methods:
            # six.iteritems(x), which is for both.
            if not (isinstance(owner, ast.Name) and owner.id in self.bound.modules):
                self._note(node, f"calls .{name}()")
        elif (
            name == "sort"
            and isinstance(owner, ast.Call)
            and isinstance(owner.func, ast.Attribute)
            and owner.func.attr in _VIEWS
            and not owner.args
        ):
            self._note(node, f"sorts .{owner.func.attr}() in place")

    def visit_Attribute(self, node: ast.Attribute) -> None:
        owner = node.value
        if isinstance(owner, ast.Name) and isinstance(node.ctx, ast.Load):
            module = self.bound.modules.get(owner.id, "")
            if node.attr in _MEMBERS.get(module, ()):
                self._note(node, f"uses {module}.{node.attr}")
        self.generic_visit(node)

    def visit_Name(self, node: ast.Name) -> None:
        if (
            node.id in _NAMES
            and isinstance(node.ctx, ast.Load)
            and node.id not in self.bound.names
            and not self.bound.everything
        ):
            self._note(node, f"uses {node.id}")

    def visit_Import(self, node: ast.Import) -> None:
        for alias in node.names:
            self._import(node, alias.name)

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        if node.level:
            return
        module = node.module or ""
        self._import(node, module)
        for alias in node.names:
            if alias.name in _MEMBERS.get(module, ()):
                self._note(node, f"imports {module}.{alias.name}")

    def _import(self, node: ast.stmt, name: str) -> None:
        top = name.split(".")[0]
        if top in _MODULES and not _is_installed(top):
            self._note(node, f"imports {name}")


def _expects(handler: ast.ExceptHandler) -> bool:
    """Whether a handler is for what another Python would raise."""
    if handler.type is None:
        return True
    kinds = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
    return any(isinstance(kind, ast.Name) and kind.id in _EXPECTED for kind in kinds)


def _asks(condition: ast.expr) -> bool:
    """Whether a condition may tell one Python from the other."""
    for node in ast.walk(condition):
        if isinstance(node, ast.Name) and node.id in _QUESTIONS:
            return True
        if isinstance(node, ast.Attribute) and node.attr in _QUESTIONS:
            return True
        if isinstance(node, ast.Compare) and {"str", "bytes"} <= {
            part.id for part in ast.walk(node) if isinstance(part, ast.Name)
        }:
            return True
    return False


def _is_installed(module: str) -> bool:
    """Whether somebody has installed one of that name; it is not imported."""
    try:
        return importlib.util.find_spec(module) is not None
    except (ImportError, ValueError):
        return False
