//! Files and scripts made to break things end with a clear error, soon, small and alive.

use std::os::unix::process::ExitStatusExt;
use std::panic::AssertUnwindSafe;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use super::kit::{Place, Said};

/// Address space of a hostile child: what a small machine would still give.
const ADDRESS_SPACE_KIB: u64 = 1 << 20;
/// Processor time of a whole process built without optimisation, where a built one takes well under one second.
const CPU_MAX: Duration = Duration::from_secs(5);
/// What a hostile file may make it hold beyond what the program needs for itself.
pub const GROWTH_MAX_KIB: u64 = 64 << 10;
/// When a process counts as hanging: several of them wait for two processors beside other tests, so this is no
/// measure of what they do; `CPU_MAX` is.
const WALL_MAX: Duration = Duration::from_secs(30);

/// What a process used, as the kernel counted it at its end.
pub struct Used {
    pub cpu: Duration,
    pub peak_kib: u64,
}

/// Runs `rerail` under the limits; how it ended, and what it used.
pub fn confined(place: &Place, args: &[&str]) -> (Said, Used) {
    // The shell sets the limit and becomes the program; `wait4` isn't in the standard library, so the kernel's own
    // account of the dead child is read before it is buried.
    let limit = format!("ulimit -v {ADDRESS_SPACE_KIB}; exec \"$0\" \"$@\"");
    let mut command: Command = place.through(&["sh", "-c", &limit], args);
    let (out, err) = (place.beside("stdout"), place.beside("stderr"));
    command.stdout(Stdio::from(std::fs::File::create(&out).unwrap()));
    command.stderr(Stdio::from(std::fs::File::create(&err).unwrap()));
    let mut child = command.spawn().unwrap();
    let pid = Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap();
    let began = Instant::now();
    let mut peak_kib = 0;
    let cpu = loop {
        let (state, ticks) = account(child.id());
        peak_kib = peak_kib.max(peak_of(child.id()));
        if state == 'Z' {
            break Duration::from_millis(ticks * 10);
        }
        if began.elapsed() > WALL_MAX {
            kill_process(pid, Signal::KILL).unwrap();
        }
        std::thread::sleep(Duration::from_millis(1));
    };
    let status = child.wait().unwrap();
    let text = |path: &Path| String::from_utf8_lossy(&std::fs::read(path).unwrap()).into_owned();
    let said = Said { args: args.join(" "), status, stdout: text(&out), stderr: text(&err) };
    (said, Used { cpu, peak_kib })
}

/// State and hundredths of a second of processor time.
fn account(pid: u32) -> (char, u64) {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let fields: Vec<&str> = stat.rsplit_once(") ").unwrap().1.split(' ').collect();
    let number = |at: usize| fields[at].parse::<u64>().unwrap();
    (fields[0].chars().next().unwrap(), number(11) + number(12))
}

/// The most it ever held; a process that is ending has none any more.
fn peak_of(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.map_or(0, |line| line.trim().trim_end_matches(" kB").parse().unwrap())
}

/// What a run of one step holds: the program with all of it that every run needs.
pub fn idle_kib() -> u64 {
    let place = Place::new().runbook("small", "steps:\n  - script: let one = |n| n; one.call(1)\n");
    let (said, used) = confined(&place, &["run", "small"]);
    said.exits(0);
    used.peak_kib
}

/// It ended by itself with one of these codes, said why, soon and small.
#[track_caller]
fn assert_survived(what: &str, survivor: (Said, Used), codes: &[i32], idle_kib: u64) {
    let cpu = survivor.1.cpu;
    assert!(cpu <= CPU_MAX, "{what:.100}: {cpu:?} of processor time");
    assert_ended(what, survivor, codes, idle_kib);
}

/// The same, however long it took.
#[track_caller]
fn assert_ended(what: &str, (said, used): (Said, Used), codes: &[i32], idle_kib: u64) {
    let shown: String = what.chars().take(100).collect();
    let ended = said.code().is_some_and(|code| codes.contains(&code));
    let all = format!("{}{}", said.stdout, said.stderr);
    let tail: String = all.chars().take(600).collect();
    assert!(ended, "{shown}: {:?}, signal {:?}\n{tail}", said.code(), said.status.signal());
    assert!(!all.trim().is_empty(), "{shown}: says nothing");
    for broken in ["panicked", "this is a bug", "RUST_BACKTRACE"] {
        assert!(!all.contains(broken), "{shown}: {tail}");
    }
    assert!(all.len() < 256 << 10, "{shown}: {} bytes of complaint", all.len());
    let grown = used.peak_kib.saturating_sub(idle_kib);
    assert!(grown <= GROWTH_MAX_KIB, "{shown}: {grown} KiB more than idle");
}

