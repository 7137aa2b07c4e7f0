//! Who acts, through the binary: persons by user and by token, and what only they may do.

use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use crate::cli::kit::{Backend, Done, Place};

/// Two persons by token, and a third who is the user of this process.
pub struct Team {
    pub place: Place,
}

/// What a person does.
pub struct As<'a>(pub &'a Team, pub &'static str);

impl Team {
    /// `ana` starts, `ben` and `cleo` are on call, `dora` has no role; the user of this process is nobody.
    pub fn new() -> Team {
        let team = Team { place: Place::new() };
        let mut people = String::from("version: 1\npeople:\n");
        for (name, roles) in [("ana", "[oncall]"), ("ben", "[oncall, lead]"), ("cleo", "[oncall]"), ("dora", "[]")] {
            let made = team.place.run(&["token", "new", name, "--json"]).expect(0).json();
            team.keep(name, made["token"].as_str().unwrap());
            let hash = made["token_hash"].as_str().unwrap();
            people.push_str(&format!("  {name}: {{ roles: {roles}, token_hash: \"{hash}\" }}\n"));
        }
        team.place.file("rerail.yaml", &people);
        team
    }

    fn token(&self, name: &str) -> String {
        self.place.path().join(format!("{name}.token")).display().to_string()
    }

    pub fn keep(&self, name: &str, token: &str) {
        self.place.file(&format!("{name}.token"), &format!("{token}\n"));
        self.mode(name, 0o600);
    }

    fn mode(&self, name: &str, mode: u32) {
        std::fs::set_permissions(self.token(name), std::fs::Permissions::from_mode(mode)).unwrap();
    }

    /// Rewrites the people.
    pub fn people(&self, edit: impl FnOnce(String) -> String) {
        let text = std::fs::read_to_string(self.place.path().join("rerail.yaml")).unwrap();
        self.place.file("rerail.yaml", &edit(text));
    }
}

impl As<'_> {
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = self.0.place.command(args);
        command.args(["--as", self.1]).env("RERAIL_TOKEN_FILE", self.0.token(self.1));
        command
    }

    pub fn run(&self, args: &[&str]) -> Done {
        Done::of(self.command(args).output().unwrap())
    }
}

#[track_caller]
fn refused(done: Done, says: &str) {
    let done = done.expect(4);
    assert!(done.err.contains(says), "{}", done.err);
    assert!(done.err.contains("hint: "), "a way out: {}", done.err);
}

#[test]
fn a_token_is_shown_once_and_its_digest_belongs_into_the_project_file() {
    let place = Place::new();
    let made = place.run(&["token", "new", "ana"]).expect(0);
    let token = made.out.trim();
    assert!(token.starts_with("rerail_") && token.len() == 50 && !token.contains(char::is_whitespace), "{token}");
    assert!(!made.err.contains(token), "beside the result stands its digest alone: {}", made.err);
    let hash = made.err.split('"').nth(1).unwrap();
    place.file("rerail.yaml", &format!("version: 1\npeople:\n  ana: {{ roles: [oncall], token_hash: \"{hash}\" }}\n"));
    place.file("t", &format!("{token}\n"));
    std::fs::set_permissions(place.path().join("t"), std::fs::Permissions::from_mode(0o600)).unwrap();
    let who = place.run(&["whoami", "--as", "ana", "--token-file", "t", "--json"]).expect(0).json();
    assert_eq!((who["id"].as_str(), who["person"].as_bool()), (Some("ana"), Some(true)));
    assert_eq!(who["roles"], serde_json::json!(["oncall"]));
    place.run(&["token", "new", "Ana B"]).expect(2);
}

#[test]
fn a_wrong_token_a_wide_file_and_a_name_without_a_proof_are_refused() {
    let team = Team::new();
    As(&team, "ana").run(&["whoami"]).expect(0);
    refused(team.place.run(&["whoami", "--as", "ana"]), "acting as somebody else takes a token");
    refused(team.place.run(&["whoami", "--as", "nobody"]), "`nobody` is no person of this project");
    let with = |name: &str, file: &str| team.place.run(&["whoami", "--as", name, "--token-file", file]);
    refused(with("ana", "ben.token"), "is not that of `ana`");
    refused(with("ana", "missing"), "can't be read");
    refused(with("ana", "."), "can't be read");
    for mode in [0o644, 0o640, 0o604] {
        team.mode("ana", mode);
        refused(As(&team, "ana").run(&["whoami"]), &format!("its mode is {mode:04o}"));
    }
    team.mode("ana", 0o600);
    // A new digest in the project file is the end of the old token.
    let other = team.place.run(&["token", "new", "ana", "--json"]).expect(0).json()["token_hash"].clone();
    team.people(|text| {
        let old = text.lines().find(|line| line.contains("ana:")).unwrap().to_owned();
        let hash = old.split('"').nth(1).unwrap().to_owned();
        text.replace(&hash, other.as_str().unwrap())
    });
    refused(As(&team, "ana").run(&["whoami"]), "is not that of `ana`");
}

