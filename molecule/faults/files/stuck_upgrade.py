# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A plugin that wants an upgrade of its environment, and cannot do it."""

from trac.core import Component, implements
from trac.env import IEnvironmentSetupParticipant


class StuckUpgrade(Component):
    implements(IEnvironmentSetupParticipant)

    def environment_created(self):
        pass

    def environment_needs_upgrade(self):
        return True

    def upgrade_environment(self):
        raise RuntimeError("the tables cannot be changed")
