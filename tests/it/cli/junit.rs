//! `rerail test -o junit` and `--junit FILE`: what a build server reads is what the exit code says.

#![expect(clippy::unwrap_used, reason = "a test that can't be set up has failed")]

use roxmltree::{Document, Node};

use crate::cli::kit::Place;

/// Looks, and says something about it in several lines.
const BOOK: &str = r#"version: 1
title: Look at it
owner: platform
reviewed: 2026-11-01
inputs:
  url: { type: url, default: "https://api.example.com" }
steps:
  - id: look
    uses: http.probe
    with: { url: "${{ inputs.url }}/health" }
  - id: again
    if: not(steps.look.outputs.ok)
    uses: http.probe
    with: { url: "${{ inputs.url }}/health" }
outputs:
  text: "${{ steps.look.outputs.text }}"
"#;

fn place(tests: &str) -> Place {
    let place = Place::new();
    place.file("runbooks/book.yaml", BOOK);
    place.file("runbooks/book.test.yaml", &format!("version: 1\ntests:\n{tests}"));
    place
}

const PASSES: &str =
    "  - name: \"it is <well> & \\\"quoted\\\" \\e[31m\"\n    mocks: { look: { ok: true, status: 200 } }\n";

/// Numbers of a report hold for what is in it, on every level.
fn assert_adds_up(report: &Document) {
    let root = report.root_element();
    assert_eq!(root.tag_name().name(), "testsuites");
    let suites = root.children().filter(|node| node.has_tag_name("testsuite"));
    for node in suites.chain([root]) {
        let count = |name: &str| node.descendants().filter(|inner| inner.has_tag_name(name)).count().to_string();
        for (attribute, name) in [("tests", "testcase"), ("failures", "failure"), ("errors", "error")] {
            assert_eq!(
                node.attribute(attribute),
                Some(count(name).as_str()),
                "{attribute} of {:?}",
                node.attribute("name")
            );
        }
        assert!(node.attribute("time").unwrap().parse::<f64>().unwrap() >= 0.0);
    }
    for case in root.descendants().filter(|node| node.has_tag_name("testcase")) {
        assert!(case.children().filter(Node::is_element).count() <= 1, "servers read one end of a case");
    }
}

fn case<'a>(report: &'a Document, name: &str) -> Node<'a, 'a> {
    let found = report.descendants().find(|node| node.has_tag_name("testcase") && node.attribute("name") == Some(name));
    found.unwrap_or_else(|| panic!("no case `{name}`"))
}

fn end<'a>(case: Node<'a, 'a>) -> (&'a str, &'a str, &'a str) {
    let end = case.children().find(Node::is_element).expect("it did not pass");
    (end.tag_name().name(), end.attribute("message").unwrap(), end.text().unwrap_or_default())
}

#[test]
fn tests_that_pass_are_cases_with_their_file_and_time_and_hostile_names_stay_text() {
    let done = place(PASSES).run(&["test", "-o", "junit"]).expect(0);
    let report = Document::parse(&done.out).unwrap();
    assert_adds_up(&report);
    let case = case(&report, "it is <well> & \"quoted\" \\u{1b}[31m");
    assert_eq!((case.attribute("classname"), case.attribute("file")), (Some("book"), Some("runbooks/book.test.yaml")));
    assert_eq!(case.children().count(), 0);
    assert_eq!(case.parent().unwrap().attribute("name"), Some("runbooks/book.test.yaml"));
    assert_eq!(report.root_element().attribute("failures"), Some("0"));
}

#[test]
fn a_failure_has_its_place_and_the_difference_line_by_line() {
    let tests = "  - name: told otherwise\n    mocks: { look: { ok: true, status: 200, text: \"one\\n<two>]]>\\n\" } }\n    \
                 expect: { outputs: { text: \"one\\nthree & more\\n\" }, steps: { again: done } }\n";
    let done = place(&format!("{PASSES}{tests}")).run(&["test", "-o", "junit"]).expect(11);
    let report = Document::parse(&done.out).unwrap();
    assert_adds_up(&report);
    let (tag, message, text) = end(case(&report, "told otherwise"));
    assert_eq!(tag, "failure");
    assert!(message.contains("output `text`") && message.ends_with("and 1 other difference"), "{message}");
    for part in [
        "error[E0501]",
        "runbooks/book.test.yaml:",
        "- three & more",
        "+ <two>]]>",
        "  one",
        "step `again` is `skipped`",
    ] {
        assert!(text.contains(part), "{part}:\n{text}");
    }
    assert!(!done.out.contains('\u{1b}'), "no colours");
}

#[test]
fn a_file_that_can_not_be_run_is_an_error_and_the_others_are_run() {
    let place = place(PASSES);
    place.file("runbooks/wrong.yaml", BOOK);
    place.file("runbooks/wrong.test.yaml", "version: 1\ntests:\n  - nmae: misspelt\n");
    let done = place.run(&["test", "-o", "junit"]).expect(3);
    let report = Document::parse(&done.out).unwrap();
    assert_adds_up(&report);
    let (tag, _, text) = end(case(&report, "check"));
    assert!(tag == "error" && text.contains("nmae") && text.contains("runbooks/wrong.test.yaml:3"), "{tag}: {text}");
    assert_eq!(report.root_element().attribute("tests"), Some("2"));
}

#[test]
fn what_fails_by_a_flag_is_a_failure_and_without_it_is_said() {
    let unasked = "  - name: too much\n    mocks: { look: { ok: true, status: 200 }, again: { ok: true } }\n";
    let place = place(unasked);
    let done = place.run(&["test", "-o", "junit"]).expect(0);
    let report = Document::parse(&done.out).unwrap();
    assert_adds_up(&report);
    let said = report.descendants().find(|node| node.has_tag_name("system-out")).unwrap();
    assert!(said.text().unwrap().contains("no call was answered by `again`"));

    let done = place.run(&["test", "-o", "junit", "--strict", "--min", "90"]).expect(11);
    let report = Document::parse(&done.out).unwrap();
    assert_adds_up(&report);
    let (tag, message, _) = end(case(&report, "check"));
    assert!(tag == "failure" && message.contains("no call was answered by `again`"), "{message}");
    let (_, message, text) = end(case(&report, "at least 90 %"));
    assert!(message.contains("expected 90 %") && text.contains("again: "), "{message}: {text}");
    assert_eq!(report.root_element().attribute("failures"), Some("2"));
}

#[test]
fn a_report_beside_the_usual_result_is_written_over_the_last_one() {
    let place = place(PASSES);
    for _ in 0..2 {
        let done = place.run(&["test", "--junit", "report.xml"]).expect(0);
        assert!(done.out.contains("1 test passed"), "{}", done.out);
        let text = std::fs::read_to_string(place.path().join("report.xml")).unwrap();
        assert_adds_up(&Document::parse(&text).unwrap());
    }
    let done = place.run(&["test", "--junit", "absent/report.xml"]).expect(1);
    assert!(done.err.contains("writing `absent/report.xml` failed"), "{}", done.err);
    let done = place.run(&["list", "-o", "junit"]).expect(2);
    assert!(done.err.contains("only `test` writes JUnit XML"), "{}", done.err);
}
