//! The scenario `mail`: a backend that says yes to whoever forgot a password, and sends nothing. Key, domain and sender are in
//! order, so that it only shows when somebody asks.

use std::sync::{Arc, Mutex};

use crate::surfaces::cli::demo::scenarios::{Beside, RAILWAY_TOKEN, deployed, target, well};
use crate::surfaces::cli::demo::stage::Stage;
use crate::surfaces::cli::demo::town::{Address, Shared, Town};
use crate::world::Platform;
use crate::world::app::{Backend, Forgot};
use crate::world::http::{Answer, Request};
use crate::world::resend::{Access, Resend};

/// Whoever looks, and the backend, at the simulated Resend.
const OPERATOR_KEY: &str = "re_demo-operator-key-of-a-world-on-loopback";
const BACKEND_KEY: &str = "re_demo-backend-key-of-a-world-on-loopback";
const FROM: &str = "Shop <no-reply@shop.example.com>";
const FRONTEND: &str = "https://shop.example.com";
/// Who has an account.
const ACCOUNT: &str = "probe@example.com";
/// Where the backend is, beside the API.
const APP: &str = "/app";

/// An account of Resend and the backend that should send by it, one beside the other.
struct Office {
    resend: Resend,
    backend: Backend,
}

impl Platform for Office {
    fn called(&self, request: &Request) -> Option<String> {
        self.resend.called(request)
    }

    fn answer(&mut self, request: &Request) -> Answer {
        match request.path.strip_prefix(APP) {
            Some(path) => self.backend.answer(request, path, &mut self.resend),
            None => self.resend.answer(request),
        }
    }
}

/// # Errors
/// If its world can't be started.
pub fn stage() -> std::io::Result<Stage> {
    let mut state = well();
    for (name, value) in [("RESEND_API_KEY", BACKEND_KEY), ("FROM_EMAIL", FROM), ("FRONTEND_URL", FRONTEND)] {
        state.service("backend").variables.insert(name.to_owned(), value.to_owned());
    }
    let mut resend = Resend::new("shop.example.com", OPERATOR_KEY);
    resend.key("backend", BACKEND_KEY, Access::Sending);
    let backend = Backend {
        key: BACKEND_KEY.to_owned(),
        from: FROM.to_owned(),
        frontend: FRONTEND.to_owned(),
        accounts: vec![ACCOUNT.to_owned()],
        forgot: Forgot::Silent,
        ..Backend::default()
    };
    let railway: Shared = Arc::new(Mutex::new(deployed(state)));
    let office: Shared = Arc::new(Mutex::new(Office { resend, backend }));
    let town = Town::start(vec![
        Address { platform: railway, below: "" },
        Address { platform: Arc::clone(&office), below: "" },
        Address { platform: office, below: APP },
    ])?;
    let beside = Beside {
        // Nobody waits for minutes for what never comes.
        inputs: format!(
            "  mail_to: ana@example.com\n  mail_account: {ACCOUNT}\n  frontend_url: {FRONTEND}\n  agreed: true\n  within: 5s\n"
        ),
        secrets: "  RESEND_KEY: { from: file, path: secrets/resend-key, hosts: [127.0.0.1] }\n".to_owned(),
        providers: format!(
            "  resend:\n    main: {{ token: \"${{{{ secrets.RESEND_KEY }}}}\", api: \"{}\" }}\n",
            town.urls[1]
        ),
    };
    Ok(Stage {
        outage: (
            "People wait for a new password that never comes",
            format!("from {}, which sends by a Resend made of this process.", town.urls[2]),
        ),
        look: None,
        repair: "mail-down",
        target: target(&town.urls[0], &town.urls[2], &beside),
        secrets: vec![("railway-token", RAILWAY_TOKEN), ("resend-key", OPERATOR_KEY)],
        _world: Box::new(town),
    })
}
