//! Chats as a surface: people speak to rerail where they speak to each other. Whatever comes in is proved, kept and
//! acknowledged before it is worked on; who somebody is, the project file or a link on the shelf says.

pub mod asked;
pub mod buttons;
pub mod card;
pub mod command;
pub mod herald;
pub mod hooks;
pub mod keeper;
pub mod links;
pub mod news;
pub mod sign;
pub mod slack;
pub mod stalk;

mod discord;
mod generic;
mod hung;
mod markdown;
mod mattermost;
mod pauses;
mod proposal;
mod room;
mod saying;
mod story;
mod turn;
mod voice;
mod work;
