//! Projects on a disk: what is found, what wins, what a run keeps when files change.

use rerail::engine::event::Body;
use rerail::engine::outcome::{FailureKind, RunOutcome};
use rerail::project::{Origin, Project, ProjectError};
use rerail::runbook::problem::render;
use rerail::runbook::program::FileKind;
use rerail::runs::{ErrorKind, Left, StartRequest};

use crate::door::{Place, ana, foreground, head, notes, refused, request, resume, start, started, typed};

const NOTE: &str = "steps:\n  - { id: say, uses: run.note, with: { text: WORD } }\n";

fn discovered(place: &Place, dir: &str) -> Result<Option<String>, String> {
    let root = place.path("");
    match Project::discover(&place.path(dir)) {
        Ok(project) => Ok(project.root.map(|found| found.strip_prefix(&root).unwrap().to_string_lossy().into_owned())),
        Err(ProjectError::Invalid(problems)) => Err(render(&problems, false)),
        Err(other) => Err(other.to_string()),
    }
}

fn error_kind(left: &Left) -> Option<FailureKind> {
    left.facts.finished.as_ref().unwrap().error.as_ref().map(|error| error.kind)
}

#[test]
fn the_nearest_directory_upwards_with_a_project_file_is_the_project() {
    let place = Place::new().file("project/inner/rerail.yaml", "version: 1\n").file("project/deep/er/x", "");
    assert_eq!(discovered(&place, "project/deep/er"), Ok(Some("project".into())));
    assert_eq!(discovered(&place, "project/inner"), Ok(Some("project/inner".into())));
    assert_eq!(discovered(&place, ""), Ok(None));
}

#[test]
fn a_project_file_that_is_there_and_unusable_is_an_error_and_not_the_project_above() {
    for (file, text, expected) in [
        ("rerail.yaml", b"version: 1\nallov: {}\n".as_slice(), "did you mean `allow`?"),
        ("rerail.yaml", b"version: 1 # caf\xe9\n", "the file is not UTF-8: byte 16 is 0xe9"),
        ("rerail.yaml/x", b"", "`rerail.yaml` is not a regular file"),
        ("rerail.yml", b"version: 1\n", "rename it to `rerail.yaml`"),
    ] {
        let place = Place::new();
        place.write(&format!("project/inner/{file}"), text);
        let error = discovered(&place, "project/inner").unwrap_err();
        assert!(error.contains(expected), "{file}: {error}");
    }
}

#[test]
fn problems_of_a_file_that_can_not_be_read_have_a_picture() {
    let place = Place::new().file("project/runbooks/fix.yaml", b"version: 1\ntitle: caf\xe9\n");
    let error = place.runs().prepare(&request("fix")).unwrap_err();
    assert_eq!((error.kind, error.message.as_str()), (ErrorKind::Invalid, "`runbooks/fix.yaml` has problems"));
    let picture = render(&error.problems, false);
    assert!(picture.contains("runbooks/fix.yaml:2:11") && picture.contains("save the file as UTF-8 text"), "{picture}");
    let place = Place::new().file("project/runbooks/fix.yml", head(NOTE));
    let error = place.runs().prepare(&request("fix")).unwrap_err();
    assert!(render(&error.problems, false).contains("help: rename it to `fix.yaml`"));
}

#[test]
fn an_action_or_module_that_can_not_be_read_stops_the_runbook_that_uses_it() {
    let calls = "steps:\n  - { id: a, uses: mail.send }\n";
    let imports = "steps:\n  - { id: a, script: 'import \"lib\" as l; l::f()' }\n";
    for (body, file) in [(calls, "actions/mail/send.yaml"), (imports, "modules/lib.rhai")] {
        let place = Place::new().runbook("fix", body).file(&format!("project/{file}"), b"\xff\xfe");
        let error = place.runs().prepare(&request("fix")).unwrap_err();
        let codes: Vec<_> = error.problems.iter().map(|p| (p.code, p.source.shown.as_str())).collect();
        assert_eq!(codes, [("E0100", file)], "{}", render(&error.problems, false));
    }
}

