//! The pure functions behind the actions.

use serde_json::json;

use crate::railway::modules::assert_all;

#[test]
fn states_have_a_phase_and_new_ones_are_no_end() {
    assert_all(
        "vercel/deployments",
        &[
            (
                r#"["QUEUED", "INITIALIZING", "BUILDING"].map(|state| m::phase(state))"#,
                json!(["moving", "moving", "moving"]),
            ),
            (r#"["READY", "ERROR", "CANCELED", "BLOCKED", "DELETED"].all(|state| m::is_over(state))"#, json!(true)),
            (r#"[m::phase("DREAMING"), m::is_over("DREAMING")]"#, json!(["unknown", false])),
        ],
    );
}

#[test]
fn a_time_is_told_by_the_minute() {
    assert_all(
        "vercel/deployments",
        &[
            ("m::time(0)", json!("1970-01-01 00:00 UTC")),
            ("m::time(951782399000)", json!("2000-02-28 23:59 UTC")),
            ("m::time(951868740000)", json!("2000-02-29 23:59 UTC")),
            ("m::time(1790000000000)", json!("2026-09-21 14:13 UTC")),
            ("m::time(1798761599999)", json!("2026-12-31 23:59 UTC")),
        ],
    );
}

#[test]
fn fields_that_are_called_otherwise_or_are_gone_make_the_same_deployment() {
    assert_all(
        "vercel/deployments",
        &[
            (r#"m::shaped(#{ uid: "dpl_1", state: "READY", aliasAssigned: 1790000000000 }).assigned"#, json!(true)),
            (
                r#"m::shaped(#{ id: "dpl_1", readyState: "READY", aliasAssigned: false, target: () }).assigned"#,
                json!(false),
            ),
            (r#"m::shaped(#{ id: "dpl_1" }).target"#, json!("preview")),
            (
                r#"m::shaped(#{ id: "dpl_1", meta: "none", aliasError: #{ code: "c", message: "no" } }).wrong"#,
                json!("c: no"),
            ),
            (r#"m::shaped(#{ id: "dpl_1", url: "a.vercel.example" }).url"#, json!("https://a.vercel.example")),
        ],
    );
}

#[test]
fn a_change_of_domains_is_ours_by_kind_place_and_time() {
    let now = r#"#{ kind: "promote", to: "b", at: 2 }"#;
    assert_all(
        "vercel/deployments",
        &[
            (&format!(r#"m::is_ours({now}, (), "promote", "b")"#), json!(true)),
            (&format!(r#"m::is_ours({now}, #{{ at: 1 }}, "promote", "b")"#), json!(true)),
            (&format!(r#"m::is_ours({now}, #{{ at: 2 }}, "promote", "b")"#), json!(false)),
            (&format!(r#"m::is_ours({now}, (), "rollback", "b")"#), json!(false)),
            (&format!(r#"m::is_ours({now}, (), "promote", "c")"#), json!(false)),
            (r#"m::is_ours((), (), "promote", "c")"#, json!(false)),
        ],
    );
}

#[test]
fn hosts_are_found_in_what_people_type() {
    assert_all(
        "vercel/places",
        &[
            (r#"m::host("https://Shop.example.com/a?b=c")"#, json!("shop.example.com")),
            (r#"m::host("shop.example.com")"#, json!("shop.example.com")),
            (r#"m::host("")"#, json!("")),
            (r#"[m::is_id("prj_abc1"), m::is_id("shop"), m::is_id("prj_")]"#, json!([true, false, false])),
        ],
    );
}

#[test]
fn a_variable_for_several_environments_is_no_variable_of_one() {
    let all = r#"let all = [
        #{ name: "A", kind: "plain", target: ["preview", "production"], branch: "", custom: false },
        #{ name: "B", kind: "sensitive", target: ["production"], branch: "", custom: false },
        #{ name: "B", kind: "plain", target: ["production"], branch: "next", custom: false },
    ];"#;
    let cases = [
        (r#"m::straddling(all, ["A", "B"], ["production"])"#, json!(["A"])),
        (r#"m::straddling(all, ["A", "B"], ["production", "preview"])"#, json!(["B"])),
        (r#"m::exactly(all, "A", ["production", "preview"]).name"#, json!("A")),
        (r#"m::exactly(all, "A", ["production"])"#, json!(null)),
        (r#"m::at(all, "A", "production").name"#, json!("A")),
        (r#"m::at(all, "A", "development")"#, json!(null)),
        (r#"m::of(all, "B", ["production"]).len()"#, json!(1)),
        (r#"m::is_hidden(m::at(all, "B", "production"))"#, json!(true)),
    ];
    for (expression, expected) in cases {
        assert_all("vercel/variables", &[(&format!("{all} {expression}"), expected)]);
    }
    assert_all(
        "vercel/variables",
        &[
            (r#"m::shaped(#{ key: "A", target: "production" }).target"#, json!(["production"])),
            (r#"m::shaped(#{ key: "A", customEnvironmentIds: ["env_1"] }).custom"#, json!(true)),
        ],
    );
}
