//! What a primitive may use of the world: connections, names, secrets, files, and the driver's gate.
//!
//! Cheap to build: clients, resolver and roots come into being when the first step needs them. A driver
//! keeps one world per run and derives one per attempt ([`World::until`], [`World::gated`]).

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::Instant;
use url::{Host, Url};

use crate::engine::ids::StepPath;
use crate::engine::outcome::{Failure, FailureKind};
use crate::redact::Redactor;
use crate::runbook::egress::{DrivenBy, Egress as Rule};
use crate::runbook::settings::{SecretSource, Settings, Target};
use crate::script::secret::{Leaf, Part, Sealed, SecretText};
use crate::script::value::{Map, Value};
use crate::steps::args::invalid;
use crate::steps::blobs::Blobs;
use crate::steps::dial;
use crate::steps::egress::{Egress, host_matches, host_text, read_host};
use crate::steps::http::clients::Clients;
use crate::steps::names::Names;
use crate::steps::secrets::Secrets;
use crate::steps::trust::Trust;
use crate::traces::{Attempt, Request, Trace};

/// What decides what a world allows.
#[derive(Clone, Debug, Default)]
pub struct WorldSettings {
    /// The project's directory, absolute; relative paths start here.
    pub project: PathBuf,
    /// `allow` of the project: which environment values may be read, where files may be written.
    pub settings: Settings,
    /// Where the target's secrets come from.
    pub secrets: BTreeMap<String, SecretSource>,
    /// The target's host patterns; empty = every host.
    pub allow_hosts: Vec<String>,
    /// What the target says of addresses that are not public, beside what the project says.
    pub egress: Option<Rule>,
    /// Who drives: it counts where neither of them says anything.
    pub driven_by: DrivenBy,
    /// The target's host patterns of those who are told which span a request is; empty = nobody.
    pub trace_hosts: Vec<String>,
    /// The target's file of PEM certificates to trust as well.
    pub ca: Option<String>,
    /// Name servers to ask instead of the system's.
    pub name_servers: Vec<SocketAddr>,
    /// Learns each secret when it is read.
    pub redactor: Redactor,
    /// Where files that steps keep lie; `None` = in a directory that goes with the world.
    pub blobs: Option<PathBuf>,
    /// Opens sealed values when they are sent.
    pub sealed: SealedValues,
}

impl WorldSettings {
    /// What a project and a target allow.
    pub fn of(project: &Path, settings: &Settings, target: Option<&Target>, redactor: &Redactor) -> WorldSettings {
        WorldSettings {
            project: project.to_owned(),
            settings: settings.clone(),
            secrets: target.map(|target| target.secrets.clone()).unwrap_or_default(),
            allow_hosts: target.map(|target| target.allow_hosts.clone()).unwrap_or_default(),
            egress: target.and_then(|target| target.policy.egress.clone()),
            driven_by: DrivenBy::default(),
            trace_hosts: target.map(|target| target.trace_hosts.clone()).unwrap_or_default(),
            ca: target.and_then(|target| target.ca.clone()),
            name_servers: Vec::new(),
            redactor: redactor.clone(),
            blobs: None,
            sealed: SealedValues::default(),
        }
    }
}

/// Who opens sealed values when they are sent; by default nobody.
#[derive(Clone, Default)]
pub struct SealedValues(Option<Arc<Open>>);

/// Gives the text of a sealed value, which the redactor knows by then; or says why it can't.
type Open = dyn Fn(&Sealed) -> Result<String, Failure> + Send + Sync;

impl SealedValues {
    /// Opened by `open`.
    pub fn opened_by(open: impl Fn(&Sealed) -> Result<String, Failure> + Send + Sync + 'static) -> SealedValues {
        SealedValues(Some(Arc::new(open)))
    }

    fn open(&self, sealed: &Sealed) -> Result<String, Failure> {
        match &self.0 {
            Some(open) => open(sealed),
            None => Err(Failure::new(FailureKind::Secret, format!("sealed value {sealed} can't be opened here"))),
        }
    }
}

impl std::fmt::Debug for SealedValues {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SealedValues")
    }
}

