//! The one `tracing` layer of the program: remembers the fields of each span, makes a [`Line`] of each event, and hands
//! it to the sinks.
//!
//! One layer for all sinks, so that fields are formatted and hidden once. To add a sink: a field of [`LogLayer`] and
//! a call in `on_event`.

use std::sync::Arc;

use serde_json::Value;
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Subscriber};
use tracing_log::NormalizeEvent;
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::LookupSpan;

use super::TENANT_FIELD;
use super::console::Console;
use super::fields::Fields;
use super::line::{Line, timestamp};
use super::tenant_log::{TenantLog, is_tenant_key};

/// Writes events to the console and to the files of their tenants.
pub(super) struct LogLayer {
    console: Console,
    tenants: Option<TenantLog>,
}

/// What is remembered of a span.
#[derive(Debug, Default)]
struct SpanData {
    fields: Fields,
    tenant: Tenant,
}

/// What a span says about its tenant.
#[derive(Debug, Clone, Default)]
enum Tenant {
    /// Nothing: the span around it decides.
    #[default]
    Unsaid,
    /// Something that is not a tenant key: no file at all.
    Refused,
    /// This tenant.
    Key(Arc<str>),
}

impl SpanData {
    fn add(&mut self, fields: &Fields) {
        self.fields.merge(fields);
        match fields.get(TENANT_FIELD) {
            None => {}
            Some(Value::String(key)) if is_tenant_key(key) => self.tenant = Tenant::Key(key.as_str().into()),
            Some(_) => self.tenant = Tenant::Refused,
        }
    }
}

impl LogLayer {
    pub(super) fn new(console: Console, tenants: Option<TenantLog>) -> Self {
        Self { console, tenants }
    }
}

impl<S> Layer<S> for LogLayer
where
    S: Subscriber + for<'span> LookupSpan<'span>,
{
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        // Values format themselves here, before the span's lock is taken: their `Debug` may log.
        let mut fields = Fields::default();
        attributes.record(&mut fields);
        let mut data = SpanData::default();
        data.add(&fields);
        if let Some(span) = context.span(id) {
            span.extensions_mut().insert(data);
        }
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        let mut fields = Fields::default();
        values.record(&mut fields);
        if let Some(span) = context.span(id)
            && let Some(data) = span.extensions_mut().get_mut::<SpanData>()
        {
            data.add(&fields);
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let mut own = Fields::default();
        event.record(&mut own);
        let mut fields = Fields {
            message: own.message.take(),
            ..Fields::default()
        };
        let mut spans = String::new();
        let mut tenant = Tenant::Unsaid;
        for span in context
            .event_scope(event)
            .into_iter()
            .flat_map(|scope| scope.from_root())
        {
            if !spans.is_empty() {
                spans.push(':');
            }
            spans.push_str(span.name());
            if let Some(data) = span.extensions().get::<SpanData>() {
                fields.merge(&data.fields);
                if !matches!(data.tenant, Tenant::Unsaid) {
                    tenant = data.tenant.clone();
                }
            }
        }
        fields.merge(&own);
        // Records of the `log` crate keep their place in fields.
        let normalized = event.normalized_metadata();
        let metadata = normalized.as_ref().unwrap_or_else(|| event.metadata());
        let tenant = if let Tenant::Key(key) = tenant {
            Some(key)
        } else {
            None
        };
        let line = Line {
            timestamp: timestamp(),
            level: *metadata.level(),
            target: metadata.target().to_owned(),
            spans,
            fields,
            tenant,
        };
        self.console.write(&line);
        if let Some(tenants) = &self.tenants {
            tenants.write(&line);
        }
    }
}
