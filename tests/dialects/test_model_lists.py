"""What the lists of models say that each model takes."""

from decimal import Decimal

from openrouter.components import VideoModel

from app.catalog.catalog import ModelCard
from app.catalog.price import ModelPrice
from app.dialects.openrouter.answer import model_object
from app.providers.base import Capabilities
from tests.dialects.conftest import ServedGateway

VIDEO = frozenset({"video"})
PRICE = ModelPrice(per_call=Decimal("0.10"), per_second={"720p": Decimal("0.07"), "*": Decimal("0.20")})


def test_the_whole_list_says_what_each_model_takes(served: ServedGateway) -> None:
    with served.client() as client:
        plain = client.get("/v1/models").json()["data"]
        assert all("capabilities" not in model for model in plain)
        told = client.get("/v1/models?capabilities=true").json()["data"]
        assert [model["id"] for model in told] == [model["id"] for model in plain]
        for model in told[:3]:
            assert model == client.get(f"/v1/models/{model['id']}").json()
        film = next(model for model in told if model["id"] == "sora_video2-landscape")["capabilities"]
        assert (film["kind"], film["price"]) == ("video", {"per_call": "0.15"})
        assert {"lengths", "sizes", "inputs", "sound", "resolutions"} <= film.keys()
        wrong = client.get("/v1/models?capabilities=perhaps")
        assert (wrong.status_code, wrong.json()["error"]["param"]) == (400, "capabilities")


def test_openrouters_list_is_what_its_sdk_reads() -> None:
    able = Capabilities(
        VIDEO,
        roles=frozenset({"first_frame"}),
        seconds=(4, 12),
        lengths=(4, 8, 12),
        tiers={"720p": 720, "1080p": 1080},
        ratios=("16:9",),
        sound="choice",
    )
    document = model_object(ModelCard("film", "video", 1, able, VIDEO), PRICE)
    read = VideoModel.model_validate(document)
    assert (read.supported_durations, read.supported_resolutions) == ([4, 8, 12], ["720p", "1080p"])
    assert (read.supported_aspect_ratios, read.generate_audio) == (["16:9"], True)
    assert read.pricing_skus == {
        "per_video": "0.10",
        "duration_seconds_720p": "0.07",
        "duration_seconds": "0.20",
    }
    unknown = model_object(ModelCard("film", "video", 1, None, VIDEO), None)
    VideoModel.model_validate(unknown)
    assert (unknown["supported_durations"], unknown["generate_audio"], unknown["pricing_skus"]) == (None,) * 3
