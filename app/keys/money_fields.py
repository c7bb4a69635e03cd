"""Fields that hold money."""

from decimal import Decimal
from typing import Annotated

from pydantic import Field

Dollars = Annotated[Decimal, Field(ge=0, le=1_000_000_000, decimal_places=9)]
