//! What chats refuse, as their documentation says: each function names what is wrong with a message or a form.

use serde_json::{Value as Json, json};

fn chars(json: &Json) -> usize {
    json.as_str().unwrap_or_default().chars().count()
}

fn bytes(json: &Json) -> usize {
    json.as_str().unwrap_or_default().len()
}

fn list(json: &Json) -> &[Json] {
    json.as_array().map_or(&[], Vec::as_slice)
}

/// Those that are wrong, with the whole of it.
fn wrong(whole: &Json, checks: &[(bool, &str)]) -> Vec<String> {
    let secret = whole.to_string().contains("fake-");
    let checks = checks.iter().chain(std::iter::once(&(true, "")));
    let bad = checks.filter(|(good, _)| !good).map(|(_, what)| format!("{what}: {whole}"));
    bad.chain(secret.then(|| format!("a secret: {whole}"))).collect()
}

/// A message of Discord, or an answer that only one sees.
pub fn discord_message(body: &Json, calls_nobody: bool) -> Vec<String> {
    let rows = list(&body["components"]);
    let buttons: Vec<&Json> = rows.iter().flat_map(|row| list(&row["components"])).collect();
    let mut ids: Vec<&Json> = buttons.iter().map(|button| &button["custom_id"]).collect();
    ids.sort_by_key(|id| id.to_string());
    ids.dedup();
    wrong(
        body,
        &[
            ((1..=2000).contains(&chars(&body["content"])), "content"),
            (rows.len() <= 5 && rows.iter().all(|row| (1..=5).contains(&list(&row["components"]).len())), "rows"),
            (buttons.iter().all(|b| (1..=80).contains(&chars(&b["label"]))), "the label of a button"),
            (buttons.iter().all(|b| (1..=100).contains(&chars(&b["custom_id"]))), "custom_id"),
            (ids.len() == buttons.len(), "two of one custom_id"),
            (body["nonce"].is_null() || chars(&body["nonce"]) <= 25, "nonce"),
            (!calls_nobody || body["allowed_mentions"] == json!({ "parse": [] }), "allowed_mentions"),
        ],
    )
}

pub fn discord_modal(modal: &Json) -> Vec<String> {
    let labels = list(&modal["components"]);
    let options = |label: &Json| list(&label["component"]["options"]).to_vec();
    let short =
        |option: &Json| (1..=100).contains(&chars(&option["value"])) && (1..=100).contains(&chars(&option["label"]));
    let is_field = |label: &Json| match label["component"]["type"].as_u64() {
        Some(3) => (1..=25).contains(&options(label).len()) && options(label).iter().all(short),
        Some(4) => {
            matches!(label["component"]["style"].as_u64(), Some(1 | 2)) && chars(&label["component"]["value"]) <= 4000
        }
        _ => false,
    };
    wrong(
        modal,
        &[
            ((1..=45).contains(&chars(&modal["title"])), "title"),
            ((1..=100).contains(&chars(&modal["custom_id"])), "custom_id"),
            ((1..=5).contains(&labels.len()), "number of fields"),
            (labels.iter().all(|label| label["type"] == 18 && (1..=45).contains(&chars(&label["label"]))), "a label"),
            (labels.iter().all(|label| chars(&label["description"]) <= 100), "a description"),
            (labels.iter().all(|label| (1..=100).contains(&chars(&label["component"]["custom_id"]))), "a field's name"),
            (labels.iter().all(is_field), "a field"),
        ],
    )
}

pub fn mattermost_post(post: &Json) -> Vec<String> {
    let actions: Vec<&Json> =
        list(&post["props"]["attachments"]).iter().flat_map(|attachment| list(&attachment["actions"])).collect();
    let is_action = |action: &&Json| {
        let id = action["id"].as_str().unwrap_or_default();
        chars(&action["name"]) > 0
            && id.chars().all(|c| c.is_ascii_alphanumeric())
            && action["integration"]["url"].as_str().is_some_and(|url| url.starts_with("https://ops.example.com/chat/"))
    };
    wrong(
        post,
        &[((1..=16_383).contains(&chars(&post["message"])), "message"), (actions.iter().all(is_action), "an action")],
    )
}

/// Where Mattermost counts bytes, so is done here.
pub fn mattermost_dialog(body: &Json) -> Vec<String> {
    let dialog = &body["dialog"];
    let elements = list(&dialog["elements"]);
    let is_element = |element: &Json| {
        let most = match element["type"].as_str().unwrap_or_default() {
            "text" => 150,
            "textarea" | "select" => 3000,
            _ => return false,
        };
        bytes(&element["default"]) <= most && element["max_length"].as_u64().is_none_or(|max| max <= most as u64)
    };
    wrong(
        body,
        &[
            ((1..=24).contains(&bytes(&dialog["title"])), "title"),
            (elements.iter().all(|e| (1..=24).contains(&bytes(&e["display_name"]))), "display_name"),
            (elements.iter().all(|e| (1..=300).contains(&bytes(&e["name"]))), "name"),
            (elements.iter().all(|e| bytes(&e["help_text"]) <= 150), "help_text"),
            (elements.iter().all(is_element), "an element"),
        ],
    )
}
