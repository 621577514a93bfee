"""
OpenTelemetry traces across HTTP, outbox, bus and handler (W3C Trace Context).

Until ``configure`` is called nothing is recorded and spans cost next to nothing; what
a caller sent in ``traceparent`` is handed on all the same.
"""

from collections.abc import Iterator, Mapping, MutableMapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Final

from opentelemetry import context, trace
from opentelemetry.instrumentation.aiohttp_client import AioHttpClientInstrumentor
from opentelemetry.instrumentation.asyncpg import AsyncPGInstrumentor
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter
from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased
from opentelemetry.trace import Link, Span, SpanKind, Status, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

TRACEPARENT: Final = "traceparent"
LINKS_MAX: Final = 32
"""A batch names this many of the spans that caused it; the rest is left out."""

_propagator: Final = TraceContextTextMapPropagator()


class _State:
    provider: TracerProvider | None = None


def configure(
    service: str,
    *,
    otlp_endpoint: str | None,
    ratio: float = 0.1,
    exporter: SpanExporter | None = None,
) -> None:
    """
    Record *ratio* (0 to 1) of the traces that begin here, and all whose caller does.

    Spans go to *otlp_endpoint* (OTLP over HTTP, e.g. ``http://collector:4318``), or to
    *exporter*; without either nothing is recorded.
    """
    if exporter is None and otlp_endpoint:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

        exporter = OTLPSpanExporter(endpoint=f"{otlp_endpoint.rstrip('/')}/v1/traces")
    if exporter is None:
        return
    provider = TracerProvider(
        resource=Resource.create({"service.name": service}),
        sampler=ParentBased(TraceIdRatioBased(ratio)),
    )
    provider.add_span_processor(BatchSpanProcessor(exporter))
    _State.provider = provider
    AioHttpClientInstrumentor().instrument(tracer_provider=provider)
    _asyncpg().instrument(tracer_provider=provider)


def shut_down() -> None:
    """Send what is still waiting and stop recording; repeats safely."""
    if _State.provider is None:
        return
    _State.provider.shutdown()
    _State.provider = None
    AioHttpClientInstrumentor().uninstrument()
    _asyncpg().uninstrument()


def _asyncpg() -> AsyncPGInstrumentor:
    return AsyncPGInstrumentor()  # type: ignore[no-untyped-call]  # it has no annotations


def enabled() -> bool:
    """Return whether spans are recorded at all."""
    return _State.provider is not None


def inject(headers: MutableMapping[str, str]) -> None:
    """Add ``traceparent`` to *headers* if we are inside a trace."""
    _propagator.inject(headers)


def extract(headers: Mapping[str, str]) -> context.Context:
    """Return the context of whoever sent *headers*; an odd or absent one is ignored."""
    return _propagator.extract(headers)


def traceparent() -> str | None:
    """Return the present span as a ``traceparent``, None outside of any trace."""
    if not trace.get_current_span().get_span_context().is_valid:
        return None
    headers: dict[str, str] = {}
    inject(headers)
    return headers.get(TRACEPARENT)


def trace_id() -> str | None:
    """Return the present trace's id in hex, None outside of any trace."""
    found = trace.get_current_span().get_span_context()
    return f"{found.trace_id:032x}" if found.is_valid else None


def serving(
    method: str, route: str, headers: Mapping[str, str]
) -> AbstractContextManager[Span | None]:
    """Open the span of one HTTP request, below its caller's."""
    if _State.provider is None and TRACEPARENT not in headers:
        return nullcontext()
    return _span(f"{method} {route}", SpanKind.SERVER, extract(dict(headers)))


def consuming(
    consumer: str, messages: Sequence[Mapping[str, str]]
) -> AbstractContextManager[Span | None]:
    """
    Open the span of a batch of messages, given their headers.

    One message continues its sender's trace; of several, each is linked (up to
    ``LINKS_MAX``), because a batch has many causes and no single parent.
    """
    if len(messages) == 1 and TRACEPARENT in messages[0]:
        return _span(consumer, SpanKind.CONSUMER, extract(messages[0]))
    if _State.provider is None:
        return nullcontext()
    causes = [
        trace.get_current_span(extract(headers)).get_span_context()
        for headers in messages[:LINKS_MAX]
    ]
    links = [Link(cause) for cause in causes if cause.is_valid]
    return _span(consumer, SpanKind.CONSUMER, context.Context(), links)


def span(name: str) -> AbstractContextManager[Span | None]:
    """Open a span of our own below the present one."""
    if _State.provider is None:
        return nullcontext()
    return _span(name, SpanKind.INTERNAL, None)


@contextmanager
def _span(
    name: str, kind: SpanKind, parent: context.Context | None, links: Sequence[Link] = ()
) -> Iterator[Span | None]:
    if _State.provider is None:
        token = context.attach(parent or context.Context())
        try:
            yield None
        finally:
            context.detach(token)
        return
    tracer = _State.provider.get_tracer("yuefu")
    with tracer.start_as_current_span(
        name, context=parent, kind=kind, links=links, record_exception=False
    ) as opened:
        yield opened


def failed(opened: Span | None, what: str) -> None:
    """Mark a span as failed; *what* is a code or a class name, never a message."""
    if opened is not None:
        opened.set_status(Status(StatusCode.ERROR, what))
