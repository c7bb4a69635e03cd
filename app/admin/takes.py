"""`/admin/api/tasks/{name}/…`: a task is made again, as it was, on another account, or by other models to compare them."""

from decimal import Decimal

from fastapi import APIRouter

from app.admin.access import AdminRequest, AdminRoute
from app.admin.bodies import ListAnswer, PanelAnswer, PanelBody
from app.admin.playground import playground_key
from app.admin.task_object import TaskObject, plain_amount, task_rows
from app.admin.task_search import TaskSearch
from app.admin.tasks import TaskIds, find_task, read_ids
from app.errors import InvalidRequest
from app.generation import GenerationRequest
from app.keys.key import ClientKey
from app.ops.access import notes_of
from app.tasks.replay import repeated_request
from app.tasks.service import RequestContext

router = APIRouter(route_class=AdminRoute, prefix="/tasks")
MOST_TAKES = 4


class RepeatBody(PanelBody):
    """``account``: the id of the only account that may make it; without one, any that serves the model."""

    account: str | None = None


class TakeBody(RepeatBody):
    """``model`` makes it instead of the task's own."""

    model: str | None = None


class QuoteBody(PanelBody):
    models: list[str]


class TakePrice(PanelAnswer):
    """``price`` in US dollars, None when the model has none."""

    model: str
    price: str | None


class RepeatPrice(PanelAnswer):
    """What several tasks would cost again, in US dollars; ``unpriced`` of them have models without a price."""

    price: str
    unpriced: int


@router.get("/retry-price", summary="Quote the price of several tasks again")
async def quote_repeats(request: AdminRequest, *, ids: TaskIds = None) -> RepeatPrice:
    total, unpriced = Decimal(0), 0
    for task_id in read_ids(ids or ""):
        task = await find_task(request, task_id)
        amount = await _price_of(request, task.request)
        total += amount or 0
        unpriced += amount is None
    return RepeatPrice(price=plain_amount(total) or "0", unpriced=unpriced)


@router.post("/{name}/retry", status_code=201, summary="Repeat a task as a new task")
async def retry_task(name: str, request: AdminRequest, body: RepeatBody | None = None) -> TaskObject:
    """Sends the same request with the same key, which pays for it again."""
    only = body.account if body else None
    task = await find_task(request, name)
    generation = await repeated_request(request.panel.gateway.store, task)
    key = await request.panel.gateway.keys.find_by_id(task.key_id)
    if key is None:  # deleted since
        key = ClientKey(id=task.key_id, name=task.key_id, owner=task.owner)
    hook_url, hook_base = await TaskSearch(request.panel.database).webhook_of(task.id)
    context = RequestContext(
        task.dialect,
        hook_url=hook_url,
        hook_base=hook_base,
        notes=notes_of(request.http.scope),
        only_account=only,
    )
    created = await request.panel.gateway.tasks.create(generation, key=key, context=context)
    after = {"task": created.id} | ({"account": only} if only else {})
    await request.record_change("task.retried", f"tasks/{task.id}", after=after)
    return (await task_rows(request.panel, [created]))[0]


@router.post("/{name}/takes", status_code=201, summary="Make a task again to compare it")
async def make_take(name: str, body: TakeBody, request: AdminRequest) -> TaskObject:
    """The new task belongs to the panel, as those of the playground: no client pays for it or is told of it."""
    task = await find_task(request, name)
    generation = await repeated_request(request.panel.gateway.store, task)
    generation = generation.model_copy(update={"model": body.model or task.model})
    context = RequestContext("panel", notes=notes_of(request.http.scope), only_account=body.account)
    created = await request.panel.gateway.tasks.create(generation, key=playground_key(), context=context)
    after = {"task": created.id, "model": created.model, "account": body.account}
    await request.record_change("task.compared", f"tasks/{task.id}", after=after)
    return (await task_rows(request.panel, [created]))[0]


@router.post("/{name}/takes/quote", summary="Quote the price of a task made by other models")
async def quote_takes(name: str, body: QuoteBody, request: AdminRequest) -> ListAnswer[TakePrice]:
    """In the order of ``models``. Creates nothing."""
    task = await find_task(request, name)
    if len(body.models) > MOST_TAKES:
        raise InvalidRequest(f"models may hold at most {MOST_TAKES}", param="models")
    wanted = [task.request.model_copy(update={"model": model}) for model in body.models]
    prices = [plain_amount(await _price_of(request, each)) for each in wanted]
    named = zip(body.models, prices, strict=True)
    return ListAnswer(data=[TakePrice(model=model, price=price) for model, price in named])


async def _price_of(request: AdminRequest, generation: GenerationRequest) -> Decimal | None:
    price = await request.panel.gateway.prices.current_price(generation.model)
    return price.estimate_request(generation) if price is not None else None
