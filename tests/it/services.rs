//! Programs of others on loopback, each ended with the process or the value that started it, also when that is
//! killed: a shell waits for the end of a pipe that only this process holds.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// Says loudly that something was not tested, which is an error where everything must be.
pub fn skipped(why: &str) {
    let required = std::env::var_os("RERAIL_REQUIRE_SERVICES").is_some_and(|value| value == "1");
    assert!(!required, "{why}");
    eprintln!("SKIPPED: {why}");
}

/// Runs a program until the end of the pipe that is the child's standard input.
pub fn until_the_end(program: &str, args: &[&str]) -> Child {
    // Standard input of a background job is empty, so the pipe is the shell's alone.
    let script = "\"$@\" & pid=$!; cat >/dev/null; kill \"$pid\" 2>/dev/null; wait \"$pid\"";
    let mut shell = Command::new("sh");
    shell.args(["-c", script, "sh", program]).args(args).stdin(Stdio::piped()).stdout(Stdio::piped());
    shell.spawn().unwrap()
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
        let args = ["-W", "ignore", "-c", MAILBOX, certificate_and_key.to_str().unwrap(), password];
        let mut child = until_the_end(python, &args);
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
