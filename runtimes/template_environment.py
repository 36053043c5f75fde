"""Jinja's sandbox as transformers sets it up, with bounds on loops, sizes and time.

Source: ``transformers.utils.chat_template_utils`` for what a template can refer to.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any, NoReturn

import jinja2
from jinja2 import nodes
from jinja2.compiler import CodeGenerator, Frame, operators
from jinja2.ext import Extension, loopcontrols
from jinja2.parser import Parser
from jinja2.runtime import Context, Macro, markup_join, str_join
from jinja2.sandbox import ImmutableSandboxedEnvironment

from ossc.runtimes.template_growth import check_filter, check_method, check_operator
from ossc.runtimes.template_limits import Budget, CountedIterable

_CALL_VARIABLES = ("_loop_vars", "_block_vars")
"""What Jinja's compiler hands to each call besides the arguments."""


class TemplateRefusalError(jinja2.TemplateError):
    """The template itself refused the messages, with ``raise_exception``."""


class _GenerationTag(Extension):
    """``{% generation %}`` marks what an assistant says, for training; here it is only a scope."""

    tags = {"generation"}  # noqa: RUF012 - Jinja's interface

    def parse(self, parser: Parser) -> nodes.Node:
        line = next(parser.stream).lineno
        body = parser.parse_statements(("name:endgeneration",), drop_needle=True)
        return nodes.CallBlock(self.call_method("said"), [], [], body).set_lineno(line)

    def said(self, caller: Macro) -> Any:
        """What the block renders to."""
        return caller()


TEMPLATE_SYNTAX = (_GenerationTag, loopcontrols)


class _BoundedCode(CodeGenerator):
    """Python code of a template, in which loops and everything that makes a value are counted."""

    def visit_For(self, node: nodes.For, frame: Frame) -> None:  # noqa: N802 - Jinja's interface
        counted = nodes.EnvironmentAttribute("counted", lineno=node.lineno)
        node.iter = nodes.Call(counted, [node.iter], [], None, None, lineno=node.lineno)
        super().visit_For(node, frame)

    def visit_Concat(self, node: nodes.Concat, frame: Frame) -> None:  # noqa: N802
        self.write("environment.joined(context, (")
        for each in node.nodes:
            self.visit(each, frame)
            self.write(", ")
        self.write("))")

    def visit_Operand(self, node: nodes.Operand, frame: Frame) -> None:  # noqa: N802
        """What a value is compared with, or looked for in."""
        if isinstance(node.expr, nodes.Const):
            super().visit_Operand(node, frame)
        else:
            self.write(f" {operators[node.op]} ")
            self._checked(self.visit, node.expr, frame)

    def visit_Getitem(self, node: nodes.Getitem, frame: Frame) -> None:  # noqa: N802
        if isinstance(node.arg, nodes.Slice):
            self._checked(super().visit_Getitem, node, frame)
        else:
            super().visit_Getitem(node, frame)

    def visit_List(self, node: nodes.List, frame: Frame) -> None:  # noqa: N802
        self._checked(super().visit_List, node, frame)

    def visit_Dict(self, node: nodes.Dict, frame: Frame) -> None:  # noqa: N802
        self._checked(super().visit_Dict, node, frame)

    def visit_Tuple(self, node: nodes.Tuple, frame: Frame) -> None:  # noqa: N802
        if node.ctx == "load":
            self._checked(super().visit_Tuple, node, frame)
        else:
            super().visit_Tuple(node, frame)

    def _checked(self, visit: Callable[[Any, Frame], None], node: nodes.Expr, frame: Frame) -> None:
        self.write("environment.checked(")
        visit(node, frame)
        self.write(")")


class TemplateEnvironment(ImmutableSandboxedEnvironment):
    """Where one template is rendered once."""

    code_generator_class = _BoundedCode
    intercepted_binops = frozenset(("+", "*", "**", "%"))

    def __init__(self, budget: Budget, clock: Callable[[], datetime]) -> None:
        """Prepare a rendering.

        Args:
            budget: What it may use up.
            clock: Tells the time for ``strftime_now``.
        """
        super().__init__(
            trim_blocks=True,
            lstrip_blocks=True,
            optimized=False,  # or constants were computed without the bounds
            finalize=self._written,
            extensions=TEMPLATE_SYNTAX,
        )
        self.budget = budget
        self.checked = budget.checked
        self._unbounded = ImmutableSandboxedEnvironment()
        self._unbounded.filters["tojson"] = self._to_json
        self.filters |= {name: self._bounded_filter(name) for name in self._unbounded.filters}
        self.tests["in"] = lambda value, values: value in self.checked(values)
        del self.globals["lipsum"]
        self.globals["raise_exception"] = _raise_exception
        self.globals["strftime_now"] = lambda layout: clock().strftime(layout)

    def concat(self, parts: Iterable[str]) -> str:
        """What a macro or a block wrote."""
        return "".join(self._counted_parts(parts))

    def counted(self, iterable: Iterable[Any]) -> CountedIterable:
        """What a loop runs over."""
        return CountedIterable(iterable, self.budget)

    def joined(self, context: Context, values: Sequence[Any]) -> str:
        """What ``~`` makes of values."""
        self.budget.checked(values)
        return (markup_join if context.eval_ctx.autoescape else str_join)(values)

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        """What an operator makes of two values."""
        check_operator(self.budget, operator, left, right)
        return self.checked(super().call_binop(context, operator, left, right))

    def call(self, context: Context, function: Any, /, *args: Any, **kwargs: Any) -> Any:
        """What a function, a method or a macro returns."""
        self.budget.turn()
        named = {name: kwargs[name] for name in kwargs if name not in _CALL_VARIABLES}
        self.checked((args, named))
        checked_args = check_method(self.budget, function, args, named)
        return self.checked(super().call(context, function, *checked_args, **kwargs))

    def _bounded_filter(self, name: str) -> Callable[..., Any]:
        @jinja2.pass_context
        def bounded(context: Context, value: Any, *args: Any, **kwargs: Any) -> Any:
            self.checked((value, args, kwargs))
            value = check_filter(self.budget, name, value, args, kwargs)
            result = self._unbounded.call_filter(name, value, args, kwargs, context=context)
            return self.checked(result)

        return bounded

    def _to_json(
        self,
        value: Any,
        ensure_ascii: bool = False,
        indent: int | str | None = None,
        separators: tuple[str, str] | None = None,
        sort_keys: bool = False,
    ) -> str:
        """Jinja's own filter escapes HTML; templates expect plain JSON."""
        encoder = json.JSONEncoder(
            ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys
        )
        return self.concat(self._counted_parts(encoder.iterencode(value)))

    def _counted_parts(self, parts: Iterable[str]) -> Iterator[str]:
        total = 0
        for part in parts:
            total += len(part)
            self.budget.allow(total)
            yield part

    @jinja2.pass_context
    def _written(self, _context: Context, value: Any) -> Any:
        self.budget.written(value)
        return value


def _raise_exception(message: str) -> NoReturn:
    raise TemplateRefusalError(message)