/// Works through cases on two threads, as fast as a small machine allows, and through all of them.
fn each<T: Sync>(cases: &[T], work: impl Fn(&T) + Sync) {
    each_of(cases, 2, work);
}

/// The same on as many threads as this, for cases that mostly wait.
pub fn each_of<T: Sync>(cases: &[T], threads: usize, work: impl Fn(&T) + Sync) {
    let next = AtomicUsize::new(0);
    let bad = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while let Some(case) = cases.get(next.fetch_add(1, Ordering::SeqCst)) {
                    let survived = std::panic::catch_unwind(AssertUnwindSafe(|| work(case)));
                    bad.fetch_add(usize::from(survived.is_err()), Ordering::SeqCst);
                }
            });
        }
    });
    assert_eq!(bad.into_inner(), 0, "of {} cases, see above", cases.len());
}

/// A runbook whose one step is this text.
fn with_step(step: &str) -> String {
    format!("version: 1\ntitle: t\nowner: o\nreviewed: 2026-11-01\nsteps:\n{step}\n")
}

/// Files nobody writes by hand.
fn generated() -> Vec<(String, Vec<u8>)> {
    let head = "version: 1\ntitle: t\nowner: o\nreviewed: 2026-11-01\n";
    let probe = "  - { uses: http.probe, with: { url: 'http://127.0.0.1:1/' } }\n";
    let text = |name: &str, text: String| (name.to_owned(), text.into_bytes());
    let aliases = (1..30).map(|n| format!("a{n}: &a{n} [*a{p}, *a{p}, *a{p}]\n", p = n - 1)).collect::<String>();
    vec![
        text("two megabytes", format!("{head}steps:\n{}", probe.repeat(40_000))),
        text("too many nodes", format!("{head}steps:\n{}", probe.repeat(11_000))),
        text("too many steps in little text", format!("{head}steps:\n{}", "  - {}\n".repeat(100_000))),
        text("flow lists in flow lists", format!("{head}steps: {}", "[".repeat(100_000))),
        text("flow maps in flow maps", format!("{head}steps: {}", "{a: ".repeat(100_000))),
        text("closed flow lists", format!("{head}steps: {}{}", "[".repeat(50_000), "]".repeat(50_000))),
        text("lists in lists", format!("{head}steps:\n{}", "- ".repeat(100_000))),
        text("maps in maps", (0..1_000).map(|n| format!("{}a:\n", " ".repeat(n))).collect()),
        text("billion laughs", format!("a0: &a0 [x]\n{aliases}")),
        text("a key of a megabyte", format!("{head}{}: 1\n", "k".repeat(1_000_000))),
        text("a value of a megabyte", format!("{head}meaning: {}\nsteps: 5\n", "v".repeat(1_000_000))),
        text("a quote without an end", format!("{head}meaning: \"{}", "v".repeat(500_000))),
        text("a block without an end", format!("{head}steps: |\n{}", "  line\n".repeat(100_000))),
        text("keys without number", format!("{head}{}", (0..30_000).map(|n| format!("k{n}: 1\n")).collect::<String>())),
        text("one key again and again", format!("{head}{}", "title: t\n".repeat(50_000))),
        text("documents without number", "---\na: 1\n".repeat(50_000)),
        text("anchors without number", (0..30_000).map(|n| format!("k{n}: &a{n} 1\n")).collect()),
        text("tags without number", (0..30_000).map(|n| format!("k{n}: !t{n} 1\n")).collect()),
        text("nothing but questions", "? ".repeat(100_000)),
        text("nothing but colons", ": ".repeat(100_000)),
        text("nothing but quotes", "\"".repeat(100_000)),
        text("nothing but percent signs", "%".repeat(100_000)),
        text(
            "braces in braces",
            with_step(&format!("  - {{ uses: run.note, with: {{ text: '{}' }} }}", "${{ ".repeat(20_000))),
        ),
        text(
            "templates without number",
            with_step(&format!("  - {{ uses: run.note, with: {{ text: '{}' }} }}", "${{ 1 }}".repeat(20_000))),
        ),
        text(
            "a deep expression",
            with_step(&format!("  - {{ if: '{}true{}', uses: time.now }}", "(".repeat(50_000), ")".repeat(50_000))),
        ),
        text(
            "a long expression",
            with_step(&format!("  - {{ if: '{}true', uses: time.now }}", "true && ".repeat(50_000))),
        ),
        text(
            "groups in groups",
            with_step(&(0..400).map(|n| format!("{0}- steps:\n", "  ".repeat(n + 1))).collect::<String>()),
        ),
        text("a script of opened braces", with_step(&format!("  - {{ id: x, script: '{}' }}", "{".repeat(100_000)))),
        text("a script of operators", with_step(&format!("  - {{ id: x, script: '1{}' }}", "+1".repeat(100_000)))),
        ("no text at all".to_owned(), (0..=255).cycle().take(200_000).collect()),
        ("zeroes".to_owned(), vec![0; 200_000]),
        ("half a character".to_owned(), [head.as_bytes(), b"meaning: \xc3"].concat()),
        ("sixteen-bit text".to_owned(), head.encode_utf16().flat_map(u16::to_le_bytes).collect()),
        text("a mark in the middle", format!("{head}\u{feff}steps: 5\n")),
        text("directions reversed", format!("{head}meaning: \u{202e}x\nsteps: 5\n")),
    ]
}

