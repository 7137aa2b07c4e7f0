//! `rerail docs`: a page for everything there is, links that lead somewhere, and no page over somebody else's file.

#![expect(clippy::unwrap_used, reason = "a test that can't be set up has failed")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use pulldown_cmark::{CodeBlockKind, Event, Options, Parser, Tag};

use crate::cli::kit::Place;
use crate::house::files_below;

/// All files below a directory, by their path.
fn files(dir: &Path) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()) {
        let name = entry.file_name().unwrap().to_str().unwrap().to_owned();
        match entry.is_dir() {
            true => found.extend(files(&entry).into_iter().map(|(path, text)| (format!("{name}/{path}"), text))),
            false => drop(found.insert(name, fs::read_to_string(&entry).unwrap())),
        }
    }
    found
}

fn pages(dir: &Path) -> BTreeMap<String, String> {
    files(dir).into_iter().filter(|(path, _)| path.ends_with(".md")).collect()
}

/// Where the links of a page lead, below the directory of all pages. Nothing but links, code and tables is in it.
fn links(path: &str, text: &str) -> Vec<String> {
    let (first, text) = text.split_once('\n').unwrap();
    assert!(first.starts_with("<!-- Made by `rerail docs`"), "{path}: {first}");
    let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
    let mut found = Vec::new();
    for event in Parser::new_ext(text, Options::ENABLE_TABLES) {
        match event {
            Event::Html(html) | Event::InlineHtml(html) => panic!("{path} has HTML: {html}"),
            Event::Start(Tag::Image { dest_url, .. }) => panic!("{path} has a picture of {dest_url}"),
            Event::Start(Tag::Link { dest_url, .. }) => match dest_url.strip_prefix("../") {
                Some(up) => found.push(up.to_owned()),
                None => found.push(format!("{folder}{dest_url}")),
            },
            _ => {}
        }
    }
    found
}

#[test]
fn everything_shipped_has_a_page_and_every_link_leads_to_one() {
    let place = Place::new();
    fs::remove_dir_all(place.path().join("runbooks")).unwrap();
    let done = place.run(&["docs", "--out", "wiki"]).expect(0);
    assert!(done.out.contains("begin at wiki/README.md"), "{}", done.out);
    let pages = pages(&place.path().join("wiki"));
    let mut expected: BTreeSet<String> = BTreeSet::from(["README.md".to_owned()]);
    let yaml =
        |folder: &str| files_below(folder).into_iter().filter(|path| path.ends_with(".yaml")).collect::<Vec<_>>();
    for path in yaml("runbooks") {
        expected.insert(path.replace(".yaml", ".md"));
    }
    for path in yaml("stdlib") {
        let name = path.strip_prefix("stdlib/").unwrap().strip_suffix(".yaml").unwrap().replace('/', ".");
        expected.insert(format!("actions/{name}.md"));
    }
    let actions = place.run(&["actions", "--json"]).expect(0).json();
    for action in actions.as_array().unwrap() {
        expected.insert(format!("actions/{}.md", action["name"].as_str().unwrap()));
    }
    assert_eq!(pages.keys().cloned().collect::<BTreeSet<_>>(), expected);
    let mut linked = BTreeSet::new();
    for (path, text) in &pages {
        for link in links(path, text) {
            assert!(pages.contains_key(&link), "{path} leads to `{link}`");
            linked.insert(link);
        }
    }
    let index = &pages["README.md"];
    expected.remove("README.md");
    assert_eq!(linked, expected, "the index leads to each");
    assert!(index.contains("| [`crash-loop`](runbooks/crash-loop.md) | Crash loop from missing variables | pure, read, write | platform | embedded |"));
    let drawn = |text: &str| {
        let is_graph = |event: &Event| matches!(event, Event::Start(Tag::CodeBlock(CodeBlockKind::Fenced(language))) if &**language == "mermaid");
        Parser::new(text).filter(is_graph).count()
    };
    assert_eq!((drawn(&pages["runbooks/crash-loop.md"]), drawn(&pages["actions/railway.deploy.md"])), (1, 1));
    assert!(pages["runbooks/crash-loop.md"].contains("| `set` | **write** | Set"));
    assert!(pages["actions/railway.deploy.md"].contains("[`crash-loop`](../runbooks/crash-loop.md)"), "who uses it");
}

#[test]
fn the_same_texts_give_the_same_bytes() {
    let place = Place::new();
    place.run(&["docs", "--out", "one"]).expect(0);
    place.run(&["docs", "--out", "two"]).expect(0);
    let once = files(&place.path().join("one"));
    assert_eq!(once, files(&place.path().join("two")));
    place.run(&["docs", "--out", "one"]).expect(0);
    assert_eq!(once, files(&place.path().join("one")), "over itself");
}

const HOSTILE: &str = r##"version: 1
title: "A | B <img src=x> [c](https://example.com/c) ![d](d.png)"
owner: "`o | p`"
reviewed: 2026-11-01
meaning: "# no heading\n\n<script>x()</script>\n\n```\nno fence"
tags: [a]
inputs:
  base_url: { type: url, default: "https://example.com", description: "x `|` y <b> \\` www.example.com" }
  kind: { type: string, default: "```\n</table>", description: "- no item" }
steps:
  - id: look
    name: "Look [here](https://example.com/h) | at <i>"
    if: inputs.kind != "``` | <b>"
    uses: http.probe
    with: { url: "${{ inputs.base_url }}" }
  - findings:
      - when: "true"
        level: ok
        say: "**Loud** <u> ${{ inputs.kind }} | `"
        suggest: { runbook: look }
