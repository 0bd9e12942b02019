//! Error bodies, written and read.

use podbay_api::error::{ErrorBody, FIELD_ERRORS_MAX, FieldError, Problem};
use serde_json::{Value, json};

fn field(path: &str, kind: &str, msg: &str) -> FieldError {
    FieldError { loc: path.split('.').map(str::to_owned).collect(), msg: msg.into(), kind: kind.into() }
}

fn wire(body: &ErrorBody) -> Value {
    serde_json::to_value(body).unwrap()
}

#[test]
fn a_plain_error_is_one_string() {
    assert_eq!(wire(&ErrorBody::plain("Not found")), json!({"detail": "Not found"}));
}

#[test]
fn wrong_fields_are_told_in_the_three_ways_that_clients_read() {
    let fields = [
        field("body.pod.cloudId", "missing", "field required"),
        field("body.provider.type", "missing", "field required"),
    ];
    let expected = json!({
        "message": "body.pod.cloudId: field required; body.provider.type: field required",
        "detail": [
            {"type": "missing", "loc": ["body", "pod", "cloudId"], "msg": "field required"},
            {"type": "missing", "loc": ["body", "provider", "type"], "msg": "field required"}
        ],
        "errors": [
            {"param": "body.pod.cloudId", "details": "field required"},
            {"param": "body.provider.type", "details": "field required"}
        ]
    });
    assert_eq!(wire(&ErrorBody::invalid(&fields)), expected);
}

#[test]
fn many_wrong_fields_are_cut_and_counted() {
    let fields = vec![field("body.x", "missing", "field required"); FIELD_ERRORS_MAX + 1];
    let body = wire(&ErrorBody::invalid(&fields));
    assert_eq!(body["detail"].as_array().unwrap().len(), FIELD_ERRORS_MAX);
    assert!(body["message"].as_str().unwrap().ends_with("; and 96 more"), "{body}");
}

#[test]
fn a_client_reads_the_shapes_of_all_servers() {
    let cases = [
        (json!({"detail": "Not found"}), "Not found", 0),
        (json!({"message": "m", "detail": "d"}), "m", 0),
        (json!({"error": "e"}), "e", 0),
        (
            json!({"errors": [{"param": "body.pod.cloudId", "details": "field required"}]}),
            "body.pod.cloudId: field required",
            1,
        ),
        (json!({"detail": [{"loc": ["body", "list", 3], "msg": "bad", "type": "x"}]}), "body.list.3: bad", 1),
        (json!({"detail": {"deep": 1}}), "", 0),
        (json!([]), "", 0),
    ];
    for (body, text, fields) in cases {
        let problem = Problem::read(body.to_string().as_bytes());
        assert_eq!((problem.text.as_str(), problem.fields.len()), (text, fields), "{body}");
    }
    assert_eq!(Problem::read(b"<html>"), Problem::default());
}

#[test]
fn what_is_written_is_read_back() {
    let fields = vec![field("body.pod.name", "string_type", "must be a string")];
    let body = serde_json::to_vec(&ErrorBody::invalid(&fields)).unwrap();
    let problem = Problem::read(&body);
    assert_eq!(problem.fields, fields);
    assert_eq!(problem.text, "body.pod.name: must be a string");
}
