//! Programs of others on loopback, each ended with the process or the value that started it, also when that is
//! killed: a shell waits for the end of a pipe that only this process holds.

use std::io::{BufRead as _, BufReader};
use std::net::TcpStream;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use crate::steps::kit::Authority;

/// How long a program may take until it listens, on a busy machine.
const START_MAX: Duration = Duration::from_secs(60);

/// Says loudly that something was not tested, which is an error where everything must be.
pub fn skipped(why: &str) {
    let required = std::env::var_os("RERAIL_REQUIRE_SERVICES").is_some_and(|value| value == "1");
    assert!(!required, "{why}");
    eprintln!("SKIPPED: {why}");
}

/// Runs a command until the end of the pipe that is the child's standard input, then removes its directory.
fn until_the_end(command: &[&str], directory: Option<&Path>) -> Child {
    // Standard input of a background job is empty, so the pipe is the shell's alone. SIGINT is how
    // PostgreSQL is told not to wait for its clients.
    let script = "\"$@\" & pid=$!; cat >/dev/null; kill -INT \"$pid\"; kill \"$pid\"; wait \"$pid\"; rm -rf \"$LEFT\"";
    let mut shell = Command::new("sh");
    shell.args(["-c", script, "sh"]).args(command).env("LEFT", directory.unwrap_or(Path::new("")));
    shell.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap()
}

