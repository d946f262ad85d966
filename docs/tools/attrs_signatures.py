"""Lets the reference show attrs classes as they are called: ``Event(sources, target, *, …)``."""

import inspect
from importlib import import_module
from typing import Any

from griffe import Class, Expr, Extension, Function, Parameter, ParameterKind, Parameters

KINDS = {
    inspect.Parameter.POSITIONAL_ONLY: ParameterKind.positional_only,
    inspect.Parameter.POSITIONAL_OR_KEYWORD: ParameterKind.positional_or_keyword,
    inspect.Parameter.VAR_POSITIONAL: ParameterKind.var_positional,
    inspect.Parameter.KEYWORD_ONLY: ParameterKind.keyword_only,
    inspect.Parameter.VAR_KEYWORD: ParameterKind.var_keyword,
}


class AttrsSignatures(Extension):
    """Gives a class under ``@define`` or ``@frozen`` the parameters of the ``__init__`` it gets."""

    def on_class(self, *, cls: Class, **_rest: Any) -> None:
        """Add ``__init__`` to such a class."""
        if not any(d.callable_path in ("attrs.define", "attrs.frozen") for d in cls.decorators):
            return
        made = getattr(import_module(cls.module.path), cls.name, None)
        if made is None:
            return
        parameters = [Parameter("self", kind=ParameterKind.positional_or_keyword)]
        for name, parameter in inspect.signature(made).parameters.items():
            member = cls.members.get(name) or cls.members.get(f"_{name}")
            annotation: str | Expr | None = getattr(member, "annotation", None)
            default = parameter.default
            parameters.append(
                Parameter(
                    name,
                    annotation=annotation,
                    kind=KINDS[parameter.kind],
                    default=None if default is inspect.Parameter.empty else _shown(default),
                )
            )
        cls.set_member("__init__", Function("__init__", parameters=Parameters(*parameters)))


def _shown(default: object) -> str:
    text = repr(default)
    return "..." if text.startswith(("<", "NOTHING")) else text
