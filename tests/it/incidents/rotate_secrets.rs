//! A secret that backend and frontend share gets a new value on both, whatever breaks on the way: they agree afterwards, or the
//! run says exactly how they differ.

use std::collections::BTreeMap;
use std::path::Path;

use rerail::engine::facts::Facts;
use rerail::engine::outcome::RunOutcome;
use rerail::runs::Left;
use rerail::world::vercel::{Project, Token, Variable, Vercel};

use super::sweep::{Incident, every_call_broken, honest, killed_everywhere, plan_covers, put_right};
use crate::binary::kit as binary;
use crate::railway::kit;
use crate::world::railway::{Railway, probe_token};
use crate::world::served::{Calls, Served};

/// Boundaries between two that are tried.
const STRIDE: u64 = 41;
const VERCEL_TOKEN: &str = "vercel-token-hunter2-example";
/// What both sides have before.
const OLD: &str = "hunter2-nextauth-example-of-32-letters";

/// A backend on Railway and a frontend on Vercel, whose calls are one list.
pub(super) struct Sides {
    railway: Railway,
    vercel: Served<Vercel>,
    calls: Calls,
}

impl Sides {
    fn new(kind: &str) -> Sides {
        let calls = Calls::default();
        let mut state = kit::broken(false);
        let address = state.service("Postgres").variables["DATABASE_PUBLIC_URL"].clone();
        let backend = state.service("backend");
        backend.variables.insert("DATABASE_URL".into(), address);
        backend.variables.insert("NEXTAUTH_SECRET".into(), OLD.into());
        state.deploy_by_name("backend");
        state.settle("backend");
        let mut project = Project::new("prj_example000001", "shop", &["shop.example.com"]);
        project.variables = vec![
            Variable::new("one", "NEXTAUTH_SECRET", OLD, kind),
            Variable::new("two", "AUTH_SECRET", OLD, "encrypted"),
        ];
        let token = Token { text: VERCEL_TOKEN.to_owned(), writes: true };
        let mut vercel = Vercel::new(("team_example", "acme"), vec![token], vec![project]);
        let serves = vercel.built(0, true, true);
        vercel.serve(0, &serves);
        Sides { railway: Railway::with(state, &calls), vercel: Served::with(vercel, &calls), calls }
    }

    /// What the backend runs with, and what the frontend serves with under both names.
    fn run_with(&self) -> (Option<String>, Option<String>, Option<String>) {
        let mut railway = self.railway.state();
        let backend = railway.service("backend");
        let runs = backend.deployments.iter().find(|one| one.status == "SUCCESS");
        let backend = runs.and_then(|one| one.snapshot.get("NEXTAUTH_SECRET").cloned());
        let vercel = self.vercel.state();
        let built = |name: &str| vercel.serving().and_then(|one| one.with.get(name).cloned());
        (backend, built("NEXTAUTH_SECRET"), built("AUTH_SECRET"))
    }

    /// What is set on each side.
    fn set(&self) -> Vec<String> {
        let mut railway = self.railway.state();
        let backend = railway.service("backend").variables["NEXTAUTH_SECRET"].clone();
        let vercel = self.vercel.state();
        let variables = vercel.projects[0].variables.iter().map(|variable| variable.value.clone());
        std::iter::once(backend).chain(variables).collect()
    }

    fn agree(&self) -> bool {
        let (backend, one, other) = self.run_with();
        backend.is_some() && backend == one && one == other
    }
}

fn target(sides: &Sides, keys: &Path) -> String {
    for (name, text) in [("vercel", VERCEL_TOKEN), ("probe", kit::PROBE)] {
        std::fs::write(keys.join(name), text).unwrap();
    }
    let railway = kit::target(&sides.railway, keys);
    let keys = keys.display();
    let secrets = format!(
        "secrets:\n  VERCEL_TOKEN: {{ from: file, path: {keys}/vercel, hosts: [127.0.0.1] }}\n  PROBE_PASSWORD: {{ from: file, path: {keys}/probe, hosts: [127.0.0.1] }}"
    );
    let more = format!(
        "  vercel: {{ main: {{ project: shop, team: acme, api: \"{}\", token: \"${{{{ secrets.VERCEL_TOKEN }}}}\" }} }}\n  \
         account: {{ main: {{ email: probe@example.com, password: \"${{{{ secrets.PROBE_PASSWORD }}}}\" }} }}\n",
        sides.vercel.url()
    );
    format!("{}{more}", railway.replacen("secrets:", &secrets, 1))
}

pub(super) struct RotateSecrets;

impl Incident for RotateSecrets {
    type World = Sides;

