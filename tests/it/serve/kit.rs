//! A server of a project, its people, and a client that says exactly what it is told to.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::sync::Arc;
use std::time::Duration;

use rerail::runs::Token;
use rustix::process::{Pid, Signal, kill_process};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use serde_json::Value as Json;

use crate::binary::kit::{PATIENCE, Place, until};

/// How often a waiting test asks: less often than a server lets one person.
pub const ASKS_EVERY: Duration = Duration::from_millis(60);

/// People with tokens, by name.
pub struct Team {
    pub yaml: String,
    tokens: Vec<(String, String)>,
}

impl Team {
    pub fn new() -> Team {
        Team { yaml: "version: 1\npeople:\n".to_owned(), tokens: Vec::new() }
    }

    /// Somebody with this line of keys, and one token for these scopes until `expires`.
    pub fn and(mut self, name: &str, keys: &str, scopes: &str, expires: &str, more: &str) -> Team {
        let token = Token::new().unwrap();
        let hash = token.hash().text();
        self.yaml.push_str(&format!(
            "  {name}:\n    roles: [{keys}]\n    tokens:\n      t: {{ hash: \"{hash}\", scopes: [{scopes}], expires: {expires}{more} }}\n"
        ));
        self.tokens.push((name.to_owned(), token.text().to_owned()));
        self
    }

    /// The same with a user of the operating system: whoever runs this test.
    pub fn here(mut self, name: &str) -> Team {
        let uid = rustix::process::getuid().as_raw();
        self.yaml = self.yaml.replace(&format!("  {name}:\n"), &format!("  {name}:\n    os_user: uid-{uid}\n"));
        self
    }

    pub fn token(&self, name: &str) -> &str {
        &self.tokens.iter().find(|(known, _)| known == name).unwrap().1
    }
}

/// A day that a token may be good until.
pub fn soon() -> String {
    let today = jiff::Timestamp::now().to_zoned(jiff::tz::TimeZone::UTC).date();
    today.saturating_add(jiff::Span::new().days(30)).to_string()
}

/// A server; killed if the test gives up.
pub struct Served {
    child: Child,
    pub socket: PathBuf,
    pub port: u16,
}

impl Served {
    /// With a socket of this name beside the project, and a port.
    pub fn start(place: &Place, name: &str) -> Served {
        Served::with(place, name, &["--listen", "127.0.0.1:0"])
    }

    /// The same, listening as these arguments say.
    pub fn with(place: &Place, name: &str, args: &[&str]) -> Served {
        lets_through_this_machine(place);
        Served::as_it_is(place, name, args)
    }

