"""LangChain: a chat, a stream, a tool."""

import os

from langchain_core.tools import tool
from langchain_openai import ChatOpenAI


@tool
def weather(city: str) -> str:
    """How it is outside."""
    return city


chat = ChatOpenAI(
    model="house-words", base_url=f"{os.environ['GATEWAY']}/v1", api_key=os.environ["GATEWAY_KEY"]
)
assert chat.invoke("hi").content == "Hello from upstream"
assert "".join(str(chunk.content) for chunk in chat.stream("hi")) == "Hello from upstream"
(call,) = chat.bind_tools([weather]).invoke("hi").tool_calls
assert (call["name"], call["args"]) == ("weather", {"city": "Oslo"})
print("chat, stream, tools")
