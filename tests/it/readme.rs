//! The README and the tutorial are carried out: their files are written, their commands are typed, and what they say
//! is printed is printed.
//!
//! A ```` ```yaml PATH ```` block is a file. In a ```` ```console ```` block `$ ` begins a command and the lines
//! below it must come in that order among what it prints; `…` stands for the rest of a line, or for more lines.
//! Blocks marked ```` ```console by-hand ```` are for people only. Times, durations, run ids and widths of columns
//! are not compared.

use std::collections::VecDeque;
use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::LazyLock;

use regex_lite::Regex;

use crate::house::root;

/// Where the documents' service listens; the test's listens wherever there is room.
pub(crate) const PORT: &str = "8000";

/// A fenced block of a document.
pub(crate) struct Block {
    pub(crate) language: String,
    /// What stands behind the language: a path, `by-hand`, or nothing.
    pub(crate) argument: String,
    pub(crate) text: String,
}

/// All fenced blocks, in order.
pub(crate) fn blocks(markdown: &str) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut lines = markdown.lines();
    while let Some(line) = lines.next() {
        let Some(info) = line.strip_prefix("```") else { continue };
        let (language, argument) = info.split_once(' ').unwrap_or((info, ""));
        let text: String = lines.by_ref().take_while(|line| *line != "```").map(|line| format!("{line}\n")).collect();
        blocks.push(Block { language: language.to_owned(), argument: argument.to_owned(), text });
    }
    blocks
}

/// Commands of a block, each with the lines it is said to print.
fn commands(text: &str) -> Vec<(String, Vec<String>)> {
    let mut commands: Vec<(String, Vec<String>)> = Vec::new();
    for line in text.lines() {
        match (line.strip_prefix("$ "), commands.last_mut()) {
            (Some(command), _) => commands.push((command.to_owned(), Vec::new())),
            (None, Some((_, printed))) => printed.push(line.to_owned()),
            (None, None) => panic!("`{line}` is printed by no command"),
        }
    }
    commands
}

/// A line without what differs from run to run.
fn plain(line: &str) -> String {
    static CHANGES: LazyLock<[(Regex, &str); 6]> = LazyLock::new(|| {
        [
            (r"^\d\d:\d\d:\d\dZ ?", ""),
            (r"\d{4}-\d\d-\d\d(T| )\d\d:\d\d:\d\d(\.\d+)?Z", "WHEN"),
            (r"\d\d:\d\d:\d\dZ", "WHEN"),
            (r"\b[0-9a-f]{64}\b", "HASH"),
            (r"\b([a-z-]+)/[0-9a-z]{6}\b", "$1/RUN"),
            (r"\b\d+(\.\d+)?m?s\b", "TIME"),
        ]
        .map(|(pattern, with)| (Regex::new(pattern).expect("the pattern is fixed"), with))
    });
    let mut line = line.to_owned();
    for (pattern, with) in CHANGES.iter() {
        line = pattern.replace_all(&line, *with).into_owned();
    }
    line.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The first expected line that does not come in its place.
fn missing(expected: &[String], printed: &str) -> Option<String> {
    let mut printed: VecDeque<String> = printed.lines().map(plain).collect();
    for line in expected.iter().filter(|line| !line.trim().is_empty() && line.trim() != "…") {
        let wanted = plain(line);
        let fits = |found: &String| match wanted.strip_suffix('…') {
            Some(begin) => found.starts_with(begin.trim_end()),
            None => *found == wanted,
        };
        match printed.iter().position(fits) {
            Some(at) => drop(printed.drain(..=at)),
            None => return Some(line.clone()),
        }
    }
    None
}

/// Serves the files of a directory as `python3 -m http.server` does; what isn't there is 404. Gives its port.
pub(crate) fn serve(directory: &Path) -> u16 {
    let directory = directory.to_owned();
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback has a free port");
    let port = listener.local_addr().expect("a bound listener has an address").port();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            answer(stream, &directory).ok();
        }
    });
    port
}

fn answer(mut stream: TcpStream, directory: &Path) -> std::io::Result<()> {
    let mut request = Vec::new();
    let mut byte = [0];
    while !request.ends_with(b"\r\n\r\n") && stream.read(&mut byte)? == 1 {
        request.push(byte[0]);
    }
    let request = String::from_utf8_lossy(&request).into_owned();
    let path = request.split(' ').nth(1).unwrap_or_default().trim_start_matches('/');
    let (status, kind, page) = match fs::read_to_string(directory.join(path)) {
        Ok(page) => ("200 OK", "text/plain", page),
        Err(_) => {
            ("404 File not found", "text/html;charset=utf-8", "<!DOCTYPE HTML><title>Error response</title>".into())
        }
    };
    let head = format!("HTTP/1.0 {status}\r\nServer: SimpleHTTP/0.6 Python/3.11.7\r\nConnection: close\r\n");
    write!(stream, "{head}Content-Type: {kind}\r\nContent-Length: {}\r\n\r\n{page}", page.len())
}

