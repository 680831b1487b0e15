# Copyright: the trac.mod_wsgi contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Filters of role trac_site: environments that visitors are kept from."""

from __future__ import annotations

import typing as t

from ansible_collections.trac.mod_wsgi.plugins.module_utils._site import out_of_service


def blamed(results: t.Sequence[t.Mapping[str, t.Any]], *arguments: t.Any) -> dict[str, t.Any]:
    return out_of_service.blame(results, *arguments)._asdict()


class FilterModule:
    """The filters, by name."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {
            "blamed": blamed,
            "reconciled_complaint": out_of_service.complaint,
        }