#[test]
fn everything_unusable_in_a_project_is_listed() {
    let place = Place::new()
        .runbook("good", NOTE)
        .file("project/runbooks/old.yml", "x")
        .file("project/runbooks/team/x.yaml", "x")
        .file("project/actions/bad.yaml", b"\xff")
        .file("project/modules/bad.rhai", b"\xff")
        .file("project/targets/a b.yaml", "version: 1\n");
    let project = Project::discover(&place.path("project")).unwrap();
    let problems: Vec<_> = project.unusable().iter().map(|p| format!("{} {}", p.code, p.source.shown)).collect();
    assert_eq!(
        problems,
        [
            "E0117 runbooks/old.yml",
            "W0406 runbooks/team/x.yaml",
            "E0100 actions/bad.yaml",
            "E0100 modules/bad.rhai",
            "W0406 targets/a b.yaml",
        ]
    );
    let own: Vec<_> = project.runbooks().into_iter().filter(|listed| listed.origin == Origin::Project).collect();
    assert_eq!(own.iter().map(|listed| listed.name.as_str()).collect::<Vec<_>>(), ["good"]);
}

#[test]
fn a_name_that_is_not_there_comes_with_the_way_to_what_was_meant() {
    let place = Place::new().runbook("backend-slow", NOTE).file("project/runbooks/team/lost.yaml", head(NOTE));
    let runs = place.runs();
    let error = refused(runs.prepare(&request("backend-slwo")));
    assert_eq!(error, "there is no runbook `backend-slwo` | did you mean `backend-slow`?");
    let error = refused(runs.prepare(&request("lost")));
    assert!(error.contains("`runbooks/team/lost.yaml` lies deeper") && error.contains("given by path"), "{error}");
    let error = refused(runs.prepare(&request("../project/runbooks/none.yaml")));
    assert_eq!(error, "there is no file `../project/runbooks/none.yaml`");
}

#[test]
fn a_path_reaches_outside_the_project_and_uses_its_actions() {
    let place = Place::new()
        .file("elsewhere/fix.yaml", head("steps:\n  - { id: a, uses: own }\n"))
        .file("project/actions/own.yaml", head(NOTE));
    let path = place.path("elsewhere/fix.yaml").to_str().unwrap().to_owned();
    let left = started(&place.runs(), &request(&path));
    assert_eq!(left.facts.finished.unwrap().outcome, RunOutcome::Success);
    assert_eq!(place.row().runbook, "fix");
    for (what, expected) in [("elsewhere", "is not a regular file"), ("elsewhere/fix.txt", "files end in `.yaml`")] {
        place.write("elsewhere/fix.txt", "x");
        let path = place.path(what).to_str().unwrap().to_owned();
        let error = place.runs().prepare(&request(&path)).unwrap_err();
        assert!(error.problems[0].message.contains(expected), "{}", error.problems[0].message);
    }
}

#[test]
fn targets_are_checked_before_anything_starts() {
    let place = Place::new()
        .runbook("fix", NOTE)
        .runbook("secretive", &NOTE.replace("steps:", "secrets: [TOKEN]\nsteps:"))
        .file("project/targets/production.yaml", "version: 1\n")
        .file("project/targets/broken.yaml", "version: 1\nsecret: {}\n");
    let on = |runbook: &str, target: &str| {
        place.runs().prepare(&StartRequest { target: Some(target.into()), ..request(runbook) })
    };
    assert_eq!(refused(on("fix", "producton")), "there is no target `producton` | did you mean `production`?");
    assert_eq!(on("fix", "broken").unwrap_err().problems[0].code, "E0103");
    let error = refused(place.runs().prepare(&request("secretive")));
    assert!(error.contains("secrets come from a target | give --target; there is: broken, production"), "{error}");
    let error = refused(on("secretive", "production"));
    assert!(error.contains("target `production` doesn't name | add them under `secrets:`"), "{error}");
    place.write("project/targets/production.yaml", "version: 1\nsecrets: { TOKEN: { from: file, path: none } }\n");
    let prepared = on("secretive", "production").unwrap();
    let error = refused(place.runs().start(prepared, foreground(false).1));
    assert!(error.contains("secret TOKEN can't be read from none"), "{error}");
    assert!(place.runs().list(&Default::default()).unwrap().is_empty(), "nothing has started");
}