/// Types a command into a shell; gives what it printed on both streams, and its exit status.
pub(crate) fn type_in(command: &str, home: &Path) -> (String, i32) {
    let binary = Path::new(env!("CARGO_BIN_EXE_rerail"));
    let directory = binary.parent().expect("a binary is in a directory").display().to_string();
    let path = format!("{directory}:{}", std::env::var("PATH").unwrap_or_default());
    let home_text = home.display().to_string();
    let output = Command::new("sh")
        .args(["-c", &format!("{{ {command}; }} 2>&1")])
        .current_dir(home)
        .env_clear()
        .envs([("PATH", path.as_str()), ("HOME", &home_text), ("TMPDIR", &home_text)])
        .envs([("NO_COLOR", "1"), ("LANG", "C.UTF-8")])
        .stdin(Stdio::null())
        .output()
        .expect("there is a shell");
    (String::from_utf8_lossy(&output.stdout).into_owned(), output.status.code().unwrap_or(-1))
}

/// A document of this repository.
pub(crate) fn document(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Writes a block that is a file into a project.
pub(crate) fn write_file(block: &Block, home: &Path) {
    let path = home.join(&block.argument);
    fs::create_dir_all(path.parent().expect("a file is in a directory")).expect("a directory can be made");
    fs::write(&path, &block.text).expect("a file can be written");
}

/// Follows a document from its first line to its last, and says how many commands it typed. Its service serves
/// `site`, a directory that may come to be on the way.
fn carry_out(name: &str, site: &str) -> usize {
    let home = tempfile::tempdir().expect("there is room for a directory");
    let port = serve(&home.path().join(site)).to_string();
    let mut status = 0;
    let mut typed = 0;
    for block in blocks(&document(name)) {
        if ["yaml", "rhai"].contains(&block.language.as_str()) && !block.argument.is_empty() {
            write_file(&Block { text: block.text.replace(PORT, &port), ..block }, home.path());
            continue;
        }
        if block.language != "console" || block.argument == "by-hand" {
            continue;
        }
        for (command, expected) in commands(&block.text) {
            if command == "echo $?" {
                assert_eq!(expected, [status.to_string()], "the exit status of the command before it");
                continue;
            }
            let (printed, code) = type_in(&command.replace(PORT, &port), home.path());
            let printed = printed.replace(&port, PORT);
            if let Some(line) = missing(&expected, &printed) {
                panic!("$ {command}\n{printed}[{code}]\n\n{name} says it prints, and it does not:\n{line}");
            }
            status = code;
            typed += 1;
        }
    }
    typed
}

#[test]
fn the_readme_says_what_happens() {
    let typed = carry_out("README.md", "nothing-is-there");
    assert!(typed >= 8, "only {typed} commands of the README were found");
}

#[test]
fn the_page_about_plans_says_what_happens() {
    let typed = carry_out("docs/plans.md", "site");
    assert!(typed >= 8, "only {typed} commands about plans were found");
}

#[test]
fn the_tutorial_says_what_happens() {
    let typed = carry_out("docs/tutorial.md", "site");
    assert!(typed >= 10, "only {typed} commands of the tutorial were found");
}

#[test]
fn the_guide_for_providers_says_what_happens() {
    let typed = carry_out("docs/writing-a-provider.md", "site");
    assert!(typed >= 7, "only {typed} commands were typed");
}

#[test]
fn the_page_about_tests_says_what_happens() {
    assert_eq!(carry_out("docs/testing.md", "nothing-is-there"), 2);
}

#[test]
fn the_documents_have_every_exit_code() {
    let home = tempfile::tempdir().expect("there is room for a directory");
    let (help, _) = type_in("rerail --help", home.path());
    let (_, codes) = help.split_once("Exit codes:").expect("the help lists exit codes");
    let documents = ["README.md", "docs/language.md"].map(|name| (name, document(name)));
    let mut count = 0;
    for line in codes.lines().filter(|line| !line.trim().is_empty()) {
        let (code, meaning) = line.trim().split_once("  ").expect("a code and its meaning");
        let row = format!("| {code} | {} |", meaning.trim());
        for (name, text) in &documents {
            assert!(text.contains(&row), "{name} lacks the row\n{row}");
        }
        count += 1;
    }
    assert!(count >= 10, "only {count} exit codes in the help");
}

#[test]
fn a_line_that_is_not_printed_is_missed() {
    let printed = "14:02:11Z run backend-down/7k3q9d  success after 18ms\nlast\n";
    let lines = |lines: &[&str]| lines.iter().map(|line| (*line).to_owned()).collect::<Vec<_>>();
    assert_eq!(missing(&lines(&["run backend-down/abcdef success after 2s", "…", "last"]), printed), None);
    assert_eq!(missing(&lines(&["run backend-down/…"]), printed), None);
    for wrong in [&["last", "run backend-down/…"][..], &["run backend-down/abcdef failed after 2s"], &["las"]] {
        assert!(missing(&lines(wrong), printed).is_some(), "{wrong:?}");
    }
}