#[test]
fn hostile_files_are_refused_soon_and_small() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/checks/hostile");
    let entries = std::fs::read_dir(corpus).unwrap().map(|entry| entry.unwrap().path());
    let mut cases: Vec<(String, Vec<u8>)> =
        entries.map(|path| (path.display().to_string(), std::fs::read(&path).unwrap())).collect();
    assert!(cases.len() >= 30, "{} files in the corpus", cases.len());
    cases.extend(generated());
    let idle = idle_kib();
    each(&cases, |(what, bytes)| {
        let place = Place::new().file("runbooks/hostile.yaml", bytes);
        // What can't even be read as text has no place to point at.
        let codes: &[i32] = if std::str::from_utf8(bytes).is_ok() { &[3] } else { &[2, 3] };
        assert_survived(what, confined(&place, &["check", "runbooks/hostile.yaml"]), codes, idle);
        assert_survived(what, confined(&place, &["run", "hostile", "--yes"]), codes, idle);
        assert!(!place.state().exists(), "{what}: something was begun");
    });
}

#[test]
fn what_is_no_file_is_refused() {
    let idle = idle_kib();
    let place = Place::new();
    std::os::unix::fs::symlink("self.yaml", place.project().join("self.yaml")).unwrap();
    Command::new("mkfifo").arg(place.project().join("pipe.yaml")).status().unwrap();
    for path in ["/dev/zero", "/dev/full", "/proc/self/mem", "./self.yaml", "./pipe.yaml", "./gone.yaml"] {
        assert_survived(path, confined(&place, &["check", path]), &[1, 2, 3], idle);
        assert_survived(path, confined(&place, &["run", path, "--yes"]), &[1, 2, 3], idle);
    }
}

