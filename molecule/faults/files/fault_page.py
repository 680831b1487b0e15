# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A plugin whose page tells that the processes which serve have loaded it."""

from trac.core import Component, implements
from trac.web.api import IRequestHandler


class FaultPage(Component):
    """Answers at /fault."""

    implements(IRequestHandler)

    def match_request(self, req):
        return req.path_info == "/fault"

    def process_request(self, req):
        req.send(b"The plugin is there.\n", "text/plain")