    /// The same in a project that is left as it stands: its runs connect to nothing on this machine.
    pub fn as_it_is(place: &Place, name: &str, args: &[&str]) -> Served {
        let socket = place.beside(name);
        let shown = socket.to_str().unwrap();
        let mut command = place.rerail(&[&["serve", "--socket", shown, "-o", "jsonl"], args].concat());
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::inherit()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        let json: Json = serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line:?}"));
        let address = json["address"].as_str().unwrap();
        Served { child, socket, port: address.rsplit(':').next().unwrap().parse().unwrap() }
    }

    /// One that was started otherwise.
    pub fn of(child: Child, socket: PathBuf, port: u16) -> Served {
        Served { child, socket, port }
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// How many of its threads have this name; how many answer requests besides depends on the moment.
    pub fn threads(&self, name: &str) -> usize {
        let tasks = std::fs::read_dir(format!("/proc/{}/task", self.pid())).unwrap();
        let names = tasks.filter_map(|task| std::fs::read_to_string(task.unwrap().path().join("comm")).ok());
        names.filter(|comm| comm.trim_end() == name).count()
    }

    pub fn signal(&self, signal: Signal) {
        kill_process(Pid::from_raw(i32::try_from(self.pid()).unwrap()).unwrap(), signal).unwrap();
    }

    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Waits for its end; gives its exit code.
    pub fn ends(mut self) -> Option<i32> {
        until("the server ends", || self.child.try_wait().unwrap().is_some());
        self.child.wait().unwrap().code()
    }

    pub fn tcp(&self) -> Client {
        Client { to: To::Port(self.port), headers: vec![("host".into(), format!("127.0.0.1:{}", self.port))] }
    }

    /// Over TLS, to the name `localhost`, trusting these certificates (PEM) alone.
    pub fn tls(&self, trusted: &str) -> Client {
        let mut roots = rustls::RootCertStore::empty();
        for root in CertificateDer::pem_slice_iter(trusted.as_bytes()) {
            roots.add(root.unwrap()).unwrap();
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        let config = builder.unwrap().with_root_certificates(roots).with_no_client_auth();
        Client { to: To::Tls(self.port, Arc::new(config)), headers: vec![("host".into(), "localhost".into())] }
    }

    pub fn unix(&self) -> Client {
        Client { to: To::Socket(self.socket.clone()), headers: vec![("host".into(), "localhost".into())] }
    }
}

/// Lets runs of a server connect to the servers of tests, unless the project says what they may.
pub fn lets_through_this_machine(place: &Place) {
    let file = place.project().join("rerail.yaml");
    let text = std::fs::read_to_string(&file).unwrap();
    if !text.contains("egress:") {
        std::fs::write(file, format!("{}\negress: {{ allow: [127.0.0.0/8, \"::1\"] }}\n", text.trim_end())).unwrap();
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

#[derive(Clone)]
enum To {
    Port(u16),
    Tls(u16, Arc<rustls::ClientConfig>),
    Socket(PathBuf),
}

trait Wire: Read + Write + Send {}
impl Wire for TcpStream {}
impl Wire for UnixStream {}
impl Wire for rustls::StreamOwned<rustls::ClientConnection, TcpStream> {}

/// One who asks, with the headers they always send.
#[derive(Clone)]
pub struct Client {
    to: To,
    headers: Vec<(String, String)>,
}

#[derive(Debug)]
pub struct Reply {
    pub status: u16,
    pub head: String,
    pub body: String,
}

impl Reply {
    #[track_caller]
    pub fn is(self, status: u16) -> Reply {
        assert_eq!(self.status, status, "{}\n{}", self.head, self.body);
        self
    }

    #[track_caller]
    pub fn json(&self) -> Json {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        let line = self.head.lines().find(|line| line.to_ascii_lowercase().starts_with(&format!("{name}:")))?;
        Some(line.split_once(':')?.1.trim())
    }
}

impl Client {
    pub fn with(mut self, name: &str, value: &str) -> Client {
        self.headers.retain(|(known, _)| known != name);
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The same one, asking another server.
    pub fn at(self, port: u16) -> Client {
        Client { to: To::Port(port), ..self }.with("host", &format!("127.0.0.1:{port}"))
    }

    pub fn bearer(self, token: &str) -> Client {
        self.with("authorization", &format!("Bearer {token}"))
    }

    pub fn get(&self, path: &str) -> Reply {
        self.send("GET", path, &[], "")
    }

    pub fn post(&self, path: &str, key: &str, body: &Json) -> Reply {
        self.send("POST", path, &[("idempotency-key", key), ("content-type", "application/json")], &body.to_string())
    }

    /// One request on a connection of its own.
    pub fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Reply {
        self.try_send(method, path, headers, body).unwrap()
    }

    pub fn try_send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> std::io::Result<Reply> {
        let mut wire = self.open(method, path, headers, body)?;
        let mut bytes = Vec::new();
        match wire.read_to_end(&mut bytes) {
            // A server that closes without a word of TLS has still said all it had to say.
            Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => {}
            read => drop(read?),
        }
        let text = String::from_utf8(bytes).unwrap();
        let broken = || std::io::Error::other(format!("no answer: {text:?}"));
        let (head, body) = text.split_once("\r\n\r\n").ok_or_else(broken)?;
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).ok_or_else(broken)?;
        Ok(Reply { status, head: head.to_owned(), body: body.to_owned() })
    }

    /// The status that an answer begins with, of one that may not end.
    pub fn begins(&self, method: &str, path: &str, headers: &[(&str, &str)]) -> u16 {
        let mut wire = self.open(method, path, headers, "").unwrap();
        let mut start = [0_u8; 12];
        wire.read_exact(&mut start).unwrap();
        std::str::from_utf8(&start[9..]).unwrap().parse().unwrap()
    }

    /// Sends a request and leaves the answer to be read. Of the old version, whose bodies come as they are.
    pub fn open(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> std::io::Result<Box<dyn Read + Send>> {
        let mut wire: Box<dyn Wire> = match &self.to {
            To::Port(port) => {
                let stream = TcpStream::connect(("127.0.0.1", *port))?;
                stream.set_read_timeout(Some(PATIENCE))?;
                Box::new(stream)
            }
            To::Tls(port, config) => {
                let stream = TcpStream::connect(("127.0.0.1", *port))?;
                stream.set_read_timeout(Some(PATIENCE))?;
                let name = "localhost".try_into().unwrap();
                let connection = rustls::ClientConnection::new(Arc::clone(config), name).unwrap();
                Box::new(rustls::StreamOwned::new(connection, stream))
            }
            To::Socket(path) => {
                let stream = UnixStream::connect(path)?;
                stream.set_read_timeout(Some(PATIENCE))?;
                Box::new(stream)
            }
        };
        let mut text = format!("{method} {path} HTTP/1.0\r\n");
        let own = self.headers.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        for (name, value) in own.chain(headers.iter().copied()) {
            text.push_str(&format!("{name}: {value}\r\n"));
        }
        if !body.is_empty() {
            text.push_str(&format!("content-length: {}\r\n", body.len()));
        }
        // A server that has answered before all was said is right as well.
        wire.write_all(format!("{text}\r\n{body}").as_bytes()).ok();
        Ok(Box::new(wire))
    }

    /// Starts a run that may write; gives its id.
    #[track_caller]
    pub fn start(&self, runbook: &str, inputs: &Json, key: &str) -> String {
        let body = serde_json::json!({ "runbook": runbook, "inputs": inputs, "yes": true });
        let reply = self.post("/api/v1/runs", key, &body).is(201);
        reply.json()["id"].as_str().unwrap().to_owned()
    }

    #[track_caller]
    pub fn status(&self, run: &str) -> String {
        let json = self.get(&format!("/api/v1/runs/{run}")).is(200).json();
        json["status"].as_str().unwrap().to_owned()
    }

    #[track_caller]
    pub fn until_status(&self, run: &str, status: &str) {
        until(&format!("{run} is {status}"), || {
            std::thread::sleep(ASKS_EVERY);
            self.status(run) == status
        });
    }
}
