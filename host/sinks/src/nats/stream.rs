//! The stream for the subjects: found, or created if configured, and checked before anything is sent. An operator has
//! to fix a stream on the server, so the sink reports the problem and retries.

use async_nats::jetstream::Context;
use async_nats::jetstream::context::{GetStreamByNameErrorKind, GetStreamErrorKind};
use async_nats::jetstream::stream::{Config, Stream};

use super::NatsOptions;
use super::subject::SubjectTemplate;
use crate::sink::SinkError;

/// Refuses invalid stream names.
pub(super) fn judge_name(name: &str) -> Result<(), String> {
    let bad = |c: char| c.is_whitespace() || c.is_control() || matches!(c, '.' | '*' | '>' | '/' | '\\');
    if name.is_empty() || name.contains(bad) {
        return Err(format!(
            "`stream` is `{name}`, which is not a valid stream name: use letters, digits, `-` and `_`"
        ));
    }
    Ok(())
}

/// Makes sure that a stream accepts the subjects, acknowledges, and remembers ids.
pub(super) async fn prepare(
    context: &Context,
    place: &str,
    subject: &SubjectTemplate,
    options: &NatsOptions,
) -> Result<(), SinkError> {
    let stream = find(context, place, subject, options).await?;
    let config = &stream.cached_info().config;
    let name = &config.name;
    let wrong = if config.no_ack {
        Some("doesn't acknowledge messages; unset its `no_ack`")
    } else if config.sealed {
        Some("is sealed; use another")
    } else if config.duplicate_window.is_zero() {
        Some("has no duplicate window; set one, or messages will be stored twice")
    } else {
        None
    };
    if let Some(wrong) = wrong {
        return Err(SinkError::Retry(format!("{place}: stream `{name}` {wrong}")));
    }
    let (window, wanted) = (config.duplicate_window, options.duplicate_window.duration());
    if window < wanted {
        tracing::warn!(
            place,
            stream = name,
            "the stream remembers ids for {window:?} and `duplicate_window` asks for {wanted:?}: a record may be stored \
             twice after an outage longer than {window:?}"
        );
    } else {
        tracing::info!(place, stream = name, "delivery is exactly once in outages of up to {window:?}");
    }
    Ok(())
}

async fn find(
    context: &Context,
    place: &str,
    subject: &SubjectTemplate,
    options: &NatsOptions,
) -> Result<Stream, SinkError> {
    let retry = |error: String| SinkError::Retry(format!("{place}: {error}"));
    let pattern = subject.pattern();
    let name = match &options.stream {
        Some(name) => name.clone(),
        None => context.stream_by_subject(pattern.clone()).await.map_err(|error| match error.kind() {
            GetStreamByNameErrorKind::NotFound => retry(format!(
                "no stream takes `{pattern}`; create one for it, or give `stream` and `create_stream = true`"
            )),
            _ => retry(format!("can't look up the stream of `{pattern}`: {error}; does the server run JetStream?")),
        })?,
    };
    match context.get_stream(&name).await {
        Ok(stream) => Ok(stream),
        Err(error) if is_absent(&error.kind()) && options.create_stream => {
            let config = Config {
                name: name.clone(),
                subjects: vec![pattern.clone()],
                duplicate_window: options.duplicate_window.duration(),
                ..Config::default()
            };
            let created = context.create_stream(config).await;
            created.map_err(|error| retry(format!("can't create stream `{name}` for `{pattern}`: {error}")))
        }
        Err(error) if is_absent(&error.kind()) => {
            Err(retry(format!("stream `{name}` doesn't exist; create it, or set `create_stream = true`")))
        }
        Err(error) => Err(retry(format!("can't look up stream `{name}`: {error}; does the server run JetStream?"))),
    }
}

fn is_absent(error: &GetStreamErrorKind) -> bool {
    matches!(error, GetStreamErrorKind::JetStream(said) if said.code() == 404)
}
