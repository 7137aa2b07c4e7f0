//! Names to addresses and records: one resolver for every step, with the egress rules applied to what
//! it finds. Asks the hosts file first, then the system's name servers; keeps no cache, because a step
//! that looks again wants to see what is there now.

use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, OnceLock};

use hickory_resolver::TokioResolver;
use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolveHosts, ResolverConfig};
use hickory_resolver::net::NetError;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::proto::rr::{RData, RecordType};
use url::Host;

use crate::engine::outcome::{Failure, FailureKind};
use crate::steps::egress::{Egress, host_text};
use crate::steps::refusal::Refusal;

/// The resolver, built at the first question.
pub(super) struct Names {
    /// Empty = the system's.
    servers: Vec<SocketAddr>,
    /// Which of the addresses that are found may be connected to.
    egress: Egress,
    resolver: OnceLock<Result<TokioResolver, String>>,
}

/// Records of one name and type.
pub(super) struct Records {
    pub data: Vec<RData>,
    /// The least time to live, in seconds.
    pub ttl_s: Option<u32>,
}

impl Names {
    /// Asks `servers`, or the system's if there are none; gives what `egress` lets through.
    pub(super) fn new(servers: Vec<SocketAddr>, egress: Egress) -> Names {
        Names { servers, egress, resolver: OnceLock::new() }
    }

    /// The addresses a connection to `host` may use, at least one.
    pub(super) async fn addresses(&self, host: &Host) -> Result<Vec<IpAddr>, Failure> {
        let shown = host_text(host);
        let addresses = match host {
            Host::Ipv4(address) => vec![IpAddr::V4(*address)],
            Host::Ipv6(address) => vec![IpAddr::V6(*address)],
            Host::Domain(name) => match self.resolver()?.lookup_ip(name.as_str()).await {
                Ok(found) => found.iter().collect(),
                Err(error) if error.is_no_records_found() => Vec::new(),
                Err(error) => return Err(unanswered(&shown, &error)),
            },
        };
        if addresses.is_empty() {
            return Err(Failure::transient(FailureKind::Dns, format!("{shown} has no address")));
        }
        for address in &addresses {
            self.egress.check_address(*address, &shown)?;
        }
        Ok(addresses)
    }

    /// Records of `name`; none if the name or the type does not exist.
    pub(super) async fn records(&self, name: &str, kind: RecordType) -> Result<Records, Failure> {
        let found = match self.resolver()?.lookup(name, kind).await {
            Ok(found) => found,
            Err(error) if error.is_no_records_found() => return Ok(Records { data: Vec::new(), ttl_s: None }),
            Err(error) => return Err(unanswered(name, &error)),
        };
        // An answer also holds the aliases on the way to what was asked for.
        let wanted = found.answers().iter().filter(|record| record.record_type() == kind);
        let (data, ttls): (Vec<RData>, Vec<u32>) = wanted.map(|record| (record.data.clone(), record.ttl)).unzip();
        Ok(Records { data, ttl_s: ttls.into_iter().min() })
    }

    fn resolver(&self) -> Result<&TokioResolver, Failure> {
        self.resolver.get_or_init(|| self.build()).as_ref().map_err(|problem| {
            Failure::new(FailureKind::Dns, format!("the resolver's configuration can't be used: {problem}"))
        })
    }

    fn build(&self) -> Result<TokioResolver, String> {
        let mut builder = if self.servers.is_empty() {
            TokioResolver::builder_tokio().map_err(|error| error.to_string())?
        } else {
            let servers = self.servers.iter().map(|server| {
                let mut transports = vec![ConnectionConfig::udp(), ConnectionConfig::tcp()];
                transports.iter_mut().for_each(|transport| transport.port = server.port());
                NameServerConfig::new(server.ip(), true, transports)
            });
            let config = ResolverConfig::from_name_servers(servers.collect());
            TokioResolver::builder_with_config(config, TokioRuntimeProvider::default())
        };
        let options = builder.options_mut();
        options.cache_size = 0;
        options.use_hosts_file = ResolveHosts::Always;
        builder.build().map_err(|error| error.to_string())
    }
}

fn unanswered(name: &str, error: &NetError) -> Failure {
    Failure::transient(FailureKind::Dns, format!("{name} can't be resolved: {error}"))
}

/// The same resolver for the HTTP client.
pub(super) struct HttpNames(pub Arc<Names>);

impl reqwest::dns::Resolve for HttpNames {
    fn resolve(&self, name: reqwest::dns::Name) -> reqwest::dns::Resolving {
        let names = Arc::clone(&self.0);
        Box::pin(async move {
            let host = Host::Domain(name.as_str().to_owned());
            match names.addresses(&host).await {
                Ok(addresses) => {
                    let sockets = addresses.into_iter().map(|address| SocketAddr::new(address, 0));
                    Ok(Box::new(sockets) as reqwest::dns::Addrs)
                }
                Err(failure) => Err(Box::new(Refusal(failure)) as Box<dyn std::error::Error + Send + Sync>),
            }
        })
    }
}
