//! A test file from its text: the file, its tests, and what people do in them.

use std::sync::Arc;

use jiff::Timestamp;

use crate::runbook::cases::expect::expect;
use crate::runbook::cases::mocks::{mocks, value};
use crate::runbook::cases::model::{Crash, Decided, Deed, Expect, Mock, Named, Place, Test, TestFile};
use crate::runbook::node::{Node, NodeKind};
use crate::runbook::people::person_fault;
use crate::runbook::problem::Problem;
use crate::runbook::reader::{Fields, Keys, Reader};
use crate::runbook::settings;
use crate::runbook::source::{Source, Spanned};
use crate::runbook::words::{quoted, snake_case_fault};
use crate::script::value::Map;

/// Tests of one file: more is several runbooks, and a report nobody reads.
const TESTS_MAX: usize = 500;
/// Characters of a test's name: it is one line of a report.
const NAME_CHARS_MAX: usize = 120;
/// When runs of tests start, unless they say so: any moment would do, as long as it is the same one.
const AT: &str = "2026-01-05T03:00:00Z";
/// Who starts runs of tests, unless they say so.
const OPERATOR: &str = "tester";

/// A test file.
pub const FILE: Keys = Keys {
    what: "test file",
    known: &["version", "inputs", "target", "operator", "at", "mocks", "tests"],
    later: &[],
    foreign: &[("steps", "this is a test file: the steps stand in the runbook beside it")],
};

/// One test.
pub const TEST: Keys = Keys {
    what: "test",
    known: &[
        "name",
        "inputs",
        "target",
        "operator",
        "at",
        "mocks",
        "answer",
        "approve",
        "reject",
        "expire",
        "decide",
        "crash_after",
        "crash_during",
        "undo",
        "expect",
    ],
    later: &[],
    foreign: &[
        ("mock", "write `mocks`"),
        ("given", "write `mocks`"),
        ("assert", "write `expect`"),
        ("then", "write `expect`"),
        ("with", "write `inputs`"),
    ],
};

/// A decision with what it gives.
pub const DECISION: Keys = Keys { what: "decision", known: &["as", "outputs"], later: &[], foreign: &[] };

/// Words of a decision, as those of `rerail resume`.
pub const DECIDED: [(&str, Deed); 4] =
    [("done", Deed::Done), ("not-done", Deed::NotDone), ("retry", Deed::Retry), ("skip", Deed::Skip)];

/// What a file says for all its tests, and what a test says of the same things.
#[derive(Default)]
struct Shared {
    inputs: Vec<Named>,
    target: Option<Place>,
    operator: Option<String>,
    at: Option<Timestamp>,
    mocks: Vec<Mock>,
}

/// Reads a test file. With an error among the problems, what is returned is not to be used.
pub fn read(source: &Arc<Source>) -> (TestFile, Vec<Problem>) {
    let (mut reader, root) = Reader::open(source);
    let mut file = TestFile { source: Arc::clone(source), tests: Vec::new() };
    if let Some(fields) = root.as_ref().and_then(|root| reader.fields(root, &FILE)) {
        reader.version(&fields);
        let shared = Shared::read(&mut reader, &fields, true);
        if let Some(node) = reader.required(&fields, "tests") {
            file.tests = tests(&mut reader, node, &shared);
        }
    }
    (file, reader.finish())
}

impl Shared {
    fn read(reader: &mut Reader, fields: &Fields<'_>, of_file: bool) -> Shared {
        Shared {
            inputs: fields.get("inputs").map(|node| inputs(reader, node)).unwrap_or_default(),
            target: fields.get("target").and_then(|node| target(reader, node)),
            operator: fields.get("operator").and_then(|node| operator(reader, node)),
            at: fields.get("at").and_then(|node| at(reader, node)),
            mocks: fields.get("mocks").map(|node| mocks(reader, node, of_file)).unwrap_or_default(),
        }
    }
}

