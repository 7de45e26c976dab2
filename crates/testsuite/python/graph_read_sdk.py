#!/usr/bin/env python3
"""Reads every user and group of the tenant's directory with Microsoft's Graph SDK for Python, unmodified.

Reads one JSON object from standard input:
    graph     https://graph.cloud.example
    authority https://login.cloud.example/<tenant>
    ca        path of the PEM file with the tenant's CA certificate
    client_id the application, which has permissions of its own
    key       path of the PEM file with its private key and certificate

and writes one to standard output: users by their onPremisesImmutableId and groups by their uniqueName.
"""

import asyncio
import json
import sys

from graph_client import everything, sdk, trust_alone
from kiota_abstractions.base_request_configuration import RequestConfiguration
from msgraph.generated.groups.groups_request_builder import GroupsRequestBuilder
from msgraph.generated.models.o_data_errors.o_data_error import ODataError
from msgraph.generated.users.users_request_builder import UsersRequestBuilder

USER = ["id", "userPrincipalName", "displayName", "jobTitle", "department", "accountEnabled",
        "onPremisesImmutableId", "onPremisesSyncEnabled"]
GROUP = ["id", "displayName", "securityEnabled", "mailEnabled", "uniqueName"]


async def manager(graph, user):
    try:
        found = await graph.users.by_user_id(user.id).manager.get()
        return found.id if found else None
    except ODataError as error:
        if error.response_status_code == 404:
            return None
        raise


async def read(question):
    adapter, graph = sdk(question)
    parameters = UsersRequestBuilder.UsersRequestBuilderGetQueryParameters(select=USER)
    users = await everything(adapter, await graph.users.get(RequestConfiguration(query_parameters=parameters)))
    parameters = GroupsRequestBuilder.GroupsRequestBuilderGetQueryParameters(select=GROUP)
    groups = await everything(adapter, await graph.groups.get(RequestConfiguration(query_parameters=parameters)))
    anchors = {user.id: user.on_premises_immutable_id for user in users}
    anchors.update({group.id: group.unique_name for group in groups})
    answer = {"users": {}, "groups": {}}
    for user in users:
        answer["users"][user.on_premises_immutable_id or user.id] = {
            "id": user.id,
            "userPrincipalName": user.user_principal_name,
            "displayName": user.display_name,
            "jobTitle": user.job_title,
            "department": user.department,
            "accountEnabled": user.account_enabled,
            "onPremisesSyncEnabled": user.on_premises_sync_enabled,
            "manager": anchors.get(await manager(graph, user)),
        }
    for group in groups:
        members = await everything(adapter, await graph.groups.by_group_id(group.id).members.get())
        answer["groups"][group.unique_name or group.id] = {
            "id": group.id,
            "displayName": group.display_name,
            "securityEnabled": group.security_enabled,
            "mailEnabled": group.mail_enabled,
            "members": sorted(anchors[member.id] or member.id for member in members),
        }
    return answer


def main():
    question = json.load(sys.stdin)
    trust_alone(question)
    json.dump(asyncio.run(read(question)), sys.stdout)


if __name__ == "__main__":
    main()
