//! Cards and forms in Slack's Block Kit, within its limits. Text from outside is `plain_text`, in which nothing is markup,
//! mention or link; where lines must stand below each other they are code, with Slack's three signs escaped.

use serde_json::{Value as Json, json};

use crate::surfaces::chat::card::{Button, Card, FIELDS_MAX, Field, FieldKind, Form, Said, Style, cut};

/// Letters of one section; Slack refuses 3,001.
const SECTION_CHARS_MAX: usize = 2900;
/// Letters of all sections: Slack refuses messages of around 13,000.
const MESSAGE_CHARS_MAX: usize = 11_000;
/// Letters of the title of a form, and of its button.
const FORM_TITLE_CHARS_MAX: usize = 24;
/// Letters of a label or a hint.
const LABEL_CHARS_MAX: usize = 150;
/// Letters of one choice; choices of one field.
const CHOICE_CHARS_MAX: usize = 75;
const CHOICES_MAX: usize = 100;
/// Letters that a field may begin with.
const INITIAL_CHARS_MAX: usize = 3000;
/// What the one action of each field is called.
pub const FIELD_ACTION: &str = "value";
/// What a form of ours is called.
pub const FORM: &str = "rerail";

/// A message: `text` for notifications, `blocks` for the window.
pub fn message(card: &Card) -> Json {
    let mut blocks = vec![json!({ "type": "header", "text": plain(&card.title()) })];
    let mut left = MESSAGE_CHARS_MAX;
    for (code, text) in sections(&card.shown()) {
        let section = match code {
            true => format!("```\n{}\n```", escaped(&text).replace('`', "ˋ")),
            false => text,
        };
        let chars = section.chars().count();
        if chars > left {
            blocks.push(json!({ "type": "section", "text": plain("… and more") }));
            break;
        }
        left -= chars;
        let text = match code {
            true => json!({ "type": "mrkdwn", "text": section, "verbatim": true }),
            false => plain(&section),
        };
        blocks.push(json!({ "type": "section", "text": text }));
    }
    if !card.buttons().is_empty() {
        let buttons: Vec<Json> = card.buttons().iter().enumerate().map(|(at, held)| button(at, held)).collect();
        blocks.push(json!({ "type": "actions", "elements": buttons }));
    }
    if let Some(url) = card.link() {
        let text = format!("<{}|page>", escaped(url).replace('|', "%7C"));
        blocks.push(json!({ "type": "context", "elements": [{ "type": "mrkdwn", "text": text }] }));
    }
    json!({ "text": escaped(&card.title()), "blocks": blocks, "unfurl_links": false, "unfurl_media": false })
}

fn button(at: usize, button: &Button) -> Json {
    let mut json = json!({
        "type": "button", "action_id": format!("rerail_{at}"), "value": button.holds, "text": plain(&button.label),
    });
    match button.style {
        Style::Plain => {}
        Style::Good => json["style"] = json!("primary"),
        Style::Danger => json["style"] = json!("danger"),
    }
    json
}

/// A form, to be opened with a trigger.
pub fn view(form: &Form, place: &str, message: Option<&str>) -> Json {
    let blocks: Vec<Json> = form.fields.iter().take(FIELDS_MAX).map(input).collect();
    json!({
        "type": "modal",
        "callback_id": FORM,
        "private_metadata": json!({ "holds": form.holds, "place": place, "message": message }).to_string(),
        "title": plain(&cut(&form.title, FORM_TITLE_CHARS_MAX)),
        "submit": plain(&cut(&form.submit, FORM_TITLE_CHARS_MAX)),
        "close": plain("Cancel"),
        "blocks": blocks,
    })
}

fn input(field: &Field) -> Json {
    let options =
        |choices: &[String]| -> Vec<Json> { choices.iter().take(CHOICES_MAX).map(|choice| option(choice)).collect() };
    let mut element = match &field.kind {
        FieldKind::Text => json!({ "type": "plain_text_input" }),
        FieldKind::Long => json!({ "type": "plain_text_input", "multiline": true }),
        FieldKind::Number { decimal } => json!({ "type": "number_input", "is_decimal_allowed": decimal }),
        FieldKind::Url => json!({ "type": "url_text_input" }),
        FieldKind::Email => json!({ "type": "email_text_input" }),
        FieldKind::Choice(choices) => json!({ "type": "static_select", "options": options(choices) }),
    };
    element["action_id"] = json!(FIELD_ACTION);
    if let Some(initial) = &field.initial {
        match &field.kind {
            FieldKind::Choice(choices) if choices.contains(initial) => element["initial_option"] = option(initial),
            FieldKind::Choice(_) => {}
            _ => element["initial_value"] = json!(cut(initial, INITIAL_CHARS_MAX)),
        }
    }
    let mut block = json!({
        "type": "input", "block_id": field.name, "optional": !field.required,
        "label": plain(&cut(&field.name, LABEL_CHARS_MAX)), "element": element,
    });
    let below = field.below(field.hint.as_deref().unwrap_or_default(), LABEL_CHARS_MAX);
    if !below.trim().is_empty() {
        block["hint"] = plain(&below);
    }
    block
}

