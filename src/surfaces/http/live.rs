//! What has changed on a page, as server-sent events: pieces of it, written as on the page itself.
//!
//! A page has one stream, because browsers allow six connections to one server. The number of an event is its id, so a page
//! that comes back is told what it missed.

use std::sync::Arc;
use std::time::Duration;

use axum::response::Response;
use serde_json::json;

use crate::runs::Runs;
use crate::surfaces::http::problem::Problem;
use crate::surfaces::http::serve::Server;
use crate::surfaces::http::stream::{HEARTBEAT, Listener, Next, Stream};

/// How soon after one change the next one is told: a busy run changes faster than anybody reads.
const AGAIN_AFTER: Duration = Duration::from_millis(250);

/// Knows what a page shows, and what has changed on it since it was asked last.
pub trait Telling: Send {
    /// What has changed; nothing if nothing has.
    ///
    /// # Errors
    /// If the journal can't be read.
    fn tell(&mut self, runs: &Runs) -> Result<Option<Told>, Problem>;
}

/// What has changed on a page.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Told {
    /// The number from which a page that comes back goes on.
    pub id: u64,
    pub pieces: Vec<Piece>,
    /// Sentences for those who listen to the page.
    pub said: Vec<String>,
    /// Whether nothing will change any more.
    pub ended: bool,
}

/// A piece of a page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece {
    /// The id of the element.
    pub at: String,
    pub html: String,
    pub how: How,
}

/// What is done with a piece.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    /// It becomes what is in the element.
    Inside,
    /// It takes the place of the element; where there is none yet it becomes the last one of this element.
    Row(&'static str),
    /// It becomes the end of what is in the element.
    After,
}

impl How {
    fn word(self) -> (&'static str, &'static str) {
        match self {
            How::Inside => ("inside", ""),
            How::Row(parent) => ("row", parent),
            How::After => ("after", ""),
        }
    }
}

/// Opens the stream of a page.
///
/// # Errors
/// 429 or 503 if too many listen.
pub fn tell(
    server: &Arc<Server>,
    runs: Arc<Runs>,
    listener: Listener,
    telling: Box<dyn Telling>,
) -> Result<Response, Problem> {
    let (mut stream, response) = Stream::open(server, listener)?;
    tokio::spawn(async move {
        // Whoever is no person any more, and whose journal can't be read, is told nothing: the page asks anew, and says why.
        pass_on(&mut stream, runs, telling).await.ok();
    });
    Ok(response)
}

async fn pass_on(stream: &mut Stream, runs: Arc<Runs>, mut telling: Box<dyn Telling>) -> Result<(), Problem> {
    if !stream.send("retry: 1000\n\n".to_owned()).await {
        return Ok(());
    }
    loop {
        stream.looks();
        let door = Arc::clone(&runs);
        let asked = tokio::task::spawn_blocking(move || {
            let told = telling.tell(&door);
            (telling, told)
        });
        let (back, told) = asked.await.map_err(|_| Problem::new(500, "telling a page ended in a panic"))?;
        telling = back;
        if let Some(told) = told? {
            if !stream.send(event(stream.server(), &told)).await || told.ended {
                return Ok(());
            }
            tokio::time::sleep(AGAIN_AFTER).await;
        }
        if stream.wait(HEARTBEAT).await? == Next::Over {
            return Ok(());
        }
    }
}

/// One event. Secrets are looked for in each text as it is on the page, before it is wrapped up.
fn event(server: &Server, told: &Told) -> String {
    let clean = |text: &str| server.redactor().redact(text).into_owned();
    let pieces: Vec<_> = told
        .pieces
        .iter()
        .map(|piece| {
            let (how, parent) = piece.how.word();
            json!({ "at": piece.at, "how": how, "in": parent, "html": clean(&piece.html) })
        })
        .collect();
    let said: Vec<String> = told.said.iter().map(|said| clean(said)).collect();
    let data = json!({ "pieces": pieces, "said": said, "ended": told.ended });
    format!("event: change\nid: {}\ndata: {data}\n\n", told.id)
}
