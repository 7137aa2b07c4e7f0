//! A server that keeps a request waiting until the test has done what must happen meanwhile.

use std::net::TcpStream;
use std::sync::{Arc, Condvar, Mutex};

use serde_json::{Value as Json, json};

use super::kit::{Ledger, PATIENCE, Request, answer, until};

/// A server that holds back answers until it is told to let go.
pub struct Gate {
    pub ledger: Ledger,
    open: Arc<(Mutex<Vec<String>>, Condvar)>,
}

impl Gate {
    pub fn serve() -> Gate {
        Gate::serving(json!(""))
    }

    /// A server whose answers carry `more`.
    pub fn serving(more: Json) -> Gate {
        let open: Arc<(Mutex<Vec<String>>, Condvar)> = Arc::default();
        let gate = Arc::clone(&open);
        let ledger = Ledger::serve(move |request: &Request, stream: &mut TcpStream| {
            if let Some(name) = request.path.strip_prefix("/held/") {
                let opened = gate.0.lock().unwrap();
                let closed = |opened: &mut Vec<String>| !opened.iter().any(|open| open == name);
                drop(gate.1.wait_timeout_while(opened, PATIENCE, closed).unwrap());
            }
            answer(stream, &json!({ "id": request.body, "more": more }));
        });
        Gate { ledger, open }
    }

    pub fn opens(&self, name: &str) {
        self.open.0.lock().unwrap().push(name.to_owned());
        self.open.1.notify_all();
    }

    pub fn arrived(&self, name: &str) {
        until(&format!("{name} arrives"), || {
            self.ledger.entries().iter().any(|entry| entry.path == format!("/held/{name}"))
        });
    }

    pub fn input(&self) -> String {
        format!("base={}", self.ledger.url)
    }
}