/// Both directions of a connection.
pub trait Duplex: AsyncRead + AsyncWrite + Unpin + Send {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> Duplex for T {}

/// A connection, with or without TLS.
pub type Connection = Box<dyn Duplex>;

/// Asked directly before the first byte of a write: may this driver still act? Called on the thread that
/// performs the step, so it must not wait long.
pub type Gate = Arc<dyn Fn() -> Result<(), Failure> + Send + Sync>;

/// The world as one attempt sees it.
#[derive(Clone)]
pub struct World {
    pub(super) shared: Arc<Shared>,
    deadline: Option<Instant>,
    gate: Option<Gate>,
    trace: Option<Trace>,
    attempt: Option<Attempt>,
}

/// What all attempts of a run share.
pub(super) struct Shared {
    pub project: PathBuf,
    pub settings: Settings,
    pub egress: Egress,
    pub trace_hosts: Vec<String>,
    pub names: Arc<Names>,
    pub secrets: Secrets,
    pub trust: Trust,
    pub clients: Clients,
    pub redactor: Redactor,
    pub blobs: Blobs,
    pub sealed: SealedValues,
}

impl World {
    /// A world without deadline, whose gate is shut: no write passes before [`World::gated`].
    pub fn new(settings: WorldSettings) -> World {
        let (project, target) = (&settings.settings.egress, settings.egress.as_ref());
        let egress = Egress::new(settings.allow_hosts).under(project, target, settings.driven_by);
        let names = Arc::new(Names::new(settings.name_servers, egress.clone()));
        let shared = Shared {
            egress,
            trace_hosts: settings.trace_hosts,
            secrets: Secrets::new(
                settings.secrets,
                settings.project.clone(),
                settings.settings.secret_commands.clone(),
                settings.redactor.clone(),
            ),
            trust: Trust::new(settings.ca.map(|path| settings.project.join(path))),
            clients: Clients::default(),
            redactor: settings.redactor,
            blobs: settings.blobs.map_or_else(Blobs::default, Blobs::at),
            sealed: settings.sealed,
            names,
            project: settings.project,
            settings: settings.settings,
        };
        World { shared: Arc::new(shared), deadline: None, gate: None, trace: None, attempt: None }
    }

    /// The same world for an attempt that must end by `deadline`.
    #[must_use]
    pub fn until(&self, deadline: Instant) -> World {
        World { deadline: Some(deadline), ..self.clone() }
    }

    /// The same world with this gate in front of writes.
    #[must_use]
    pub fn gated(&self, gate: impl Fn() -> Result<(), Failure> + Send + Sync + 'static) -> World {
        World { gate: Some(Arc::new(gate)), ..self.clone() }
    }

    /// The same world, which tells its requests as parts of this trace.
    #[must_use]
    pub fn traced(self, trace: Trace) -> World {
        World { trace: Some(trace), ..self }
    }

    /// The same world for an attempt of `step`, which has begun.
    #[must_use]
    pub fn of_attempt(self, step: &StepPath, attempt: u32) -> World {
        let attempt = self.trace.as_ref().map(|trace| trace.attempt(step, attempt));
        World { attempt, ..self }
    }

    /// A request begins now; nothing if nobody wants to know.
    pub(super) fn request(&self, method: &str, url: &Url, host: &str) -> Option<Request> {
        Some(self.attempt.as_ref()?.request(method, host, url.port_or_known_default(), url.scheme()))
    }

    /// Whether requests to `host` say which span they are.
    pub(super) fn tells_its_span_to(&self, host: &str) -> bool {
        self.shared.trace_hosts.iter().any(|pattern| host_matches(pattern, host))
    }

    /// Asks the driver whether a write may begin now.
    ///
    /// # Errors
    /// Why not; the attempt is then refused, with proof that nothing was sent.
    pub fn gate(&self) -> Result<(), Failure> {
        match &self.gate {
            Some(gate) => gate(),
            None => Err(Failure::new(FailureKind::Policy, "writes are not open to this driver")),
        }
    }

    /// When a piece of work that may take `own` has to end: then, or with the attempt.
    pub fn deadline(&self, own: Duration) -> Instant {
        // A duration beyond what a clock can count is as good as a year.
        const YEAR: Duration = Duration::from_secs(365 * 24 * 3600);
        let now = Instant::now();
        let own = now + own.min(YEAR);
        self.deadline.map_or(own, |deadline| deadline.min(own))
    }

