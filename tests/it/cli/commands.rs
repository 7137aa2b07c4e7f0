//! Success and failure of each command that drives no run.

use crate::cli::kit::{Backend, Place};

#[test]
fn list_shows_runbooks_with_what_they_may_do() {
    let place = Place::new();
    let done = place.run(&["list", "OWN-look"]).expect(0);
    insta::assert_snapshot!(done.shown());
    let rows = place.run(&["list", "--json"]).expect(0).json();
    let look = rows.as_array().unwrap().iter().find(|row| row["name"] == "look").unwrap();
    insta::assert_snapshot!(serde_json::to_string_pretty(look).unwrap());
    assert_eq!(place.run(&["list", "nothing", "like", "this", "--json"]).expect(0).json(), serde_json::json!([]));
}

#[test]
fn yaml_says_what_json_says() {
    let place = Place::new();
    for command in [["list", "own-look"], ["describe", "fix"], ["actions", "http.probe"]] {
        let json = place.run(&[command[0], command[1], "-o", "json"]).expect(0).json();
        let yaml = place.run(&[command[0], command[1], "-o", "yaml"]).expect(0).out;
        assert_eq!(serde_yaml::from_str::<serde_json::Value>(&yaml).unwrap(), json);
        assert!(serde_json::from_str::<serde_json::Value>(&yaml).is_err(), "{yaml}");
    }
}

#[test]
fn list_names_files_with_problems_instead_of_failing() {
    let place = Place::new();
    place.file("runbooks/broken.yaml", "version: 1\ntitle: x\nsteps:\n  - use: http.probe\n");
    let done = place.run(&["list"]).expect(0);
    assert!(done.out.contains("broken") && done.out.contains("(has problems)"), "{}", done.out);
    assert!(done.err.contains("rerail check"), "{}", done.err);
}

