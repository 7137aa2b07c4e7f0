//! `exec.run` with real commands: what reaches the child, what comes back, and that nothing of it stays.

use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;
use std::time::Duration;

use rerail::engine::outcome::{Attempt, Failure, FailureKind, Outcome};
use rerail::project::Project;
use rerail::redact::Redactor;
use rerail::runbook::program::load;
use rerail::runbook::settings::{From, SecretSource, read_settings};
use rerail::runbook::source::Source;
use rerail::runbook::spec::Effect;
use rerail::script::secret::SecretText;
use rerail::script::value::{Map, Value};
use rerail::steps::world::{World, WorldSettings};
use rerail::steps::{Primitive, catalog};
use serde_json::json;
use tokio::time::{Instant, sleep, timeout};

use super::kit::{args, hurried};

/// Longer than anything here takes, also on a busy machine.
const AT_MOST: Duration = Duration::from_secs(60);

/// A project whose lines allow `sh` to read and `bash` to write.
struct Ground {
    root: tempfile::TempDir,
    world: World,
    redactor: Redactor,
}

const LINES: &str = "version: 1\nallow:\n  exec:\n    - { argv: [sh, \"**\"], effect: read, env: [GREETING, TOKEN] }\n    \
                     - { argv: [bash, \"**\"], effect: write }\n    - { argv: [./tool, \"*\"], effect: write }\n    \
                     - { argv: [no-such-program], effect: write }\n    \
                     - { argv: [printenv, TOKEN], effect: read, env: [TOKEN], hosts: [db.example.com, API.example.com] }\n    \
                     - { argv: [printenv, \"*\"], effect: read, env: [TOKEN], hosts: [\"*.example.com\"] }\n";

impl Ground {
    fn new() -> Ground {
        let root = tempfile::tempdir().unwrap();
        let (settings, problems) = read_settings(&Source::new("rerail.yaml", LINES));
        assert!(problems.is_empty());
        std::fs::write(root.path().join("token"), "hunter2-hunter2-example\n").unwrap();
        let source = SecretSource { from: From::File { path: "token".into() }, hosts: Vec::new() };
        let bound = SecretSource { hosts: vec!["api.example.com".into()], ..source.clone() };
        let redactor = Redactor::new();
        let world = World::new(WorldSettings {
            project: root.path().into(),
            settings,
            secrets: [("TOKEN".to_owned(), source), ("BOUND".to_owned(), bound)].into(),
            redactor: redactor.clone(),
            ..WorldSettings::default()
        });
        Ground { root, world: world.gated(|| Ok(())), redactor }
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.root.path().join(name)
    }

    /// Runs this script by a line that reads.
    async fn read(&self, script: &str, more: serde_json::Value) -> Attempt {
        perform(&self.world, Effect::Read, &call("sh", script, more)).await
    }

    /// Runs this script by a line that writes.
    async fn write(&self, script: &str, more: serde_json::Value) -> Attempt {
        perform(&self.world, Effect::Write, &call("bash", script, more)).await
    }
}

fn call(shell: &str, script: &str, more: serde_json::Value) -> Map {
    let mut call = args(more);
    call.insert("argv".into(), Value::List(vec![shell.into(), "-c".into(), script.into()]));
    call
}

async fn perform(world: &World, effect: Effect, args: &Map) -> Attempt {
    let entry = catalog::find("exec.run").unwrap();
    let Primitive::ReadOrWrite(read, write) = entry.primitive else { panic!("reads or writes") };
    let attempt = async {
        match effect {
            Effect::Read => read.perform(world, args).await,
            _ => write.perform(world, args, "key").await,
        }
    };
    timeout(AT_MOST, attempt).await.expect("ends by itself")
}

fn output<'a>(attempt: &'a Attempt, name: &str) -> &'a Value {
    attempt.outputs.get(name).unwrap_or_else(|| panic!("no `{name}` in {attempt:?}"))
}

fn failure(attempt: Attempt, outcome: Outcome) -> Failure {
    assert_eq!(attempt.outcome, outcome, "{attempt:?}");
    attempt.failure.unwrap()
}

