//! A shop's frontend: a good deployment, a bad one after it that serves, and a preview.

use std::path::Path;

use rerail::engine::facts::Facts;
use rerail::engine::outcome::RunOutcome;
use rerail::runs::Left;
use rerail::world::vercel::{Project, Token, Variable, Vercel};
use serde_json::{Value as Json, json};

use crate::incidents::sweep::Needles;
use crate::runbooks::{Place, ended, outcome};
use crate::world::served::{Calls, Served};

/// The credential, and its place in the target.
pub const TOKEN: &str = "vercel-token-hunter2-example";
/// Where the backend really is.
pub const BACKEND: &str = "https://api.example.com/api";

/// Texts that are seen nowhere. What is public is none of them.
pub fn secrets() -> Vec<String> {
    let all = [
        TOKEN,
        "hunter2-nextauth-example-of-32-letters",
        "hunter2-auth-example-of-32-letters-too",
        "hunter2-resend-example-key",
        "hunter2-new-example-of-32-letters",
    ];
    all.map(str::to_owned).to_vec()
}

/// The project, its variables, and three deployments: the good one, the bad one that serves, a preview.
pub fn shop() -> Vercel {
    let mut project = Project::new("prj_shop1", "shop", &["shop.example.com", "www.example.com"]);
    let [_, nextauth, auth, resend, _] = secrets().try_into().unwrap();
    project.variables = vec![
        Variable::new("1", "NEXTAUTH_SECRET", &nextauth, "encrypted"),
        Variable::new("2", "AUTH_SECRET", &auth, "sensitive"),
        Variable::new("3", "NEXTAUTH_URL", "https://shop.example.com", "plain"),
        Variable::new("4", "NEXT_PUBLIC_API_URL", BACKEND, "plain"),
        Variable::new("5", "RESEND_API_KEY", &resend, "encrypted"),
    ];
    project.variables[4].target = vec!["production".to_owned(), "preview".to_owned()];
    let tokens = vec![
        Token { text: TOKEN.to_owned(), writes: true },
        Token { text: "vercel-token-that-reads-example".to_owned(), writes: false },
    ];
    let mut vercel = Vercel::new(("team_shop", "acme"), tokens, vec![project]);
    vercel.backend = BACKEND.to_owned();
    let good = vercel.built(0, true, true);
    vercel.serve(0, &good);
    let bad = vercel.built(0, true, false);
    vercel.serve(0, &bad);
    vercel.built(0, false, true);
    vercel
}

/// Ids of what [`shop`] has.
pub const GOOD: &str = "dpl_example000001";
pub const BAD: &str = "dpl_example000002";
pub const PREVIEW: &str = "dpl_example000003";

pub type Shop = Served<Vercel>;

pub fn served(vercel: Vercel) -> Shop {
    Served::with(vercel, &Calls::default())
}

/// A shop that differs.
pub fn world(change: impl FnOnce(&mut Vercel)) -> Shop {
    let mut vercel = shop();
    change(&mut vercel);
    served(vercel)
}

/// A target for it; the credential goes into a file in `keys`.
pub fn target(shop: &Shop, keys: &Path) -> String {
    std::fs::write(keys.join("vercel"), TOKEN).unwrap();
    format!(
        "version: 1\ntitle: The simulated one\nsecrets:\n  VERCEL_TOKEN: {{ from: file, path: {}/vercel, hosts: [127.0.0.1] }}\nproviders:\n  \
         redeploy: {{ use: vercel, place: main, wait: {{ url: \"{url}/app/\", every: 1ms }} }}\n  vercel:\n    main: {{ project: shop, team: acme, token: \"${{{{ secrets.VERCEL_TOKEN }}}}\", domain: shop.example.com, api: \"{url}\" }}\n",
        keys.display(),
        url = shop.url(),
    )
}

/// Runs one action, as the step `act`; what is recorded of it holds no secret.
pub fn run(shop: &Shop, action: &str, with: &str) -> Left {
    let keys = tempfile::tempdir().unwrap();
    let place = Place::new().target(&target(shop, keys.path()));
    let text = format!(
        "version: 1\ntitle: One action\nowner: tests\nreviewed: 2026-11-01\nsteps:\n  - id: act\n    uses: {action}\n    with: {{ {with} }}\n"
    );
    std::fs::create_dir_all(place.project().join("runbooks")).unwrap();
    std::fs::write(place.project().join("runbooks/one.yaml"), text).unwrap();
    let left = place.run("one", &[]);
    Needles::new(&secrets()).assert_none_below(&place.root().join("state"));
    left
}

#[track_caller]
pub fn act_well(shop: &Shop, action: &str, with: &str) -> Json {
    let facts = ended(run(shop, action, with));
    assert_eq!(outcome(&facts), RunOutcome::Success, "{action}: {:?}", facts.finished);
    crate::railway::kit::given(&facts, "act")
}

#[track_caller]
pub fn act_ill(shop: &Shop, action: &str, with: &str) -> String {
    let facts = ended(run(shop, action, with));
    assert_eq!(outcome(&facts), RunOutcome::Failed, "{action}: {:?}", facts.finished);
    error(&facts)
}

pub fn error(facts: &Facts) -> String {
    crate::railway::kit::error(facts)
}

/// What was done, how often.
pub fn effects(shop: &Shop) -> Json {
    json!(shop.state().effects)
}

/// Inputs of `rollback-frontend` with which nobody waits for longer than it takes.
pub fn quick(shop: &Shop) -> Vec<(String, String)> {
    let base_url = format!("{}/app", shop.url());
    [
        ("base_url", base_url.as_str()),
        ("every", "1ms"),
        ("settled_every", "1ms"),
        ("settled_within", "5s"),
        ("grace", "20ms"),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .to_vec()
}
