# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A plugin with which each page of its environment is an error."""

from trac.core import Component, implements
from trac.web.api import IRequestFilter


class BrokenPage(Component):
    implements(IRequestFilter)

    def pre_process_request(self, _req, _handler):
        raise RuntimeError("the secret of /srv/trac")

    def post_process_request(self, _req, template, data, metadata):
        return template, data, metadata
