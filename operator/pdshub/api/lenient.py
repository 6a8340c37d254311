"""Read an API object as a program does that may be older than whoever wrote it: by its names and types, not its rules.

A node plugin must survive a newer CRD. Fields that it does not know are ignored, at every depth, and a constraint that
was loosened since (a longer list, a new choice) refuses nothing. What must be refused the reader checks by itself.
"""

from __future__ import annotations

from functools import cache, partial
from types import NoneType, UnionType
from typing import Annotated, Any, ClassVar, Literal, TypeVar, Union, cast, get_args, get_origin

from pydantic import BaseModel, ConfigDict, Field, create_model, model_validator
from pydantic.alias_generators import to_camel
from pydantic.fields import FieldInfo

_Model = TypeVar("_Model", bound=BaseModel)


class _Lenient(BaseModel):
    """Base of the models without rules that `read` derives. `meant`: the API's model that one stands for."""

    model_config = ConfigDict(alias_generator=to_camel, extra="ignore")
    meant: ClassVar[type[BaseModel]]

    @model_validator(mode="before")
    @classmethod
    def _without_nulls(cls, raw: Any) -> Any:
        """A null says nothing, as in Kubernetes: the default holds."""
        return {key: value for key, value in raw.items() if value is not None} if isinstance(raw, dict) else raw


def read(model: type[_Model], raw: Any, *names: str) -> _Model:
    """Make a `model` of JSON data, with its types and defaults and without its constraints and validators.

    With `names` only these fields are read; the others have their defaults, whatever `raw` says. Raises
    pydantic.ValidationError where a required field is missing or a value has the wrong type.
    """
    return cast(_Model, _meant(_derived(model, *names).model_validate(raw)))


def _meant(value: Any) -> Any:
    """The API's own objects for derived ones."""
    if isinstance(value, list):
        return [_meant(item) for item in value]
    if isinstance(value, _Lenient):
        return value.meant.model_construct(**{name: _meant(getattr(value, name)) for name in type(value).model_fields})
    return value


@cache
def _derived(model: type[BaseModel], *names: str) -> type[_Lenient]:
    fields: dict[str, Any] = {}
    for name, field in model.model_fields.items():
        if names and name not in names:
            continue
        default = Field() if field.is_required() else Field(default_factory=partial(_default, field))
        fields[name] = (_plain(field.annotation), default)
    made = create_model(model.__name__, __base__=_Lenient, **fields)
    made.meant = model
    return made


def _default(field: FieldInfo) -> Any:
    return field.get_default(call_default_factory=True)


def _plain(annotation: Any) -> Any:
    """A type without constraints: a choice of texts is any text."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _plain(arguments[0])
    if origin is Literal:
        return Union[tuple({type(value) for value in arguments})]  # noqa: UP007
    if origin in (Union, UnionType):
        return Union[tuple(one if one is NoneType else _plain(one) for one in arguments)]  # noqa: UP007
    if origin is not None:
        return origin[tuple(_plain(one) for one in arguments)]
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return _derived(annotation)
    return annotation
