//! What planned writes leave behind: `leaves` of a step that writes, `overlay` of an action that reads.

use std::collections::BTreeMap;

use crate::runbook::effects;
use crate::runbook::model::{Leaves, Overlay};
use crate::runbook::sites;
use crate::runbook::snippet::{Template, TemplateNode};
use crate::runbook::types::Type;

use super::file::{Checker, View};
use super::place::Place;
use super::scope::{Given, Output};

/// What stands behind `result.` in the script of an `overlay`.
pub(crate) const OVERLAY_FIELDS: [&str; 5] = ["now", "sets", "plain", "removes", "was"];

impl<'a> Checker<'a> {
    /// Checks `leaves`, which sees what its step sees.
    pub(super) fn leaves(&mut self, leaves: &'a Leaves, view: &View<'_, 'a>) {
        self.left_at(&leaves.place, view);
        for (key, template, wanted) in [
            ("sets", &leaves.sets, Some(Type::Map)),
            ("removes", &leaves.removes, Some(Type::List)),
            ("was", &leaves.was, Some(Type::Map)),
        ] {
            let Some(template) = template else { continue };
            self.template(template, Place::Leaves(key), view);
            self.of_type(template, key, wanted, view);
        }
    }

    /// Checks the `overlay` of an action, which sees what its outputs see.
    pub(super) fn overlay(&mut self, overlay: &'a Overlay, view: &View<'_, 'a>) {
        self.left_at(&overlay.place, view);
        let fields = OVERLAY_FIELDS.map(|name| (name.to_owned(), Output::any()));
        let result = Some(Given::Closed(BTreeMap::from(fields).into()));
        self.snippet(&overlay.script, Place::Overlay, &View { result, ..*view });

        let file = self.file;
        let mut steps = sites::blocks(file).into_iter().flat_map(|block| block.iter());
        if let Some(write) = steps.find_map(|step| effects::first_write(step, self.facts.reached)) {
            let message =
                format!("an `overlay` lies over reads, and `{}` is a {} here", write.site.name, write.effect.word());
            let help = "what a write leaves behind is `leaves`, on the step that writes";
            self.push(self.error("E0238", overlay.place.span, message, "on an action that writes").help(help));
        }
        if file.outputs.is_empty() {
            let message = "an `overlay` gives outputs as they will be, and this action has none";
            self.push(self.error("E0238", overlay.place.span, message, "over nothing"));
        }
    }

    /// The name of a place: a text that says something.
    fn left_at(&mut self, place: &'a Template, view: &View<'_, 'a>) {
        self.template(place, Place::LeftAt, view);
        self.of_type(place, "place", None, view);
        if place.literal().is_some_and(|text| text.to_string().trim().is_empty()) {
            let message = "`place` is blank: it names nothing that a read could look at";
            self.push(self.error("E0238", place.span, message, "name what is changed or read"));
        }
    }

    /// A value whose type can be told has the wanted one; without one it is a text.
    fn of_type(&mut self, template: &'a Template, key: &str, wanted: Option<Type>, view: &View<'_, 'a>) {
        let read = match &template.node {
            TemplateNode::Expression(snippet) => self.type_of(snippet, view),
            _ => None,
        };
        let (word, fits) = match (&template.node, read) {
            (_, Some(Type::Any | Type::Secret)) | (TemplateNode::Expression(_), None) => return,
            (_, Some(ty)) => (ty.name(), wanted.as_ref().map_or(ty.is_text(), |wanted| ty == *wanted)),
            (TemplateNode::Literal(value), None) => {
                (value.kind(), value.kind() == wanted.as_ref().unwrap_or(&Type::String).name())
            }
            (TemplateNode::Map(_), None) => ("map", wanted == Some(Type::Map)),
            (TemplateNode::List(_), None) => ("list", wanted == Some(Type::List)),
            (TemplateNode::Mixed(_), None) => ("string", wanted.is_none()),
        };
        if !fits {
            let name = wanted.as_ref().map_or("text", Type::name);
            let message = format!("`{key}`: expected {name}, got {word}");
            self.push(self.error("E0238", template.span, message, "the wrong type"));
        }
    }
}
