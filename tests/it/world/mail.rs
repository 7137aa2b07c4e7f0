//! An account of Resend and the backend that sends with it, at one address, beside a Railway that has the backend's
//! variables.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::MutexGuard;

use rerail::world::Platform;
use rerail::world::app::Backend;
use rerail::world::http::{Answer, Request};
use rerail::world::resend::{Access, Resend};

use crate::railway::kit;
use crate::world::railway::Railway;
use crate::world::served::{Calls, Served};

/// Where the backend is.
const APP: &str = "/app";

/// Keys of the account, and what must be seen nowhere.
pub const OPERATOR: &str = "re_hunter2_operator_key_example";
pub const BACKEND: &str = "re_hunter2_mail_key_example";
/// What a link in a message begins with: whoever has it is somebody else.
const IN_LINKS: &str = "reset-token-example";
/// Who gets the test message, and who has an account.
pub const TO: &str = "ana@example.com";
pub const ACCOUNT: &str = "test@example.com";
const FROM: &str = "Shop <no-reply@shop.example.com>";
const FRONTEND: &str = "https://shop.example.com";

/// Both, and what was asked of the account.
pub struct Mail {
    pub resend: Resend,
    pub backend: Backend,
    pub heard: Vec<Request>,
}

impl Platform for Mail {
    fn called(&self, request: &Request) -> Option<String> {
        if request.path.starts_with(APP) { None } else { self.resend.called(request) }
    }

    fn answer(&mut self, request: &Request) -> Answer {
        match request.path.strip_prefix(APP) {
            Some(path) => self.backend.answer(request, path, &mut self.resend),
            None => {
                self.heard.push(request.clone());
                self.resend.answer(request)
            }
        }
    }
}

/// The world of an incident.
pub struct World {
    pub railway: Railway,
    served: Served<Mail>,
    calls: Calls,
}

impl World {
    /// One in which everything is well.
    pub fn well() -> World {
        let calls = Calls::default();
        let mut state = kit::broken(true);
        let variables = &mut state.service("backend").variables;
        for (name, value) in [("RESEND_API_KEY", BACKEND), ("FROM_EMAIL", FROM), ("FRONTEND_URL", FRONTEND)] {
            variables.insert(name.to_owned(), value.to_owned());
        }
        let mut resend = Resend::new("shop.example.com", OPERATOR);
        resend.key("backend", BACKEND, Access::Sending);
        let backend = Backend {
            key: BACKEND.to_owned(),
            from: FROM.to_owned(),
            frontend: FRONTEND.to_owned(),
            accounts: vec![ACCOUNT.to_owned()],
            ..Backend::default()
        };
        let served = Served::with(Mail { resend, backend, heard: Vec::new() }, &calls);
        World { railway: Railway::with(state, &calls), served, calls }
    }

    /// The same with something else about it.
    pub fn with(change: impl FnOnce(&mut Mail)) -> World {
        let world = World::well();
        change(&mut world.mail());
        world
    }

    pub fn mail(&self) -> MutexGuard<'_, Mail> {
        self.served.state()
    }

    pub fn calls(&self) -> &Calls {
        &self.calls
    }

    pub fn app(&self) -> String {
        format!("{}{APP}", self.served.url())
    }

    pub fn settle(&self) {
        self.served.settle();
        self.railway.settle();
    }

    /// Messages that were sent, by recipient.
    pub fn sent(&self) -> BTreeMap<String, usize> {
        let mut sent = BTreeMap::new();
        for to in self.mail().resend.emails.iter().flat_map(|email| email.to.clone()) {
            *sent.entry(to).or_default() += 1;
        }
        sent
    }

    /// A target for it; credentials go into files in `keys`.
    pub fn target(&self, keys: &Path) -> String {
        std::fs::write(keys.join("resend"), OPERATOR).unwrap();
        let railway = kit::target(&self.railway, keys);
        let secret =
            format!("secrets:\n  RESEND_KEY: {{ from: file, path: {}/resend, hosts: [127.0.0.1] }}\n", keys.display());
        format!(
            "{}  resend:\n    main: {{ token: \"${{{{ secrets.RESEND_KEY }}}}\", api: \"{}\" }}\n",
            railway.replacen("secrets:\n", &secret, 1),
            self.served.url()
        )
    }
}

/// Texts that must be seen nowhere.
pub fn secrets() -> Vec<String> {
    kit::secrets().into_iter().chain([OPERATOR, BACKEND, IN_LINKS].map(str::to_owned)).collect()
}
