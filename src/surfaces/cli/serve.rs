//! `rerail serve`: the server of a project, in the foreground until it is asked to go.

use std::io::IsTerminal as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::time::Duration;

use clap::Args;
use serde_json::json;
use tokio::sync::watch;

use crate::runs::Parting;
use crate::surfaces::cli::error::CliError;
use crate::surfaces::cli::exit::Exit;
use crate::surfaces::cli::parting;
use crate::surfaces::cli::session::Session;
use crate::surfaces::cli::ui::Ui;
use crate::surfaces::http::{Bind, Handed, Hosts, Listens, LocalToken, Server, Tls};
use crate::surfaces::web::sessions;
use crate::transcript::words::count;

/// The socket, in the directory of the journal.
pub const SOCKET: &str = "server.sock";
/// How often it is looked whether there is a new certificate: two entries of a directory each.
const CERTIFICATE_EVERY: Duration = Duration::from_secs(1);

#[derive(Args, Debug)]
pub struct ServeArgs {
    /// Listen on this address as well, such as 127.0.0.1:8420; requests need a token there
    #[arg(long, value_name = "ADDRESS:PORT")]
    listen: Option<SocketAddr>,
    /// The unix socket [default: server.sock beside the journal]
    #[arg(long, value_name = "PATH", conflicts_with = "no_socket")]
    socket: Option<PathBuf>,
    /// Open no unix socket
    #[arg(long, requires = "listen")]
    no_socket: bool,
    /// A name under which it is called, beside those of this machine (can be repeated)
    #[arg(long, value_name = "NAME")]
    host: Vec<String>,
    /// The address under which people reach it, such as https://ops.example.com: links to its pages begin so, and its name
    /// is one of its own
    #[arg(long, value_name = "URL", value_parser = base)]
    url: Option<String>,
    /// A proxy in front of it speaks TLS: it may listen where others can reach it
    #[arg(long)]
    behind_proxy: bool,
    /// Speak TLS on the network with this certificate, and those between it and a root (PEM)
    #[arg(long, value_name = "FILE", requires = "tls_key", conflicts_with = "behind_proxy")]
    tls_cert: Option<PathBuf>,
    /// Its key (PEM), readable by its owner and group alone; both are read again when they change, and at SIGHUP
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    tls_key: Option<PathBuf>,
}

/// The beginning of all addresses of a server: no path, no end.
pub fn base(text: &str) -> Result<String, String> {
    let wrong = || format!("expected an address such as https://ops.example.com, got `{text}`");
    let url = url::Url::parse(text).map_err(|_| wrong())?;
    let plain = matches!(url.scheme(), "http" | "https") && url.host_str().is_some() && url.path() == "/";
    let alone =
        url.query().is_none() && url.fragment().is_none() && url.username().is_empty() && url.password().is_none();
    if plain && alone { Ok(url.as_str().trim_end_matches('/').to_owned()) } else { Err(wrong()) }
}

/// The name in such an address.
fn name_of(base: &str) -> Option<String> {
    url::Url::parse(base).ok()?.host_str().map(str::to_owned)
}

/// Serves until SIGTERM or Ctrl-C; a second one ends it at once.
pub fn serve(session: &Session, args: &ServeArgs) -> Result<Exit, CliError> {
    let handed = Handed::take()?;
    let ui = &session.ui;
    let runs = session.runs()?;
    let state_dir = session.state_dir()?;
    let bind = bind(args, &handed, &state_dir)?;
    let people = &runs.project().settings.people;
    bind.is_safe(people)?;
    // Makes the journal if there is none, and says early if it can't be used.
    runs.counts()?;
    let local = people.is_single_operator().then(|| LocalToken::of(&state_dir)).transpose()?;
    let listening = bind.listen(handed)?;
    let (asked, stop) = watch::channel(0_u8);
    let once_more = asked.clone();
    let again = bind.tls.clone().map(|tls| look_after(tls, Arc::clone(ui)));
    parting::listen(
        move || once_more.send_modify(|times| *times = times.saturating_add(1)),
        Some(Box::new(move |parting| {
            match &again {
                // Without a terminal that could be gone, it is how a service is told to read its files again.
                Some(again) if parting == Parting::HungUp && !std::io::stdin().is_terminal() => {
                    again.send(()).ok();
                }
                _ => asked.send_modify(|times| *times = times.saturating_add(1)),
            }
            true
        })),
    );
    let scheme = if bind.tls.is_some() { "https" } else { "http" };
    let address = listening.address().map(|address| format!("{scheme}://{address}"));
    let url = args.url.clone().or_else(|| address.clone());
    if let Some(url) = &url {
        sessions::serves_at(&runs, url)?;
    }
    let token = local.as_ref().map(|local| local.path().to_owned());
    match ui.human() {
        true => {
            if let Some(socket) = &bind.socket {
                ui.remark(&format!("serving at {}", socket.display()));
            }
            if let Some(address) = &address {
                ui.remark(&format!("serving at {address}"));
            }
            if let (Some(token), Some(_)) = (&token, &address) {
                ui.hint(&format!("the token of its one operator is in {}", token.display()));
            }
            if url.is_some() {
                ui.hint("`rerail login-link` prints a link that signs a browser in");
            }
        }
        false => {
            ui.result_json(&json!({ "socket": bind.socket, "address": address, "url": url, "token_file": token }));
        }
    }
    let server = Server::new(runs, Hosts::new(&bind.hosts).called(url), local);
    let reaches = server.reaches();
    tracing::info!("runs connect to {reaches}");
    if ui.human() {
        ui.remark(&format!("runs connect to {reaches}: see `egress` in rerail.yaml"));
    }
    let socket = bind.socket.as_ref().map(|socket| socket.display().to_string());
    // Nobody else sets it.
    let _ = server.listens.set(Listens { socket, address, tls: bind.tls });
    let serving = server
        .serve(listening, stop)
        .map_err(|error| CliError::new(Exit::TOOL_FAILED, format!("the server can't run: {error}")))?;
    if serving.left_behind > 0 {
        let runs = count(serving.left_behind, "run");
        ui.warning(&format!("{runs} did not come to a stop in time; the next server takes them up from the journal"));
    }
    Ok(Exit::SUCCESS)
}

