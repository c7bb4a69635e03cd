"""`/admin/api/readiness`: one line for each model."""

from fastapi import APIRouter

from app.admin.access import AdminRequest, AdminRoute
from app.admin.bodies import ListAnswer
from app.admin.readiness_board import ReadinessObject

router = APIRouter(route_class=AdminRoute)


@router.get("/readiness", summary="Show which models can be made")
async def list_readiness(request: AdminRequest) -> ListAnswer[ReadinessObject]:
    """Those that nobody can make first, before all those that are asked for."""
    return ListAnswer(data=await request.panel.readiness.models())