    /// Replaces secrets inside `value` by their texts, for sending to `host` (or to no host: a file). The
    /// result must not be kept longer than it takes to send it.
    ///
    /// # Errors
    /// A secret that is missing, too short, or bound to other hosts; nothing was read of those.
    pub fn reveal(&self, value: &Value, host: Option<&str>) -> Result<Value, Failure> {
        Ok(match value {
            Value::Secret(secret) => {
                secret.names().into_iter().try_for_each(|name| self.shared.secrets.check(name, host))?;
                Value::Text(secret.resolve(&mut |leaf| self.text_of(leaf))?)
            }
            Value::List(items) => {
                Value::List(items.iter().map(|item| self.reveal(item, host)).collect::<Result<_, _>>()?)
            }
            Value::Map(map) => Value::Map(
                map.iter()
                    .map(|(key, item)| self.reveal(item, host).map(|item| (key.clone(), item)))
                    .collect::<Result<_, _>>()?,
            ),
            Value::Unknown(unknown) => {
                return Err(Failure::new(
                    FailureKind::Argument,
                    format!("a value is not known before {} has run", unknown.origin),
                ));
            }
            plain => plain.clone(),
        })
    }

    /// Reveals for a command that talks to these hosts: a secret bound to hosts must be bound to one of them.
    ///
    /// # Errors
    /// As [`World::reveal`] has them.
    pub(super) fn reveal_to_command(&self, value: &Value, hosts: &[String]) -> Result<Value, Failure> {
        let Value::Secret(secret) = value else { return self.reveal(value, None) };
        for name in secret.names() {
            let check = |host: Option<&str>| self.shared.secrets.check(name, host);
            if hosts.iter().any(|host| check(Some(host)).is_ok()) {
                continue;
            }
            check(None).map_err(|failure| {
                let way = "a command gets it if its line under `allow.exec` in rerail.yaml has one of them in `hosts`";
                Failure { message: format!("{}; {way}", failure.message), ..failure }
            })?;
        }
        Ok(Value::Text(secret.resolve(&mut |leaf| self.text_of(leaf))?))
    }

    /// The text of a secret expression, to be sealed and sent nowhere: so it doesn't matter where it may go.
    ///
    /// # Errors
    /// A secret that is missing or can't be one.
    pub fn text_to_seal(&self, secret: &SecretText) -> Result<String, Failure> {
        secret.resolve(&mut |leaf| self.text_of(leaf))
    }

    /// A connection for a conversation that is not of a step, with TLS if that is asked for.
    ///
    /// # Errors
    /// A host that is not allowed, can't be reached by `deadline`, or has no good certificate.
    pub async fn connection(
        &self,
        host: &Host,
        port: u16,
        tls: bool,
        deadline: Instant,
    ) -> Result<Connection, Failure> {
        self.shared.egress.check_host(host)?;
        let (stream, _) = dial::connect(self, host, port, deadline).await?;
        Ok(match tls {
            true => Box::new(dial::secure(self, stream, host, deadline).await?),
            false => Box::new(stream),
        })
    }

    /// The text of one secret: read where the target says, or opened.
    fn text_of(&self, leaf: Leaf<'_>) -> Result<String, Failure> {
        match leaf {
            Leaf::Named(name) => self.shared.secrets.read(name),
            Leaf::Sealed(sealed) => self.shared.sealed.open(sealed),
        }
    }

    /// What may leave as text that people read: the texts of known secrets are taken out. The last net only;
    /// an argument that holds a secret by name is refused before.
    pub(super) fn for_people(&self, message: &Map) -> Map {
        self.shared.secrets.redact(message)
    }

    /// Reads a secret so that the redactor knows it before anything can echo it; the value is dropped.
    ///
    /// # Errors
    /// A secret that is missing or too short.
    pub fn learn_secret(&self, name: &str) -> Result<(), Failure> {
        self.shared.secrets.read(name).map(drop)
    }

    /// What `measure` says of a secret: how long it is, what its fingerprint is. The value is dropped.
    ///
    /// # Errors
    /// A secret that is missing or can't be one.
    pub fn measure_secret<T>(&self, name: &str, measure: impl FnOnce(&str) -> T) -> Result<T, Failure> {
        self.shared.secrets.read(name).map(|text| measure(&text))
    }

    /// Reads an address argument, which may hold a secret (`"https://hooks.example.com/" + secrets.HOOK`),
    /// and checks that it may be connected to and that its secrets may go there. No message shows more of
    /// it than its host.
    ///
    /// # Errors
    /// An unusable address, a host that is not allowed, a secret that may not go there.
    pub fn reveal_url(&self, value: &Value) -> Result<(Url, String), Failure> {
        let problem = address_problem;
        if let Value::Secret(secret) = value
            && names_its_host_by_a_secret(secret)
        {
            return Err(problem("a secret can't be a part of the host name"));
        }
        let (url, names) = self.address(value)?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(problem(&format!("expected http or https, got {}", url.scheme())));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(problem("holds a user name or password; use a header built from a secret"));
        }
        let host = url.host().ok_or_else(|| problem("has no host"))?.to_owned();
        let shown = host_text(&host);
        self.shared.egress.check_host(&host)?;
        names.iter().try_for_each(|name| self.shared.secrets.check(name, Some(&shown)))?;
        Ok((url, shown))
    }