#[test]
fn a_resumed_run_keeps_the_texts_it_was_started_with() {
    let body = |word: &str| {
        format!(
            "
steps:
  - {{ id: ready, uses: human.ask, with: {{ text: now? }} }}
  - {{ id: own, uses: run.note, with: {{ text: 'runbook {word}' }} }}
  - {{ id: act, uses: act }}
  - {{ id: lib, script: 'import \"lib\" as l; run::note(#{{ text: l::word() }})' }}
"
        )
    };
    let act = |word: &str| head(&NOTE.replace("WORD", &format!("action {word}")));
    let lib = |word: &str| format!("fn word() {{ \"module {word}\" }}");
    let place = Place::new()
        .runbook("fix", &body("old"))
        .file("project/actions/act.yaml", act("old"))
        .file("project/modules/lib.rhai", lib("old"))
        .file("project/targets/here.yaml", "version: 1\ninputs: {}\n");
    started(&place.runs(), &StartRequest { target: Some("here".into()), ..request("fix") });

    place.write("project/runbooks/fix.yaml", "not: a runbook");
    place.write("project/actions/act.yaml", act("new"));
    std::fs::remove_file(place.path("project/modules/lib.rhai")).unwrap();
    std::fs::remove_file(place.path("project/targets/here.yaml")).unwrap();
    place.runs().answer(&place.row(), None, &typed("ready", "yes"), &ana()).unwrap();
    let left = resume(&place.runs(), &place.row(), vec![]).unwrap();
    assert_eq!(left.facts.finished.unwrap().outcome, RunOutcome::Success);
    let said: Vec<String> = notes(&place.events()).into_iter().map(|(text, _)| text).collect();
    assert_eq!(said, ["runbook old", "action old", "module old"]);
}

const WRITES: &str = "
steps:
  - { id: ready, uses: human.ask, with: { text: now? } }
  - { id: report, uses: file.write, with: { path: out/report.md, text: done } }
";

fn with_report() -> Place {
    let allowing = "version: 1\nallow: { file_write: [out] }\n";
    let place = Place::new()
        .file("project/rerail.yaml", allowing)
        .runbook("report", WRITES)
        .file("project/out/.keep", "")
        .file("other/rerail.yaml", allowing)
        .file("other/out/.keep", "");
    started(&place.runs(), &request("report"));
    place.runs().answer(&place.row(), None, &typed("ready", "yes"), &ana()).unwrap();
    place
}

#[test]
fn a_run_writes_where_it_belongs_from_wherever_it_is_resumed() {
    let place = with_report();
    let left = resume(&place.runs_in("other"), &place.row(), vec![]).unwrap();
    assert_eq!(left.facts.finished.unwrap().outcome, RunOutcome::Success);
    assert!(place.path("project/out/report.md").exists() && !place.path("other/out/report.md").exists());
}

#[test]
fn what_is_allowed_is_what_the_runs_own_project_says_now() {
    let place = with_report();
    place.write("project/rerail.yaml", "version: 1\n");
    let left = resume(&place.runs_in("other"), &place.row(), vec![]).unwrap();
    assert_eq!(error_kind(&left), Some(FailureKind::Policy));
    assert!(!place.path("project/out/report.md").exists());
}

