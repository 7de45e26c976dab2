"""How the scripts here prove themselves to a tenant as an application, and reach its Graph: with
Microsoft's identity library, and with Microsoft's Graph SDK where a script drives that.

A question names
    graph     https://graph.cloud.example
    authority https://login.cloud.example/<tenant>
    ca        path of the PEM file with the tenant's CA certificate
    client_id the application, which has permissions of its own
    key       path of the PEM file with its private key and certificate
"""

import os
from urllib.parse import urlparse

from azure.identity import CertificateCredential


def credential(question):
    """An application that proves itself by its certificate, as MSAL does it."""
    authority = urlparse(question["authority"])
    return CertificateCredential(
        tenant_id=authority.path.strip("/"),
        client_id=question["client_id"],
        certificate_path=question["key"],
        authority=f"https://{authority.hostname}",
        disable_instance_discovery=True,
        connection_verify=question["ca"],
    )


def token(question):
    """A token for Graph."""
    return credential(question).get_token(f"{question['graph']}/.default").token


def trust_alone(question):
    """Lets the tenant's authority alone be believed, and no proxy of the environment be used."""
    os.environ["SSL_CERT_FILE"] = question["ca"]
    os.environ["REQUESTS_CA_BUNDLE"] = question["ca"]
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        os.environ.pop(name, None)
        os.environ.pop(name.lower(), None)


def sdk(question, proof=None):
    """The SDK's adapter and client, with an application's credential unless another one is given."""
    # Not every script that proves itself has the SDK beside it.
    from kiota_authentication_azure.azure_identity_authentication_provider import (
        AzureIdentityAuthenticationProvider,
    )
    from msgraph import GraphRequestAdapter, GraphServiceClient

    host = urlparse(question["graph"]).hostname
    provider = AzureIdentityAuthenticationProvider(
        proof or credential(question), scopes=[f"{question['graph']}/.default"], allowed_hosts=[host]
    )
    adapter = GraphRequestAdapter(provider)
    adapter.base_url = f"{question['graph']}/v1.0"
    return adapter, GraphServiceClient(request_adapter=adapter)


async def everything(adapter, page):
    """The objects of a list, page by page."""
    from msgraph_core.tasks import PageIterator

    found = []
    await PageIterator(page, adapter).iterate(lambda item: found.append(item) or True)
    return found


async def refusal(request):
    """How the SDK reports what is refused; nothing of what is not."""
    from msgraph.generated.models.o_data_errors.o_data_error import ODataError

    try:
        await request
    except ODataError as error:
        details = error.error.details or []
        return {"status": error.response_status_code, "code": error.error.code,
                "message": error.error.message, "targets": [detail.target for detail in details]}
    return None