"##;

#[test]
fn files_of_the_project_are_there_and_what_they_say_is_never_markup() {
    let place = Place::new();
    place.file("runbooks/hostile.yaml", HOSTILE);
    place.file("runbooks/demo.yaml", &HOSTILE.replace("A | B", "Ours"));
    place.file(
        "actions/team/look.yaml",
        "version: 1\ntitle: \"Look | <b>\"\ninputs:\n  how: { type: choice, choices: [\"a```b\", \"c|d\"], description: How }\nsteps:\n  - uses: time.now\noutputs:\n  at: 1\n",
    );
    place.run(&["docs", "--out", "wiki"]).expect(0);
    let pages = pages(&place.path().join("wiki"));
    for (path, text) in &pages {
        for link in links(path, text) {
            assert!(pages.contains_key(&link), "{path} leads to `{link}`");
        }
    }
    let page = &pages["runbooks/hostile.md"];
    let (mut headings, mut text) = (Vec::new(), String::new());
    let mut events = Parser::new_ext(page, Options::ENABLE_TABLES);
    while let Some(event) = events.next() {
        match event {
            Event::Start(Tag::Heading { .. }) => {
                let Some(Event::Text(first)) = events.next() else { panic!("a heading without words") };
                headings.push(first.to_string());
            }
            Event::Text(more) | Event::Code(more) => text.push_str(&more),
            _ => {}
        }
    }
    assert_eq!(headings[1..], ["Meaning", "Start", "Inputs", "Steps", "What it may say", "Graph"], "{page}");
    for part in ["<script>x()</script>", "**Loud** <u>", "[here](https://example.com/h)", "if inputs.kind"] {
        assert!(text.contains(part), "`{part}` is not told as it is: {text}");
    }
    // Each row of a table has the columns of its head.
    for table in page.split("\n\n").filter(|block| block.starts_with('|')) {
        let columns = |row: &str| row.replace("\\|", "").matches('|').count();
        let head = columns(table.lines().next().unwrap());
        assert!(table.lines().all(|row| columns(row) == head), "{table}");
    }
    let index = &pages["README.md"];
    assert!(index.contains("| [`hostile`](runbooks/hostile.md) |") && index.contains("| project |"));
    assert!(pages["runbooks/demo.md"].contains("| Origin | project |"), "the project's wins");
    assert!(pages["actions/team.look.md"].contains("| Origin | project |"));
}

#[test]
fn a_directory_that_it_did_not_write_is_left_alone() {
    let place = Place::new();
    place.file("wiki/README.md", "mine\n");
    place.file("file", "mine\n");
    place.file("other/.rerail-docs", "something else\n");
    for dir in ["wiki", "file", "other", "runbooks"] {
        let before = files(place.path());
        let done = place.run(&["docs", "--out", dir]).expect(2);
        assert!(done.err.contains(&format!("`{dir}`")) && done.err.contains("nothing was written"), "{}", done.err);
        assert_eq!(before, files(place.path()));
    }
    fs::create_dir(place.path().join("empty")).unwrap();
    place.run(&["docs", "--out", "empty"]).expect(0);
}

#[test]
fn pages_of_what_is_gone_go_and_files_of_others_stay() {
    let place = Place::new();
    place.file("runbooks/soon-gone.yaml", HOSTILE);
    place.run(&["docs", "--out", "wiki"]).expect(0);
    assert!(place.path().join("wiki/runbooks/soon-gone.md").exists());
    fs::remove_file(place.path().join("runbooks/soon-gone.yaml")).unwrap();
    place.file("wiki/notes.md", "mine\n");
    place.file("precious.md", "mine\n");
    let marker = fs::read_to_string(place.path().join("wiki/.rerail-docs")).unwrap();
    let outside = place.path().join("precious.md").display().to_string();
    place.file("wiki/.rerail-docs", &format!("{marker}../precious.md\n{outside}\n"));
    place.run(&["docs", "--out", "wiki"]).expect(0);
    assert!(!place.path().join("wiki/runbooks/soon-gone.md").exists());
    for mine in ["wiki/notes.md", "precious.md"] {
        assert_eq!(fs::read_to_string(place.path().join(mine)).unwrap(), "mine\n");
    }
    assert_eq!(
        fs::read_to_string(place.path().join("wiki/.rerail-docs")).unwrap(),
        marker.replace("runbooks/soon-gone.md\n", "")
    );
}

#[test]
fn a_catalogue_that_would_lack_something_is_not_written() {
    let place = Place::new();
    place.file("runbooks/broken.yaml", "version: 1\ntitle: Broken\nstepps: []\n");
    let done = place.run(&["docs", "--out", "wiki"]).expect(3);
    assert!(done.err.contains("runbooks/broken.yaml") && done.err.contains("nothing was written"), "{}", done.err);
    fs::remove_file(place.path().join("runbooks/broken.yaml")).unwrap();
    place.file("actions/team/broken.yaml", "version: 1\ntitle: Broken\nstepps: []\n");
    let done = place.run(&["docs", "--out", "wiki"]).expect(3);
    assert!(done.err.contains("actions/team/broken.yaml"), "{}", done.err);
    assert!(!place.path().join("wiki").exists());
    let done = place.run(&["docs"]).expect(2);
    assert!(done.err.contains("--out"), "{}", done.err);
}