fn tests(reader: &mut Reader, node: &Node, shared: &Shared) -> Vec<Test> {
    let Some(items) = reader.list(node, "`tests`", "a list of tests") else { return Vec::new() };
    if items.is_empty() {
        reader.wrong(node, "`tests`", "at least one test");
    }
    if items.len() > TESTS_MAX {
        let message = format!("the file has {} tests, more than {TESTS_MAX}", items.len());
        reader.error("E0114", reader.first_line(node.span), message, "too many");
        return Vec::new();
    }
    let mut read: Vec<Test> = Vec::new();
    for item in items {
        let Some(test) = test(reader, item, shared) else { continue };
        if let Some(first) = read.iter().find(|first| first.name.value == test.name.value) {
            reader.twice(test.name.span, &test.name.value, first.name.span);
        }
        read.push(test);
    }
    read
}

fn test(reader: &mut Reader, node: &Node, shared: &Shared) -> Option<Test> {
    let fields = reader.fields(node, &TEST)?;
    let own = Shared::read(reader, &fields, false);
    let name = reader.required(&fields, "name").and_then(|node| name(reader, node));
    let crash = crash(reader, &fields);
    let mut undo = false;
    if let Some(node) = fields.get("undo") {
        undo = reader.boolean(node, "`undo`").unwrap_or_default();
    }
    let expect = match fields.get("expect") {
        Some(node) => expect(reader, node),
        None => Expect::default(),
    };
    let mut inputs = own.inputs;
    let said: Vec<String> = inputs.iter().map(|(name, _)| name.value.clone()).collect();
    inputs.extend(shared.inputs.iter().filter(|(name, _)| !said.contains(&name.value)).cloned());
    let mut mocks = own.mocks;
    let said: Vec<String> = mocks.iter().map(|mock| mock.key.value.clone()).collect();
    mocks.extend(shared.mocks.iter().filter(|mock| !said.contains(&mock.key.value)).cloned());
    Some(Test {
        name: name?,
        inputs,
        target: own.target.or_else(|| shared.target.clone()),
        operator: own.operator.or_else(|| shared.operator.clone()).unwrap_or_else(|| OPERATOR.to_owned()),
        at: own.at.or(shared.at).unwrap_or_else(|| AT.parse().unwrap_or(Timestamp::UNIX_EPOCH)),
        mocks,
        answer: fields.get("answer").map(|node| answers(reader, node)).unwrap_or_default(),
        approve: fields.get("approve").map(|node| approvals(reader, node)).unwrap_or_default(),
        reject: fields.get("reject").map(|node| rejections(reader, node)).unwrap_or_default(),
        expire: fields.get("expire").map(|node| steps(reader, node, "`expire`")).unwrap_or_default(),
        decide: fields.get("decide").map(|node| decisions(reader, node)).unwrap_or_default(),
        crash,
        undo,
        expect,
    })
}

fn name(reader: &mut Reader, node: &Node) -> Option<Spanned<String>> {
    let text = reader.title(node, "`name`")?;
    if text.chars().count() > NAME_CHARS_MAX || text.contains('\n') {
        let message = format!("the name of a test is one line of at most {NAME_CHARS_MAX} characters");
        reader.error("E0105", reader.first_line(node.span), message, "choose a shorter name");
        return None;
    }
    Some(Spanned::new(text, reader.first_line(node.span)))
}

fn inputs(reader: &mut Reader, node: &Node) -> Vec<Named> {
    let mut read = Vec::new();
    for entry in reader.map(node, "`inputs`") {
        reader.name(&entry.key, snake_case_fault);
        if let Some(given) = value(reader, &entry.value, &format!("input `{}`", entry.key.value)) {
            let span = reader.first_line(entry.value.span);
            read.push((entry.key.clone(), Spanned::new(given, span)));
        }
    }
    read
}

fn target(reader: &mut Reader, node: &Node) -> Option<Place> {
    if let NodeKind::Scalar(_) = &node.kind {
        return reader.text(node, "`target`").map(Place::Named);
    }
    let fields = reader.fields(node, &settings::TARGET)?;
    Some(Place::Written(Box::new(settings::target_of(reader, &fields))))
}

