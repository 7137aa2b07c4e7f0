//! Runs written out as pages and pictures, through the binary.

use crate::cli::kit::{Backend, Place};

/// A run of every kind of end, exported.
#[test]
fn a_run_becomes_one_page_and_one_picture() {
    let (place, backend) = (Place::new(), Backend::start());
    place.run(&["run", "look", "-i", &backend.input(), "-q"]).expect(12);
    let page = place.run(&["export", "@last", "--format", "html"]).expect(0).out;
    assert!(page.starts_with("<!doctype html>\n") && page.ends_with("</html>\n"), "{page}");
    assert!(page.contains("Content-Security-Policy") && page.contains("It answers with 502."), "{page}");
    let head = place.run(&["export", "@last", "--format", "jsonl"]).expect(0).out;
    let last: serde_json::Value = serde_json::from_str(head.lines().last().unwrap()).unwrap();
    assert!(page.contains(last["hash"].as_str().unwrap()), "the page names the head of the chain");

    let picture = place.run(&["export", "@last", "--format", "svg"]).expect(0).out;
    let tree = roxmltree::Document::parse(&picture).unwrap();
    let rows = tree.descendants().filter(|node| node.tag_name().name() == "g").count();
    assert_eq!(rows, 3, "{picture}");
    place.run(&["export", "@last", "--format", "html", "--out", "run.html"]).expect(0);
    assert_eq!(std::fs::read_to_string(place.path().join("run.html")).unwrap(), page);
}

#[test]
fn an_export_follows_the_form_of_results_unless_it_is_told_otherwise() {
    let (place, backend) = (Place::new(), Backend::start());
    place.run(&["run", "look", "-i", &backend.input(), "-q"]).expect(12);
    let whole = place.run(&["export", "@last", "-o", "json"]).expect(0).json();
    assert_eq!(whole, place.run(&["show", "-o", "json"]).expect(0).json());
    assert_eq!(whole["steps"][0]["step"], "health");
    assert_eq!(whole, place.run(&["export", "@last", "--format", "json"]).expect(0).json());
    let lines = place.run(&["export", "@last", "-o", "jsonl"]).expect(0).out;
    assert_eq!(lines, place.run(&["export", "@last", "--format", "jsonl"]).expect(0).out);
    let page = place.run(&["export", "@last", "--format", "md", "-o", "json"]).expect(0).out;
    assert!(page.starts_with("# Look at a backend\n"), "{page}");
}

#[test]
fn what_a_target_answers_is_text_in_every_form() {
    let (place, backend) = (Place::new(), Backend::start());
    place.file(
        "runbooks/echo.yaml",
        "version: 1\ntitle: Echo\nowner: o\nreviewed: 2026-11-01\ninputs:\n  base_url: { type: url }\nsteps:\n  \
         - id: asked\n    uses: http.probe\n    with:\n      url: \"${{ inputs.base_url }}/echo\"\n      headers:\n        \
         Authorization: \"<script>alert(1)</script>![x](http://evil.example.com)\"\n  - id: say\n    findings:\n      \
         - when: steps.asked.outputs.ok\n        level: info\n        say: \"It said ${{ steps.asked.outputs.text }}\"\n",
    );
    place.run(&["run", "echo", "-i", &backend.input(), "-q"]).expect(0);
    for (format, inert) in [
        ("html", "&lt;script&gt;alert(1)&lt;/script&gt;"),
        ("md", "\\<script\\>alert(1)\\</script\\>\\!\\[x\\](http\\://evil.example.com)"),
    ] {
        let page = place.run(&["export", "@last", "--format", format]).expect(0).out;
        assert!(page.contains(inert), "{format}: {page}");
    }
    let html = place.run(&["export", "@last", "--format", "html"]).expect(0).out;
    assert!(!html.contains("<script"), "{html}");
}

#[test]
fn a_runbook_is_drawn_as_a_diagram_and_as_a_picture() {
    let place = Place::new();
    let diagram = place.run(&["graph", "fix"]).expect(0).out;
    assert!(diagram.starts_with("flowchart TD\n") && diagram.contains("http.request, write"), "{diagram}");
    let picture = place.run(&["graph", "fix", "--format", "svg"]).expect(0).out;
    assert!(roxmltree::Document::parse(&picture).is_ok(), "{picture}");
    let json = place.run(&["graph", "fix", "-o", "json"]).expect(0).json();
    assert_eq!((&json["nodes"][1]["name"], &json["nodes"][2]["effect"]), (&"sure".into(), &"write".into()));
    assert_eq!(json["reads"][0], serde_json::json!({ "from": 1, "to": 2 }));
    place.run(&["graph", "nothing"]).expect(2);
    place.file("runbooks/broken.yaml", "version: 1\ntitle: x\nsteps:\n  - use: http.probe\n");
    assert!(place.run(&["graph", "broken"]).expect(3).err.contains("error[E0103]"));
}
