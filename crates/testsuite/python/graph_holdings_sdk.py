#!/usr/bin/env python3
"""Reads photos, devices and directory extensions of the tenant with Microsoft's Graph SDK for Python, unmodified.

Reads one JSON object from standard input:
    graph      https://graph.cloud.example
    authority  https://login.cloud.example/<tenant>
    ca         path of the PEM file with the tenant's CA certificate
    client_id  the application, which has permissions of its own
    key        path of the PEM file with its private key and certificate
    users      the user principal names of those who are read
    extensions the whole names of the extensions that are read of them
    group      the display name of a group whose members are listed

and writes one to standard output: octets as base64, null for what is not there.
"""

import asyncio
import base64
import json
import sys

from graph_client import everything, sdk, trust_alone
from kiota_abstractions.base_request_configuration import RequestConfiguration
from msgraph.generated.models.device import Device
from msgraph.generated.models.o_data_errors.o_data_error import ODataError
from msgraph.generated.users.item.user_item_request_builder import UserItemRequestBuilder


async def photo(user):
    try:
        octets = await user.photo.content.get()
    except ODataError as error:
        if error.response_status_code == 404:
            return None
        raise
    return base64.b64encode(octets).decode()


async def read(question):
    adapter, graph = sdk(question)
    answer = {"users": {}, "devices": {}}
    for name in question["users"]:
        select = ["id", "userPrincipalName", "jobTitle", "onPremisesImmutableId", *question["extensions"]]
        parameters = UserItemRequestBuilder.UserItemRequestBuilderGetQueryParameters(select=select)
        user = graph.users.by_user_id(name)
        held = await user.get(RequestConfiguration(query_parameters=parameters))
        answer["users"][name] = {
            "title": held.job_title,
            "anchor": held.on_premises_immutable_id,
            "photo": await photo(user),
            "extensions": {one: held.additional_data.get(one) for one in question["extensions"]},
        }
    for device in await everything(adapter, await graph.devices.get()):
        answer["devices"][device.device_id] = {
            "name": device.display_name,
            "enabled": device.account_enabled,
            "system": device.operating_system,
            "version": device.operating_system_version,
            "trust": device.trust_type,
            "synchronised": device.on_premises_sync_enabled,
        }
    groups = await everything(adapter, await graph.groups.get())
    group = next((group for group in groups if group.display_name == question["group"]), None)
    if group:
        members = await everything(adapter, await graph.groups.by_group_id(group.id).members.get())
        answer["members"] = sorted(member.device_id for member in members if isinstance(member, Device))
    return answer


def main():
    question = json.load(sys.stdin)
    trust_alone(question)
    json.dump(asyncio.run(read(question)), sys.stdout, default=str)


if __name__ == "__main__":
    main()
