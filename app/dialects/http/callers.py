"""What FastAPI gives to a route: the key of its caller, and the gateway."""

from typing import Annotated

from fastapi import Depends

from app.dialects.http.gateway import Gateway, authenticate_key, gateway_dependency
from app.keys.key import ClientKey

CallerKey = Annotated[ClientKey, Depends(authenticate_key)]
Services = Annotated[Gateway, Depends(gateway_dependency)]
