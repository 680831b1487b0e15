"""Put tickets and an attachment of 1 MB that does not compress into environments.

Arguments: the directory of the environments, their names.
"""

import io
import os
import pathlib
import sys

from trac.attachment import Attachment
from trac.env import Environment
from trac.ticket.model import Ticket

SIZE = 1_000_000  # bytes

for name in sys.argv[2:]:
    environment = Environment(str(pathlib.Path(sys.argv[1]) / name))
    for number in range(20):
        ticket = Ticket(environment)
        text = f"Ticket {number} of {name}. " * 50
        ticket.populate({"summary": f"Ticket {number}", "description": text, "status": "new"})
        ticket.insert()
    Attachment(environment, "ticket", "1").insert("noise.bin", io.BytesIO(os.urandom(SIZE)), SIZE)
    environment.shutdown()
