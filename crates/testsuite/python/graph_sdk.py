#!/usr/bin/env python3
"""Reads the tenant's directory with Microsoft's Graph SDK for Python, unmodified.

Reads one JSON object from standard input:
    graph   https://graph.cloud.example
    token   an access token for it
    ca      path of the PEM file with the tenant's CA certificate
    group   the display name of a group whose members are read

and writes one to standard output: what the SDK's models hold, and how it reports what is refused.
"""

import asyncio
import json
import sys
import time

from azure.core.credentials import AccessToken
from graph_client import everything, refusal, sdk, trust_alone
from kiota_abstractions.base_request_configuration import RequestConfiguration
from msgraph.generated.groups.item.members.members_request_builder import MembersRequestBuilder
from msgraph.generated.users.users_request_builder import UsersRequestBuilder

PAGE = 2


class Held:
    """A credential that is a token which somebody has already."""

    def __init__(self, token):
        self.token = token

    def get_token(self, *_scopes, **_options):
        return AccessToken(self.token, int(time.time()) + 600)


def users_query(**options):
    parameters = UsersRequestBuilder.UsersRequestBuilderGetQueryParameters(**options)
    return RequestConfiguration(query_parameters=parameters)


async def read(question):
    adapter, graph = sdk(question, Held(question["token"]))
    select = ["id", "displayName", "userPrincipalName", "onPremisesImmutableId", "onPremisesSyncEnabled",
              "onPremisesSamAccountName", "accountEnabled", "businessPhones", "onPremisesExtensionAttributes"]
    first = await graph.users.get(users_query(top=PAGE, select=select))
    users = await everything(adapter, first)
    groups = await everything(adapter, await graph.groups.get())
    group = next(group for group in groups if group.display_name == question["group"])
    members_query = MembersRequestBuilder.MembersRequestBuilderGetQueryParameters(top=PAGE)
    members = graph.groups.by_group_id(group.id).members
    members = await everything(
        adapter, await members.get(RequestConfiguration(query_parameters=members_query))
    )
    me = await graph.me.get()
    organization = await graph.organization.get()
    named = await graph.users.by_user_id(me.user_principal_name).get()
    answer = {
        "first_page": len(first.value),
        "users": [
            {
                "id": user.id,
                "displayName": user.display_name,
                "userPrincipalName": user.user_principal_name,
                "onPremisesImmutableId": user.on_premises_immutable_id,
                "onPremisesSyncEnabled": user.on_premises_sync_enabled,
                "onPremisesSamAccountName": user.on_premises_sam_account_name,
                "accountEnabled": user.account_enabled,
                "jobTitle": user.job_title,
            }
            for user in users
        ],
        "members": [{"id": member.id, "kind": type(member).__name__} for member in members],
        "me": {"id": me.id, "userPrincipalName": me.user_principal_name},
        "same_by_name": named.id == me.id,
        "organization": {
            "id": organization.value[0].id,
            "domains": [domain.name for domain in organization.value[0].verified_domains],
        },
        "not_found": await refusal(graph.users.by_user_id("nobody@corp.example").get()),
        "unknown_property": await refusal(graph.users.get(users_query(select=["shoeSize"]))),
        "too_many": await refusal(graph.users.get(users_query(top=1000))),
    }
    if question.get("filter"):
        counted = users_query(filter=question["filter"], count=True)
        counted.headers.add("ConsistencyLevel", "eventual")
        page = await graph.users.get(counted)
        answer["filtered"] = [user.user_principal_name for user in page.value]
        answer["counted"] = page.odata_count
        answer["bad_filter"] = await refusal(graph.users.get(users_query(filter="displayName eq")))
    return answer


def main():
    question = json.load(sys.stdin)
    trust_alone(question)
    json.dump(asyncio.run(read(question)), sys.stdout)


if __name__ == "__main__":
    main()
