"""`/admin/api/playground`: creates videos and images as a client does, with a key of the panel's own."""

from dataclasses import replace

from fastapi import APIRouter

from app.admin.access import AdminRequest, AdminRoute
from app.admin.bodies import ListAnswer, PanelAnswer
from app.admin.models import ModelObject, model_object
from app.admin.panel import PanelServices
from app.admin.task_object import PLAYGROUND_KEY, TaskObject, plain_amount, task_rows
from app.catalog.presets import STYLES
from app.dialects.fields.length import read_shots
from app.dialects.fields.options import read_max_cost
from app.dialects.fields.queueing import read_priority, read_start
from app.dialects.http.body import Body
from app.dialects.http.gateway import check_prompt, read_size
from app.dialects.http.media_sources import read_source
from app.dialects.prompt.storyboard import write_storyboard
from app.dialects.registry import task_id_of
from app.errors import InvalidRequest, NotFound
from app.generation import GenerationRequest, MediaInput, MediaKind, Role
from app.keys.key import ClientKey
from app.ops.access import notes_of
from app.tasks.service import RequestContext
from app.tasks.task import own_video_input

router = APIRouter(route_class=AdminRoute, prefix="/playground")
MADE_KINDS: tuple[MediaKind, ...] = ("video", "image")
INPUT_ROLES: tuple[Role, ...] = (
    "first_frame",
    "last_frame",
    "reference_image",
    "source_video",
    "reference_video",
    "audio",
)
KNOWN_FIELDS = {
    *INPUT_ROLES,
    "model",
    "prompt",
    "kind",
    "seconds",
    "size",
    "aspect_ratio",
    "resolution",
    "style",
    "seed",
    "negative_prompt",
    "private",
    "max_cost",
    "priority",
    "start_after",
    "watermark",
    "shots",
    "characters",
    "remix_of",
    "extra",
    "account",
}


class OfferedModels(ListAnswer[ModelObject]):
    """``styles`` are the words that the gateway knows."""

    styles: list[str]


class PriceQuote(PanelAnswer):
    """``price`` in US dollars, None when the model has none; ``text`` says what it is for."""

    price: str | None
    text: str


def playground_key() -> ClientKey:
    """A key that no client has: its tasks belong to the panel."""
    return ClientKey(id=PLAYGROUND_KEY, name=PLAYGROUND_KEY, owner=f"key:{PLAYGROUND_KEY}")


@router.get("/models", summary="List the models that the playground can use")
async def list_models(request: AdminRequest) -> OfferedModels:
    """Every model that an account serves now and that makes videos or images, or may make them."""
    cards = await request.panel.gateway.catalog.list_models()
    made = [(card, next((kind for kind in MADE_KINDS if kind in card.kinds), None)) for card in cards]
    models = [
        await model_object(request.panel, card if card.kind in MADE_KINDS else replace(card, kind=kind))
        for card, kind in made
        if kind is not None
    ]
    return OfferedModels(data=models, styles=list(STYLES))


@router.post("", status_code=201, summary="Create a video or an image")
async def create_task(request: AdminRequest) -> TaskObject:
    """The body is JSON, or a form with files; ``account`` is the id of the only account that may make it. Returns the
    task before it is done."""
    body = await request.panel.gateway.read_body(request.http)
    wanted = await _read_request(body, request.panel)
    media = (*await _read_media(body, request.panel), *await _read_characters(body, request.panel))
    source = await _remix_source(request.panel, wanted)
    wanted = wanted.model_copy(update={"media": (*media, *source)})
    only = body.text("account") or None
    context = RequestContext("panel", notes=notes_of(request.http.scope), only_account=only)
    task = await request.panel.gateway.tasks.create(wanted, key=playground_key(), context=context)
    await request.record_change(
        "task.made", f"tasks/{task.id}", after={"model": task.model, "kind": task.kind}
    )
    return (await task_rows(request.panel, [task]))[0]


