//! The scenario `rotate`: a backend on Railway and a frontend on Vercel share a secret that may have leaked.

use std::sync::{Arc, Mutex, PoisonError};

use crate::surfaces::cli::demo::scenarios::{Beside, NEXTAUTH_SECRET, RAILWAY_TOKEN, target, well};
use crate::surfaces::cli::demo::stage::Stage;
use crate::surfaces::cli::demo::town::{Address, Shared, Town};
use crate::world::railway::APP;
use crate::world::vercel::{Project, Token, Variable, Vercel};

/// What the simulated Vercel wants to see.
const VERCEL_TOKEN: &str = "demo-vercel-token-of-a-world-on-loopback";
/// Where the frontend's pages are, beside the API.
const PAGES: &str = "/app";

/// # Errors
/// If its world can't be started.
pub fn stage() -> std::io::Result<Stage> {
    let token = Token { text: VERCEL_TOKEN.to_owned(), writes: true };
    let project = Project::new("prj_demo000001", "shop", &["shop.example.com"]);
    let vercel = Arc::new(Mutex::new(Vercel::new(("team_demo", "acme"), vec![token], vec![project])));
    let railway: Shared = Arc::new(Mutex::new(well()));
    let platform: Shared = Arc::<Mutex<Vercel>>::clone(&vercel);
    let town = Town::start(vec![
        Address { platform: Arc::clone(&railway), below: "" },
        Address { platform: railway, below: APP },
        Address { platform, below: "" },
    ])?;
    let (backend, pages) = (&town.urls[1], format!("{}{PAGES}", town.urls[2]));
    {
        let mut vercel = vercel.lock().unwrap_or_else(PoisonError::into_inner);
        vercel.backend = format!("{backend}/api");
        vercel.project("shop").variables = [
            ("secret", "NEXTAUTH_SECRET", NEXTAUTH_SECRET),
            ("other", "AUTH_SECRET", NEXTAUTH_SECRET),
            ("pages", "NEXTAUTH_URL", &pages),
            ("api", "NEXT_PUBLIC_API_URL", &format!("{backend}/api")),
        ]
        .map(|(id, name, value)| Variable::new(id, name, value, "encrypted"))
        .to_vec();
        let serves = vercel.built(0, true, true);
        vercel.serve(0, &serves);
    }
    let beside = Beside {
        inputs: format!("  frontend_url: {pages}\n  frontend_place: front\n  why: it was seen in a chat\n"),
        secrets: "  VERCEL_TOKEN: { from: file, path: secrets/vercel-token, hosts: [127.0.0.1] }\n".to_owned(),
        providers: format!(
            "  vercel:\n    front: {{ project: shop, team: acme, token: \"${{{{ secrets.VERCEL_TOKEN }}}}\", api: \"{}\" }}\n",
            town.urls[2]
        ),
    };
    Ok(Stage {
        outage: (
            "A secret was seen in a chat",
            format!(
                "that the backend at {backend} and its frontend share, on a Railway and a Vercel made of this process."
            ),
        ),
        look: Some("env-drift"),
        repair: "rotate-secrets",
        target: target(&town.urls[0], backend, &beside),
        secrets: vec![("railway-token", RAILWAY_TOKEN), ("vercel-token", VERCEL_TOKEN)],
        _world: Box::new(town),
    })
}