    /// Reads the address of a database, which may hold a password and may be a secret in parts or as a whole,
    /// and checks as [`World::reveal_url`] does. No message shows any of it.
    ///
    /// # Errors
    /// An unusable address, a host that is not allowed, a secret that may not go there.
    pub(super) fn reveal_database_url(&self, value: &Value) -> Result<Url, Failure> {
        let (url, names) = self.address(value)?;
        if !matches!(url.scheme(), "postgres" | "postgresql") {
            return Err(address_problem("expected postgres://USER:PASSWORD@HOST/DATABASE"));
        }
        let host = url.host_str().filter(|host| !host.is_empty()).ok_or_else(|| address_problem("has no host"))?;
        // Name servers are asked for the host, so it is a secret only where the whole address is one.
        if let Value::Secret(SecretText::Concat(parts)) = value
            && !parts.iter().any(|part| matches!(part, Part::Text(text) if text.contains(host)))
        {
            return Err(address_problem("a secret can't be a part of the host name"));
        }
        let host = read_host(host).map_err(|_| address_problem("names a host that can't be one"))?;
        self.shared.egress.check_host(&host)?;
        let shown = host_text(&host);
        names.iter().try_for_each(|name| self.shared.secrets.check(name, Some(&shown)))?;
        Ok(url)
    }

    /// Takes an address apart that is no URL, such as one of several hosts, and checks each of its hosts as
    /// [`World::reveal_url`] does. `read` gives what it made of it and the hosts.
    ///
    /// # Errors
    /// Those of `read`, which shows none of the text; a host that is not allowed, a secret that may not go there.
    pub(super) fn reveal_to_hosts<T>(
        &self,
        name: &str,
        value: &Value,
        read: impl FnOnce(&str) -> Result<(T, Vec<Host>), Failure>,
    ) -> Result<T, Failure> {
        let (text, names) = match value {
            Value::Text(text) => (text.clone(), Vec::new()),
            Value::Secret(secret) => (secret.resolve(&mut |leaf| self.text_of(leaf))?, secret.names()),
            other => return Err(invalid(name, &format!("expected an address, got {}", other.kind()))),
        };
        let (taken_apart, hosts) = read(&text)?;
        for host in &hosts {
            self.shared.egress.check_host(host)?;
            let shown = host_text(host);
            names.iter().try_for_each(|name| self.shared.secrets.check(name, Some(&shown)))?;
        }
        Ok(taken_apart)
    }

    /// The address in a value, put together, and the secrets in it. Where it goes is only known then; nothing
    /// leaves before the caller has checked it.
    fn address<'v>(&self, value: &'v Value) -> Result<(Url, Vec<&'v str>), Failure> {
        let (text, names) = match value {
            Value::Text(text) => (text.clone(), Vec::new()),
            Value::Secret(secret) => (secret.resolve(&mut |leaf| self.text_of(leaf))?, secret.names()),
            other => return Err(address_problem(&format!("expected url, got {}", other.kind()))),
        };
        let url = Url::parse(text.trim()).map_err(|error| address_problem(&format!("not an address: {error}")))?;
        Ok((url, names))
    }

    /// Reads a host argument and checks that it may be reached.
    pub(super) fn host(&self, text: &str) -> Result<Host, Failure> {
        let host = read_host(text)?;
        self.shared.egress.check_host(&host)?;
        Ok(host)
    }
}

fn address_problem(text: &str) -> Failure {
    Failure::new(FailureKind::Argument, format!("argument `url`: {text}"))
}

/// `"https://" + secrets.X + ".example.com"`: would tell name servers the secret. An address that is a
/// secret as a whole is fine.
fn names_its_host_by_a_secret(address: &SecretText) -> bool {
    let SecretText::Concat(parts) = address else { return false };
    match parts.first() {
        Some(Part::Text(start)) => !start.split_once("://").is_some_and(|(_, after)| after.contains(['/', '?', '#'])),
        _ => false,
    }
}