@router.post("/quote", summary="Quote the price of a request")
async def quote_price(request: AdminRequest) -> PriceQuote:
    """Takes the same fields, and creates nothing."""
    body = await request.panel.gateway.read_body(request.http)
    wanted = await _read_request(body, request.panel)
    price = await request.panel.gateway.prices.current_price(wanted.model)
    amount = price.estimate_request(wanted) if price is not None else None
    return PriceQuote(price=plain_amount(amount), text=_price_subject(wanted))


def _price_subject(wanted: GenerationRequest) -> str:
    """What the price is for, such as ``sora-2, 8 s, 1280x720``."""
    length = sum(shot.seconds for shot in wanted.shots) or wanted.seconds
    parts = [wanted.model, f"{length:g} s" if length else "", wanted.size or wanted.resolution or ""]
    return ", ".join(part for part in parts if part)


async def _read_request(body: Body, panel: PanelServices) -> GenerationRequest:
    """The request without its inputs. Raises ``InvalidRequest`` that names the field."""
    unknown = [name for name in body.fields if name not in KNOWN_FIELDS]
    if unknown:
        raise InvalidRequest(f"There is no field {unknown[0][:100]}.", param=unknown[0][:100])
    model = body.required_text("model").strip()
    shots = read_shots(body).value
    prompt = write_storyboard(body.text("prompt") or "", shots)
    check_prompt(prompt, param="prompt")
    remix = body.text("remix_of")
    remix_of = task_id_of(remix) if remix else None
    if remix and remix_of is None:
        raise InvalidRequest("remix_of must be the id of a task", param="remix_of")
    extra = body.object("extra")
    return GenerationRequest(
        kind=_read_kind(body, panel, model),
        model=model,
        prompt=prompt,
        action="remix" if remix_of else "generate",
        seconds=sum(shot.seconds for shot in shots) or body.number("seconds", low=0.5, high=3600),
        size=read_size(body.text("size")),
        aspect_ratio=body.text("aspect_ratio") or None,
        resolution=body.text("resolution") or None,
        style=body.text("style") or None,
        seed=body.integer("seed", low=0, high=2**32 - 1),
        negative_prompt=body.text("negative_prompt") or None,
        private=body.boolean("private") or False,
        max_cost=read_max_cost(body),
        priority=read_priority(body),
        start_after=read_start(body),
        watermark=body.boolean("watermark"),
        shots=shots,
        remix_of=remix_of,
        extra=dict(extra.fields) if extra else {},
    )


def _read_kind(body: Body, panel: PanelServices, model: str) -> MediaKind:
    """A video, unless the request or the model says that it is an image."""
    word = body.text("kind")
    if word not in (None, "", *MADE_KINDS):
        raise InvalidRequest("kind must be video or image", param="kind")
    return "image" if (word or panel.gateway.catalog.kind_of(model)) == "image" else "video"


async def _read_media(body: Body, panel: PanelServices) -> list[MediaInput]:
    return [
        await read_source(source, panel.gateway, role=role, param=role)
        for role in INPUT_ROLES
        for source in body.sources(role)
    ]


async def _read_characters(body: Body, panel: PanelServices) -> list[MediaInput]:
    """By id or username. An operator may use the characters of all owners."""
    inputs: list[MediaInput] = []
    for name in body.texts("characters"):
        try:
            character = await panel.gateway.characters.by_link(name.removeprefix("@"))
        except NotFound as error:
            raise InvalidRequest(f"No such character: {name[:100]}", param="characters") from error
        inputs.append(character.as_input())
    return inputs


async def _remix_source(panel: PanelServices, wanted: GenerationRequest) -> tuple[MediaInput, ...]:
    if wanted.remix_of is None:
        return ()
    task = await panel.tasks.get(wanted.remix_of)
    if task is None:
        raise InvalidRequest("remix_of is not a task of this gateway", param="remix_of")
    return (own_video_input(task, param="remix_of"),)
