//! GraphQL over HTTP: what may be sent as a query, and what an answer of 200 with errors means.

use rerail::engine::outcome::{FailureKind, Outcome};
use rerail::runbook::spec::Repeat;
use rerail::script::value::Map;
use rerail::steps::catalog;
use serde_json::json;

use crate::steps::kit::{Server, answer, args, hurried, open_world, perform, read_request};

fn call(server: &Server, document: &str) -> Map {
    args(json!({"url": server.url("/graphql"), "document": document, "variables": {"id": "s-1"}}))
}

async fn outcomes(body: &str) -> (Outcome, Outcome) {
    let server = Server::answering(answer("200 OK", &[], body)).await;
    let query = perform(&open_world(), "graphql.query", &call(&server, "query($id: ID!) { service(id: $id) }")).await;
    let mutation = call(&server, "mutation($id: ID!) { deploy(service: $id) { id } }");
    let mutation = perform(&open_world(), "graphql.mutate", &mutation).await;
    assert_eq!(server.connections(), 2, "each sent once");
    (query.outcome, mutation.outcome)
}

#[tokio::test]
async fn document_variables_operation_and_key_are_sent_and_data_comes_back() {
    let server = Server::answering(answer("200 OK", &[], r#"{"data": {"deploy": {"id": "d-7"}}}"#)).await;
    let mut args = call(&server, "query A { a } ");
    let refused = perform(&open_world(), "graphql.mutate", &args).await;
    assert_eq!(refused.failure.unwrap().message, "argument `document`: holds a query; that is `graphql.query`");
    args.extend(crate::steps::kit::args(json!({
        "document": "mutation Deploy($id: ID!) { deploy(service: $id) { id } } mutation Other { other }",
        "operation": "Deploy",
        "headers": {"X-Trace": "abc"},
        "idempotency": {"header": "Idempotency-Key", "window": "24h"},
    })));
    let attempt = perform(&open_world(), "graphql.mutate", &args).await;
    assert_eq!(attempt.outcome, Outcome::Done, "{attempt:?}");
    let outputs = attempt.outputs.to_plain();
    assert_eq!((&outputs["data"]["deploy"]["id"], &outputs["errors"]), (&json!("d-7"), &json!([])));
    assert_eq!(outputs["status"], json!(200));
    let sent = server.received();
    assert!(sent.starts_with("POST /graphql HTTP/1.1\r\n"), "{sent}");
    for line in ["x-trace: abc", "idempotency-key: key-1", "content-type: application/json"] {
        assert!(sent.contains(&format!("\r\n{line}\r\n")), "{line} in {sent}");
    }
    let body: serde_json::Value = serde_json::from_str(sent.split("\r\n\r\n").nth(1).unwrap()).unwrap();
    assert_eq!((&body["operationName"], &body["variables"]), (&json!("Deploy"), &json!({"id": "s-1"})));
    assert_eq!(server.connections(), 1);
    let spec = &catalog::find("graphql.mutate").unwrap().spec;
    assert_eq!(spec.repeat_with(&args), Repeat::Keyed { window_s: 24 * 3600 });
    assert_eq!(spec.repeat_with(&call(&server, "mutation { a }")), Repeat::Once);
}

#[tokio::test]
async fn a_mutation_given_as_a_query_never_leaves() {
    let server = Server::answering(answer("200 OK", &[], r#"{"data": {}}"#)).await;
    for document in ["mutation { a }", "query A { a } mutation B { b }", "subscription { a }", "", "{ a"] {
        let mut query = call(&server, document);
        query.insert("operation".into(), rerail::script::value::Value::from("A"));
        let attempt = perform(&open_world(), "graphql.query", &query).await;
        assert_eq!(attempt.outcome, Outcome::Refused, "{document}");
        assert_eq!(attempt.failure.unwrap().kind, FailureKind::Argument, "{document}");
    }
    assert_eq!(server.connections(), 0);
}

#[tokio::test]
async fn an_answer_of_200_is_judged_by_its_body() {
    use Outcome::{Done, Failed, InDoubt, Refused};
    for (body, query, mutation) in [
        (r#"{"data": {"a": 1}}"#, Done, Done),
        (r#"{"data": {"a": 1}, "errors": []}"#, Done, Done),
        (r#"{"data": null}"#, Done, Done),
        (r#"{"data": {"a": null}, "errors": [{"message": "partly"}]}"#, Done, InDoubt),
        (r#"{"data": null, "errors": [{"message": "Not Authorized"}]}"#, Failed, InDoubt),
        (
            r#"{"data": null, "errors": [{"message": "x", "extensions": {"code": "INTERNAL_SERVER_ERROR"}}]}"#,
            Failed,
            InDoubt,
        ),
        (
            r#"{"data": null, "errors": [{"message": "x", "extensions": {"code": "GRAPHQL_VALIDATION_FAILED"}}]}"#,
            Refused,
            Refused,
        ),
        (r#"{"errors": [{"message": "Unknown field"}]}"#, Refused, Refused),
        ("{}", Failed, InDoubt),
        ("[]", Failed, InDoubt),
        ("<html>maintenance</html>", Failed, InDoubt),
        ("", Failed, InDoubt),
    ] {
        assert_eq!(outcomes(body).await, (query, mutation), "{body}");
    }
}

#[tokio::test]
async fn other_statuses_and_broken_answers_count_as_everywhere() {
    use Outcome::{Failed, InDoubt, Refused};
    let body = r#"{"errors": [{"message": "Variable $id is missing", "extensions": {"code": "BAD_USER_INPUT"}}]}"#;
    for (status, query, mutation) in [
        ("400 Bad Request", Refused, Refused),
        ("401 Unauthorized", Refused, Refused),
        ("409 Conflict", Failed, InDoubt),
        ("500 Oops", Failed, InDoubt),
        ("302 Found", Failed, InDoubt),
    ] {
        let server = Server::answering(answer(status, &[], body)).await;
        let asked = perform(&open_world(), "graphql.query", &call(&server, "{ a }")).await;
        let told = perform(&open_world(), "graphql.mutate", &call(&server, "mutation { a }")).await;
        assert_eq!((asked.outcome, told.outcome), (query, mutation), "{status}");
        let message = told.failure.unwrap().message;
        assert!(message.contains("Variable $id is missing (BAD_USER_INPUT)"), "{message}");
        assert_eq!(told.outputs.to_plain()["errors"][0]["message"], json!("Variable $id is missing"));
    }
    let cut = Server::answering("HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\n{\"data\": {}}").await;
    let attempt = perform(&open_world(), "graphql.mutate", &call(&cut, "mutation { a }")).await;
    assert_eq!(attempt.outcome, InDoubt);
    let silent = Server::start(|mut stream| async move {
        read_request(&mut stream).await;
        std::future::pending::<()>().await;
    })
    .await;
    let attempt = perform(&hurried(&open_world(), 300), "graphql.mutate", &call(&silent, "mutation { a }")).await;
    assert_eq!((attempt.outcome, attempt.failure.unwrap().kind), (InDoubt, FailureKind::Timeout));
}
