//! What can go wrong with one call to a platform, and how it looks on the wire.

use std::io::Write as _;
use std::net::{Shutdown, TcpStream};

use rerail::world::http::Answer;

/// What happens to one call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The connection ends before anything was done.
    Unheard,
    /// It is done, and the connection ends before the answer.
    LostAnswer,
    /// It is done, and the answer breaks off in the middle.
    CutAnswer,
    /// Too many calls: nothing was done, and the head says when to come back.
    TooMany,
    /// A broken server; nothing was done.
    BrokenBefore,
    /// A gateway gave up waiting; it was done all the same.
    BrokenAfter,
    /// A page of a proxy in the place of an answer, with a good status; nothing was done.
    Page,
}

impl Fault {
    /// All of them, so that a test can try each.
    pub const ALL: [Fault; 7] = [
        Fault::Unheard,
        Fault::LostAnswer,
        Fault::CutAnswer,
        Fault::TooMany,
        Fault::BrokenBefore,
        Fault::BrokenAfter,
        Fault::Page,
    ];

    /// Whether the platform does what it is asked to.
    pub fn is_heard(self) -> bool {
        matches!(self, Fault::LostAnswer | Fault::CutAnswer | Fault::BrokenAfter)
    }

    /// Shows it to whoever called, in the place of the answer.
    pub fn show(self, stream: &mut TcpStream, answer: &Answer) {
        match self {
            Fault::Unheard | Fault::LostAnswer => close(stream),
            Fault::CutAnswer => {
                let bytes = bytes(answer);
                stream.write_all(&bytes[..bytes.len() - answer.body.len() / 2 - 1]).ok();
                close(stream);
            }
            // Zero, so that a test waits as long as the runbook's own delay.
            Fault::TooMany => write(&Answer::json(429, "{}").header("Retry-After", "0"), stream),
            Fault::BrokenBefore => write(&Answer::json(500, "{}"), stream),
            Fault::BrokenAfter => write(&Answer::json(504, "{}"), stream),
            Fault::Page => {
                write(&Answer { status: 200, headers: Vec::new(), body: "<html>one moment</html>".into() }, stream);
            }
        }
    }
}

/// Ends a connection at once, whatever is still to be read.
fn close(stream: &TcpStream) {
    stream.shutdown(Shutdown::Both).ok();
}

/// Sends an answer; whether anybody is still there to read it is not the server's business.
pub fn write(answer: &Answer, stream: &mut TcpStream) {
    stream.write_all(&bytes(answer)).ok();
}

fn bytes(answer: &Answer) -> Vec<u8> {
    let mut head = format!("HTTP/1.1 {} Example\r\nContent-Length: {}\r\n", answer.status, answer.body.len());
    for (name, value) in &answer.headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    format!("{head}\r\n{}", answer.body).into_bytes()
}
