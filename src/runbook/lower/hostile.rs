//! Files nobody should write, and that somebody will: each gets one clear error at the right place,
//! fast, in little memory, without a panic. The small ones stand in `tests/checks/hostile/`, where the
//! first line says what is expected: `# E0101 4:7`. The large ones are made here.

use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use super::*;
use crate::runbook::problem::{self, render};
use crate::script::cpu;

const HEAD: &str = "version: 1\ntitle: T\n";
/// Processor time far above what any of them needs in an unoptimised build.
const TIME_MAX: Duration = Duration::from_secs(1);

/// Reads a file as a runbook; gives `CODE line:column` of each problem.
fn places(shown: &str, text: String) -> Vec<String> {
    let source = Source::new(shown, text);
    let before = cpu::spent();
    let (runbook, problems) = read_runbook("hostile", Kind::Runbook, &source);
    let picture = render(&problems, true);
    let spent = cpu::spent() - before;
    assert!(spent < TIME_MAX, "{shown} took {spent:?} of processor time");
    assert!(picture.len() < 128 * 1024, "{shown}: a picture of {} bytes", picture.len());
    assert_eq!(runbook.is_none(), problem::has_errors(&problems), "{shown}");
    let place = |problem: &Problem| {
        let (line, column) = source.line_column(problem.span.start);
        format!("{} {line}:{column}", problem.code)
    };
    problems.iter().map(place).collect()
}

