"""instructor: an object instead of a text, by a tool call."""

import os

import instructor
from openai import OpenAI
from pydantic import BaseModel


class Place(BaseModel):
    city: str


client = instructor.from_openai(
    OpenAI(base_url=f"{os.environ['GATEWAY']}/v1", api_key=os.environ["GATEWAY_KEY"])
)
messages = [{"role": "user", "content": "Where?"}]
place = client.chat.completions.create(model="house-words", response_model=Place, messages=messages)
assert place.city == "Oslo", place
print("an object")
