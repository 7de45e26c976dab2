#!/usr/bin/env python3
"""Looks at the tenant's pages as people with a phone, a dark screen or a keyboard do, in Chromium.

Reads one JSON object from standard input:
    url         an authorization request that shows the sign-in page
    user, password  what the person types
    ca, domain, screenshots  as for sign_in.py
    axe         path of axe-core's script

and writes one to standard output: for each page in each scheme what axe-core complains of and whether
it has to be scrolled sideways; and how far a person came who has a keyboard only. No page lets a
script run: what axe-core needs is put in from outside.
"""

import json
import os
import sys
import tempfile

from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import WebDriverWait

from sign_in import PAGE_TIME_SECONDS, chromium, leaves, trust

PHONE = {"width": 360, "height": 740, "deviceScaleFactor": 2, "mobile": True}
AXE = "const done = arguments[arguments.length - 1]; axe.run(document).then(done, e => done({error: String(e)}));"


class Look:
    def __init__(self, question, browser):
        self.question = question
        self.browser = browser
        self.seen = []
        with open(question["axe"], encoding="utf-8") as script:
            self.axe = script.read()

    def at(self, page):
        """Judges the page that is shown, at phone width, in both schemes."""
        for scheme in ("light", "dark"):
            features = [{"name": "prefers-color-scheme", "value": scheme}]
            self.browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
            self.browser.execute_script(self.axe)
            found = self.browser.execute_async_script(AXE)
            wide = self.browser.execute_script(
                "return document.documentElement.scrollWidth > window.innerWidth"
            )
            ground = self.browser.execute_script(
                "return getComputedStyle(document.body).backgroundColor"
            )
            path = os.path.join(self.question["screenshots"], f"{page}-{scheme}.png")
            self.browser.save_screenshot(path)
            self.seen.append(
                {
                    "page": page,
                    "scheme": scheme,
                    "width": self.browser.execute_script("return window.innerWidth"),
                    "rules_passed": len(found.get("passes", [])),
                    "violations": [
                        {"rule": one["id"], "help": one["help"], "nodes": [n["html"] for n in one["nodes"]]}
                        for one in found.get("violations", [])
                    ],
                    "axe_error": found.get("error"),
                    "sideways": wide,
                    "ground": ground,
                    "screenshot": path,
                }
            )


def press(browser, *keys):
    """Presses keys wherever the focus is."""
    browser.switch_to.active_element.send_keys(*keys)


def main():
    question = json.load(sys.stdin)
    os.makedirs(question["screenshots"], exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="ws1-", ignore_cleanup_errors=True) as home:
        trust(home, question["ca"])
        browser = chromium(home, question["domain"])
        try:
            browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", PHONE)
            wait = WebDriverWait(browser, PAGE_TIME_SECONDS)
            look = Look(question, browser)
            browser.get(question["url"])
            look.at("sign-in")
            # The focus is in the first empty field; Tab leads to the next, Enter sends.
            host = browser.current_url.split("/")[2]
            for password, page in ((question["password"] + "x", "refused"), (question["password"], None)):
                old = browser.find_element(By.TAG_NAME, "html")
                if browser.switch_to.active_element.get_attribute("name") == "loginfmt":
                    press(browser, question["user"], Keys.TAB)
                press(browser, password, Keys.ENTER)
                wait.until(leaves(old))
                if page:
                    wait.until(lambda b: b.find_elements(By.CSS_SELECTOR, "[role=alert]"))
                    look.at(page)
            returned = browser.current_url
            browser.get(f"https://{host}/")
            look.at("account")
            account = browser.find_element(By.TAG_NAME, "main").text
            browser.find_element(By.CSS_SELECTOR, "a.button").send_keys(Keys.ENTER)
            wait.until(lambda b: "signed out" in b.find_element(By.TAG_NAME, "main").text)
            look.at("signed-out")
            browser.get(f"https://{host}/nowhere")
            look.at("error")
        finally:
            browser.quit()
    json.dump({"pages": look.seen, "returned": returned, "account": account}, sys.stdout)


if __name__ == "__main__":
    main()
