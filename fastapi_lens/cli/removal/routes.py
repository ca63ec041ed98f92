"""The endpoints of a branch: from its application, or from a file of an earlier step."""

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from fastapi_lens.cli.exit_codes import CommandError, Exit
from fastapi_lens.recording.routes.route_tree import ANY, is_framework, leaves_of, unwrapped_app
from fastapi_lens.text.methods import method_name
from fastapi_lens.text.path_shapes import shape_of


class Name(NamedTuple):
    """Method and path template of an endpoint."""

    method: str
    path: str


class Routes:
    """The endpoints of a branch.

    Args:
        names: In any order.
    """

    def __init__(self, names: Iterable[Name]) -> None:
        """Index them by their shapes."""
        self.names = tuple(sorted(set(names)))
        self._by_shape = {(method, shape_of(path)): path for method, path in self.names}
        self._known = frozenset(self.names)

    @classmethod
    def of(cls, app: Any) -> Self:
        """The endpoints of an application; none of an object that is no application.

        Args:
            app: A FastAPI or Starlette application, also inside middlewares.
        """
        inner = unwrapped_app(app)
        # A wrong attribute of the module can be anything.
        if not isinstance(getattr(inner, "routes", None), Iterable):
            return cls(())
        found = leaves_of(inner)
        leaves = [leaf for leaf in found if not leaf.is_page and not is_framework(leaf.endpoint)]
        # Also methods that are reported only once they were called.
        return cls(
            Name(method_name(method), leaf.template) for leaf in leaves for method in leaf.methods
        )

    def has(self, name: Name) -> bool:
        """True if requests to an endpoint still reach the same one, or one of any method there."""
        return name in self._known or Name(ANY, name.path) in self._known

    def renamed(self, name: Name) -> str | None:
        """The path of the same endpoint with other names of parameters; None without one."""
        shape = shape_of(name.path)
        return self._by_shape.get((name.method, shape)) or self._by_shape.get((ANY, shape))


class _Endpoint(BaseModel):
    method: Annotated[str, Field(min_length=1)]
    path: str


class RoutesFile(BaseModel):
    """The file that `routes` writes and ``check --routes`` reads."""

    model_config = ConfigDict(strict=True)

    fastapi_lens_routes: Literal[1]
    endpoints: list[_Endpoint]

    @classmethod
    def of(cls, routes: Routes) -> Self:
        """The file of some endpoints."""
        endpoints = [_Endpoint(method=name.method, path=name.path) for name in routes.names]
        return cls(fastapi_lens_routes=1, endpoints=endpoints)


def read_routes(file: Path) -> Routes:
    """The endpoints in a file that `routes` has written.

    Raises:
        CommandError: It cannot be read, or is damaged.
    """
    try:
        found = RoutesFile.model_validate_json(file.read_bytes())
    except OSError as error:
        raise CommandError(Exit.USAGE, f"--routes cannot be read: {error}") from error
    except ValidationError as error:
        raise CommandError(
            Exit.BAD_FILE, f"{file} is damaged: write it again with 'python -m fastapi_lens routes'"
        ) from error
    return Routes(Name(each.method, each.path) for each in found.endpoints)
