"""Where sealed values lie: a value opens only at the place that it was sealed for."""


def account_secret(account_id: str) -> str:
    return f"accounts/{account_id}"


def account_proxy(account_id: str) -> str:
    return f"accounts/{account_id}/proxy"


def webhook_secret(endpoint_id: str) -> str:
    return f"webhook_endpoints/{endpoint_id}"


def document(name: str) -> str:
    """Of any secret in a document of options."""
    return f"options/{name}"
