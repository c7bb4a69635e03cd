"""Where sealed values lie: a value opens only at the place that it was sealed for."""


def account_secret_place(account_id: str) -> str:
    return f"accounts/{account_id}"


def account_proxy_place(account_id: str) -> str:
    return f"accounts/{account_id}/proxy"


def webhook_secret_place(endpoint_id: str) -> str:
    return f"webhook_endpoints/{endpoint_id}"


def options_document_place(name: str) -> str:
    """Of any secret in a document of options."""
    return f"options/{name}"