/// Waits until something listens on a port of loopback.
fn listening(port: u16, child: &mut Child) {
    let began = Instant::now();
    while TcpStream::connect(("127.0.0.1", port)).is_err() {
        let ended = child.try_wait().unwrap();
        assert!(ended.is_none() && began.elapsed() < START_MAX, "nothing listens on {port}: {ended:?}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Waits until a PostgreSQL that listens takes logins, too: until then it answers that it is starting up.
fn ready(asking: &Path, port: u16) {
    let began = Instant::now();
    let mut ask = Command::new(asking);
    ask.args(["-q", "-h", "127.0.0.1", "-p", &port.to_string()]);
    while !ask.status().unwrap().success() {
        assert!(began.elapsed() < START_MAX, "PostgreSQL on {port} takes no login");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// An Alertmanager of this process, which sends what it is told of to one place at once and reminds of it each second.
pub struct Alertmanager {
    pub port: u16,
    /// Holds the pipe.
    _child: Child,
}

impl Alertmanager {
    /// Sends to `url` with this token; `None`, and a word about it, where there is none.
    pub fn start(url: &str, token: &str) -> Option<Alertmanager> {
        let program = Path::new("/usr/bin/prometheus-alertmanager");
        if !program.exists() {
            skipped("no Alertmanager here, what a real one sends was NOT tested");
            return None;
        }
        let directory = tempfile::tempdir().unwrap().keep();
        let config = directory.join("alertmanager.yml");
        let text = format!(
            "route: {{ receiver: rerail, group_by: [alertname], group_wait: 0s, group_interval: 1s, repeat_interval: 1s }}\nreceivers:\n  - name: rerail\n    webhook_configs: [{{ url: '{url}', send_resolved: true, http_config: {{ authorization: {{ credentials: {token} }} }} }}]\n"
        );
        std::fs::write(&config, text).unwrap();
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let flags = [
            format!("--config.file={}", config.display()),
            format!("--storage.path={}", directory.join("data").display()),
            format!("--web.listen-address=127.0.0.1:{port}"),
            "--cluster.listen-address=".to_owned(),
        ];
        let mut command = vec![program.to_str().unwrap()];
        command.extend(flags.iter().map(String::as_str));
        let mut child = until_the_end(&command, Some(&directory));
        listening(port, &mut child);
        Some(Alertmanager { port, _child: child })
    }
}

/// A PostgreSQL of this process, with TLS; its owner is `owner`, its database `postgres`.
pub struct Postgres {
    pub port: u16,
    /// What vouches for its certificate, which is for `localhost`.
    pub ca: String,
    /// Holds the pipe.
    _child: Child,
}

impl Postgres {
    pub const PASSWORD: &str = "not-a-real:password/of@anybody";

    /// The one all tests share; `None`, and a word about it, where there is none.
    pub fn shared() -> Option<&'static Postgres> {
        static SHARED: OnceLock<Option<Postgres>> = OnceLock::new();
        SHARED.get_or_init(Postgres::start).as_ref()
    }

    fn start() -> Option<Postgres> {
        let versions = std::fs::read_dir("/usr/lib/postgresql").ok()?.filter_map(|version| Some(version.ok()?.path()));
        let Some(bin) = versions.map(|version| version.join("bin")).filter(|bin| bin.join("initdb").exists()).max()
        else {
            skipped("no PostgreSQL here, its steps were NOT tested");
            return None;
        };
        let directory = tempfile::tempdir().unwrap().keep();
        let place = |name: &str| directory.join(name).to_str().unwrap().to_owned();
        let authority = Authority::for_localhost();
        std::fs::copy(authority.path(), place("ca.pem")).unwrap();
        std::fs::copy(authority.with_key().path(), place("server.pem")).unwrap();
        std::fs::write(place("password"), Postgres::PASSWORD).unwrap();
        // It refuses to run as root.
        let root = std::fs::metadata("/proc/self").unwrap().uid() == 0;
        if root {
            Command::new("chown").args(["-R", "postgres:postgres"]).arg(&directory).status().unwrap();
        }
        let somebody = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups", "--"];
        let prefix: Vec<&str> = if root { somebody.to_vec() } else { vec![] };
        let (data, password, certificate) =
            (place("data"), format!("--pwfile={}", place("password")), place("server.pem"));
        let (initdb, postgres) = (bin.join("initdb"), bin.join("postgres"));
        let mut init = prefix.clone();
        init.extend([
            initdb.to_str().unwrap(),
            "-D",
            &data,
            "-U",
            "owner",
            &password,
            "-A",
            "scram-sha-256",
            "-N",
            "-E",
            "UTF8",
            "--locale=C",
        ]);
        let made = Command::new(init[0]).args(&init[1..]).output().unwrap();
        assert!(made.status.success(), "initdb: {}", String::from_utf8_lossy(&made.stderr));

        let port = crate::servers::free_port();
        let settings = [
            format!("port={port}"),
            "listen_addresses=127.0.0.1".to_owned(),
            "unix_socket_directories=".to_owned(),
            "fsync=off".to_owned(),
            "ssl=on".to_owned(),
            format!("ssl_cert_file={certificate}"),
            format!("ssl_key_file={certificate}"),
        ];
        let mut run = prefix;
        run.extend([postgres.to_str().unwrap(), "-D", &data]);
        run.extend(settings.iter().flat_map(|setting| ["-c", setting.as_str()]));
        let mut child = until_the_end(&run, Some(&directory));
        listening(port, &mut child);
        ready(&bin.join("pg_isready"), port);
        Some(Postgres { port, ca: place("ca.pem"), _child: child })
    }
}

/// A Redis of this process, with and without TLS.
pub struct Redis {
    pub port: u16,
    pub tls_port: u16,
    /// What vouches for its certificate, which is for `localhost`.
    pub ca: String,
    /// Holds the pipe.
    _child: Child,
}

impl Redis {
    /// Of the default user.
    pub const PASSWORD: &str = "not-a-real-password";
    /// Of `looker`, who may log in and ping.
    pub const LOOKER: &str = "not-a-real-lookers-password";

    /// The one all tests share; `None`, and a word about it, where there is none.
    pub fn shared() -> Option<&'static Redis> {
        static SHARED: OnceLock<Option<Redis>> = OnceLock::new();
        SHARED.get_or_init(Redis::start).as_ref()
    }

    fn start() -> Option<Redis> {
        if Command::new("redis-server").arg("--version").output().is_err() {
            skipped("no Redis here, its step was NOT tested");
            return None;
        }
        let directory = tempfile::tempdir().unwrap().keep();
        let place = |name: &str| directory.join(name).to_str().unwrap().to_owned();
        let authority = Authority::for_localhost();
        std::fs::copy(authority.path(), place("ca.pem")).unwrap();
        std::fs::copy(authority.with_key().path(), place("server.pem")).unwrap();
        let (port, tls_port) = (crate::servers::free_port(), crate::servers::free_port());
        let settings = [
            format!("port {port}"),
            format!("tls-port {tls_port}"),
            "bind 127.0.0.1".to_owned(),
            "save \"\"".to_owned(),
            format!("dir {}", directory.display()),
            format!("tls-cert-file {}", place("server.pem")),
            format!("tls-key-file {}", place("server.pem")),
            "tls-auth-clients no".to_owned(),
            format!("requirepass {}", Redis::PASSWORD),
            format!("user looker on >{} +ping +auth", Redis::LOOKER),
        ];
        std::fs::write(place("redis.conf"), settings.join("\n")).unwrap();
        let mut child = until_the_end(&["redis-server", &place("redis.conf")], Some(&directory));
        listening(port, &mut child);
        listening(tls_port, &mut child);
        Some(Redis { port, tls_port, ca: place("ca.pem"), _child: child })
    }
}

/// An SMTP server by other people (aiosmtpd), which wants STARTTLS and a login.
pub struct Mailbox {
    pub port: u16,
    lines: BufReader<std::process::ChildStdout>,
    child: Child,
}

/// Says its port, then one line of JSON a message, as Python's own parser reads it.
const MAILBOX: &str = r#"
import asyncio, email, email.policy, json, ssl, sys
from aiosmtpd.smtp import SMTP, AuthResult

class Take:
    async def handle_DATA(self, server, session, envelope):
        message = email.message_from_bytes(envelope.content, policy=email.policy.default)
        html = message.get_body(("html",))
        print(json.dumps({
            "from": envelope.mail_from, "to": envelope.rcpt_tos, "headers": dict(message.items()),
            "text": message.get_body(("plain",)).get_content(), "html": html and html.get_content(),
        }), flush=True)
        return "250 taken"

def login(server, session, envelope, mechanism, data):
    return AuthResult(success=(data.login, data.password) == (b"rerail", sys.argv[2].encode()), handled=False)

async def serve():
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(sys.argv[1])
    speak = lambda: SMTP(Take(), tls_context=tls, require_starttls=True, auth_required=True, authenticator=login)
    server = await asyncio.get_running_loop().create_server(speak, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()

asyncio.run(serve())
"#;

impl Mailbox {
    /// `None`, and a word about it, where there is no aiosmtpd.
    pub fn open(certificate_and_key: &Path, password: &str) -> Option<Mailbox> {
        let has_it = |python: &&str| {
            let asked = Command::new(python).args(["-c", "import aiosmtpd.smtp"]).stderr(Stdio::null()).status();
            asked.is_ok_and(|status| status.success())
        };
        // The first one on the path need not be the one Debian's packages are for.
        let Some(python) = ["python3", "/usr/bin/python3"].into_iter().find(has_it) else {
            skipped("no aiosmtpd here, mail to a server of other people was NOT tested");
            return None;
        };
        let command = [python, "-W", "ignore", "-c", MAILBOX, certificate_and_key.to_str().unwrap(), password];
        let mut child = until_the_end(&command, None);
        let lines = BufReader::new(child.stdout.take().unwrap());
        let mut mailbox = Mailbox { port: 0, lines, child };
        mailbox.port = mailbox.line().parse().unwrap();
        Some(mailbox)
    }

    /// The next message it took.
    pub fn message(&mut self) -> serde_json::Value {
        serde_json::from_str(&self.line()).unwrap()
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.lines.read_line(&mut line).unwrap();
        line.trim().to_owned()
    }
}

impl Drop for Mailbox {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        self.child.wait().ok();
    }
}
