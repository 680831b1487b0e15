# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where things are on a host, unless the inventory says otherwise.

As roles/trac_common/vars/main.yml has it for roles.
"""

VENV = "/opt/trac"
HOME = "/srv/trac"
ENVIRONMENTS_DIR = "/srv/trac/environments"
ARCHIVE_DIR = "/srv/trac/archive"
REPOSITORIES_DIR = "/srv/trac/repositories"
SITES_DIR = "/srv/trac/sites"
HELLO_WORLD_DIR = "/srv/trac/hello-world"
BACKUP_DIR = "/var/backups/trac"
# The egg caches of sites that name none.
CACHE_DIR = "/var/cache/trac"
# What the roles remember of a host, for root alone to change.
STATE_DIR = "/var/lib/trac-mod-wsgi"
