//! Where spans go: the collector that the environment names, over OTLP on HTTP, from a thread of its own.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use opentelemetry::KeyValue;
use opentelemetry_otlp::{Protocol, SpanExporter as Otlp, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{BatchSpanProcessor, Config, ShouldSample, SpanData, SpanExporter, SpanProcessor};

/// How long the end of a process waits for a collector: somebody may look at the terminal.
const FINISH_WITHIN: Duration = Duration::from_secs(1);

/// How long one batch may take, unless the environment says otherwise: the default of the standard.
const EXPORT_WITHIN: Duration = Duration::from_secs(10);

/// The name of what tells, unless the environment has one.
const SERVICE: &str = "rerail";

/// The exporter of this process; none if nobody wants traces.
static EXPORT: OnceLock<Export> = OnceLock::new();

/// Takes spans, and never makes anybody wait.
#[derive(Debug)]
pub struct Export {
    processor: BatchSpanProcessor,
    sampler: Box<dyn ShouldSample>,
    made: AtomicUsize,
    taken: Arc<AtomicUsize>,
}

impl Export {
    /// Spans go to `exporter` in batches; which ones the environment says.
    fn new<E: SpanExporter + 'static>(exporter: E, resource: &Resource) -> Export {
        let taken = Arc::new(AtomicUsize::new(0));
        let counted = Counted { exporter, taken: Arc::clone(&taken) };
        let mut processor = BatchSpanProcessor::builder(counted).build();
        processor.set_resource(resource);
        Export { processor, sampler: Config::default().sampler, made: AtomicUsize::new(0), taken }
    }

    /// Who decides what is told.
    pub fn sampler(&self) -> &dyn ShouldSample {
        self.sampler.as_ref()
    }

    /// Tells a span, if there is room in the queue.
    pub fn tell(&self, span: SpanData) {
        self.made.fetch_add(1, Ordering::Relaxed);
        self.processor.on_end(span);
    }
}

/// The exporter of this process.
pub fn export() -> Option<&'static Export> {
    EXPORT.get()
}

/// Begins to tell runs to a collector, if the environment names one. What it says and can't be used is told in the log, and
/// nothing else: these variables are there for many programs, and no run may fail for them.
pub fn start() {
    if !is_wanted(|name| std::env::var(name).ok()) {
        return;
    }
    match connect() {
        Ok(export) => drop(EXPORT.set(export)),
        Err(error) => tracing::warn!(%error, "runs are told to no collector"),
    }
}

/// Waits a moment for what is not told yet; the rest is given up.
pub fn finish() {
    let Some(export) = EXPORT.get() else { return };
    let ended = export.processor.shutdown_with_timeout(FINISH_WITHIN);
    let (made, taken) = (export.made.load(Ordering::Relaxed), export.taken.load(Ordering::Relaxed));
    let given_up = made.saturating_sub(taken);
    match ended {
        Ok(()) if given_up == 0 => tracing::debug!(spans = made, "all spans were told to the collector"),
        ended => {
            let error = ended.err().map(|error| error.to_string());
            tracing::debug!(given_up, spans = made, error, "spans were not told to the collector");
        }
    }
}

/// Whether there is a collector. Its usual address isn't guessed: a terminal would knock on this machine at each command.
fn is_wanted(variable: impl Fn(&str) -> Option<String>) -> bool {
    let given = |name: &str| variable(name).filter(|text| !text.trim().is_empty());
    if given("OTEL_SDK_DISABLED").is_some_and(|text| text.trim().eq_ignore_ascii_case("true")) {
        return false;
    }
    match given("OTEL_TRACES_EXPORTER").as_deref().map(str::trim) {
        Some("otlp") => true,
        Some(_) => false,
        None => ["OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"]
            .into_iter()
            .any(|name| given(name).is_some()),
    }
}

fn connect() -> Result<Export, String> {
    let exporter = Otlp::builder().with_http().with_http_client(client()?);
    let said = ["OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"]
        .into_iter()
        .any(|name| std::env::var(name).is_ok_and(|text| !text.is_empty()));
    // The library's own default depends on what it was built with.
    let exporter = if said { exporter } else { exporter.with_protocol(Protocol::HttpBinary) };
    let exporter = exporter.build().map_err(|error| error.to_string())?;
    Ok(Export::new(exporter, &resource()))
}

/// What tells, as the environment says.
fn resource() -> Resource {
    let named = std::env::var("OTEL_SERVICE_NAME").is_ok_and(|name| !name.is_empty())
        || std::env::var("OTEL_RESOURCE_ATTRIBUTES").is_ok_and(|all| all.contains("service.name="));
    let builder = Resource::builder().with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")));
    if named { builder.build() } else { builder.with_service_name(SERVICE).build() }
}

/// A client that acts on nothing by itself, with the one TLS there is. It blocks, on the thread of the exporter.
fn client() -> Result<reqwest::blocking::Client, String> {
    let roots = rustls::RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    let config = rustls::ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .with_root_certificates(roots)
        .with_no_client_auth();
    reqwest::blocking::Client::builder()
        .tls_backend_preconfigured(config)
        .timeout(timeout())
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .http1_only()
        .build()
        .map_err(|error| error.to_string())
}

/// How long one request may take: the library gives its own limit to its own client only.
fn timeout() -> Duration {
    let ms = ["OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "OTEL_EXPORTER_OTLP_TIMEOUT"]
        .into_iter()
        .find_map(|name| std::env::var(name).ok()?.trim().parse().ok());
    ms.map_or(EXPORT_WITHIN, Duration::from_millis)
}

/// Counts what the collector has taken.
#[derive(Debug)]
struct Counted<E> {
    exporter: E,
    taken: Arc<AtomicUsize>,
}

impl<E: SpanExporter> SpanExporter for Counted<E> {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let count = batch.len();
        let told = self.exporter.export(batch).await;
        match &told {
            Ok(()) => drop(self.taken.fetch_add(count, Ordering::Relaxed)),
            Err(error) => tracing::debug!(spans = count, %error, "the collector did not take a batch"),
        }
        told
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(timeout)
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.exporter.force_flush()
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.exporter.set_resource(resource);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_told_unless_the_environment_names_a_collector() {
        let wanted = |given: &[(&str, &str)]| {
            is_wanted(|name| given.iter().find(|(known, _)| *known == name).map(|(_, text)| (*text).to_owned()))
        };
        let endpoint = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector.example.com:4318");
        assert!(!wanted(&[]));
        assert!(!wanted(&[("OTEL_SERVICE_NAME", "ops"), ("OTEL_EXPORTER_OTLP_ENDPOINT", " ")]));
        assert!(wanted(&[endpoint]));
        assert!(wanted(&[("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://collector.example.com/v1/traces")]));
        assert!(wanted(&[("OTEL_TRACES_EXPORTER", "otlp")]));
        assert!(!wanted(&[endpoint, ("OTEL_TRACES_EXPORTER", "none")]));
        assert!(!wanted(&[endpoint, ("OTEL_SDK_DISABLED", "TRUE")]));
    }
}