#[test]
fn every_hostile_file_has_one_clear_error_at_its_place() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/checks/hostile");
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(files.len() >= 60, "{} files", files.len());
    let mut wrong = String::new();
    for path in files {
        let text = std::fs::read_to_string(&path).unwrap();
        let expected = text.lines().next().unwrap().trim_start_matches("# ").to_owned();
        let shown = path.file_name().unwrap().to_str().unwrap().to_owned();
        let found = places(&shown, text.clone());
        if found.first() != Some(&expected) {
            let (_, problems) = read_runbook("hostile", Kind::Runbook, &Source::new(&shown, text));
            writeln!(wrong, "{shown}: expected {expected}, found {found:?}\n{}", render(&problems, false)).unwrap();
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

#[test]
fn text_that_is_not_plain_utf8_is_refused_before_it_is_parsed() {
    for (text, expected) in [
        ("\u{feff}version: 1\n", "E0100 1:1"),
        ("version: 1\ntitle: a\u{feff}b\n", "E0100 2:9"),
        ("version: 1\ntitle: a\0b\n", "E0100 2:9"),
        ("v\0e\0r\0s\0i\0o\0n\0:\0", "E0100 1:2"),
        ("version: 1\rtitle: T\r", "E0100 1:11"),
        ("version: 1\ntitle: \u{1b}[31mred\n", "E0100 2:8"),
        ("version: 1\ntitle: a\u{85}b\n", "E0100 2:9"),
        ("version: 1\nsteps: \u{2066}\n", "E0100 2:8"),
    ] {
        assert_eq!(places("text.yaml", text.to_owned()), [expected], "{text:?}");
    }
}

/// `count` copies of `item`, between a head and a tail.
fn many(head: &str, item: &str, count: usize, tail: &str) -> String {
    format!("{head}{}{tail}", item.repeat(count))
}

#[test]
fn large_files_end_at_a_limit_fast() {
    let mib = 1024 * 1024;
    let mut wrong = String::new();
    let numbered = |item: &dyn Fn(usize) -> String, count: usize| (0..count).map(item).collect::<String>();
    for (name, text, expected) in [
        ("10 MB scalar", many("title: ", "x", 10 * mib, ""), "E0114 1:1"),
        ("flow depth 10,000", many("vars: ", "[", 10_000, ""), "E0114 1:262"),
        ("flow depth 100,000, one a line", many("vars: ", "[\n ", 100_000, ""), "E0114 256:2"),
        ("map depth 5,000", many("vars: ", "{a: ", 5_000, ""), "E0114 1:259"),
        ("20,000 dashes", many("vars:\n  ", "- ", 20_000, "x"), "E0114 2:129"),
        ("block depth 200", numbered(&|n| format!("{}a:\n", " ".repeat(n)), 200), "E0114 65:65"),
        ("200,000 items", many("vars: [", "a,", 200_000, "]"), "E0114 1:200002"),
        ("49,000 unknown keys", numbered(&|n| format!("k{n}: 1\n"), 49_000), "E0103 1:1"),
        ("49,000 times one key", many("", "title: T\n", 49_000, ""), "E0104 2:1"),
        ("30,000 anchors", numbered(&|n| format!("a{n}: &a{n} x\n"), 30_000), "E0102 1:5"),
        ("20,000 tags", numbered(&|n| format!("a{n}: !t x\n"), 20_000), "E0110 1:5"),
        ("a number of 1 MB", format!("vars: {{ a: {} }}", "9".repeat(mib - 64)), "E0107 1:12"),
        ("a key of 1 MB", format!("{}: 1", "k".repeat(mib - 64)), "E0101 1:1"),
        ("a quote never closed", format!("title: \"{}", "x\n ".repeat(300_000)), "E0101 1:8"),
        ("a bracket never closed", format!("title: [{}", "x,\n ".repeat(20_000)), "E0101 20001:2"),
        ("100,000 times ${{", many("owner: o\nvars: { a: \"", "${{ ", 100_000, "\" }"), "E0109 2:13"),
        ("100,000 times }}", many("vars: { a: \"${{ ", "}} ", 100_000, "\" }"), "E0301 1:16"),
        ("100,000 expressions", many("vars: { a: \"", "${{1}}", 100_000, "\" }"), "E0114 1:12016"),
        ("30,000 unnamed steps", many(&format!("{HEAD}steps:\n"), "- uses: a.b\n", 30_000, ""), ""),
        (
            "15,000 steps with one id",
            many(&format!("{HEAD}steps:\n"), "- {id: x, uses: a.b}\n", 15_000, ""),
            "E0116 5:8",
        ),
        ("a script of 1 MB", format!("{HEAD}steps:\n- script: |\n{}", "    let a = 1;\n".repeat(60_000)), "E0114 5:5"),
        ("an expression of 1 MB", format!("{HEAD}steps:\n- if: {}1\n  uses: a.b", "1+".repeat(400_000)), "E0114 4:7"),
        (
            "4,000 brackets in an expression",
            format!("{HEAD}steps:\n- if: {}\n  uses: a.b", "(".repeat(4_000)),
            "E0301 4:39",
        ),
        ("secrets of one name", many("secrets: [", "A,", 50_000, "]"), "E0116 1:13"),
        ("escapes", format!("title: \"{}\"", "\\L".repeat(400_000)), "E0106 1:1"),
        ("spaces", format!("title: T{}", " ".repeat(mib - 64)), "E0106 1:1"),
        ("line breaks", format!("title: T{}x", "\n".repeat(mib - 64)), "E0101 1048513:1"),
    ] {
        let found = places(name, text);
        let fits = if expected.is_empty() { found.is_empty() } else { found.iter().any(|place| place == expected) };
        if !fits {
            writeln!(wrong, "{name}: expected {expected}, found {:?}", &found[..found.len().min(3)]).unwrap();
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

mod any_text {
    use proptest::prelude::*;

    use super::*;
    use crate::runbook::settings::{read_settings, read_target};

    /// Pieces that meet each other in ways nobody writes.
    fn piece() -> impl Strategy<Value = String> {
        let pieces = [
            "version: 1\n",
            "title: T\n",
            "steps:\n",
            "  - ",
            "    ",
            "id: x\n",
            "uses: a.b\n",
            "script: |\n",
            "with: ",
            "{ ",
            " }",
            "[",
            "]",
            ",",
            "${{ ",
            " }}",
            "$${{",
            "inputs.a",
            "steps.x.outputs",
            "#",
            " #",
            "'",
            "\"",
            "\\",
            "!",
            "&a ",
            "*a",
            ": ",
            ":",
            "- ",
            "? ",
            "|",
            ">",
            "|2-\n",
            "\n",
            "\r\n",
            "\t",
            "~",
            "<<: ",
            "%",
            "@",
            "`",
            "---\n",
            "...\n",
            "é",
            "\u{202e}",
            "\u{feff}",
            "\0",
            "if: ",
            "until: ",
            "assert:\n",
            "that: ",
            "findings:\n",
            "1.10",
            "yes",
            "inputs: ",
            "type: ",
            "secrets: ",
            "from: env",
            "allow: ",
            "(",
            ")",
            "#{",
            "\\x4",
            "\u{10ffff}",
        ];
        prop_oneof![
            4 => prop::sample::select(pieces.to_vec()).prop_map(str::to_owned),
            1 => any::<char>().prop_map(String::from),
        ]
    }

    fn read_everything(text: &str) {
        let source = Source::new("any.yaml", text);
        let (runbook, problems) = read_runbook("any", Kind::Runbook, &source);
        assert_eq!(runbook.is_none(), problem::has_errors(&problems));
        for problem in problems.iter().chain(&read_settings(&source).1).chain(&read_target(&source).1) {
            assert!(
                text.is_char_boundary(problem.span.start) && text.is_char_boundary(problem.span.end),
                "{problem:?}"
            );
            problem.to_json();
        }
        render(&problems, false);
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn any_bytes_are_read_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            match Source::decode("any.yaml", bytes) {
                Ok(source) => read_everything(&source.text),
                Err(problem) => prop_assert!(!render(&[*problem], false).is_empty()),
            }
        }

        #[test]
        fn any_mixture_of_syntax_is_read_without_a_panic(pieces in prop::collection::vec(piece(), 0..60)) {
            read_everything(&pieces.concat());
        }
    }
}
