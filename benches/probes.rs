//! P4: many probes at a time. And the server they and others are pointed at.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::Path;
use axum::routing::{any, get};

use crate::measure::{Row, in_turn, timed};
use crate::program::Place;

const ROUNDS: usize = 9;

/// A server on loopback that notes what it is asked.
pub struct Server {
    pub url: String,
    seen: Arc<Mutex<Vec<(String, Instant)>>>,
}

impl Server {
    pub fn start() -> Server {
        let seen: Arc<Mutex<Vec<(String, Instant)>>> = Arc::default();
        let noted = Arc::clone(&seen);
        let router = Router::new()
            .route("/now", any(|| async { "ok" }))
            .route("/big", get(|| async { vec![b'x'; 10 << 20] }))
            .route("/wait50", get(|| async { tokio::time::sleep(Duration::from_millis(50)).await }))
            .route(
                "/slow/{n}",
                get(move |Path(n): Path<String>| async move {
                    noted.lock().unwrap().push((n, Instant::now()));
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }),
            );
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let listener = tokio::net::TcpListener::from_std(listener).unwrap();
                axum::serve(listener, router).await.unwrap();
            });
        });
        Server { url, seen }
    }

    pub fn seen(&self) -> Vec<(String, Instant)> {
        self.seen.lock().unwrap().clone()
    }

    pub fn forget(&self) {
        self.seen.lock().unwrap().clear();
    }
}

pub fn rows() -> Vec<Row> {
    let server = Server::start();
    let place = Place::new();
    let probes = |at_a_time: usize| {
        format!(
            "steps:\n  - id: x\n    foreach: 0..200\n    max_parallel: {at_a_time}\n    uses: http.probe\n    with: {{ url: '{}/wait50' }}\n",
            server.url
        )
    };
    for at_a_time in [50, 200] {
        place.runbook(&format!("probes-{at_a_time}"), &probes(at_a_time));
    }
    let measure = |name: &str, ideal: u64, bound: f64, what: &str| {
        let ideal = Duration::from_millis(ideal);
        let (ours, _) = in_turn(ROUNDS, || timed(|| place.run(&["run", name])).0, || ideal);
        Row::ratio("P4", what, ours, ideal, bound)
    };
    vec![
        measure("probes-50", 200, 1.15, "200 probes of 50 ms, 50 at a time, whole process / ideal"),
        measure("probes-200", 50, f64::INFINITY, "the same, 200 at a time, for information"),
    ]
}
