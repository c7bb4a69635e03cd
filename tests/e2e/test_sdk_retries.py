"""The official SDK repeats by itself: after a lost answer it gets its own video, after a refusal never another's."""

import uuid
from concurrent.futures import ThreadPoolExecutor

import pytest
from openai import OpenAI, RateLimitError

from app.client import Filmgate
from tests.e2e.conftest import Setting
from tests.e2e.cutting import CuttingProxy
from tests.e2e.waiting import SMALL


@pytest.mark.parametrize("client_class", [OpenAI, Filmgate])
def test_a_lost_answer_is_found_again(
    client_class: type[OpenAI] | type[Filmgate], setting: Setting, cutting: CuttingProxy
) -> None:
    prompt = f"[studio:fast] {uuid.uuid4().hex}"
    with client_class(
        base_url=f"http://127.0.0.1:{cutting.port}/v1", api_key=setting.keys.few, max_retries=3
    ) as patient:
        video = patient.videos.create(prompt=prompt, **SMALL)
        listed = [each.id for each in patient.videos.list(limit=20).data if each.prompt == prompt]
    assert listed == [video.id]


def test_four_equal_wishes_with_room_for_two(setting: Setting) -> None:
    prompt = f"[studio:slow=600] {uuid.uuid4().hex}"
    with OpenAI(base_url=setting.base, api_key=setting.keys.few, max_retries=1) as hasty:

        def wish(_: int) -> str | None:
            try:
                return hasty.videos.create(prompt=prompt, **SMALL).id
            except RateLimitError:
                return None

        with ThreadPoolExecutor(4) as threads:
            answers = list(threads.map(wish, range(4)))
        accepted = [answer for answer in answers if answer]
        assert len(accepted) == len(set(accepted)) == 2
        for video in accepted:
            hasty.videos.delete(video)
