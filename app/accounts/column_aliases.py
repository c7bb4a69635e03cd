"""What other programs and people call the columns of a list of accounts."""

ALIASES = {
    "key": "secret",
    "api_key": "secret",
    "apikey": "secret",
    "token": "secret",
    "url": "base_url",
    "api_base": "base_url",
    "model": "models",
    "tag": "tags",
    "名称": "name",
    "密钥": "secret",
    "地址": "base_url",
    "模型": "models",
    "标签": "tags",
}
