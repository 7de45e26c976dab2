#!/usr/bin/env python3
"""Signs a person in with unmodified clients: MSAL for Python, whose browser is headless Chromium.

Reads one JSON object from standard input:
    authority   https://login.cloud.example/<tenant>
    client_id   a public client of the tenant with the redirect URI http://localhost
    graph       https://graph.cloud.example
    user        the name that the person types
    password    the password that the person types
    ca          path of the PEM file with the tenant's CA certificate
    domain      the only DNS domain that the browser may resolve
    screenshots folder for the pictures of the pages

and writes one to standard output: what the person saw, what the application got. It exits with 0
when the question was answered, whether or not the person was let in.
"""

import json
import os
import subprocess
import sys
import tempfile
import threading
import webbrowser
from urllib.parse import parse_qs, urlparse

import msal
import requests
from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.common.exceptions import WebDriverException
from selenium.webdriver.common.by import By
from selenium.webdriver.support import expected_conditions as expect
from selenium.webdriver.support.ui import WebDriverWait

SCOPES = ["User.Read", "User.Read.All", "Group.Read.All"]
PAGE_TIME_SECONDS = 20
SIGN_IN_TIME_SECONDS = 60


def leaves(old):
    """Whether a page has gone. While it goes, ChromeDriver may not be able to say so."""
    is_stale = expect.staleness_of(old)

    def has_left(browser):
        try:
            return is_stale(browser)
        except WebDriverException:
            return False

    return has_left


def trust(home, ca):
    """Makes the certificate database from which Chromium takes its roots."""
    database = os.path.join(home, ".pki", "nssdb")
    os.makedirs(database)
    for command in (
        ["certutil", "-d", f"sql:{database}", "-N", "--empty-password"],
        ["certutil", "-d", f"sql:{database}", "-A", "-t", "C,,", "-n", "portolan", "-i", ca],
    ):
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


def chromium(home, domain):
    options = webdriver.ChromeOptions()
    options.binary_location = "/usr/bin/chromium"
    for argument in (
        "--headless=new",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-quic",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        "--window-size=1000,720",
        f"--user-data-dir={home}/profile",
        f"--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE *.{domain}, EXCLUDE localhost",
    ):
        options.add_argument(argument)
    environment = {**os.environ, "HOME": home}
    service = Service(executable_path="/usr/bin/chromedriver", env=environment)
    return webdriver.Chrome(options=options, service=service)


class Person(webbrowser.BaseBrowser):
    """What a person does with the page that an application opens."""

    def __init__(self, question, home):
        super().__init__("person")
        self.question = question
        self.home = home
        self.seen = {"screenshots": []}
        self.at_work = None

    def open(self, url, new=0, autoraise=True):
        self.at_work = threading.Thread(target=self.sign_in, args=(url,))
        self.at_work.start()
        return True

    def sign_in(self, url):
        try:
            self.drive(url)
        except Exception as error:  # reported to whoever asked: a thread has no caller to raise to
            self.seen["browser_error"] = f"{type(error).__name__}: {error}"

    def drive(self, url):
        browser = chromium(self.home, self.question["domain"])
        try:
            wait = WebDriverWait(browser, PAGE_TIME_SECONDS)
            browser.get(url)
            self.picture(browser, "1-sign-in-page")
            name = wait.until(expect.element_to_be_clickable((By.CSS_SELECTOR, "input[autocomplete=username]")))
            name.clear()
            name.send_keys(self.question["user"])
            password = browser.find_element(By.CSS_SELECTOR, "input[type=password]")
            password.send_keys(self.question["password"])
            host = browser.current_url.split("/")[2]
            old = browser.find_element(By.TAG_NAME, "html")
            password.submit()
            wait.until(leaves(old))
            wait.until(
                lambda b: b.current_url.split("/")[2] != host
                or b.find_elements(By.CSS_SELECTOR, "[role=alert]")
            )
            alerts = browser.find_elements(By.CSS_SELECTOR, "[role=alert]")
            if alerts and browser.current_url.split("/")[2] == host:
                self.seen["alert"] = alerts[0].text
                self.picture(browser, "2-refused")
                self.give_up(url)
                return
            self.seen["returned_to"] = browser.current_url.split("?")[0]
            browser.get(f"https://{host}/")
            self.seen["account_page"] = browser.find_element(By.TAG_NAME, "main").text
            self.picture(browser, "2-signed-in")
        finally:
            browser.quit()

    def picture(self, browser, name):
        path = os.path.join(self.question["screenshots"], f"{name}.png")
        browser.save_screenshot(path)
        self.seen["screenshots"].append(path)

    @staticmethod
    def give_up(url):
        """Ends MSAL's waiting: a person who was refused closes the window."""
        query = parse_qs(urlparse(url).query)
        closed = {"error": "access_denied", "error_description": "closed", "state": query["state"][0]}
        requests.post(query["redirect_uri"][0], data=closed, timeout=PAGE_TIME_SECONDS)


def graph(question, token, path):
    reply = requests.get(
        question["graph"] + path,
        headers={"Authorization": f"Bearer {token}"},
        verify=question["ca"],
        timeout=PAGE_TIME_SECONDS,
    )
    return {"status": reply.status_code, "body": reply.json()}


def main():
    question = json.load(sys.stdin)
    os.makedirs(question["screenshots"], exist_ok=True)
    # The environment's bundle and proxies are the machine's, and would win over what is passed.
    os.environ["REQUESTS_CA_BUNDLE"] = question["ca"]
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        os.environ.pop(name, None)
        os.environ.pop(name.lower(), None)
    with tempfile.TemporaryDirectory(prefix="ws1-", ignore_cleanup_errors=True) as home:
        trust(home, question["ca"])
        person = Person(question, home)
        webbrowser.register("person", None, person, preferred=True)
        application = msal.PublicClientApplication(
            question["client_id"],
            authority=question["authority"],
            instance_discovery=False,
            verify=question["ca"],
        )
        result = application.acquire_token_interactive(
            SCOPES, timeout=SIGN_IN_TIME_SECONDS
        )
        person.at_work.join()
        answer = dict(person.seen)
        token = result.get("access_token")
        if token:
            account = application.get_accounts()[0]
            answer["id_token_claims"] = result["id_token_claims"]
            answer["account"] = account["username"]
            answer["me"] = graph(question, token, "/v1.0/me")
            answer["users"] = graph(question, token, "/v1.0/users?$top=999")
            answer["groups"] = graph(question, token, "/v1.0/groups?$top=999")
            silent = application.acquire_token_silent_with_error(
                SCOPES, account=account, force_refresh=True
            )
            answer["refreshed"] = bool(silent and silent.get("access_token"))
            answer["refresh_error"] = (silent or {}).get("error_description")
        else:
            answer["error"] = {k: result.get(k) for k in ("error", "error_description")}
        json.dump(answer, sys.stdout)


if __name__ == "__main__":
    main()
