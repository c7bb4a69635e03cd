"""OpenAI's Videos API keeps the contract of dialects."""

from app.dialects.openai_videos.answer import OpenAIVideosDialect
from tests.dialects.contract import SMALL, Document, TaskDialectContract


class TestOpenAIVideos(TaskDialectContract):
    dialect = OpenAIVideosDialect()
    create_path = "/v1/videos"
    read_path = "/v1/videos/{}"
    task_schema = "Video"
    bad_call = ("POST", create_path, {})

    def create_body(self, prompt: str) -> Document:
        return {"model": "studio", "prompt": prompt, **SMALL}