    fn runbook(&self) -> &'static str {
        "rotate-secrets"
    }

    fn world(&self) -> Sides {
        Sides::new("encrypted")
    }

    fn calls<'w>(&self, sides: &'w Sides) -> &'w Calls {
        &sides.calls
    }

    fn target(&self, sides: &Sides, keys: &Path) -> String {
        target(sides, keys)
    }

    fn inputs(&self, sides: &Sides) -> Vec<(String, String)> {
        let (backend, frontend) = (sides.railway.app(), format!("{}/app", sides.vercel.url()));
        [
            ("base_url", backend.as_str()),
            ("frontend_url", frontend.as_str()),
            ("place", "main"),
            ("every", "1ms"),
            ("settled_every", "1ms"),
            ("within", "20s"),
            ("settled_within", "20s"),
            ("grace", "20ms"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .to_vec()
    }

    fn is_write(&self, call: &str) -> bool {
        ["variableCollectionUpsert", "serviceInstanceDeployV2"].contains(&call) || call.starts_with("POST ")
    }

    fn is_look(&self, call: &str) -> bool {
        ["deployment", "GET /v13/deployments/{deployment}"].contains(&call)
    }

    fn effects(&self, sides: &Sides) -> BTreeMap<String, usize> {
        let backend = sides.railway.all_effects().into_iter().map(|(what, times)| (format!("backend {what}"), times));
        let frontend = sides.vercel.state().effects.clone();
        backend.chain(frontend.into_iter().map(|(what, times)| (format!("frontend {what}"), times))).collect()
    }

    fn is_well(&self, sides: &Sides) -> bool {
        let renewed = sides.set().iter().all(|value| value != OLD);
        renewed && sides.agree() && sides.railway.state().app("GET", "/health", None).status == 200
    }

    fn settle(&self, sides: &Sides) {
        sides.railway.settle();
        sides.vercel.settle();
    }

    fn secrets(&self) -> Vec<String> {
        let more = [VERCEL_TOKEN, kit::PROBE, OLD].map(str::to_owned);
        kit::secrets().into_iter().chain(more).chain([probe_token(OLD)]).collect()
    }

    fn judge(&self, sides: &Sides, left: &Left, clean: &BTreeMap<String, usize>) -> Result<(), String> {
        honest(self, sides, left, clean)?;
        match &left.facts.finished {
            Some(end) if end.outcome == RunOutcome::Failed => said(sides, &left.facts),
            _ => Ok(()),
        }
    }
}

/// A run that stopped says how the sides differ, or that they can't be read.
fn said(sides: &Sides, facts: &Facts) -> Result<(), String> {
    let says = |what: &str| facts.findings.iter().any(|finding| finding.say.contains(what));
    let untouched = sides.set().iter().all(|value| value == OLD);
    let known = match (sides.agree(), untouched) {
        (true, true) => says("both sides have the old values") || facts.findings.is_empty(),
        (true, false) => says("both sides agree") || says("the sides differ"),
        (false, _) => says("the sides differ"),
    };
    match known || says("can't be read") {
        true => Ok(()),
        false => Err(format!("{:?} and {:?}, and it says {:?}", sides.run_with(), sides.set(), facts.findings)),
    }
}

#[test]
fn whatever_breaks_at_whichever_call_both_sides_agree_or_it_is_said_how_they_differ() {
    every_call_broken(&RotateSecrets);
}

#[test]
fn a_rotation_killed_at_any_boundary_goes_on_and_rotates_once() {
    killed_everywhere(&RotateSecrets, STRIDE);
}

#[test]
fn the_plan_of_a_rotation_has_every_write_of_its_run() {
    assert!(plan_covers(&RotateSecrets) >= 4, "two sides are set and deployed");
}

#[test]
fn a_new_login_works_and_a_token_of_before_is_refused() {
    let (sides, facts) = put_right(&RotateSecrets);
    let says = |what: &str| facts.findings.iter().any(|finding| finding.say.contains(what));
    assert!(says("A new login works, and a token of before is refused"), "{:?}", facts.findings);
    let effects = RotateSecrets.effects(&sides);
    for what in
        ["backend set", "backend deploy", "frontend set NEXTAUTH_SECRET", "frontend set AUTH_SECRET", "frontend deploy"]
    {
        assert_eq!(effects.get(what), Some(&1), "{effects:?}");
    }
}

#[test]
fn a_build_that_fails_leaves_a_state_that_is_told_and_a_way_back() {
    // Of the one that is sensitive Vercel gives nothing back: the backend knows what it was.
    for kind in ["encrypted", "sensitive"] {
        let sides = Sides::new(kind);
        sides.vercel.state().stuck = Some("ERROR");
        let place = binary::Place::new();
        let text = target(&sides, &place.beside("home"));
        let place = place.file("targets/here.yaml", text);
        let mut args = ["run", "rotate-secrets", "--target", "here", "--yes"].map(str::to_owned).to_vec();
        for (name, value) in RotateSecrets.inputs(&sides) {
            args.extend(["-i".to_owned(), format!("{name}={value}")]);
        }
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        let said = place.ask(&args).exits(11).stdout;
        assert!(said.contains("the sides differ") && said.contains("serves a build with the old one"), "{said}");
        assert!(!sides.agree());
        place.ask(&["undo", "@last", "--yes"]).exits(0);
        sides.railway.state().settle("backend");
        assert_eq!(sides.set(), [OLD, OLD, OLD], "{kind}");
        assert!(sides.agree() && sides.run_with().0.as_deref() == Some(OLD), "{kind}: {:?}", sides.run_with());
    }
}
