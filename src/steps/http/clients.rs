//! HTTP clients: one kept alive for reads, a new one for each write.
//!
//! A write's client connects exactly once and asks the gate when the connection stands, TLS included. So
//! "nothing was sent" is a fact read from a flag, never a guess from an error.

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use std::time::Duration;

use rustls::client::Resumption;
use tower_layer::Layer;
use tower_service::Service;

use crate::engine::outcome::{Failure, FailureKind};
use crate::failpoint;
use crate::steps::names::HttpNames;
use crate::steps::refusal::Refusal;
use crate::steps::world::World;

/// How long an idle connection for reads is kept. Servers close theirs after 5 s at the earliest (Node's
/// default); reusing one that is about to be closed would report an outage that isn't.
const READ_IDLE_MAX: Duration = Duration::from_secs(2);
/// Idle connections to one host: more reads at once than that just connect.
const READ_IDLE_PER_HOST: usize = 8;

/// Servers whose TLS sessions reads take up again: rustls' own default.
const READ_SESSIONS: usize = 256;

/// The clients of a run.
#[derive(Default)]
pub struct Clients {
    reads: OnceLock<Result<reqwest::Client, Failure>>,
}

impl World {
    /// The client for reads, and for what the program asks for itself.
    ///
    /// # Errors
    /// If a file of certificates can't be read.
    pub fn read_client(&self) -> Result<reqwest::Client, Failure> {
        let build = || {
            let mut config = self.shared.trust.client_config()?;
            config.resumption = Resumption::in_memory_sessions(READ_SESSIONS);
            let builder =
                self.client(config).pool_idle_timeout(READ_IDLE_MAX).pool_max_idle_per_host(READ_IDLE_PER_HOST);
            builder.build().map_err(unusable)
        };
        self.shared.clients.reads.get_or_init(build).clone()
    }

    /// A client for one write, and the flag that tells whether its connection stood.
    pub(super) fn write_client(&self) -> Result<(reqwest::Client, Arc<AtomicBool>), Failure> {
        let stood = Arc::new(AtomicBool::new(false));
        let once = Once { world: self.clone(), tried: Arc::new(AtomicBool::new(false)), stood: Arc::clone(&stood) };
        let config = self.shared.trust.client_config()?;
        let client = self.client(config).pool_max_idle_per_host(0).connector_layer(once).build().map_err(unusable)?;
        Ok((client, stood))
    }

    /// What both have in common: nothing that acts on its own.
    fn client(&self, config: rustls::ClientConfig) -> reqwest::ClientBuilder {
        reqwest::Client::builder()
            .tls_backend_preconfigured(config)
            .dns_resolver(HttpNames(Arc::clone(&self.shared.names)))
            .user_agent(concat!("rerail/", env!("CARGO_PKG_VERSION")))
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .referer(false)
            .retry(reqwest::retry::never())
            .http1_only()
    }
}

fn unusable(error: reqwest::Error) -> Failure {
    Failure::new(FailureKind::Connect, format!("the HTTP client can't be built: {}", error.without_url()))
}

/// Wraps a connector: connects once, then asks the gate.
#[derive(Clone)]
struct Once {
    world: World,
    tried: Arc<AtomicBool>,
    stood: Arc<AtomicBool>,
}

impl<S> Layer<S> for Once {
    type Service = OnceConnector<S>;

    fn layer(&self, connector: S) -> OnceConnector<S> {
        OnceConnector { connector, once: self.clone() }
    }
}

/// See [`Once`].
#[derive(Clone)]
struct OnceConnector<S> {
    connector: S,
    once: Once,
}

impl<S, R> Service<R> for OnceConnector<S>
where
    S: Service<R, Error = Box<dyn std::error::Error + Send + Sync>>,
    S::Response: Send,
    S::Future: Send + 'static,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<S::Response, S::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.connector.poll_ready(context)
    }

    fn call(&mut self, request: R) -> Self::Future {
        let connecting = self.connector.call(request);
        let Once { world, tried, stood } = self.once.clone();
        Box::pin(async move {
            if tried.swap(true, Ordering::SeqCst) {
                // No library may decide to send a write again.
                let failure = Failure::new(FailureKind::Policy, "a write connects once");
                return Err(Box::new(Refusal(failure)) as S::Error);
            }
            let connection = connecting.await?;
            world.gate().map_err(Refusal)?;
            stood.store(true, Ordering::SeqCst);
            failpoint::hit("http.connected");
            Ok(connection)
        })
    }
}
