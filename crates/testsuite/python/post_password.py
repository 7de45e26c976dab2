#!/usr/bin/env python3
"""Posts names and passwords to the tenant's sign-in page, without a browser, and says who was let in.

Reads one JSON object a line and answers each with one line:
    authority, client_id, ca   the tenant, a public client with the redirect URI http://localhost, and
                               the path of the PEM file with the tenant's CA certificate
    user, password             what is typed
    until                      how often it is tried at most while it is refused, half a second apart
and the answer: admitted, tries, and at: when the last answer was there, by the machine's monotonic clock.
"""

import json
import sys
import time
from html.parser import HTMLParser
from urllib.parse import urljoin

import requests

APART_SECONDS = 0.5
# A challenge of PKCE (RFC 7636 appendix B): the code is never redeemed.
CHALLENGE = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"


class Form(HTMLParser):
    """The one form of a page: where it goes, and what it hides."""

    def __init__(self, page):
        super().__init__()
        self.action, self.fields = None, {}
        self.feed(page)

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        if tag == "form":
            self.action = attributes["action"]
        elif tag == "input" and attributes.get("type") == "hidden":
            self.fields[attributes["name"]] = attributes["value"]


def is_admitted(question):
    """One try, as a new browser makes it."""
    with requests.Session() as browser:
        # Without this, a bundle that the environment names would win.
        browser.trust_env = False
        browser.verify = question["ca"]
        page = browser.get(
            f"{question['authority']}/oauth2/v2.0/authorize",
            params={
                "client_id": question["client_id"],
                "response_type": "code",
                "redirect_uri": "http://localhost",
                "scope": "openid",
                "code_challenge": CHALLENGE,
                "code_challenge_method": "S256",
            },
            timeout=10,
        )
        page.raise_for_status()
        form = Form(page.text)
        typed = {"loginfmt": question["user"], "passwd": question["password"]}
        answer = browser.post(
            urljoin(page.url, form.action),
            data={**form.fields, **typed},
            allow_redirects=False,
            timeout=10,
        )
        return "code=" in answer.headers.get("Location", "")


def main():
    for line in sys.stdin:
        question = json.loads(line)
        for tries in range(1, question["until"] + 1):
            began = time.monotonic()
            admitted = is_admitted(question)
            at = time.monotonic()
            if admitted or tries == question["until"]:
                break
            time.sleep(max(0, APART_SECONDS - (at - began)))
        print(json.dumps({"admitted": admitted, "tries": tries, "at": at}), flush=True)


if __name__ == "__main__":
    main()