#[test]
fn a_run_whose_project_is_gone_is_not_resumed_elsewhere() {
    let place = with_report();
    std::fs::rename(place.path("project"), place.path("moved")).unwrap();
    let row = place.runs_in("other").find("@last").unwrap();
    let error = refused(resume(&place.runs_in("other"), &row, vec![]));
    assert!(error.starts_with("the project this run belongs to is gone: there is no `"), "{error}");
    assert!(error.contains("project/rerail.yaml` | put it back"), "{error}");
    std::fs::rename(place.path("moved"), place.path("project")).unwrap();
    let left = resume(&place.runs_in("other"), &row, vec![]).unwrap();
    assert_eq!(left.facts.finished.unwrap().outcome, RunOutcome::Success);
}

#[test]
fn a_run_records_its_project() {
    let place = Place::new().runbook("fix", NOTE);
    started(&place.runs(), &request("fix"));
    let Body::RunStarted(first) = &place.events()[0].body else { panic!("a run starts with its start") };
    assert_eq!(first.root.as_deref(), place.path("project").to_str());
    let kinds: Vec<_> = first.files.iter().map(|file| (file.kind, file.shown.as_str())).collect();
    assert_eq!(kinds, [(FileKind::Runbook, "runbooks/fix.yaml"), (FileKind::Project, "rerail.yaml")]);
}

#[test]
fn a_run_without_a_project_keeps_the_directory_and_gains_no_rights_in_one() {
    let place = Place::new().file("bare/report.yaml", head(WRITES)).file("bare/out/.keep", "");
    let path = place.path("bare/report.yaml").to_str().unwrap().to_owned();
    let left = started(&place.runs_in("bare"), &request(&path));
    let root = left.facts.started.as_ref().unwrap().root.clone();
    assert_eq!(root, std::env::current_dir().unwrap().to_str().map(str::to_owned));
    place.write("project/rerail.yaml", "version: 1\nallow: { file_write: [/] }\n");
    place.runs().answer(&place.row(), None, &typed("ready", "yes"), &ana()).unwrap();
    let left = resume(&place.runs(), &place.row(), vec![]).unwrap();
    assert_eq!(error_kind(&left), Some(FailureKind::Policy));
}

#[test]
fn inputs_of_a_file_and_a_target_meet_in_one_run() {
    let body = "
inputs:
  a: { type: string, default: default }
  b: { type: string, default: default }
  c: { type: string, default: default }
  d: { type: string, default: default }
steps:
  - { id: say, uses: run.note, with: { text: '${{ inputs.a }} ${{ inputs.b }} ${{ inputs.c }} ${{ inputs.d }}' } }
";
    let place = Place::new()
        .runbook("fix", body)
        .file("project/targets/here.yaml", "version: 1\ninputs: { a: target, b: target, c: target }\n");
    let request = StartRequest {
        target: Some("here".into()),
        inputs: vec![("a".into(), "typed".into())],
        inputs_file: Some(("in.json".into(), r#"{"a": "file", "b": "file"}"#.into())),
        ..request("fix")
    };
    started(&place.runs(), &request);
    assert_eq!(notes(&place.events())[0].0, "typed file target default");
    let wrong = StartRequest { inputs_file: Some(("in.yaml".into(), "a: 1\na: 2\n".into())), ..request };
    let error = start(&place.runs(), &wrong).unwrap_err();
    assert_eq!((error.kind, error.problems[0].code), (ErrorKind::Invalid, "E0104"));
    assert_eq!(error.message, "inputs file `in.yaml` has problems");
}

#[test]
fn two_hundred_runbooks_are_listed_in_no_time() {
    let place = Place::new();
    for number in 0..200 {
        place.write(&format!("project/runbooks/book-{number}.yaml"), head(NOTE));
    }
    let runs = place.runs();
    let before = rerail::script::cpu::spent();
    let own = runs.project().runbooks().into_iter().filter(|listed| listed.origin == Origin::Project).count();
    assert_eq!(own, 200);
    runs.prepare(&request("book-7")).unwrap();
    let spent = rerail::script::cpu::spent() - before;
    assert!(spent < std::time::Duration::from_secs(2), "{spent:?}");
}