#[test]
fn who_is_no_person_looks_rehearses_and_notes_and_starts_or_decides_nothing() {
    let (team, backend) = (Team::new(), Backend::start());
    let place = &team.place;
    place.run(&["run", "look", "-i", &backend.input()]).expect(12);
    place.run(&["run", "set", "-i", &backend.input(), "--dry-run"]).expect(0);
    let says = "is no person of this project, and only those may";
    refused(place.run(&["run", "set", "-i", &backend.input(), "--yes"]), says);
    assert_eq!(backend.posted(), 0);

    As(&team, "ana").run(&["run", "fix", "-i", &backend.input(), "--yes"]).expect(13);
    let run = place.last();
    for command in [
        ["answer", &run, "answer=safe"].as_slice(),
        &["cancel", &run],
        &["pause", &run],
        &["resume", &run],
        &["hold", "off"],
    ] {
        refused(place.run(command), says);
    }
    place.run(&["note", &run, "called the provider"]).expect(0);
    place.run(&["show", &run]).expect(0);
    place.run(&["hold", "on", "--reason", "freeze"]).expect(0);
    As(&team, "ben").run(&["hold", "off"]).expect(0);
    let shown = place.run(&["show", &run, "-o", "jsonl"]).expect(0).out;
    assert!(shown.contains(r#""actor":{"id":"ana","via":"cli","roles":["oncall"],"person":true}"#), "{shown}");
    assert!(!shown.contains("rerail_"), "a token is in the record: {shown}");
}

#[test]
fn a_user_of_the_operating_system_is_a_person_by_number_and_not_by_the_environment() {
    let place = Place::new();
    let os_user = place.run(&["whoami", "--json"]).expect(0).json()["os_user"].as_str().unwrap().to_owned();
    place.file(
        "rerail.yaml",
        &format!("version: 1\npeople:\n  zoe: {{ os_user: {os_user}, roles: [lead] }}\n  max: {{ os_user: max }}\n"),
    );
    let who = place.run(&["whoami", "--json"]).expect(0).json();
    assert_eq!((who["id"].as_str(), who["person"].as_bool()), (Some("zoe"), Some(true)));
    let posed =
        Done::of(place.command(&["whoami", "--json"]).env("USER", "max").env("LOGNAME", "max").output().unwrap());
    assert_eq!(posed.json()["id"], "zoe");
    place.run(&["whoami", "--as", "zoe"]).expect(0);
    refused(place.run(&["whoami", "--as", "max"]), "acting as somebody else takes a token");
}

#[test]
fn a_question_is_answered_by_those_it_asks_and_by_nobody_else() {
    let (team, backend) = (Team::new(), Backend::start());
    let asks =
        crate::cli::kit::FIX.replace("choices: [safe, not safe],", "choices: [safe, not safe], by: [lead, dora],");
    team.place.file("runbooks/fix.yaml", asks.trim_start());
    As(&team, "ana").run(&["run", "fix", "-i", &backend.input(), "--yes"]).expect(13);
    let run = team.place.last();
    refused(As(&team, "ana").run(&["answer", &run, "answer=safe"]), "`sure` asks `lead` or `dora`");
    let told = As(&team, "cleo").run(&["answer", &run, "answer=safe"]).expect(4);
    assert!(told.err.contains("that is: ben, dora"), "{}", told.err);
    As(&team, "dora").run(&["answer", &run, "answer=safe"]).expect(0);
    As(&team, "ana").run(&["resume", &run]).expect(0);
    assert_eq!(backend.posted(), 1);
}

#[test]
fn who_has_left_by_the_time_their_word_is_taken_up_has_said_nothing() {
    let (team, backend) = (Team::new(), Backend::start());
    let asks = crate::cli::kit::FIX.replace("choices: [safe, not safe],", "choices: [safe, not safe], by: [lead],");
    team.place.file("runbooks/fix.yaml", asks.trim_start());
    As(&team, "ana").run(&["run", "fix", "-i", &backend.input(), "--yes"]).expect(13);
    let run = team.place.last();
    As(&team, "ben").run(&["answer", &run, "answer=safe"]).expect(0);
    team.people(|text| text.replace("[oncall, lead]", "[oncall]"));
    As(&team, "ana").run(&["resume", &run]).expect(13);
    assert_eq!(backend.posted(), 0);
    let shown = team.place.run(&["show", &run, "--verbose"]).expect(0).out;
    assert!(shown.contains("the answer to `sure` by ben does not count: only `lead` may answer"), "{shown}");
}

#[test]
fn a_target_that_wants_somebody_else_takes_no_single_operator() {
    let (place, backend) = (Place::new(), Backend::start());
    place.file("targets/prod.yaml", "version: 1\npolicy:\n  write: { approval: oncall }\n  single_operator: false\n");
    let started = place.run(&["run", "set", "-i", &backend.input(), "--target", "prod", "--yes"]);
    refused(started, "wants somebody else to approve");
    place.run(&["run", "look", "-i", &backend.input(), "--target", "prod"]).expect(12);
    assert_eq!(backend.posted(), 0);
}
