#!/usr/bin/env python3
"""Reads what a tenant has by Microsoft Graph, with Microsoft's identity library for Python.

Reads one JSON object from standard input:
    graph     https://graph.cloud.example
    authority https://login.cloud.example/<tenant>
    ca        path of the PEM file with the tenant's CA certificate
    client_id the application, which has permissions of its own
    key       path of the PEM file with its private key and certificate

and writes one to standard output: `users` by their user principal names, with some attributes
that a synchronisation wrote, and `groups` by their names, with the names (or else ids) of their members.
"""

import json
import ssl
import sys

import httpx
from graph_client import token

USER = "id,userPrincipalName,displayName,jobTitle,accountEnabled,onPremisesDistinguishedName"


def pages(client, url):
    while url:
        answer = client.get(url)
        answer.raise_for_status()
        page = answer.json()
        yield from page["value"]
        url = page.get("@odata.nextLink")


def main():
    question = json.load(sys.stdin)
    graph = f"{question['graph']}/v1.0"
    headers = {"Authorization": f"Bearer {token(question)}"}
    context = ssl.create_default_context(cafile=question["ca"])
    with httpx.Client(verify=context, headers=headers, timeout=30) as client:
        users = list(pages(client, f"{graph}/users?$select={USER}&$top=500"))
        groups = {}
        for group in pages(client, f"{graph}/groups?$select=id,displayName&$top=500"):
            members = pages(client, f"{graph}/groups/{group['id']}/members?$top=500")
            names = (member.get("displayName") or member["id"] for member in members)
            groups[group["displayName"]] = sorted(names)
    people = {user["userPrincipalName"]: user for user in users}
    json.dump({"users": people, "groups": groups}, sys.stdout)


main()