fn operator(reader: &mut Reader, node: &Node) -> Option<String> {
    let name = reader.text(node, "`operator`")?;
    reader.name(&name, person_fault).then_some(name.value)
}

fn at(reader: &mut Reader, node: &Node) -> Option<Timestamp> {
    let text = reader.text(node, "`at`")?;
    let parsed = text.value.parse();
    if parsed.is_err() {
        reader.wrong(node, "`at`", "a moment such as 2026-01-05T03:00:00Z");
    }
    parsed.ok()
}

/// Answers to questions, by step.
fn answers(reader: &mut Reader, node: &Node) -> Vec<Named> {
    let mut read = Vec::new();
    for entry in reader.map(node, "`answer`") {
        if let Some(given) = value(reader, &entry.value, &format!("the answer to `{}`", entry.key.value)) {
            let span = reader.first_line(entry.value.span);
            read.push((entry.key.clone(), Spanned::new(given, span)));
        }
    }
    read
}

/// One step, several, or steps with whoever agrees there.
fn approvals(reader: &mut Reader, node: &Node) -> Vec<(Spanned<String>, Vec<String>)> {
    let NodeKind::Map(entries) = &node.kind else {
        return steps(reader, node, "`approve`").into_iter().map(|step| (step, Vec::new())).collect();
    };
    let mut read = Vec::new();
    for entry in entries {
        let people = match &entry.value.kind {
            NodeKind::Absent => Vec::new(),
            _ => steps(reader, &entry.value, "who approves"),
        };
        for person in &people {
            reader.name(person, person_fault);
        }
        read.push((entry.key.clone(), people.into_iter().map(|person| person.value).collect()));
    }
    read
}

fn rejections(reader: &mut Reader, node: &Node) -> Vec<(Spanned<String>, String)> {
    let mut read = Vec::new();
    for entry in reader.map(node, "`reject`") {
        if let Some(reason) = reader.title(&entry.value, "the reason") {
            read.push((entry.key.clone(), reason));
        }
    }
    read
}

/// A name, or a list of them.
fn steps(reader: &mut Reader, node: &Node, thing: &str) -> Vec<Spanned<String>> {
    match &node.kind {
        NodeKind::Scalar(_) => reader.text(node, thing).into_iter().collect(),
        _ => reader.texts(node, thing),
    }
}

fn decisions(reader: &mut Reader, node: &Node) -> Vec<(Spanned<String>, Decided)> {
    let mut read = Vec::new();
    for entry in reader.map(node, "`decide`") {
        let decided = match &entry.value.kind {
            NodeKind::Scalar(_) => reader.word(&entry.value, "decision", &DECIDED).map(plain),
            _ => reader.fields(&entry.value, &DECISION).and_then(|fields| decision(reader, &fields)),
        };
        read.extend(decided.map(|decided| (entry.key.clone(), decided)));
    }
    read
}

fn decision(reader: &mut Reader, fields: &Fields<'_>) -> Option<Decided> {
    let deed = reader.required(fields, "as").and_then(|node| reader.word(node, "decision", &DECIDED))?;
    let mut decided = plain(deed);
    if let Some(node) = fields.get("outputs") {
        for entry in reader.map(node, "`outputs`") {
            if let Some(given) = value(reader, &entry.value, &format!("output `{}`", entry.key.value)) {
                decided.outputs.insert(entry.key.value.clone(), given);
            }
        }
    }
    Some(decided)
}

fn plain(deed: Deed) -> Decided {
    Decided { deed, outputs: Map::new() }
}