/// Scripts that never end, never stop growing, or look for a hole.
fn scripts() -> Vec<String> {
    let long = "a".repeat(100 * 1024);
    let list = "let a = []; for i in 0..5000 { a.push(0); }";
    vec![
        "loop { }".into(),
        "while true { }".into(),
        "let x = 0; loop { x += 1; }".into(),
        "for i in 0..9223372036854775807 { }".into(),
        "for i in range(0, 9223372036854775807, 1) { }".into(),
        "fn f() { f() } f()".into(),
        "fn f(n) { f(n + 1) + 1 } f(0)".into(),
        "let f = |f| f.call(f); f.call(f)".into(),
        "fn a() { b() } fn b() { a() } a()".into(),
        "let s = \"a\"; loop { s += s; }".into(),
        "let s = \"a\"; loop { s = `${s}${s}`; }".into(),
        format!("let s = \"{long}\"; s.replace(\"a\", s); s"),
        format!("let s = \"{long}\"; s.split(\"\")"),
        format!("let s = \"{long}\"; s.to_chars()"),
        format!("let s = \"{long}\"; {list} for i in 0..5000 {{ a[i] = s + i; }} a"),
        format!("let s = \"{long}\"; let m = #{{}}; let i = 0; loop {{ m[`k${{i}}`] = s + i; i += 1; }}"),
        "let s = \"\"; s.pad(9223372036854775807, \"x\"); s".into(),
        "let s = \"\"; s.pad(100000000, 'x'); s".into(),
        "let a = []; a.pad(9223372036854775807, 0); a".into(),
        "let a = [0]; loop { a += a; }".into(),
        "let a = [0]; loop { a.append(a); }".into(),
        "let a = []; loop { a.push(a); }".into(),
        "let a = []; loop { a = [a, a]; }".into(),
        "let a = []; loop { a = [a]; }".into(),
        "let m = #{}; loop { m = #{ a: m }; }".into(),
        "let m = #{}; let i = 0; loop { m[`k${i}`] = i; i += 1; }".into(),
        format!("let s = \"{long}\"; loop {{ matches(s, \"(a+)+$\"); }}"),
        "matches(\"a\", \"((a{100}){100}){100}\")".into(),
        format!("parse_json(\"{}\")", "[".repeat(50_000)),
        format!("parse_json(\"{}{}\")", "[".repeat(100), "]".repeat(100)),
        format!("{list} a.sort(|x, y| {{ let n = 0; loop {{ n += 1; }} n }}); a"),
        format!("{list} try {{ a.sort(|x, y| throw 1) }} catch {{ loop {{ }} }}"),
        "try { loop { } } catch { 1 }".into(),
        "loop { try { throw 1; } catch { } }".into(),
        "fn f() { try { f() } catch { f() } } f()".into(),
        "loop { print(\"x\"); }".into(),
        format!("let s = \"{long}\"; loop {{ print(s); }}"),
        "eval(\"loop {}\")".into(),
        "sleep(60)".into(),
        "timestamp()".into(),
        "exit(1)".into(),
        "import \"/etc/passwd\" as p; p::x".into(),
        "import \"../../secrets\" as p; p::x".into(),
        "9223372036854775807 + 1".into(),
        "(-9223372036854775807 - 1) / -1".into(),
        "abs(-9223372036854775807 - 1)".into(),
        "\"abc\"[9223372036854775807]".into(),
        "[1][9223372036854775807]".into(),
        "throw throw throw 1".into(),
        "let f = |x| x; loop { f = f.curry(f); }".into(),
        "steps.x = 1".into(),
        "loop { file::write(#{ path: \"/etc/passwd\", text: \"x\" }) }".into(),
        "let n = \"http::pro\" + \"be\"; call(n)".into(),
        format!("{}1{}", "(".repeat(20_000), ")".repeat(20_000)),
        format!("{}1{}", "[".repeat(20_000), "]".repeat(20_000)),
        format!("\"x\"{}", ".trim()".repeat(5_000)),
        "`${".repeat(20_000),
        "\u{202e}let x = 1;".into(),
        "0x".into(),
    ]
}

#[test]
fn hostile_scripts_end_with_an_error_soon_and_small() {
    let cases = scripts();
    assert!(cases.len() >= 40, "{} scripts", cases.len());
    let idle = idle_kib();
    each(&cases, |script| {
        let place =
            Place::new().file("runbooks/hostile.yaml", with_step(&format!("  - id: x\n    script: |\n      {script}")));
        assert_survived(script, confined(&place, &["check", "runbooks/hostile.yaml"]), &[0, 3], idle);
        assert_survived(script, confined(&place, &["run", "hostile", "--yes"]), &[3, 10], idle);
        if place.state().exists() {
            place.assert_journal_is_whole(script);
        }
    });
}

#[test]
fn a_script_that_calls_steps_for_ever_is_stopped_at_the_thousandth() {
    let idle = idle_kib();
    let cases = [
        "loop { time::now(#{}); }",
        "loop { try { time::now(#{}); } catch { } }",
        "loop { run::note(#{ text: \"x\" }); }",
    ];
    each(&cases, |script| {
        let place =
            Place::new().file("runbooks/hostile.yaml", with_step(&format!("  - {{ id: x, script: '{script}' }}")));
        // Each answer lets it begin anew: a thousand calls are half a million of them, which is the interpreter's time
        // and hardly anything else.
        let survivor = confined(&place, &["run", "hostile", "--yes"]);
        assert!(survivor.0.stderr.contains("more than 1000 step calls"), "{script}: {:?}", survivor.0);
        assert_ended(script, survivor, &[10], idle);
        place.assert_journal_is_whole(script);
    });
}