#[test]
fn describe_says_what_a_runbook_means_needs_and_may_change() {
    let place = Place::new();
    insta::assert_snapshot!(place.run(&["describe", "look"]).expect(0).shown());
    let json = place.run(&["describe", "fix", "--json"]).expect(0).json();
    assert_eq!(json["steps"][1]["effect"], "write");
    assert_eq!(json["steps"][1]["if"], r#"steps.sure.outputs.answer == "safe""#);
}

#[test]
fn describe_says_how_often_and_how_long_a_step_runs() {
    let place = Place::new();
    let text = "version: 1
title: Rounds
timeout: 10m
concurrency: { group: \"rounds-${{ run.target }}\", if_busy: wait }
steps:
  - id: rounds
    foreach: 1..=3
    max_parallel: 2
    uses: http.probe
    with: { url: \"https://example.com\" }
    retry: { attempts: 3, on: [dns, \"5xx\"] }
    timeout: 5s
    within: 1m
  - id: hosts
    foreach: [a, b]
    steps:
      - { id: look, uses: runbook, with: { name: look, inputs: { base_url: \"https://example.com\" } } }
";
    place.file("runbooks/rounds.yaml", text);
    let shown = place.run(&["describe", "rounds"]).expect(0).out;
    for line in [
        "timeout   10m",
        "group     rounds-${{ run.target }}, wait if busy",
        "http.probe   foreach 1..=3   max_parallel 2   retry 3 attempts on dns, 5xx   timeout 5s   within 1m",
        "steps   foreach [a, b]",
        "runbook look",
    ] {
        assert!(shown.contains(line), "{line}\n{shown}");
    }
    let json = place.run(&["describe", "rounds", "--json"]).expect(0).json();
    assert_eq!(json["concurrency"]["if_busy"], "wait");
    assert_eq!(json["steps"][0]["foreach"], "1..=3");
    assert_eq!(json["steps"][1]["steps"][0]["what"], "runbook look");
}

#[test]
fn describe_says_what_a_planned_write_leaves() {
    let place = Place::new();
    let text = "version: 1
title: Set a variable
steps:
  - id: set
    uses: http.request
    with: { method: PATCH, url: \"https://example.com\" }
    leaves: { place: \"variables of ${{ run.target }}\", sets: { A: b } }
";
    place.file("runbooks/sets.yaml", text);
    let shown = place.run(&["describe", "sets"]).expect(0).out;
    assert!(shown.contains("http.request   leaves variables of ${{ run.target }}"), "{shown}");
    let json = place.run(&["describe", "sets", "--json"]).expect(0).json();
    assert_eq!(json["steps"][0]["leaves"], "variables of ${{ run.target }}");
}

#[test]
fn an_unknown_runbook_gets_the_nearest_name() {
    let done = Place::new().run(&["describe", "lok"]).expect(2);
    assert_eq!(done.err, "error: there is no runbook `lok`\nhint: did you mean `look`?\n");
}

#[test]
fn check_is_clean_or_draws_every_problem_and_exits_3() {
    let place = Place::new();
    let clean = place.run(&["check"]).expect(0);
    assert_eq!(clean.err, "");
    place.file("runbooks/broken.yaml", "version: 1\ntitle: x\nsteps:\n  - use: http.probe\n");
    insta::assert_snapshot!(place.run(&["check", "broken"]).expect(3).shown());
    let rows = place.run(&["check", "runbooks", "--json"]).expect(3).json();
    assert_eq!(rows[0]["path"], "runbooks/broken.yaml");
    assert_eq!(rows[0]["code"], "E0103");
}

#[test]
fn check_fails_on_warnings_only_if_asked_to() {
    let place = Place::new();
    place.file(
        "runbooks/warned.yaml",
        "version: 1\ntitle: x\nowner: o\nreviewed: 2026-11-01\ninputs:\n  unused: { type: string }\nsteps:\n  - uses: time.now\n",
    );
    place.run(&["check", "warned"]).expect(0);
    place.run(&["check", "warned", "--deny", "warnings"]).expect(3);
}

#[test]
fn check_looks_at_the_project_file_targets_and_uncalled_actions_too() {
    let place = Place::new();
    place.file("actions/team/broken.yaml", "version: 1\ntitle: x\nsteps:\n  - use: http.probe\n");
    place.file("targets/production.yaml", "version: 1\nnonsense: 1\n");
    let done = place.run(&["check"]).expect(3);
    assert!(done.out.contains("actions/team/broken.yaml"), "{}", done.out);
    assert!(done.out.contains("targets/production.yaml"), "{}", done.out);
    place.file("rerail.yaml", "version: 1\nnonsense: 1\n");
    assert!(place.run(&["check"]).expect(3).out.contains("rerail.yaml"));
}

#[test]
fn actions_are_listed_and_explained() {
    let place = Place::new();
    place.file(
        "actions/team/look.yaml",
        "version: 1\ntitle: Look the team's way\ninputs:\n  url: { type: url, description: Where }\nsteps:\n  - id: p\n    uses: http.probe\n    with: { url: \"${{ inputs.url }}\" }\noutputs:\n  ok: \"${{ steps.p.outputs.ok }}\"\n",
    );
    let rows = place.run(&["actions", "--json"]).expect(0).json();
    let names: Vec<&str> = rows.as_array().unwrap().iter().map(|row| row["name"].as_str().unwrap()).collect();
    assert!(names.contains(&"http.probe") && names.contains(&"team.look"), "{names:?}");
    insta::assert_snapshot!(place.run(&["actions", "team.look"]).expect(0).shown());
    let wrong = place.run(&["actions", "http.prob"]).expect(2);
    assert!(wrong.err.contains("did you mean `http.probe`?"), "{}", wrong.err);
}

#[test]
fn version_names_the_formats() {
    let json = Place::new().run(&["version", "--json"]).expect(0).json();
    assert_eq!(json["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(json["events"], 1);
}

#[test]
fn a_run_that_is_not_there_is_wrong_usage_everywhere() {
    let place = Place::new();
    for args in [
        &["show", "zzzzzz"][..],
        &["resume", "zzzzzz"],
        &["cancel", "zzzzzz"],
        &["answer", "zzzzzz", "answer=x"],
        &["note", "zzzzzz", "x"],
        &["export", "zzzzzz"],
        &["verify", "zzzzzz"],
    ] {
        let done = place.run(args).expect(2);
        assert!(done.err.starts_with("error: no run `zzzzzz`\nhint: "), "{args:?}: {}", done.err);
    }
    assert!(place.run(&["runs", "--status", "bad"]).expect(2).err.contains("in_doubt"));
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let place = Place::new();
    let mut child = place
        .command(&["actions", "--json"])
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), String::from_utf8(output.stderr).unwrap()), (Some(0), String::new()));
}

#[test]
fn the_log_goes_to_standard_error_and_only_when_asked_for() {
    let place = Place::new();
    let backend = Backend::start();
    let loud =
        place.command(&["run", "look", "-i", &backend.input(), "-q"]).env("RERAIL_LOG", "trace").output().unwrap();
    assert_eq!(loud.status.code(), Some(12));
    assert!(!String::from_utf8_lossy(&loud.stdout).contains("TRACE"));
    let wrong = place.command(&["list"]).env("RERAIL_LOG", "rerail=loud").output().unwrap();
    assert_eq!(wrong.status.code(), Some(2));
}

#[test]
fn doctor_looks_at_everything_and_makes_no_journal() {
    let place = Place::new();
    place.file("rerail.yaml", "version: 1\nallow:\n  env: [LANG]\n  file_write: [reports]\n");
    place.file(
        "runbooks/old.yaml",
        "version: 1\ntitle: Old\nowner: o\nreviewed: 2024-01-01\nsteps:\n  - uses: time.now\n",
    );
    let seen = place.run(&["doctor"]).expect(0).out;
    for part in [
        "project ",
        "files             no problems in ",
        "allow.env         LANG",
        "allow.file_write  reports",
        "not a directory yet: reports",
        "none yet; the first run makes ",
        "reviewed more than 90 days ago: old ",
        "terminal          none",
        ", SQLite 3.",
    ] {
        assert!(seen.contains(part), "{part}: {seen}");
    }
    assert!(!place.path().join("state").exists());
}

#[test]
fn doctor_measures_the_journal_and_finds_damage() {
    let (place, backend) = (Place::new(), Backend::start());
    place.run(&["run", "look", "-i", &backend.input(), "-q"]).expect(12);
    let sound = place.run(&["doctor", "--json"]).expect(0).json();
    let journal = |json: &serde_json::Value| {
        json["checks"].as_array().unwrap().iter().find(|check| check["what"] == "journal").unwrap().clone()
    };
    let says = journal(&sound)["says"].as_str().unwrap().to_owned();
    assert!(says.starts_with("1 runs, ") && says.contains(" flush ") && says.contains(" free, "), "{says}");
    assert_eq!(sound["fit"], true);
    std::fs::remove_file(place.path().join("state/journal.db-wal")).unwrap();
    place.file("state/journal.db", "SQLite format 3\0 and then nothing that fits");
    let broken = place.run(&["doctor", "--json"]).expect(1).json();
    assert_eq!((&broken["fit"], &journal(&broken)["state"]), (&false.into(), &"broken".into()));
}

#[test]
fn doctor_says_whether_writes_are_on_hold_by_whom_and_why() {
    let place = Place::new();
    place.run(&["hold", "on", "--reason", "database migration"]).expect(0);
    let on = place.run(&["doctor"]).expect(0).out;
    assert!(on.contains("hold              no write starts since "), "{on}");
    assert!(on.contains(": database migration") && on.contains("`rerail hold off` lifts it"), "{on}");
    place.run(&["hold", "off"]).expect(0);
    let off = place.run(&["doctor"]).expect(0).out;
    assert!(off.contains("hold              writes may start"), "{off}");
}

#[test]
fn doctor_says_how_messages_leave_and_whether_the_target_has_the_password() {
    let place = Place::new();
    let mail = "version: 1\nmail:\n  smtp: { host: smtp.example.com, user: rerail, password_secret: SMTP_PASSWORD }\n  from: rerail@example.com\n";
    place.file("rerail.yaml", &format!("{mail}  allow_domains: [example.com]\n"));
    place.file("targets/here.yaml", "version: 1\nsecrets:\n  OTHER: { from: env }\n");
    let says = "mail              smtp.example.com:587, starttls, from rerail@example.com, to example.com";
    let well = place.run(&["doctor"]).expect(0).out;
    assert!(well.contains(says) && !well.contains("SMTP_PASSWORD"), "{well}");
    let lacks = place.command(&["doctor", "--target", "here"]).env("OTHER", "obviously-fake").output().unwrap();
    let lacks = String::from_utf8_lossy(&lacks.stdout).into_owned();
    assert!(lacks.contains("target here has no secret SMTP_PASSWORD"), "{lacks}");
    place.file("rerail.yaml", &format!("{mail}  allow_domains: []\n"));
    let nobody = place.run(&["doctor"]).expect(0).out;
    assert!(nobody.contains("to nobody") && nobody.contains("`mail.allow_domains`"), "{nobody}");
}

#[test]
fn doctor_says_of_each_secret_whether_it_can_be_read_and_never_what_it_is() {
    let place = Place::new();
    place.file(
        "targets/here.yaml",
        "version: 1\nallow_hosts: [api.example.com]\nca: gone.pem\nsecrets:\n  A_TOKEN: { from: env, hosts: [api.example.com] }\n  B_TOKEN: { from: env }\n  C_TOKEN: { from: env }\n  D_TOKEN: { from: file, path: gone }\n",
    );
    let mut command = place.command(&["doctor", "--target", "here"]);
    command.env("A_TOKEN", "obviously-fake-a").env("B_TOKEN", "obviously-fake-b");
    let done = crate::cli::kit::Done::of(command.output().unwrap()).expect(1);
    for part in [
        "target here       reaches api.example.com",
        "`gone.pem` is not a file",
        "A_TOKEN           present, goes to api.example.com",
        "B_TOKEN           present, bound to no host",
        "comes from the environment variable C_TOKEN, not set",
        "can't be read from gone: ",
    ] {
        assert!(done.out.contains(part), "{part}: {}", done.out);
    }
    assert!(!done.out.contains("obviously-fake") && !done.err.contains("obviously-fake"));
    let unknown = place.run(&["doctor", "--target", "hre"]).expect(2);
    assert!(unknown.err.contains("did you mean `here`?"), "{}", unknown.err);
}

#[test]
fn doctor_online_connects_to_what_the_target_names_and_says_what_it_saw() {
    let place = Place::new();
    let there = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let gone = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let (open, closed) = (there.local_addr().unwrap(), gone.local_addr().unwrap());
    drop(gone);
    let target = |wait: &str| {
        format!(
            "version: 1\nproviders:\n  redeploy: {{ use: webhook, url: 'http://{open}/hook', wait: {{ url: 'http://{wait}/' }} }}\n"
        )
    };
    place.file("targets/here.yaml", &target(&open.to_string()));
    let well = place.run(&["doctor", "--target", "here", "--online"]).expect(0).out;
    assert!(well.contains(&format!("answers at {open} in ")), "{well}");
    place.file("targets/here.yaml", &target(&closed.to_string()));
    assert!(!place.run(&["doctor", "--target", "here"]).expect(0).out.contains("answers"), "asked for only");
    let broken = place.run(&["doctor", "--target", "here", "--online"]).expect(1).out;
    assert!(broken.contains(&format!("can't be reached at {closed}: ")), "{broken}");
    place.file("targets/here.yaml", "version: 1\n");
    let nothing = place.run(&["doctor", "--target", "here", "--online"]).expect(0).out;
    assert!(nothing.contains("target here names no host"), "{nothing}");
    place.run(&["doctor", "--online"]).expect(2);
}

#[test]
fn doctor_of_a_project_file_with_problems_says_so() {
    let place = Place::new();
    place.file("rerail.yaml", "version: 1\nalow: {}\n");
    let done = place.run(&["doctor"]).expect(1);
    assert!(done.out.contains("project") && done.out.contains("`rerail check` draws the problems"), "{}", done.out);
}
