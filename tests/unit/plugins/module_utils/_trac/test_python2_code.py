# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is left of Python 2 in code that loads; what is written for both is no fault."""

from __future__ import annotations

import pathlib

import pytest

from ansible_collections.trac.mod_wsgi.plugins.module_utils._trac import python2_code

REMAINS = {
    "d.iteritems()": "line 1 calls .iteritems()",
    "req.args.has_key('x')": "line 1 calls .has_key()",
    "x = 1\nfor i in xrange(3):\n    print(i)": "line 2 uses xrange",
    "if isinstance(text, unicode):\n    pass": "line 1 uses unicode",
    "def f(s):\n    return isinstance(s, basestring)": "line 2 uses basestring",
    "def f():\n    import urllib2": "line 2 imports urllib2",
    "def f():\n    from urlparse import urljoin": "line 2 imports urlparse",
    "def f():\n    from genshi.builder import tag": "line 2 imports genshi.builder",
    "import urllib\ndef f(x):\n    return urllib.quote(x)": "line 3 uses urllib.quote",
    "def f():\n    from urllib import urlencode": "line 2 imports urllib.urlencode",
    "import sys\nx = sys.maxint": "line 2 uses sys.maxint",
    "keys = d.keys().sort()": "line 1 sorts .keys() in place",
    "try:\n    d.iteritems()\nexcept KeyError:\n    pass": "line 2 calls .iteritems()",
    "try:\n    f()\nfinally:\n    unicode(x)": "line 4 uses unicode",
    "if debug:\n    x = unicode(y)": "line 2 uses unicode",
    "a.iteritems(); b.iteritems()\nc.iteritems()\nd.iteritems()\ne.iteritems()": (
        "line 1 calls .iteritems(), line 2 calls .iteritems(), line 3 calls .iteritems() and 1 more"
    ),
}


@pytest.mark.parametrize("source", REMAINS)
def test_what_fails_when_it_is_reached_is_told(source: str) -> None:
    found = python2_code.remains(source.encode())
    assert python2_code.shown(found) == REMAINS[source]


FOR_BOTH = [
    "try:\n    unicode\nexcept NameError:\n    unicode = str\nx = unicode('a')",
    "import sys\nif sys.version_info[0] > 2:\n    unicode = str\nunicode(1)",
    "import sys\nx = d.items() if sys.version_info > (3,) else d.iteritems()",
    "from six import PY2\nif PY2:\n    text = unicode",
    "import six\nfor k, v in six.iteritems(d):\n    pass",
    "x = hasattr(d, 'iteritems') and d.iteritems() or d.items()",
    "if hasattr(d, 'has_key'):\n    d.has_key(1)",
    "class D(dict):\n    def has_key(self, key):\n        return key in self\nD().has_key(1)",
    "try:\n    import urllib2\nexcept ImportError:\n    import urllib.request as urllib2",
    "try:\n    from urllib import quote\nexcept ImportError:\n    from urllib.parse import quote",
    "try:\n    x = a.iteritems()\nexcept:\n    x = a.items()",
    "try:\n    from urllib.parse import quote\nexcept ImportError:\n    from urllib import quote",
    "text = str if str is not bytes else unicode",
    "def read(file, long=False, cmp=None):\n    return file.read() if long else cmp",
    "with open('x') as file:\n    file.read()",
    "from functools import reduce\nreduce(f, [])",
    "from compat import *\nunicode('x')",
    "from trac.util.text import to_unicode\nto_unicode('x')",
    "import urllib.parse\nurllib.parse.quote('x')",
    "sorted(d.keys()); d.items(); [1].sort(); order_by.sort()",
    "class C:\n    unicode = None\n    def f(self):\n        return self.unicode",
    "class C:\n    def __unicode__(self):\n        return unicode(self.x)",
    "x = '''d.iteritems() in a text'''  # unicode(x)",
]


@pytest.mark.parametrize("source", FOR_BOTH)
def test_what_is_for_both_is_left_alone(source: str) -> None:
    assert python2_code.remains(source.encode()) == []


@pytest.mark.parametrize(
    ("source", "line"),
    [
        (b"x = 1\nprint 'x'\n", "line 2: "),
        (b"try:\n    pass\nexcept E, e:\n    pass\n", "line 3: "),
        (b"raise E, 'x'\n", "line 1: "),
        (b"x = 0777\n", "line 1: "),
        (b"x = '\xe9'\n", "utf-8|UTF-8|unicode"),
        (b"x = 1\0\n", "null"),
    ],
)
def test_what_does_not_parse_is_no_code_of_python_3(source: bytes, line: str) -> None:
    with pytest.raises(python2_code.Python2Code, match=line):
        python2_code.remains(source)


def test_a_method_of_another_file_of_the_plugin_is_known() -> None:
    known = python2_code.defined([b"class C:\n    def iteritems(self):\n        pass", b"print 1"])
    assert python2_code.remains(b"x.iteritems()", known) == []
    assert python2_code.remains(b"x.iteritems()") != []


@pytest.mark.parametrize("package", ["trac", "jinja2", "babel", "docutils", "pygments"])
def test_libraries_for_python_3_are_not_accused(package: str) -> None:
    module = pytest.importorskip(package)
    for path in sorted(pathlib.Path(module.__file__).parent.rglob("*.py"))[:150]:
        assert python2_code.remains(path.read_bytes()) == [], path