/// Has the certificate read again when its files change, and whenever something is sent.
fn look_after(tls: Arc<Tls>, ui: Arc<Ui>) -> Sender<()> {
    let (again, asked) = channel();
    let look = move || {
        loop {
            let read = match asked.recv_timeout(CERTIFICATE_EVERY) {
                Ok(()) => Some(tls.read_again()),
                Err(RecvTimeoutError::Timeout) => tls.look(),
                Err(RecvTimeoutError::Disconnected) => return,
            };
            match read {
                None => {}
                Some(Ok(until)) => ui.remark(&format!("the certificate was read again; it is good until {until}")),
                Some(Err(error)) => {
                    ui.warning(&format!("{}; the certificate that was read before stays in use", error.message));
                }
            }
        }
    };
    // Without the thread the certificate is that of the start until the next one.
    let _ = std::thread::Builder::new().name("certificate".into()).spawn(look);
    again
}

/// Where to listen: where the service manager does already, or else where the flags say.
fn bind(args: &ServeArgs, handed: &Handed, state_dir: &Path) -> Result<Bind, CliError> {
    let (socket, tcp) = match (handed.is_empty(), args.no_socket) {
        (false, _) => {
            if args.listen.is_some() || args.socket.is_some() || args.no_socket {
                let said = "the service manager has opened the sockets of this server, so it can't open others";
                return Err(CliError::usage(said).hint(
                    "say where to listen in the socket unit, and take --listen, --socket and --no-socket off the command",
                ));
            }
            let path = handed.unix.as_ref().and_then(|unix| Some(unix.local_addr().ok()?.as_pathname()?.to_owned()));
            (path, handed.tcp.as_ref().and_then(|tcp| tcp.local_addr().ok()))
        }
        (true, true) => (None, args.listen),
        (true, false) => (Some(args.socket.clone().unwrap_or_else(|| state_dir.join(SOCKET))), args.listen),
    };
    let tls = args.tls_cert.as_ref().zip(args.tls_key.as_ref());
    if tls.is_some() && tcp.is_none() {
        return Err(CliError::usage("--tls-cert is for an address on the network, and the server listens on none")
            .hint("give one: --listen ADDRESS:PORT, or `ListenStream=` in the socket unit"));
    }
    let tls = tls.map(|(cert, key)| Tls::open(cert, key)).transpose()?.map(Arc::new);
    let mut hosts = args.host.clone();
    hosts.extend(args.url.as_deref().and_then(name_of));
    Ok(Bind { socket, tcp, proxied: args.behind_proxy, hosts, tls })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_of_a_server_has_no_path_and_gives_it_its_name() {
        for (given, kept, name) in [
            ("https://ops.example.com", "https://ops.example.com", "ops.example.com"),
            ("https://ops.example.com:8443/", "https://ops.example.com:8443", "ops.example.com"),
            ("http://127.0.0.1:8420", "http://127.0.0.1:8420", "127.0.0.1"),
        ] {
            assert_eq!(base(given).as_deref(), Ok(kept));
            assert_eq!(name_of(kept).as_deref(), Some(name));
        }
        for bad in [
            "ops.example.com",
            "ftp://ops.example.com",
            "https://ops.example.com/x",
            "https://a@b.example.com",
            "https://b.example.com/?q",
        ] {
            assert!(base(bad).unwrap_err().contains("https://ops.example.com, got"), "{bad}");
        }
    }
}
