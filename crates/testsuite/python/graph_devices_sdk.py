#!/usr/bin/env python3
"""Registers, changes and deletes devices with Microsoft's Graph SDK for Python, unmodified.

Reads one JSON object from standard input:
    graph     https://graph.cloud.example
    authority https://login.cloud.example/<tenant>
    ca        path of the PEM file with the tenant's CA certificate
    client_id the application, which has permissions of its own
    key       path of the PEM file with its private key and certificate
    record    path of a file to which each exchange with Graph is added, as graph_openapi.py reads it
    steps     what to do, in order: objects with `op` and what it takes (see the functions below)

and writes a list to standard output: what came of each step. What is refused is reported and stops nothing.
"""

import asyncio
import json
import sys

from graph_client import sdk, trust_alone
from msgraph.generated.models.alternative_security_id import AlternativeSecurityId
from msgraph.generated.models.device import Device
from msgraph.generated.models.o_data_errors.o_data_error import ODataError
from msgraph.generated.models.reference_create import ReferenceCreate


class Recorder:
    """Adds each exchange to a file, by the hooks of the SDK's own HTTP client."""

    def __init__(self, path):
        self.path = path

    async def answered(self, response):
        await response.aread()
        request = response.request
        record = {
            "method": request.method,
            "path": request.url.raw_path.decode(),
            "request": self.body(request.content),
            "status": response.status_code,
            "response": self.body(response.content),
        }
        with open(self.path, "a", encoding="utf-8") as file:
            file.write(json.dumps(record) + "\n")

    @staticmethod
    def body(octets):
        return json.loads(octets) if octets else None


def security_id(text):
    """What a device's certificate is known by: the text in UTF-16, as device registration writes it."""
    return AlternativeSecurityId(type=2, key=text.encode("utf-16-le"))


def fields(step):
    given = {
        "account_enabled": step.get("enabled"),
        "display_name": step.get("name"),
        "is_compliant": step.get("compliant"),
        "is_managed": step.get("managed"),
        "operating_system": step.get("os"),
        "operating_system_version": step.get("os_version"),
        "device_version": step.get("object_version"),
        "physical_ids": step.get("physical_ids"),
        "device_id": step.get("device_id"),
    }
    if "security_id" in step:
        given["alternative_security_ids"] = [security_id(step["security_id"])]
    return Device(**{name: value for name, value in given.items() if value is not None})


async def make(graph, _, step):
    made = await graph.devices.post(fields(step))
    return {"id": made.id, "device_id": made.device_id, "enabled": made.account_enabled}


async def change(graph, _, step):
    await graph.devices.by_device_id(step["id"]).patch(fields(step))
    return {}


async def delete(graph, _, step):
    await graph.devices.by_device_id(step["id"]).delete()
    return {}


async def read_by_key(graph, _, step):
    found = await graph.devices_with_device_id(step["device_id"]).get()
    return {"id": found.id, "name": found.display_name}


def whose(graph, step):
    item = graph.devices.by_device_id(step["id"])
    return item.registered_owners if step["as"] == "owner" else item.registered_users


async def register(graph, question, step):
    address = f"{question['graph']}/v1.0/directoryObjects/{step['user']}"
    await whose(graph, step).ref.post(ReferenceCreate(odata_id=address))
    return {}


async def unregister(graph, _, step):
    await whose(graph, step).by_directory_object_id(step["user"]).ref.delete()
    return {}


async def registered(graph, _, step):
    page = await whose(graph, step).get()
    return {"ids": sorted(one.id for one in page.value)}


async def user(graph, _, step):
    return {"id": (await graph.users.by_user_id(step["name"]).get()).id}


ALL = (user, make, change, delete, read_by_key, register, unregister, registered)
STEPS = {step.__name__: step for step in ALL}


async def perform(question):
    adapter, graph = sdk(question)
    recorder = Recorder(question["record"])
    adapter._http_client.event_hooks = {"response": [recorder.answered]}
    done = []
    for step in question["steps"]:
        try:
            done.append(await STEPS[step["op"]](graph, question, step))
        except ODataError as error:
            details = error.error.details or []
            done.append({"status": error.response_status_code, "code": error.error.code,
                         "targets": [detail.target for detail in details]})
    return done


def main():
    question = json.load(sys.stdin)
    trust_alone(question)
    json.dump(asyncio.run(perform(question)), sys.stdout)


if __name__ == "__main__":
    main()