fn option(choice: &str) -> Json {
    let choice = cut(choice, CHOICE_CHARS_MAX);
    json!({ "text": plain(&choice), "value": choice })
}

/// Lines of one kind that follow each other, as many together as a section may have.
fn sections(lines: &[Said]) -> Vec<(bool, String)> {
    let mut sections: Vec<(bool, String)> = Vec::new();
    for line in lines {
        // An entity of Slack is at most five letters for one.
        let weight = |text: &str| if line.code { escaped(text).chars().count() } else { text.chars().count() };
        let text = if line.text.is_empty() { " " } else { &line.text };
        match sections.last_mut() {
            Some((code, section)) if *code == line.code && weight(section) + weight(text) < SECTION_CHARS_MAX => {
                section.push('\n');
                section.push_str(text);
            }
            _ => sections.push((line.code, text.to_owned())),
        }
    }
    sections
}

fn plain(text: &str) -> Json {
    // An empty text is refused.
    json!({ "type": "plain_text", "text": if text.is_empty() { " " } else { text }, "emoji": false })
}

/// Slack's own escapes: what they leave is no mention, no link and no entity.
pub fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// What Slack made of a typed text.
pub fn unescaped(text: &str) -> String {
    text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transcript::{Line, Tone};

    fn texts(json: &Json) -> Vec<String> {
        json["blocks"]
            .as_array()
            .unwrap()
            .iter()
            .filter_map(|block| Some(block["text"]["text"].as_str()?.to_owned()))
            .collect()
    }

    #[test]
    fn the_largest_card_keeps_every_limit() {
        let lines: Vec<Line> = (0..200).map(|_| Line::of(Tone::Plain, &"<&>".repeat(200))).collect();
        let mut card = Card::new(&"<".repeat(400)).code(&lines).page(Some("https://ops.example.com/runs/x".into()));
        for at in 0..9 {
            card = card.button(&format!("{at}{}", "b".repeat(200)), &"n".repeat(43), Style::Danger);
        }
        let json = message(&card);
        let all = texts(&json);
        assert!(
            all.iter().all(|text| text.chars().count() <= 3000),
            "{:?}",
            all.iter().map(String::len).collect::<Vec<_>>()
        );
        assert!(all.iter().map(|text| text.chars().count()).sum::<usize>() < 13_000);
        let blocks = json["blocks"].as_array().unwrap();
        assert!(blocks.len() <= 50);
        assert!(all[0].chars().count() <= 150);
        let actions = blocks.iter().find(|block| block["type"] == "actions").unwrap();
        assert_eq!(actions["elements"].as_array().unwrap().len(), 5);
        assert_eq!(all.last().unwrap(), "… and more");
    }

    #[test]
    fn hostile_text_is_no_mention_no_link_and_no_end_of_code() {
        let hostile = "<!channel> <@U1> <https://evil.example|click> *b* ```";
        let card = Card::new(hostile).line(hostile).code(&[Line::of(Tone::Plain, hostile)]);
        let json = message(&card);
        for block in json["blocks"].as_array().unwrap() {
            let text = block["text"]["text"].as_str().unwrap();
            if block["text"]["type"] == "mrkdwn" {
                assert!(!text.contains("<!") && !text.contains("<@") && !text.contains("<http"), "{text}");
                assert_eq!(text.matches("```").count(), 2, "{text}");
            }
        }
        assert!(!json["text"].as_str().unwrap().contains('<'));
        assert_eq!(unescaped(&escaped("a<b>&lt;&amp;")), "a<b>&lt;&amp;");
    }

    #[test]
    fn a_field_has_the_type_of_its_input() {
        let field = |kind, initial: Option<&str>| Field {
            name: "n".into(),
            hint: Some("h".repeat(500)),
            kind,
            initial: initial.map(str::to_owned),
            required: true,
            left_out: Vec::new(),
        };
        let choices = vec!["a".to_owned(), "b".to_owned()];
        let form = Form {
            title: "A runbook with a long name".into(),
            submit: "Go".into(),
            holds: "secretless".into(),
            fields: vec![
                field(FieldKind::Number { decimal: false }, Some("3")),
                field(FieldKind::Choice(choices.clone()), Some("b")),
                field(FieldKind::Choice(choices), Some("c")),
            ],
        };
        let view = view(&form, "slack:C1:", Some("1.2"));
        assert_eq!(view["title"]["text"].as_str().unwrap().chars().count(), 24);
        let element = |at: usize| &view["blocks"][at]["element"];
        assert_eq!((&element(0)["type"], &element(0)["initial_value"]), (&json!("number_input"), &json!("3")));
        assert_eq!(element(1)["initial_option"]["value"], "b");
        assert_eq!(element(2)["initial_option"], Json::Null, "no choice that isn't one");
        assert!(view["blocks"][0]["hint"]["text"].as_str().unwrap().chars().count() <= 150);
        let metadata: Json = serde_json::from_str(view["private_metadata"].as_str().unwrap()).unwrap();
        assert_eq!(metadata["holds"], "secretless");
    }
}
