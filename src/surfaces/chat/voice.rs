//! The way out to a chat: whatever is said there goes through the redactor, whoever says it.

use crate::runs::Runs;
use crate::surfaces::chat::asked::{Asked, Kind, Place};
use crate::surfaces::chat::card::{Card, Form};
use crate::surfaces::chat::room::{Room, Trouble, room};

/// A chat of the project, behind the redactor.
pub struct Voice<'r> {
    runs: &'r Runs,
    room: Box<dyn Room + 'r>,
}

impl<'r> Voice<'r> {
    /// The chat of this kind, if the project has one.
    pub fn of(runs: &'r Runs, kind: Kind, base: Option<&'r str>) -> Option<Voice<'r>> {
        Some(Voice { runs, room: room(runs, kind, base)? })
    }

    /// As [`Room::post`].
    ///
    /// # Errors
    /// As there.
    pub fn post(&self, place: &Place, card: Card) -> Result<String, Trouble> {
        self.room.post(place, &self.clean(card))
    }

    /// As [`Room::edit`].
    ///
    /// # Errors
    /// As there.
    pub fn edit(&self, place: &Place, message: &str, card: Card) -> Result<(), Trouble> {
        self.room.edit(place, message, &self.clean(card))
    }

    /// As [`Room::whisper`].
    ///
    /// # Errors
    /// As there.
    pub fn whisper(&self, asked: &Asked, card: Card) -> Result<(), Trouble> {
        self.room.whisper(asked, &self.clean(card))
    }

    /// As [`Room::show`].
    ///
    /// # Errors
    /// As there.
    pub fn show(&self, asked: &Asked, mut form: Form) -> Result<bool, Trouble> {
        for field in &mut form.fields {
            let clean = |text: &mut Option<String>| *text = text.as_deref().map(|text| self.redact(text));
            clean(&mut field.hint);
            clean(&mut field.initial);
        }
        self.room.show(asked, &form)
    }

    /// Whether a channel may be used.
    pub fn may_speak_in(&self, channel: &str) -> bool {
        self.room.channels().iter().any(|known| known == channel)
    }

    /// Whether buttons lead back from here.
    pub fn has_buttons(&self) -> bool {
        self.room.has_buttons()
    }

    fn clean(&self, card: Card) -> Card {
        card.redacted(|text| self.redact(text))
    }

    fn redact(&self, text: &str) -> String {
        self.runs.redactor().redact(text).into_owned()
    }
}
