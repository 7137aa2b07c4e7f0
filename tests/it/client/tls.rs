//! TLS of the server itself: its certificate, the one that replaces it, and those who never finish their greeting.

use std::io::Read;
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::binary::kit::{PATIENCE, Place, until};
use crate::serve::kit::{Served, Team, soon};

/// A certificate in files, which signs itself.
pub struct Files {
    pub cert: PathBuf,
    pub key: PathBuf,
}

impl Files {
    /// Beside the project, for these names.
    pub fn beside(place: &Place, names: &[&str]) -> Files {
        let files = Files { cert: place.beside("cert.pem"), key: place.beside("key.pem") };
        files.renew(names);
        files
    }

    /// Another one in the same files; gives what to trust.
    pub fn renew(&self, names: &[&str]) -> String {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let made = rcgen::generate_simple_self_signed(names).unwrap();
        std::fs::write(&self.key, made.signing_key.serialize_pem()).unwrap();
        std::fs::set_permissions(&self.key, std::fs::Permissions::from_mode(0o600)).unwrap();
        std::fs::write(&self.cert, made.cert.pem()).unwrap();
        made.cert.pem()
    }

    pub fn trusted(&self) -> String {
        std::fs::read_to_string(&self.cert).unwrap()
    }

    /// The arguments of a server that listens at `address`.
    pub fn args<'a>(&'a self, address: &'a str) -> Vec<&'a str> {
        let text = |path: &'a PathBuf| path.to_str().unwrap();
        vec!["--listen", address, "--tls-cert", text(&self.cert), "--tls-key", text(&self.key)]
    }
}

#[test]
fn the_network_is_encrypted_and_a_new_certificate_is_taken_without_a_restart() {
    let place = Place::new();
    let files = Files::beside(&place, &["localhost"]);
    let first = files.trusted();
    let server = Served::with(&place, "a.sock", &files.args("127.0.0.1:0"));
    assert_eq!(server.tls(&first).get("/healthz").is(200).body, "ok\n");
    let token = std::fs::read_to_string(place.state().join("server.token")).unwrap();
    server.tls(&first).bearer(token.trim()).get("/api/v1/whoami").is(200);
    let alone = |client: &crate::serve::kit::Client| client.try_send("GET", "/healthz", &[], "");
    assert!(alone(&server.tcp()).is_err(), "plain text gets no answer");
    // Half of a rotation changes nothing; the whole of it does, and nobody was cut off.
    let stranger = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    std::fs::write(&files.key, stranger.signing_key.serialize_pem()).unwrap();
    server.signal(Signal::HUP);
    server.tls(&first).get("/healthz").is(200);
    let second = files.renew(&["localhost"]);
    until("the new certificate is shown", || alone(&server.tls(&second)).is_ok());
    assert!(alone(&server.tls(&first)).is_err(), "the old one is gone");
    server.unix().get("/healthz").is(200);
    server.signal(Signal::TERM);
    assert_eq!(server.ends(), Some(0));
}

#[test]
fn with_tls_a_name_and_people_it_may_listen_for_everybody() {
    let team = Team::new().and("ana", "oncall", "read", &soon(), "");
    let place = Place::new().file("rerail.yaml", &team.yaml);
    let files = Files::beside(&place, &["localhost"]);
    let wide = files.args("0.0.0.0:0");
    place.ask(&[&["serve"], wide.as_slice()].concat()).exits(78).says(&["no name was declared"]);
    let server = Served::with(&place, "a.sock", &[wide.as_slice(), &["--host", "ops.example.com"]].concat());
    let client = server.tls(&files.trusted()).bearer(team.token("ana"));
    client.clone().with("host", "ops.example.com").get("/api/v1/whoami").is(200);
    client.with("host", "other.example.com").get("/api/v1/whoami").is(403);
    for args in [
        ["serve", "--tls-cert", "a.pem", "--tls-key", "b.pem"].as_slice(),
        &["serve", "--listen", "127.0.0.1:0", "--tls-cert", "a.pem"],
        &["serve", "--listen", "127.0.0.1:0", "--tls-cert", "nowhere.pem", "--tls-key", "b.pem"],
    ] {
        place.ask(args).exits(2);
    }
    std::fs::set_permissions(&files.key, std::fs::Permissions::from_mode(0o604)).unwrap();
    place.ask(&[&["serve"], files.args("127.0.0.1:0").as_slice()].concat()).exits(4).says(&["everybody may read"]);
}

#[test]
fn who_never_finishes_the_greeting_is_left_and_holds_nobody_up() {
    let place = Place::new();
    let files = Files::beside(&place, &["localhost"]);
    let server = Served::with(&place, "a.sock", &files.args("127.0.0.1:0"));
    let began = Instant::now();
    let mut silent: Vec<TcpStream> = (0..8).map(|_| TcpStream::connect(("127.0.0.1", server.port)).unwrap()).collect();
    server.tls(&files.trusted()).get("/healthz").is(200);
    for stream in &mut silent {
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        // Closed by the server: nothing, or a reset.
        assert_eq!(stream.read(&mut [0; 64]).unwrap_or(0), 0);
    }
    assert!(began.elapsed() < Duration::from_secs(30), "{:?}", began.elapsed());
}
