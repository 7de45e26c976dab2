#!/usr/bin/python3
"""Sets passwords at a domain controller, one after the other, and says when each was acknowledged.

usage: set_password.py SMB-CONF

Reads one JSON object a line (user: the sAMAccountName, password) and answers each with one line: at, by
the machine's monotonic clock. Needs Debian's python3-samba, and so /usr/bin/python3.
"""

import json
import sys
import time

from samba.auth import system_session
from samba.param import LoadParm
from samba.samdb import SamDB


def main():
    parameters = LoadParm()
    parameters.load(sys.argv[1])
    directory = SamDB(session_info=system_session(), lp=parameters)
    print(json.dumps({"ready": True}), flush=True)
    for line in sys.stdin:
        wanted = json.loads(line)
        directory.setpassword(f"(sAMAccountName={wanted['user']})", wanted["password"])
        print(json.dumps({"at": time.monotonic()}), flush=True)


if __name__ == "__main__":
    main()
