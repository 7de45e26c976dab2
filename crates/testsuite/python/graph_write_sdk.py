#!/usr/bin/env python3
"""Writes the tenant's directory with Microsoft's Graph SDK for Python, unmodified.

Reads one JSON object from standard input:
    graph     https://graph.cloud.example
    authority https://login.cloud.example/<tenant>
    domain    the tenant's domain
    ca        path of the PEM file with the tenant's CA certificate
    client_id the application, which has permissions of its own
    key       path of the PEM file with its private key and certificate

and writes one to standard output: what the SDK's models hold, and how it reports what is refused. The
application proves itself by its certificate, as MSAL does it.
"""

import asyncio
import json
import sys

from graph_client import refusal, sdk, trust_alone
from msgraph.generated.models.group import Group
from msgraph.generated.models.password_profile import PasswordProfile
from msgraph.generated.models.reference_create import ReferenceCreate
from msgraph.generated.models.reference_update import ReferenceUpdate
from msgraph.generated.models.user import User
from msgraph_core.requests.batch_request_builder import BatchRequestBuilder
from msgraph_core.requests.batch_request_content import BatchRequestContent
from msgraph_core.requests.batch_request_item import BatchRequestItem

PASSWORD = "Some-Pass!word1"


def person(question, name):
    return User(
        account_enabled=True,
        display_name=name.title(),
        mail_nickname=name,
        user_principal_name=f"{name}@{question['domain']}",
        on_premises_immutable_id=f"{name}==",
        password_profile=PasswordProfile(password=PASSWORD, force_change_password_next_sign_in=False),
    )


async def members_of(graph, group):
    page = await graph.groups.by_group_id(group).members.get()
    return sorted(member.id for member in page.value)


async def one_by_one(question, graph):
    ann = await graph.users.post(person(question, "ann"))
    bea = await graph.users.post(person(question, "bea"))
    again = await refusal(graph.users.post(person(question, "ann")))
    ann_item = graph.users.by_user_id(ann.id)
    await ann_item.patch(User(job_title="Chief", city="Ulm"))
    await ann_item.manager.ref.put(
        ReferenceUpdate(odata_id=f"{question['graph']}/v1.0/users/{bea.id}")
    )
    manager = await ann_item.manager.get()
    crew = await graph.groups.post(
        Group(display_name="Crew", mail_nickname="crew", mail_enabled=False, security_enabled=True)
    )
    crew_item = graph.groups.by_group_id(crew.id)

    def reference(identity):
        return ReferenceCreate(
            odata_id=f"{question['graph']}/v1.0/directoryObjects/{identity}"
        )

    await crew_item.members.ref.post(reference(ann.id))
    twice = await refusal(crew_item.members.ref.post(reference(ann.id)))
    bound = Group(additional_data={
        "members@odata.bind": [f"{question['graph']}/v1.0/directoryObjects/{bea.id}"]
    })
    await crew_item.patch(bound)
    both = await members_of(graph, crew.id)
    await crew_item.members.by_directory_object_id(ann.id).ref.delete()
    left = await members_of(graph, crew.id)
    named = Group(display_name="Named", mail_nickname="named", mail_enabled=False, security_enabled=True)
    made = graph.groups_with_unique_name("named-by-key")
    headers = made.to_patch_request_information(named)
    headers.headers.add("Prefer", "create-if-missing")
    await graph.request_adapter.send_async(headers, Group, {})
    by_key = await graph.groups_with_unique_name("named-by-key").get()
    changed = await ann_item.get()
    await ann_item.delete()
    return {
        "made": {"name": ann.user_principal_name, "enabled_by_default_shown": ann.display_name},
        "again": again,
        "changed": {"title": changed.job_title},
        "manager": manager.id == bea.id,
        "twice": twice,
        "both": both == sorted([ann.id, bea.id]),
        "left": left == [bea.id],
        "by_key": by_key.display_name,
        "gone": await refusal(ann_item.get()),
        "password": PASSWORD,
    }


async def in_a_batch(question, adapter, graph):
    items = {}
    for number in range(18):
        asked = graph.users.to_post_request_information(person(question, f"batch{number}"))
        items[f"user-{number}"] = BatchRequestItem(asked, id=f"user-{number}")
    same = graph.users.to_post_request_information(person(question, "batch0"))
    items["same"] = BatchRequestItem(same, id="same")
    items["list"] = BatchRequestItem(graph.groups.to_get_request_information(), id="list")
    content = BatchRequestContent(items)
    answer = await BatchRequestBuilder(adapter).post(content)
    # The helper reads no body that is JSON: what was made is asked for.
    first = await graph.users.by_user_id(f"batch0@{question['domain']}").get()
    return {
        "statuses": answer.get_response_status_codes(),
        "first": first.user_principal_name,
    }


async def write(question):
    adapter, graph = sdk(question)
    return {
        "single": await one_by_one(question, graph),
        "batch": await in_a_batch(question, adapter, graph),
    }


def main():
    question = json.load(sys.stdin)
    trust_alone(question)
    json.dump(asyncio.run(write(question)), sys.stdout)


if __name__ == "__main__":
    main()
