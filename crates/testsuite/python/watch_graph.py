#!/usr/bin/env python3
"""Reads a user at the tenant's Graph until a property has a value, and says when it had it.

Reads one JSON object a line and answers each with one line:
    graph, authority, ca   the tenant, and the path of the PEM file with its CA certificate
    client_id, key         an application that may read users, and the path of its key and certificate
    user                   the user's name
    property, value        what is waited for
    until                  seconds after which nobody waits any longer
and the answer: found, and at: when the answer that had it was there, by the machine's monotonic clock.
"""

import json
import sys
import time
from urllib.parse import quote

import requests
from graph_client import token

APART_SECONDS = 0.05


def main():
    with requests.Session() as session:
        # Without this, a bundle that the environment names would win.
        session.trust_env = False
        for line in sys.stdin:
            question = json.loads(line)
            session.verify = question["ca"]
            if "Authorization" not in session.headers:
                session.headers["Authorization"] = f"Bearer {token(question)}"
            address = f"{question['graph']}/v1.0/users/{quote(question['user'])}"
            end, found = time.monotonic() + question["until"], False
            while not found and time.monotonic() < end:
                answer = session.get(address, params={"$select": question["property"]}, timeout=10)
                at = time.monotonic()
                found = answer.ok and answer.json().get(question["property"]) == question["value"]
                if not found:
                    time.sleep(APART_SECONDS)
            print(json.dumps({"found": found, "at": at}), flush=True)


if __name__ == "__main__":
    main()