/// Whether a process runs; one that has ended and waits to be reaped doesn't.
fn runs(pid: &str) -> bool {
    let Ok(stat) = std::fs::read_to_string(format!("/proc/{}/stat", pid.trim())) else { return false };
    stat.rsplit(") ").next().is_some_and(|state| !state.starts_with(['Z', 'X']))
}

async fn ends(pid: &str) {
    let soon = Instant::now() + AT_MOST;
    while runs(pid) {
        assert!(Instant::now() < soon, "process {pid} goes on");
        sleep(Duration::from_millis(10)).await;
    }
}

/// The text of a file, as soon as it has a whole line.
async fn appears(path: &Path) -> String {
    let soon = Instant::now() + AT_MOST;
    loop {
        let text = std::fs::read_to_string(path).unwrap_or_default();
        if text.ends_with('\n') {
            return text;
        }
        assert!(Instant::now() < soon, "{} never appears", path.display());
        sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn output_is_read_as_asked() {
    let ground = Ground::new();
    let attempt = ground.read("echo one; echo two; echo three >&2", json!({})).await;
    assert_eq!(attempt.outcome, Outcome::Done, "{attempt:?}");
    assert_eq!(output(&attempt, "text"), &Value::from("one\ntwo\n"));
    assert_eq!(output(&attempt, "stderr"), &Value::from("three\n"));
    assert_eq!((output(&attempt, "code"), output(&attempt, "stdout_bytes")), (&Value::Int(0), &Value::Int(8)));
    let lines = ground.read("echo one; echo two", json!({ "parse": "lines" })).await;
    assert_eq!(output(&lines, "lines"), &Value::List(vec!["one".into(), "two".into()]));
    let parsed = ground.read("echo '{\"a\": [1]}'", json!({ "parse": "json" })).await;
    assert_eq!(output(&parsed, "json"), &Value::map([("a", Value::List(vec![Value::Int(1)]))]));
    assert_eq!(output(&parsed, "text"), &Value::Null);
    let none = ground.read("echo one", json!({ "parse": "none" })).await;
    assert_eq!((output(&none, "text"), output(&none, "stdout_bytes")), (&Value::Null, &Value::Int(4)));
    let broken = ground.write("echo no", json!({ "parse": "json" })).await;
    assert_eq!(failure(broken, Outcome::Failed).kind, FailureKind::Expect, "the command itself ended well");
}

#[tokio::test]
async fn an_exit_code_is_proof_of_failure_and_a_signal_is_none() {
    let ground = Ground::new();
    let attempt = ground.write("echo not this >&2; echo the disk is full >&2; echo >&2; exit 3", json!({})).await;
    assert_eq!(output(&attempt, "code"), &Value::Int(3));
    let failed = failure(attempt, Outcome::Failed);
    assert!(failed.message.ends_with("exit code 3, expected 0: the disk is full"), "{}", failed.message);
    let good = ground.write("exit 3", json!({ "expect": { "exit": [0, 3] } })).await;
    assert_eq!(good.outcome, Outcome::Done);
    let zero = ground.write("exit 0", json!({ "expect": { "exit": 3 } })).await;
    assert!(failure(zero, Outcome::Failed).message.contains("exit code 0, expected 3"));
    let killed = ground.write("kill -9 $$", json!({})).await;
    assert_eq!(output(&killed, "signal"), &Value::Int(9));
    assert!(failure(killed, Outcome::InDoubt).message.contains("signal 9 (KILL)"));
    failure(ground.read("kill -9 $$", json!({})).await, Outcome::Failed);
}

#[tokio::test]
async fn a_command_without_a_line_is_refused_with_the_line_to_add() {
    let ground = Ground::new();
    let line = |words: &[&str]| {
        let words = words.iter().map(|word| Value::from(*word));
        Map::from([("argv".to_owned(), Value::List(words.collect()))])
    };
    let touch = line(&["touch", "a \"b\""]);
    for effect in [Effect::Read, Effect::Write] {
        let refused = failure(perform(&ground.world, effect, &touch).await, Outcome::Refused);
        assert_eq!(refused.kind, FailureKind::Policy);
        assert!(refused.message.contains(r#"- { argv: ["touch", "a \"b\""], effect: write }"#), "{}", refused.message);
    }
    let option = failure(perform(&ground.world, Effect::Write, &line(&["./tool", "--x"])).await, Outcome::Refused);
    assert_eq!(option.kind, FailureKind::Policy);
    // What was checked as a read and is a write by now.
    let raised = perform(&ground.world, Effect::Read, &call("bash", "touch here", json!({}))).await;
    assert!(failure(raised, Outcome::Refused).message.contains("is a write here"));
    assert!(!ground.path("here").exists());
}

#[tokio::test]
async fn nothing_starts_behind_a_shut_gate() {
    let ground = Ground::new();
    let shut = ground.world.gated(|| Err(Failure::new(FailureKind::Policy, "the run was taken over")));
    let attempt = perform(&shut, Effect::Write, &call("bash", "touch here", json!({}))).await;
    assert_eq!(failure(attempt, Outcome::Refused).message, "the run was taken over");
    assert!(!ground.path("here").exists());
}

#[tokio::test]
async fn what_can_not_be_started_is_refused() {
    let ground = Ground::new();
    let tool = Map::from([("argv".to_owned(), Value::List(vec!["./tool".into(), "x".into()]))]);
    let refused = async || failure(perform(&ground.world, Effect::Write, &tool).await, Outcome::Refused).message;
    assert!(refused().await.contains("there is no file"));
    std::fs::write(ground.path("tool"), "echo no interpreter\n").unwrap();
    assert!(refused().await.contains("is not executable"));
    std::fs::set_permissions(ground.path("tool"), std::fs::Permissions::from_mode(0o755)).unwrap();
    assert!(refused().await.contains("can't be started"), "no shell takes over a file without an interpreter");
    let gone = Map::from([("argv".to_owned(), Value::List(vec!["no-such-program".into()]))]);
    let gone = failure(perform(&ground.world, Effect::Write, &gone).await, Outcome::Refused);
    assert!(gone.message.contains("no program of that name is in PATH"), "{}", gone.message);
    for (name, wrong) in [
        ("argv", json!([])),
        ("argv", json!(["sh", "a\u{0}b"])),
        ("expect", json!({ "exit": 256 })),
        ("expect", json!({ "exit": [] })),
        ("expect", json!({ "status": 0 })),
        ("timeout", json!("soon")),
        ("stdin", json!("x".repeat(1024 * 1024 + 1))),
        ("collect", json!(["../x"])),
        ("collect", json!(["a", "a"])),
        ("files", json!({ "a/b": {} })),
        ("files", json!({ "a": "text" })),
    ] {
        let mut call = call("sh", "echo no", json!({}));
        call.extend(args(json!({ name: wrong })));
        let refused = failure(perform(&ground.world, Effect::Read, &call).await, Outcome::Refused);
        assert!(refused.message.starts_with(&format!("argument `{name}`")), "{}", refused.message);
    }
}

#[tokio::test]
async fn the_child_gets_its_own_environment_and_three_streams() {
    let ground = Ground::new();
    let attempt = ground.read("env", json!({ "env": { "GREETING": "hello" }, "parse": "lines" })).await;
    let Value::List(lines) = output(&attempt, "lines") else { panic!("{attempt:?}") };
    let names: Vec<&str> =
        lines.iter().filter_map(|line| line.as_text()?.split_once('=')).map(|(name, _)| name).collect();
    for name in &names {
        // The last three are set by the shell itself.
        let known = ["GREETING", "HOME", "LANG", "LC_ALL", "PATH", "TZ", "PWD", "OLDPWD", "SHLVL", "_"].contains(name);
        assert!(known, "{name} was inherited: {names:?}");
    }
    assert!(names.contains(&"GREETING") && names.contains(&"PATH"), "{names:?}");
    let refused = ground.read("env", json!({ "env": { "LD_PRELOAD": "x.so" } })).await;
    assert!(failure(refused, Outcome::Refused).message.contains("`LD_PRELOAD` may not be set"));
    let held = std::fs::File::open(ground.path("token")).unwrap();
    let open = ground.read("ls -l /proc/self/fd", json!({})).await;
    assert!(!output(&open, "text").to_string().contains("token"), "{open:?}");
    drop(held);
    let input = ground.read("cat; echo end", json!({})).await;
    assert_eq!(output(&input, "text"), &Value::from("end\n"), "standard input is empty");
    // Without a terminal signal: its own group, whose leader it is.
    let group = ground.read("cut -d' ' -f5 /proc/self/stat; echo $$", json!({ "parse": "lines" })).await;
    let Value::List(ids) = output(&group, "lines") else { panic!("{group:?}") };
    assert_eq!(ids[0], ids[1]);
}

#[tokio::test]
async fn secrets_reach_the_child_and_come_back_redacted() {
    let ground = Ground::new();
    let secret = || Value::Secret(SecretText::named("TOKEN"));
    let mut given = call("sh", "read line; [ \"$line\" = \"$TOKEN\" ] && echo same $TOKEN; echo $line >&2", json!({}));
    given.insert("env".into(), Value::map([("TOKEN", secret())]));
    given.insert("stdin".into(), secret());
    let attempt = perform(&ground.world, Effect::Read, &given).await;
    assert_eq!(output(&attempt, "text"), &Value::from("same [redacted:TOKEN]\n"));
    assert_eq!(output(&attempt, "stderr"), &Value::from("[redacted:TOKEN]\n"));
    let mut shown = call("sh", "x", json!({}));
    shown.insert("argv".into(), Value::List(vec!["sh".into(), "-c".into(), secret()]));
    assert_eq!(failure(perform(&ground.world, Effect::Read, &shown).await, Outcome::Refused).kind, FailureKind::Secret);
    let mut bound = call("sh", "echo $TOKEN", json!({}));
    bound.insert("env".into(), Value::map([("TOKEN", Value::Secret(SecretText::named("BOUND")))]));
    let refused = failure(perform(&ground.world, Effect::Read, &bound).await, Outcome::Refused);
    assert!(refused.message.contains("is bound to api.example.com"), "{}", refused.message);
    assert!(refused.message.contains("has one of them in `hosts`"), "{}", refused.message);
    // A line that names the host it is bound to; one that names others, however many.
    for (word, outcome) in [("TOKEN", Outcome::Done), ("HOME", Outcome::Refused)] {
        bound.insert("argv".into(), Value::List(vec!["printenv".into(), word.into()]));
        let attempt = perform(&ground.world, Effect::Read, &bound).await;
        assert_eq!(attempt.outcome, outcome, "{attempt:?}");
        if outcome == Outcome::Done {
            assert_eq!(output(&attempt, "text"), &Value::from("[redacted:TOKEN]\n"));
        }
    }
    assert_eq!(ground.redactor.redact("hunter2-hunter2-example"), "[redacted:TOKEN]");
}

#[tokio::test]
async fn a_flood_is_counted_and_cut_and_unread_input_hurts_nobody() {
    let ground = Ground::new();
    let long = "x".repeat(1024 * 1024);
    let script = "head -c 3000000 /dev/zero | tr '\\0' y; head -c 2000000 /dev/zero | tr '\\0' z >&2";
    let attempt = ground.read(script, json!({ "stdin": long })).await;
    assert_eq!(attempt.outcome, Outcome::Done, "{:?}", attempt.failure);
    assert_eq!(output(&attempt, "text").as_text().map(str::len), Some(1024 * 1024));
    assert_eq!(output(&attempt, "stderr").as_text().map(str::len), Some(1024 * 1024));
    assert_eq!(output(&attempt, "stdout_bytes"), &Value::Int(3_000_000));
    assert_eq!(output(&attempt, "truncated"), &Value::Bool(true));
    let hash = ground.read("head -c 3000000 /dev/zero | tr '\\0' y | sha256sum | cut -c-64", json!({})).await;
    assert_eq!(output(&hash, "text").as_text().map(str::trim), output(&attempt, "stdout_sha256").as_text());
    let cut = ground.read(script, json!({ "parse": "lines" })).await;
    assert_eq!(failure(cut, Outcome::Failed).kind, FailureKind::Limit);
    let many = ground.read("yes | head -20000", json!({ "parse": "lines" })).await;
    assert!(failure(many, Outcome::Failed).message.contains("20000 lines, at most 10000"));
    let echoed = ground.read("wc -c", json!({ "stdin": "x".repeat(1024 * 1024) })).await;
    assert_eq!(output(&echoed, "text").as_text().map(str::trim), Some("1048576"));
}

#[tokio::test]
async fn at_the_deadline_the_whole_group_ends() {
    let ground = Ground::new();
    let script = "sleep 1000 & echo $! > below; trap 'echo asked > asked; exit 0' TERM; echo begun; wait";
    let attempt = ground.write(script, json!({ "timeout": "500ms" })).await;
    assert_eq!(output(&attempt, "text"), &Value::from("begun\n"), "what it had said is kept");
    let failed = failure(attempt, Outcome::InDoubt);
    assert_eq!((failed.kind, failed.transient), (FailureKind::Timeout, true), "{}", failed.message);
    assert_eq!(std::fs::read_to_string(ground.path("asked")).unwrap(), "asked\n", "it is asked before it is killed");
    ends(&std::fs::read_to_string(ground.path("below")).unwrap()).await;
    let late = perform(&hurried(&ground.world, 300), Effect::Read, &call("sh", "sleep 1000", json!({}))).await;
    assert_eq!(failure(late, Outcome::Failed).kind, FailureKind::Timeout);
}

#[tokio::test]
async fn who_does_not_listen_is_killed_and_so_is_what_is_left_behind() {
    let ground = Ground::new();
    let deaf =
        ground.write("trap '' TERM; echo $$ > deaf; while :; do sleep 0.1; done", json!({ "timeout": "300ms" })).await;
    failure(deaf, Outcome::InDoubt);
    assert!(!runs(&std::fs::read_to_string(ground.path("deaf")).unwrap()));
    let stopped = ground.write("echo $$ > stopped; kill -STOP $$", json!({ "timeout": "300ms" })).await;
    failure(stopped, Outcome::InDoubt);
    assert!(!runs(&std::fs::read_to_string(ground.path("stopped")).unwrap()));
    // Its leader ends well, and a member of its group goes on with the pipes in its hands.
    let left = ground.write("sleep 1000 & echo $! > left; echo done", json!({})).await;
    assert_eq!((left.outcome, output(&left, "text")), (Outcome::Done, &Value::from("done\n")));
    ends(&std::fs::read_to_string(ground.path("left")).unwrap()).await;
}

#[tokio::test]
async fn a_step_that_is_cut_off_takes_its_children_along() {
    let ground = Ground::new();
    let args = call("bash", "sleep 1000 & echo $! > below; echo $$ > leader; wait", json!({}));
    let world = ground.world.clone();
    let running = tokio::spawn(async move { perform(&world, Effect::Write, &args).await });
    let (leader, below) = (appears(&ground.path("leader")).await, appears(&ground.path("below")).await);
    running.abort();
    ends(&leader).await;
    ends(&below).await;
}

#[tokio::test]
async fn the_working_directory_lies_inside_the_project() {
    let ground = Ground::new();
    let outside = tempfile::tempdir().unwrap();
    std::fs::create_dir(ground.path("deep")).unwrap();
    symlink(outside.path(), ground.path("link")).unwrap();
    let inside = ground.read("pwd", json!({ "cwd": "deep" })).await;
    let deep = ground.path("deep").canonicalize().unwrap().display().to_string();
    assert_eq!(output(&inside, "text").as_text().map(str::trim), Some(deep.as_str()));
    let absolute = outside.path().display().to_string();
    for (cwd, kind) in [
        ("..", FailureKind::Policy),
        ("link", FailureKind::Policy),
        (absolute.as_str(), FailureKind::Policy),
        ("gone", FailureKind::File),
        ("token", FailureKind::File),
        ("a\u{0}", FailureKind::Argument),
    ] {
        let attempt = ground.read("pwd", json!({ "cwd": cwd })).await;
        assert_eq!(failure(attempt, Outcome::Refused).kind, kind, "{cwd}");
    }
    let both = ground.read("pwd", json!({ "cwd": "deep", "collect": ["a"] })).await;
    assert!(failure(both, Outcome::Refused).message.contains("does not go with"));
}

#[tokio::test]
async fn files_go_in_and_come_out_by_their_hash() {
    let ground = Ground::new();
    let made =
        ground.read("printf abc > a.txt; pwd; stat -c %a .", json!({ "collect": ["a.txt"], "parse": "lines" })).await;
    assert_eq!(made.outcome, Outcome::Done, "{made:?}");
    let Value::List(lines) = output(&made, "lines") else { panic!("{made:?}") };
    assert_eq!(lines[1], Value::from("700"));
    assert!(!Path::new(lines[0].as_text().unwrap()).exists(), "its directory is gone");
    let kept = output(&made, "files").get("a.txt").unwrap().clone();
    let digest = "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    assert_eq!((kept.get("blob"), kept.get("bytes")), (Some(&Value::from(digest)), Some(&Value::Int(3))));
    let mut again = call("sh", "cat b.txt; stat -c ' %a' b.txt", json!({}));
    again.insert("files".into(), Value::map([("b.txt", kept)]));
    let read = perform(&ground.world, Effect::Read, &again).await;
    assert_eq!(output(&read, "text"), &Value::from("abc 600\n"));
    for (script, why) in [
        ("true", "the command made none"),
        ("ln -s /etc/passwd a.txt", "it is a symbolic link"),
        ("mkdir a.txt", "it is no regular file"),
        ("mkfifo a.txt", "it is no regular file"),
    ] {
        let attempt = ground.write(script, json!({ "collect": ["a.txt"] })).await;
        let failed = failure(attempt, Outcome::Failed);
        assert!(failed.message.ends_with(why), "{script}: {}", failed.message);
    }
    let gone = format!("sha256:{}", "0".repeat(64));
    let missing = json!({ "files": { "x": { "blob": gone, "bytes": 1, "name": "x" } } });
    assert!(failure(ground.write("true", missing).await, Outcome::Refused).message.contains("is not in this store"));
}

#[tokio::test]
async fn a_plan_says_what_would_run_and_runs_nothing() {
    let ground = Ground::new();
    let Primitive::ReadOrWrite(_, write) = catalog::find("exec.run").unwrap().primitive else { panic!() };
    let plan = write.plan(&ground.world, &call("bash", "touch here", json!({ "stdin": "x" })));
    assert!(plan.starts_with("run `bash -c touch here` in ") && plan.ends_with("with standard input"), "{plan}");
    let refused = write.plan(&ground.world, &Map::from([("argv".to_owned(), Value::List(vec!["rm".into()]))]));
    assert!(refused.starts_with("would be refused: `rm` is not allowed here"), "{refused}");
    assert!(!ground.path("here").exists());
}

#[test]
fn the_effect_of_a_step_is_that_of_its_line() {
    let root = tempfile::tempdir().unwrap();
    std::fs::write(root.path().join("rerail.yaml"), LINES).unwrap();
    let allowed = Project::open(root.path()).unwrap();
    let effects = |project: &Project, argv: &str, more: &str| {
        let text = format!(
            "version: 1\ntitle: Test\ninputs: {{ x: {{ type: string }} }}\nsteps:\n  - id: a\n    uses: exec.run\n    with: {{ argv: {argv} }}\n{more}"
        );
        let (program, problems) = load("test", Source::new("test.yaml", text), project, &catalog::specs());
        match program {
            Some(program) => Ok(program.effects),
            None => Err(problems.iter().map(|problem| problem.code).collect::<Vec<_>>()),
        }
    };
    let poll = "    until: result.code == 0\n    within: 10s\n";
    let computed = "[sh, \"${{ inputs.x }}\"]";
    assert_eq!(effects(&allowed, computed, poll), Ok(vec![Effect::Read]));
    assert_eq!(effects(&allowed, "[bash, \"${{ inputs.x }}\"]", ""), Ok(vec![Effect::Write]));
    assert_eq!(effects(&allowed, "[bash, x]", poll), Err(vec!["W0403", "E0211"]));
    assert_eq!(effects(&Project::default(), computed, ""), Ok(vec![Effect::Write]), "nothing is allowed");
    assert_eq!(effects(&allowed, "[\"${{ inputs.x }}\"]", ""), Ok(vec![Effect::Write]), "any program");
}
