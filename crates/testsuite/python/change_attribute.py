#!/usr/bin/python3
"""Changes attributes of users at a domain controller, many in one transaction, and says when it was done.

usage: change_attribute.py SMB-CONF

Reads one JSON object a line (users: sAMAccountNames, attribute, value) and answers each with one line: at,
by the machine's monotonic clock. Needs Debian's python3-samba, and so /usr/bin/python3.
"""

import json
import sys
import time

import ldb
from samba.auth import system_session
from samba.param import LoadParm
from samba.samdb import SamDB


def name_of(directory, user):
    found = directory.search(expression=f"(sAMAccountName={ldb.binary_encode(user)})", attrs=["1.1"])
    return found[0].dn


def main():
    parameters = LoadParm()
    parameters.load(sys.argv[1])
    directory = SamDB(session_info=system_session(), lp=parameters)
    names = {}
    print(json.dumps({"ready": True}), flush=True)
    for line in sys.stdin:
        wanted = json.loads(line)
        users, attribute = wanted["users"], wanted["attribute"]
        for user in users:
            if user not in names:
                names[user] = name_of(directory, user)
        directory.transaction_start()
        for user in users:
            message = ldb.Message(names[user])
            flags = ldb.FLAG_MOD_REPLACE
            message[attribute] = ldb.MessageElement(wanted["value"], flags, attribute)
            directory.modify(message)
        directory.transaction_commit()
        print(json.dumps({"at": time.monotonic()}), flush=True)


if __name__ == "__main__":
    main()