fn crash(reader: &mut Reader, fields: &Fields<'_>) -> Option<Crash> {
    let after = fields.entry("crash_after");
    let during = fields.entry("crash_during");
    if let (Some(_), Some(entry)) = (after, during) {
        let message = format!("{} and {} don't go together", quoted("crash_after"), quoted("crash_during"));
        reader.error("E0115", entry.key.span, message, "one test crashes once");
    }
    let entry = after.or(during)?;
    let step = reader.text(&entry.value, "the step to crash at")?;
    Some(Crash { step, recorded: after.is_some() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn codes(text: &str) -> Vec<String> {
        let problems = read(&Source::new("a.test.yaml", text)).1;
        problems.iter().map(|problem| format!("{} {}", problem.code, problem.message)).collect()
    }

    #[test]
    fn a_test_has_what_its_file_says_unless_it_says_so_itself() {
        let text = "version: 1\ninputs: { a: 1, b: 2 }\noperator: ana\nmocks: { x: { ok: true }, y: { ok: true } }\n\
                    tests:\n  - name: one\n    inputs: { b: 3 }\n    mocks: { y: { ok: false } }\n  - name: two\n    \
                    operator: ben\n    crash_during: x\n";
        let (file, problems) = read(&Source::new("a.test.yaml", text));
        assert!(problems.is_empty(), "{problems:?}");
        let names = |test: &Test| test.inputs.iter().map(|(name, _)| name.value.clone()).collect::<Vec<_>>();
        assert_eq!(
            (names(&file.tests[0]), names(&file.tests[1])),
            (vec!["b".into(), "a".into()], vec!["a".into(), "b".into()])
        );
        let shared: Vec<bool> = file.tests[0].mocks.iter().map(|mock| mock.shared).collect();
        assert_eq!(shared, [false, true]);
        assert_eq!((file.tests[0].operator.as_str(), file.tests[1].operator.as_str()), ("ana", "ben"));
        assert!(file.tests[0].crash.is_none() && !file.tests[1].crash.as_ref().unwrap().recorded);
        assert_eq!(file.tests[0].at.to_string(), AT);
    }

    #[test]
    fn mistakes_are_told_all_at_once() {
        let text = "version: 2\nmock: {}\ntests:\n  - nam: one\n  - name: two\n    crash_after: a\n    crash_during: b\n  \
                    - name: two\n    at: soon\n    decide: { x: maybe }\n    undo: yes\n";
        let told = codes(text);
        let begins = |start: &str| assert!(told.iter().any(|problem| problem.starts_with(start)), "{start}: {told:#?}");
        for start in [
            "E0107 expected the number 1 for `version`",
            "E0103 unknown test file key `mock`",
            "E0103 unknown test key `nam`",
            "E0115 `crash_after` and `crash_during` don't go together",
            "E0116 the name `two` is given twice",
            "E0107 expected a moment",
            "E0107 unknown decision `maybe`",
            "E0113 ",
        ] {
            begins(start);
        }
    }

    #[test]
    fn hostile_files_have_problems_and_no_panic() {
        let deep = format!("version: 1\ntests: {}\n", "[".repeat(100_000));
        let wide = format!("version: 1\ntests:\n{}", "  - name: x\n".repeat(TESTS_MAX + 1));
        let long = format!("version: 1\ntests:\n  - name: {}\n", "x".repeat(NAME_CHARS_MAX + 1));
        let huge = "x".repeat(2 * 1024 * 1024);
        for text in [
            "",
            "[]",
            "1",
            "version: 1",
            "version: 1\ntests: 1\n",
            "version: 1\ntests: []\n",
            "version: 1\ntests: [1]\n",
            "tests: [{name: [], inputs: 1, mocks: 1, answer: 1, approve: {a: {b: 1}}, reject: 1, expire: {}, decide: 1, \
             crash_after: [], undo: 1, expect: 1, target: [], operator: {}, at: {}}]",
            "version: 1\ntests: [{name: x, expect: {findings: {}, outputs: 1, steps: [], calls: 1, writes: {}, exit: x}}]\n",
            "version: 1\ntests: &a [*a]\n",
            "version: 1\nmocks: {x: []}\ntests: [{name: x}]\n",
            "\u{0}",
            &deep,
            &wide,
            &long,
            &huge,
        ] {
            assert!(!codes(text).is_empty(), "{}", text.chars().take(200).collect::<String>());
        }
    }
}
